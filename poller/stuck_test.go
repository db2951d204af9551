package poller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// stuck is an API that holds each answer that would show some sessions: for so long
// that nobody waits for it, or until a gateway in front of it answers with an error.
type stuck struct {
	*world
	gateway time.Duration // 0: there is none

	mu       sync.Mutex
	sessions []string
	slow     string // a session that takes slowBy to show
	slowBy   time.Duration
	garbled  string                       // a session of which the list shows nothing but the id, and at once
	old      []string                     // sessions that are shown after four seconds
	latency  time.Duration                // of each answer
	byRows   func(rows int) time.Duration // of an answer that shows so many sessions, besides; nil: none
}

func (w *world) stuck() *stuck {
	s := &stuck{world: w}
	w.cfg.Poll.RateLimit = 5
	w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := w.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(s.garble(req, body)))
		held, latency := s.holds(req, string(body))
		if !held {
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-time.After(latency):
				return resp, nil
			}
		}
		var late <-chan time.Time
		if s.gateway > 0 {
			late = time.After(s.gateway)
		}
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-late:
			resp.StatusCode, resp.Body = http.StatusGatewayTimeout, io.NopCloser(strings.NewReader("gateway timeout"))
			return resp, nil
		}
	})
	return s
}

func (s *stuck) holds(req *http.Request, body string) (held bool, latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if latency = s.latency; s.slow != "" && strings.Contains(body, s.slow) && (s.garbled == "" || !isList(req)) {
		latency += s.slowBy
	}
	if s.byRows != nil {
		latency += s.byRows(strings.Count(body, `"payment_status"`))
	}
	if slices.ContainsFunc(s.old, func(id string) bool { return strings.Contains(body, id) }) {
		latency += 4 * time.Second
	}
	return slices.ContainsFunc(s.sessions, func(id string) bool { return strings.Contains(body, id) }), latency
}

func (s *stuck) garble(req *http.Request, body []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list struct {
		Object  string            `json:"object"`
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	id := fmt.Appendf(nil, `"id":%q`, s.garbled)
	if s.garbled == "" || !isList(req) || !bytes.Contains(body, id) || json.Unmarshal(body, &list) != nil {
		return body
	}
	for i, row := range list.Data {
		if bytes.Contains(row, id) {
			list.Data[i] = append(append([]byte{'{'}, id...), '}')
		}
	}
	body, _ = json.Marshal(list)
	return body
}

// change changes how it answers.
func (s *stuck) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *stuck) hang(ids ...string) { s.change(func() { s.sessions = append(s.sessions, ids...) }) }

func (s *stuck) heal() { s.change(func() { s.sessions = nil }) }

// start lets a poller run until the function that it returns is called.
func (w *world) start(p *poller.Poller) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// told returns for how long each session waited for its announcement, so far.
func (s *stuck) told(paid map[string]time.Time, waited map[string]time.Duration) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	for id, at := range paid {
		if _, known := waited[id]; !known && slices.Contains(s.events[id], "fulfillable") {
			waited[id] = time.Since(at)
		}
	}
}

// waits makes an order every four seconds for a while, calls each every second, and returns
// for how long the orders waited at most, by equal parts of the while.
func (s *stuck) waits(d time.Duration, parts int, each func(at time.Duration)) (most []time.Duration) {
	orders, waited := make(map[string]time.Time), make(map[string]time.Duration)
	most = make([]time.Duration, parts)
	note := func(at time.Time, waited time.Duration, began time.Time) {
		part := int(at.Sub(began) * time.Duration(parts) / d)
		most[part] = max(most[part], waited)
	}
	began := time.Now()
	for i := 0; time.Since(began) < d+5*time.Minute; i++ {
		if at := time.Since(began); at < d {
			each(at)
			if i%4 == 0 {
				orders[s.create(simulator.Fields{"status": "complete", "payment_status": "paid"})] = time.Now()
			}
		}
		time.Sleep(time.Second)
		s.told(orders, waited)
		for id, w := range waited {
			note(orders[id], w, began)
			delete(orders, id)
		}
		clear(waited)
	}
	for _, at := range orders {
		note(at, time.Hour, began)
	}
	return most
}

// aged returns a stuck API with open sessions, one of each of the last 75 minutes but 15,
// the newest first.
func (w *world) aged() (s *stuck, old []string) {
	w.t.Helper()
	for range 60 {
		old = append(old, w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"}))
		time.Sleep(time.Minute)
	}
	time.Sleep(14 * time.Minute)
	slices.Reverse(old)
	return w.stuck(), old
}
