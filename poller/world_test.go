package poller_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
	"checkout-notifier/simulator"
)

const testKey = "sk_test_poller"

// world is a simulated API in fake time, and a memory that outlives pollers.
type world struct {
	t   *testing.T
	api *simulator.API
	cfg poller.Account

	mu        sync.Mutex
	account   *event.Account
	snapshots map[string]event.Snapshot
	events    map[string][]string // by session: types in order, with reason
	requests  int
	fail      error                  // of the next Handle
	failIf    func(poller.Look) bool // of any of its looks
	failSaves int                    // so many times, from the second save on
	saves     int
	handled   int // looks
	// answer takes the API's place where it returns a status. Requests that are made side by side
	// call it one after the other, so that it may count; with parallel it guards itself.
	answer   func(req *http.Request) (status int, body string)
	throttle string // Retry-After of those answers
	parallel bool
	turn     chan struct{}        // full while answer runs: waiting for a mutex would stop the fake time
	network  http.RoundTripper    // nil: the world itself
	own      time.Duration        // by how much our own clock is ahead
	since    map[string]time.Time // by session: when the last look before the last change was asked for
	before   map[string]time.Time // by session: when the look that showed the last change had arrived
	lines    []string             // of the log
}

// seenByRace leaves most scenes out where the race detector is on, which makes a world ten times
// as slow. Of all scenes, tests and subtests, it sees about one in eight, the same ones in each
// run: the others pass without doing anything. "make full" runs all of them without the detector.
func seenByRace(t *testing.T) {
	t.Helper()
	_, scene, _ := strings.Cut(t.Name(), "/")
	if raceEnabled && crc32.ChecksumIEEE([]byte(cmp.Or(scene, t.Name())))%8 != 0 {
		t.Skip("this scene is not among those that the race detector sees")
	}
}

// newWorld must be called inside a synctest bubble. It brings the bubble's
// clock, which starts in 2000, to a day on which the API's ids look as observed.
//
// See seenByRace.
func newWorld(t *testing.T) *world {
	t.Helper()
	seenByRace(t)
	time.Sleep(time.Until(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)))
	t.Cleanup(synctest.Wait) // for a timer of this very moment that writes to the test's log
	cfg := poller.Account{
		Name: "main", SecretKey: secret.String(testKey), BaseURL: "https://api.example", Start: poller.StartNow,
		ListParams: wooshpay.ParamsBody, Poll: poller.DefaultPoll(),
	}
	cfg.Poll.RateLimit = 0
	return &world{
		t: t, cfg: cfg, turn: make(chan struct{}, 1), api: simulator.NewAPI(simulator.Config{SecretKey: testKey, Seed: 1}),
		snapshots: make(map[string]event.Snapshot), events: make(map[string][]string), since: make(map[string]time.Time), before: make(map[string]time.Time),
	}
}

// RoundTrip is the network: the API's handler without a connection.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests++
	w.mu.Unlock()
	if w.answer != nil {
		if req.Body == nil && !isList(req) {
			req.Body = http.NoBody
		}
		if status, body := w.answerInTurn(req); status != 0 {
			rec := &recorder{header: make(http.Header), status: status, body: []byte(body)}
			if w.throttle != "" {
				rec.header.Set("Retry-After", w.throttle)
			}
			return rec.response(req)
		}
	}
	return serve(w.api, req)
}

func (w *world) answerInTurn(req *http.Request) (int, string) {
	if !w.parallel {
		w.turn <- struct{}{}
		defer func() { <-w.turn }()
	}
	return w.answer(req)
}

func (w *world) poller() *poller.Poller {
	w.t.Helper()
	o := poller.Options{
		Version: "test", Observer: nobody{}, Transport: w,
		Logger: slog.New(loglimit.New(slog.NewTextHandler(testWriter{w}, nil))),
	}
	if w.network != nil {
		o.Transport = w.network
	}
	o = poller.WithClock(o, func() time.Time { return time.Now().Add(w.own) })
	p, err := poller.New([]poller.Account{w.cfg}, w, w, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// run polls for a while and stops as a daemon does.
func (w *world) run(p *poller.Poller, d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		w.t.Fatalf("Run: %v", err)
	}
}

func (w *world) create(fields simulator.Fields) string {
	w.t.Helper()
	s, err := w.api.Create(fields)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.ID
}

func (w *world) update(id string, fields simulator.Fields) {
	w.t.Helper()
	if _, err := w.api.Update(id, fields); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) faults(f simulator.Faults) {
	w.t.Helper()
	if err := w.api.SetFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Account(context.Context, string) (event.Account, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.account == nil {
		return event.Account{}, false, nil
	}
	return *w.account, true, nil
}

func (w *world) SaveAccount(_ context.Context, a event.Account) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.saves++; w.saves > 1 && w.saves <= 1+w.failSaves {
		return errors.New("disk full for a moment")
	}
	w.account = &a
	return nil
}

func (w *world) Tracked(_ context.Context, _ string, each func(*event.Tracked) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.snapshots)) {
		s := w.snapshots[id]
		row := s.Track()
		if err := each(&row); err != nil {
			return err
		}
	}
	return nil
}

