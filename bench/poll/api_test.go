package poll_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// latency is how long every request takes.
const latency = 150 * time.Millisecond

// api is the simulated API: planned lives, shown as of the present moment. It
// answers from memory, and far faster than an answer can be read, so that a
// run's time is the poller's.
type api struct {
	sessions []session // in the order of ids, which is that of creation
	calm     bool      // no request fails, no replica lags

	mu       sync.Mutex // guards all below
	rng      *rand.Rand
	requests int
}

func newAPI(o options, sessions []session) *api {
	return &api{sessions: sessions, calm: o.calm, rng: rand.New(rand.NewPCG(o.seed, 2))}
}

// failure is how a request fails.
type failure uint8

const (
	answered failure = iota
	internal
	throttled
	cut
	hanging
)

var errCut = errors.New("connection cut")

// ask is a request's way to the API and back: it says as of when the answer is,
// a replica's being up to two minutes old, or how the request failed.
func (a *api) ask(ctx context.Context) (asOf int64, failed failure, err error) {
	a.mu.Lock()
	a.requests++
	kind, replica, lag := a.rng.Float64(), a.rng.Float64(), between(a.rng, 0, 2*time.Minute)
	a.mu.Unlock()
	if err := wait(ctx, latency); err != nil {
		return 0, answered, err
	}
	asOf = time.Now().UnixMilli()
	switch {
	case a.calm:
		return asOf, answered, nil
	case kind < 0.001:
		failed = hanging
	case kind < 0.010:
		failed = internal
	case kind < 0.015:
		failed = throttled
	case kind < 0.020:
		failed = cut
	}
	if replica < 0.05 {
		asOf -= lag
	}
	return asOf, failed, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// query is a list request. Bounds are Unix seconds, 0 for none.
type query struct {
	gte, lte int64
	after    int64 // an id
	limit    int
}

// list returns the indices of the sessions of a page, newest first, and whether
// more follow.
func (a *api) list(q query, asOf int64, page []int) (items []int, more bool) {
	items = page[:0]
	from := sort.Search(len(a.sessions), func(i int) bool { return a.sessions[i].created > asOf })
	if q.after != 0 {
		at, _ := a.find(q.after)
		from = min(from, at)
	}
	if q.lte != 0 {
		from = min(from, sort.Search(len(a.sessions), func(i int) bool { return a.sessions[i].shownCreated() > q.lte*1000 }))
	}
	for i := from - 1; i >= 0 && a.sessions[i].shownCreated() >= q.gte*1000; i-- {
		if a.sessions[i].visible > asOf {
			continue
		}
		if len(items) == q.limit {
			return items, true
		}
		items = append(items, i)
	}
	return items, false
}

func (a *api) find(id int64) (i int, found bool) {
	return slices.BinarySearchFunc(a.sessions, id, func(s session, id int64) int { return cmp.Compare(s.id, id) })
}

// RoundTrip is the network and the API behind it.
func (a *api) RoundTrip(req *http.Request) (*http.Response, error) {
	id, byID := strings.CutPrefix(req.URL.Path, "/v1/checkout/sessions/cs_")
	asOf, failed, err := a.ask(req.Context())
	if err != nil {
		return nil, err
	}
	switch failed {
	case hanging:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case internal:
		return respond(req, http.StatusInternalServerError, []byte(`{"error":{"message":"try again"}}`)), nil
	case throttled:
		resp := respond(req, http.StatusTooManyRequests, []byte(`{"error":{"message":"slow down"}}`))
		resp.Header.Set("Retry-After", "2")
		return resp, nil
	}
	answer := a.answerList
	if byID {
		answer = func(*http.Request, int64) ([]byte, int, error) { return a.answerID(id, asOf) }
	}
	body, code, err := answer(req, asOf)
	if err != nil {
		return nil, err
	}
	resp := respond(req, code, body)
	if failed == cut {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	}
	return resp, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }

func respond(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func (a *api) answerList(req *http.Request, asOf int64) ([]byte, int, error) {
	q, err := readQuery(req)
	if err != nil {
		return nil, 0, err
	}
	items, more := a.list(q, asOf, make([]int, 0, q.limit))
	body := append(make([]byte, 0, 64+len(items)*384), `{"object":"list","data":[`...)
	for n, i := range items {
		if n > 0 {
			body = append(body, ',')
		}
		body = a.sessions[i].appendJSON(body, asOf)
	}
	body = strconv.AppendBool(append(body, `],"has_more":`...), more)
	return append(body, '}'), http.StatusOK, nil
}

func (a *api) answerID(digits string, asOf int64) ([]byte, int, error) {
	id, _ := strconv.ParseInt(digits, 10, 64) // what is no number is nobody's id
	i, found := a.find(id)
	if !found || a.sessions[i].visible > asOf {
		return []byte(`{"error":{"code":"resource_missing","message":"no such session"}}`), http.StatusNotFound, nil
	}
	return a.sessions[i].appendJSON(nil, asOf), http.StatusOK, nil
}

// readQuery reads the list parameters from the body, where the API documents them.
func readQuery(req *http.Request) (query, error) {
	var p struct {
		Limit         int    `json:"limit"`
		StartingAfter string `json:"starting_after"`
		EndingBefore  string `json:"ending_before"`
		Created       struct {
			GTE int64 `json:"gte,string"`
			LTE int64 `json:"lte,string"`
		} `json:"created"`
	}
	if err := json.NewDecoder(req.Body).Decode(&p); err != nil {
		return query{}, fmt.Errorf("list parameters: %w", err)
	}
	if p.EndingBefore != "" || req.URL.RawQuery != "" {
		return query{}, errors.New("parameters that the simulated API does not know")
	}
	q := query{gte: p.Created.GTE, lte: p.Created.LTE, limit: min(p.Limit, 100)}
	if p.StartingAfter != "" {
		id, err := strconv.ParseInt(strings.TrimPrefix(p.StartingAfter, "cs_"), 10, 64)
		if err != nil {
			return query{}, fmt.Errorf("starting_after: %w", err)
		}
		q.after = id
	}
	return q, nil
}

// appendJSON writes the session as the API shows it at a time.
func (s *session) appendJSON(b []byte, asOf int64) []byte {
	b = append(appendID(append(b, `{"id":"`...), s.id), `","object":"checkout.session","created":`...)
	b = strconv.AppendInt(b, s.shownCreated(), 10)
	b = strconv.AppendInt(append(b, `,"expires_at":`...), s.expires, 10)
	b = strconv.AppendInt(append(b, `,"livemode":false,"mode":"payment","currency":"USD","amount_total":`...), 500+s.id%100_000, 10)
	b = appendID(append(b, `,"client_reference_id":"order","url":"https://checkout.example/c/pay/`...), s.id)
	switch s.at(asOf) {
	case unpaid:
		return append(b, `","status":"complete","payment_status":"unpaid"}`...)
	case paid:
		return append(b, `","status":"complete","payment_status":"paid"}`...)
	case free:
		return append(b, `","status":"complete","payment_status":"no_payment_required"}`...)
	case expired:
		return append(b, `","status":"expired","payment_status":"unpaid"}`...)
	}
	return append(b, `","status":"open","payment_status":"unpaid"}`...)
}
