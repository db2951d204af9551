package poller_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	healthyLatency = 300 * time.Millisecond
	slowestWay     = healthyLatency + 9*slowStep // of an answer that comes
	slowStep       = 200 * time.Millisecond
)

// trueAPI shows a universe's sessions, as its spells allow.
type trueAPI struct {
	*universe
	began  time.Time // by the local clock
	beings []*being

	started atomic.Bool // the account, by what the list said: until then it dates all rightly

	mu       sync.Mutex
	asked    int
	inFlight int
	requests []request
}

// request is what the oracle must know of one to judge the manners of a poller.
type request struct {
	sent, answered time.Duration
	status         int
	about          bool // what was asked for, if it was not answered
	inFlight       int  // with this one
	retryAfter     time.Duration
	shown          []*being // of the list, by an answer that makes sense; nil: none
}

// reply is an answer in the making.
type reply struct {
	header http.Header
	status int
	about  bool
	body   []byte
	shown  []*being
	cut    bool
	stuck  bool // it never comes
}

// question is a request as it was understood.
type question struct {
	id       string // "" for the list
	limit    int
	gte, lte int64 // 0: none
	after    string
}

// clock is the API's time at a time of the universe.
func (a *trueAPI) clock(at time.Duration) time.Time { return a.began.Add(at + a.skew) }

func (a *trueAPI) now() time.Duration { return time.Since(a.began) }

// RoundTrip notes each request and its answer.
func (a *trueAPI) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.asked++
	a.inFlight++
	n, noted := uint64(a.asked), request{sent: a.now(), inFlight: a.inFlight}
	a.mu.Unlock()
	rec := &reply{header: make(http.Header), status: http.StatusOK}
	err := a.answer(req, n, noted.inFlight, rec)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
	noted.answered = a.now()
	if err == nil {
		noted.status, noted.about = rec.status, rec.about
		if rec.status == http.StatusOK && !rec.cut {
			noted.shown = rec.shown
		}
		if after, err := strconv.Atoi(rec.header.Get("Retry-After")); err == nil {
			noted.retryAfter = time.Duration(after) * time.Second
		}
	}
	a.requests = append(a.requests, noted)
	if err != nil {
		return nil, err
	}
	resp := a.response(rec, req)
	if s, ok := a.mood(n, noted.sent)[lies]; ok && !a.noDate {
		resp.Header.Set("Date", a.clock(a.now()+wrongBy[s.n]).UTC().Format(http.TimeFormat))
	}
	if s, ok := a.mood(n, noted.sent)[slips]; ok && !a.noDate && n%3 == 0 { // one that all answers tell is believed
		jump := time.Duration(s.n-4) * 11 * time.Minute
		resp.Header.Set("Date", a.clock(a.now()+jump).UTC().Format(http.TimeFormat))
	}
	return resp, nil
}

func (a *trueAPI) response(rec *reply, req *http.Request) *http.Response {
	if !a.noDate {
		rec.header.Set("Date", a.clock(a.now()).UTC().Format(http.TimeFormat))
	}
	resp := &http.Response{
		StatusCode: rec.status, Header: rec.header, Request: req, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(string(rec.body))), ContentLength: int64(len(rec.body)),
	}
	if rec.cut {
		half := strings.NewReader(string(rec.body[:len(rec.body)/2]))
		resp.Body = io.NopCloser(io.MultiReader(half, brokenReader{}))
	}
	return resp
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// mood is the spells that strike one request, by what they do.
func (a *trueAPI) mood(n uint64, now time.Duration) map[string]spell {
	var mood map[string]spell
	for i, s := range a.spells {
		if now >= s.from && now < s.from+s.lasts && chance(a.seed, n, uint64(i)) < s.share {
			if mood == nil {
				mood = make(map[string]spell)
			}
			mood[s.does] = s
		}
	}
	return mood
}

// answer writes an answer after a while. An error is a connection that broke.
func (a *trueAPI) answer(req *http.Request, n uint64, inFlight int, rec *reply) error {
	mood := a.mood(n, a.now())
	latency := time.Duration(chance(a.seed, n) * float64(healthyLatency))
	if s, ok := mood[slow]; ok {
		latency += time.Duration(s.n) * slowStep
	}
	if _, ok := mood[hangs]; ok {
		latency = time.Hour
	}
	way := time.Duration(chance(a.seed, n, 1) * float64(latency)) // to the API
	rest(req.Context(), way)
	q, err := readQuestion(req, mood)
	switch {
	case req.Context().Err() != nil:
	case refuse(req, mood, inFlight, rec):
	case err != nil:
		rec.status, rec.body = http.StatusBadRequest, []byte(`{"error":{"message":"unreadable parameters"}}`)
	default:
		a.show(q, mood, n, rec)
		_, rec.cut = mood[cuts]
	}
	if rec.stuck {
		latency = time.Hour
	}
	rest(req.Context(), latency-way)
	return req.Context().Err()
}