// Handle does what the pipeline does, without ids and rules.
func (w *world) Handle(_ context.Context, b poller.Batch) (poller.Handled, error) {
	if w.failIf != nil && slices.ContainsFunc(b.Looks, w.failIf) {
		return poller.Handled{}, errors.New("disk full for a moment")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail; err != nil {
		w.fail = nil
		return poller.Handled{}, err
	}
	policy := diff.Policy{ConfirmAfter: b.Poll.Tuning.ConfirmAfter, UnpaidFor: b.Poll.UnpaidFor, WarmEvery: b.Poll.Tuning.WarmEvery}
	w.handled += len(b.Looks)
	var handled poller.Handled
	for i := range b.Looks {
		s := b.Looks[i].Session
		l := &b.Looks[i]
		look := diff.Look{At: l.At, Asked: l.Asked, Own: l.Own, Pass: b.Pass, Early: l.Early, Late: l.Late}
		prev, known := w.snapshots[s.ID]
		var o diff.Outcome
		var err error
		switch {
		case !known:
			o, err = diff.First(b.Account.Name, &s, look, policy)
			if b.Silent(s.Created) {
				o.Snapshot.Silent = true
				for _, tr := range o.Transitions {
					if b.Withholds(s.Created) {
						o.Snapshot.Withheld = append(o.Snapshot.Withheld, tr.Type)
					}
				}
				o.Transitions = nil
			}
		case b.Releases(&prev):
			o, err = diff.Withheld(&prev, look, policy)
			o.Snapshot = prev
			o.Snapshot.Silent, o.Snapshot.Withheld = false, nil
		default:
			prev.LookedAt = look.LastLook(&prev, l.LastLooked)
			o, err = diff.Next(&prev, &s, look, policy)
		}
		if err != nil {
			handled.Ignored = append(handled.Ignored, poller.Ignored{ID: s.ID, Err: err})
			continue
		}
		o.Snapshot.Shown(&s)
		o.Snapshot.Counts = maps.Clone(prev.Counts)
		if o.Snapshot.Counts == nil {
			o.Snapshot.Counts = make(map[string]int)
		}
		if len(o.Transitions) > 0 {
			w.since[s.ID], w.before[s.ID] = o.Since, l.At.Add(l.Late)
			if o.Since.After(l.At) { // as the pipeline does
				w.since[s.ID] = s.Created
			}
		}
		for _, tr := range o.Transitions {
			if o.Snapshot.Counts[tr.Type]++; o.Existed { // recorded silently
				continue
			}
			word := event.Short(tr.Type)
			if tr.Reason != "" {
				word += " " + tr.Reason
			}
			w.events[s.ID] = append(w.events[s.ID], word)
			handled.Events++
		}
		w.snapshots[s.ID] = o.Snapshot
		handled.Rows = append(handled.Rows, poller.Row{Tracked: o.Snapshot.Track(), Held: o.Held, StepsBack: o.StepsBack, New: !known, Changed: len(o.Transitions) > 0, Silent: (!known && b.Silent(s.Created)) || o.Existed})
	}
	return handled, nil
}

// Preview tells of sessions that are not stored, and of nothing else.
func (w *world) Preview(_ context.Context, b poller.Batch) (handled poller.Handled, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range b.Looks {
		s := &b.Looks[i].Session
		if _, known := w.snapshots[s.ID]; known {
			continue
		}
		row := poller.Row{Tracked: event.Tracked{ID: s.ID, Created: s.Created}, New: true, Changed: true, Types: []string{event.Created}}
		handled.Rows = append(handled.Rows, row)
		handled.Events++
	}
	return handled, nil
}

func (w *world) Vanish(_ context.Context, _ string, gone []poller.Gone) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range gone {
		s := w.snapshots[g.ID]
		s.Watch = event.Vanished
		if g.Looked.After(s.LookedAt) {
			s.LookedAt = g.Looked
		}
		w.snapshots[g.ID] = s
	}
	return nil
}

// nobody observes nothing.
type nobody struct{}

func (nobody) APIRequest(string, string)           {}
func (nobody) Passed(string, time.Duration, error) {}
func (nobody) Fetched(string, int, bool)           {}
func (nobody) Waited(string, time.Duration)        {}
func (nobody) Drifted(string, int)                 {}

type testWriter struct{ *world }

func (w testWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	w.lines = append(w.lines, string(line))
	w.mu.Unlock()
	w.t.Log(string(line[:len(line)-1]))
	return len(line), nil
}

// serve answers a request by a handler, streaming nothing: a handler that hangs
// holds the request until its context ends, and one that promises more than it
// writes is a cut connection.
func serve(h http.Handler, req *http.Request) (*http.Response, error) {
	answer := make(chan *recorder, 1)
	rec := &recorder{header: make(http.Header), status: http.StatusOK}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				rec.aborted = true
			}
			answer <- rec
		}()
		if req.Body == nil {
			req.Body = http.NoBody
		}
		h.ServeHTTP(rec, req)
	}()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case rec := <-answer:
		return rec.response(req)
	}
}

type recorder struct {
	header  http.Header
	status  int
	body    []byte
	aborted bool
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

func (r *recorder) response(req *http.Request) (*http.Response, error) {
	if r.aborted {
		return nil, io.ErrUnexpectedEOF
	}
	if r.header.Get("Date") == "" {
		r.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Response{
		Status: http.StatusText(r.status), StatusCode: r.status, Header: r.header, Request: req,
		Body: io.NopCloser(bytes.NewReader(r.body)), ContentLength: int64(len(r.body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}