// refuse answers with an error if the mood is so.
func refuse(req *http.Request, mood map[string]spell, inFlight int, rec *reply) bool {
	for _, c := range []struct {
		does   string
		status int
		body   string
	}{
		{denies, http.StatusForbidden, `{"error":{"message":"no permission"}}`},
		{loses, http.StatusNotFound, `404 page not found`},
		{fails, http.StatusInternalServerError, `<html>boom</html>`},
		{throttles, http.StatusTooManyRequests, `{"error":{"message":"slow down"}}`},
		{badBody, http.StatusBadRequest, `{"error":{"message":"a GET has no body"}}`},
		{redirects, http.StatusFound, `moved`},
		{babbles, http.StatusOK, `{"error":{"message":"temporarily out of order"},"data":[]}`},
		{busy, http.StatusTooManyRequests, `{"error":{"message":"too many concurrent requests"}}`},
	} {
		s, ok := mood[c.does]
		if !ok || c.does == busy && inFlight <= 1+s.n/3 || c.does == badBody && req.ContentLength == 0 {
			continue
		}
		if c.does == throttles && s.n > 2 {
			rec.header.Set("Retry-After", strconv.Itoa(5*s.n))
		}
		rec.status, rec.body = c.status, []byte(c.body)
		if c.does == denies && s.n%2 == 1 {
			rec.status = http.StatusUnauthorized
		}
		return true
	}
	return false
}

// readQuestion understands the parameters in the body and in the query.
func readQuestion(req *http.Request, mood map[string]spell) (question, error) {
	if !strings.HasSuffix(req.URL.Path, "/list") {
		return question{id: req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]}, nil
	}
	values := req.URL.Query()
	if _, ignored := mood[noBody]; !ignored && req.ContentLength > 0 {
		var p map[string]any
		d := json.NewDecoder(req.Body)
		d.UseNumber()
		if err := d.Decode(&p); err != nil {
			return question{}, err
		}
		flatten(values, "", p)
	}
	q := question{limit: 10, after: values.Get("starting_after")}
	for name, into := range map[string]*int64{"created[gte]": &q.gte, "created[lte]": &q.lte} {
		if text := values.Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return question{}, err
			}
			*into = n
		}
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return question{}, err
		}
		q.limit = n
	}
	return q, nil
}

func flatten(values url.Values, prefix string, members map[string]any) {
	for name, value := range members {
		if prefix != "" {
			name = prefix + "[" + name + "]"
		}
		if nested, ok := value.(map[string]any); ok {
			flatten(values, name, nested)
			continue
		}
		values.Set(name, fmt.Sprint(value))
	}
}

// show answers a question by what the API knows, as the mood bends it.
func (a *trueAPI) show(q question, mood map[string]spell, n uint64, rec *reply) {
	now := a.now()
	if s, ok := mood[stale]; ok {
		now -= staleAtMost * time.Duration(s.n+1) / 10
	}
	known := slices.DeleteFunc(slices.Clone(a.beings), func(b *being) bool { return !b.visible(now) })
	if _, ok := mood[empties]; ok {
		known = nil
	}
	if q.id != "" {
		at := slices.IndexFunc(known, func(b *being) bool { return b.id == q.id })
		if at < 0 {
			rec.status, rec.body = http.StatusNotFound, []byte(`{"error":{"message":"no such session"}}`)
			return
		}
		delete(mood, misdates)
		rec.body = a.render(known[at], now, mood, n)
		a.stumble(rec, known[at])
		return
	}
	a.list(q, known, now, mood, n, rec)
}

func (a *trueAPI) list(q question, known []*being, now time.Duration, mood map[string]spell, n uint64, rec *reply) {
	has := func(does string) bool { _, ok := mood[does]; return ok }
	switch {
	case has(ascending):
		slices.Reverse(known)
	case has(shuffled):
		order := func(b *being) uint64 { return uint64(chance(a.seed, uint64(len(b.id)), hashed(b.id)) * (1 << 40)) }
		slices.SortFunc(known, func(x, y *being) int { return int(int64(order(x)) - int64(order(y))) })
	}
	if a.untied {
		a.mix(known, n)
	}
	if q.after != "" && !has(noCursor) {
		at := slices.IndexFunc(known, func(b *being) bool { return b.id == q.after })
		if at < 0 {
			rec.status, rec.body = a.badCursor, []byte(`{"error":{"message":"no such cursor"}}`)
			return
		}
		known = known[at+1:]
	}
	known = slices.DeleteFunc(slices.Clone(known), func(b *being) bool {
		created := a.shownCreated(b)
		if a.exact {
			created = a.clock(b.born)
		}
		low, high := time.Unix(q.gte, 0), time.Unix(q.lte, 0)
		return !has(noFilter) && (q.gte > 0 && created.Before(low) || !has(noUpper) && q.lte > 0 && created.After(high))
	})
	if has(tenAPage) {
		q.limit = 10
	}
	if s, ok := mood[shortens]; ok {
		q.limit = max(1, q.limit-1-s.n%3)
	}
	more := strconv.FormatBool(len(known) > q.limit || has(allHasMore))
	if has(noHasMore) {
		more = "null"
	}
	if s, ok := mood[endsEarly]; ok && n%40 == a.seed%40 { // one that insists is believed
		q.limit, more = min(q.limit, len(known))*s.n/10, "false"
	}
	var items []string
	rec.shown = make([]*being, 0, len(known))
	for i, b := range known[:min(q.limit, len(known))] {
		item := string(a.render(b, now, mood, n))
		items = append(items, item)
		if !a.spoiled(b, mood, n) {
			rec.shown = append(rec.shown, b)
		}
		if has(repeats) && chance(a.seed, n, uint64(i)) < 0.3 {
			items = append(items, item)
		}
	}
	rec.body = fmt.Appendf(nil, `{"object":"list","has_more":%s,"data":[%s]}`, more, strings.Join(items, ","))
	a.stumble(rec, known[:min(q.limit, len(known))]...)
}

// mix puts the sessions of each second into another order for one answer.
func (a *trueAPI) mix(known []*being, n uint64) {
	for from, to := 0, 0; from < len(known); from = to {
		for to < len(known) && a.shownCreated(known[to]).Equal(a.shownCreated(known[from])) {
			to++
		}
		slices.SortFunc(known[from:to], func(x, y *being) int {
			return cmp.Compare(chance(a.seed, n, hashed(x.id)), chance(a.seed, n, hashed(y.id)))
		})
	}
}

// stumble answers with an error if it would show what cannot be shown: over some
// sessions it fails, others it does not give away, and over some it does not answer.
func (a *trueAPI) stumble(rec *reply, shown ...*being) {
	at := slices.IndexFunc(shown, func(b *being) bool { return b.broken(a.now()) })
	rec.about = at >= 0
	switch {
	case at < 0:
	case shown[at].stuck:
		rec.stuck = true
	case chance(a.seed, hashed(shown[at].id)) < 0.25:
		rec.status, rec.body = http.StatusUnauthorized, []byte(`{"error":{"message":"not yours"}}`)
	case chance(a.seed, hashed(shown[at].id)) < 0.5:
		rec.status, rec.body = http.StatusForbidden, []byte(`{"error":{"message":"not yours"}}`)
	default:
		rec.status, rec.body = http.StatusInternalServerError, []byte(`{"error":{"message":"no such price"}}`)
	}
}

func hashed(text string) (h uint64) {
	for i := range len(text) {
		h = h*31 + uint64(text[i])
	}
	return h
}

// shownCreated is the creation time in an answer: rounded to the nearest second.
func (a *trueAPI) shownCreated(b *being) time.Time { return a.clock(b.born).Round(time.Second) }

// datedBy is by how much too old the list dates some sessions.
var datedBy = []time.Duration{8 * time.Hour, 10 * 365 * 24 * time.Hour, 10 * time.Minute}

// spoiled says whether nothing that an answer shows of a session makes sense.
func (a *trueAPI) spoiled(b *being, mood map[string]spell, n uint64) bool {
	_, ok := mood[spoils]
	return ok && chance(a.seed, n, hashed(b.id)) < 0.3
}

// render writes a session; url and, by the mood, the form of other values change
// with every answer.
func (a *trueAPI) render(b *being, now time.Duration, mood map[string]spell, n uint64) []byte {
	c := b.condition(now)
	status, payment := fmt.Sprintf("%q", c.status), fmt.Sprintf("%q", c.payment)
	at := a.shownCreated(b)
	if s, ok := mood[misdates]; ok && a.started.Load() && chance(a.seed, hashed(b.id)) < 0.5 {
		at = at.Add(-datedBy[s.n%len(datedBy)])
	}
	created, expires := fmt.Sprint(at.UnixMilli()), fmt.Sprint(a.clock(b.born+b.lives).UnixMilli())
	customer, amount := `,"customer":null`, `1999`
	if _, ok := mood[flips]; ok {
		switch of := hashed(b.id) + n; of % 4 {
		case 0:
			created, customer = fmt.Sprint(at.Unix()), ``
		case 1:
			customer, amount = `,"customer":""`, `"1999"`
		case 2:
			created, expires = strconv.Quote(created), fmt.Sprint(a.clock(b.born+b.lives).Unix())
		}
	}
	if a.deep > 0 {
		customer += `,"deep":` + strings.Repeat(`[`, a.deep) + strings.Repeat(`]`, a.deep)
	}
	if a.spoiled(b, mood, n) {
		switch hashed(b.id) % 3 {
		case 0:
			return []byte(`{"created":1,"status":"open"}`)
		case 1:
			status = "null"
		case 2:
			payment = `{"oh":"no"}`
		}
	}
	return fmt.Appendf(nil, `{"id":%q,"object":"checkout.session","created":%s,"expires_at":%s,"status":%s,"payment_status":%s,`+
		`"mode":"payment","amount_total":%s,"currency":"USD","metadata":{"noted":"%t"},"url":"https://pay.example/%d"%s}`,
		b.id, created, expires, status, payment, amount, c.noted, n, customer)
}
