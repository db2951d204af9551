package e2e

import (
	"context"
	"flag"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/simulator"
	"checkout-notifier/state"
)

var (
	killRounds = flag.Int("kill.rounds", 60, "how often the daemon is killed")
	killLife   = flag.Duration("kill.life", 700*time.Millisecond, "longest life of a daemon before it is killed")
)

// shaky refuses the first attempt of every eighth delivery, and answers another
// eighth later than the daemon waits: more would open the breaker on a busy
// machine, and each probe would meet as much again.
func shaky(r simulator.Received) simulator.Response {
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.ID))
	switch {
	case r.Attempt > 1:
	case h.Sum32()%8 == 0:
		return simulator.Response{Status: 503}
	case h.Sum32()%8 == 1:
		return simulator.Response{Delay: 2 * time.Second}
	}
	return simulator.Response{}
}

// moments is told when the daemon has something to write down: a page was
// answered, or a request was received.
type moments chan struct{}

func (m moments) happened() {
	select {
	case m <- struct{}{}:
	default:
	}
}

// killWorld is a world under traffic with a receiver that stumbles and a stream.
func killWorld(t *testing.T) (*world, *bus, moments) {
	t.Helper()
	m := make(moments)
	w := newWorld(t, func(r simulator.Received) simulator.Response {
		defer m.happened()
		return shaky(r)
	})
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.api.ServeHTTP(rw, r)
		m.happened()
	}))
	t.Cleanup(api.Close)
	w.accounts[0]["base_url"] = api.URL
	b := newBus(t)
	w.destinations[0]["timeout"] = "400ms"
	w.destinations[0]["retry"] = object{"schedule": slices.Repeat([]string{"50ms"}, 20)}
	w.destinations = append(w.destinations, object{
		"name": "bus", "type": "nats", "subject": "checkout.{{ .Account }}.{{ .Change }}",
		"stream": object{"name": "CHECKOUT", "ensure": true}, "mode": "structured",
	})
	w.rules = []object{{"name": "all", "events": []string{"*"}, "to": []string{"hook", "bus"}}}
	w.poll["tuning"] = object{"page_size": 10, "hot_age": "1s", "warm_every": "300ms", "unpaid_every": "300ms"}
	w.rest["nats"] = object{"url": b.url}
	return w, b, m
}

func TestKill(t *testing.T) {
	w, b, m := killWorld(t)
	if code, _ := w.once(); code != 0 { // fixes the account's start
		t.Fatalf("the first pass: exit code %d", code)
	}
	rng := rand.New(rand.NewPCG(w.seed, 1))
	stopTraffic := w.traffic(simulator.Traffic{Seed: w.seed, Rate: 12, Duration: 3 * time.Second, Scale: 6})
	began := time.Now()
	reached := 0
	for round := range *killRounds {
		aimed := m
		if round%2 == 0 {
			aimed = nil
		}
		if w.killRound(rng, aimed) {
			reached++
		}
	}
	t.Logf("%d rounds in %v, %d of them polled", *killRounds, time.Since(began).Round(time.Second), reached)
	if reached < *killRounds/4 {
		t.Errorf("only %d of %d daemons lived long enough to do anything", reached, *killRounds)
	}
	stopTraffic()
	d := w.daemon()
	w.awaitLedger(d, &ledger{})
	d.stop()

	requests := w.receiver.Requests()
	for _, mistake := range (&ledger{truth: w.truth(), requests: requests}).wrong() {
		t.Error(mistake)
	}
	w.checkShipped(requests)
	w.checkStream(b, requests)
	w.checkStore(requests)
	if repeats := len(requests) - len(firstReceptions(requests)); repeats == 0 {
		t.Error("no delivery was repeated: the test did not try anything")
	}
	t.Logf("%d sessions, %d requests, %d deliveries", len(w.truth()), len(requests), len(firstReceptions(requests)))
}

// aim is how long after a moment the daemon is killed at the latest: by then it
// has written down what came of it.
const aim = 6 * time.Millisecond

// killRound lets a daemon live for a moment and says whether it got to work. It
// is killed at any time, or shortly after one of its first moments.
func (w *world) killRound(rng *rand.Rand, aimed moments) bool {
	w.t.Helper()
	life := time.Duration(rng.Int64N(int64(*killLife)))
	if aimed != nil {
		life = patience // its moment comes, on a slow machine later
	}
	passed, hold := rng.IntN(6), time.Duration(rng.Int64N(int64(aim)))
	d := w.launch()
	timer := time.NewTimer(life)
	defer timer.Stop()
	for alive := true; alive; {
		select {
		case <-timer.C:
			alive = false
		case <-aimed:
			if passed--; passed < 0 {
				aimed = nil
				timer.Reset(hold)
			}
		case <-d.done:
			w.t.Fatalf("the daemon ended by itself: exit code %d", d.cmd.ProcessState.ExitCode())
		}
	}
	d.kill()
	_, err := d.awaitLine("started")
	return err == nil
}

// traffic makes carts, one batch after the other, until it is told to stop; then
// the carts of the last batch are led to the ends of their lives.
func (w *world) traffic(each simulator.Traffic) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() {
		for n := uint64(0); ; n++ {
			batch := each
			batch.Seed += n << 32
			if err := w.api.RunTraffic(context.WithoutCancel(ctx), batch); err != nil || ctx.Err() != nil {
				ended <- err
				return
			}
		}
	}()
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("traffic: %v", err)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// checkShipped demands one accepted fulfillable for every order, under one id.
func (w *world) checkShipped(requests []simulator.Received) {
	w.t.Helper()
	shipped := make(map[string]map[string]bool)
	for _, r := range requests {
		e, err := readEvent(r.Body)
		if err != nil || e.short() != "fulfillable" {
			continue
		}
		if shipped[e.Subject] == nil {
			shipped[e.Subject] = make(map[string]bool)
		}
		shipped[e.Subject][r.ID] = true
	}
	orders := 0
	for _, s := range w.truth() {
		want := 0
		if s.Status == "complete" && (s.PaymentStatus == "paid" || s.PaymentStatus == "no_payment_required") {
			want = 1
			orders++
		}
		if ids := slices.Sorted(maps.Keys(shipped[s.ID])); len(ids) != want {
			w.t.Errorf("session %s (%s, %s) was to be shipped %d times, its fulfillable came as %v", s.ID, s.Status, s.PaymentStatus, want, ids)
		}
	}
	if orders == 0 {
		w.t.Error("there was no order: the test did not try anything")
	}
}

// checkStream demands the same events in the stream, each once and in order.
func (w *world) checkStream(b *bus, requests []simulator.Received) {
	w.t.Helper()
	seen := make(map[string]bool)
	bySession := make(map[string][]*cloudEvent)
	for _, m := range b.stored("CHECKOUT") {
		e, err := readEvent(m.Data())
		if err != nil {
			w.t.Fatal(err)
		}
		if seen[e.ID] {
			w.t.Errorf("event %s is in the stream twice", e.ID)
		}
		seen[e.ID] = true
		bySession[e.Subject] = append(bySession[e.Subject], e)
	}
	for id, events := range bySession {
		for _, mistake := range order(id, events) {
			w.t.Errorf("stream: %s", mistake)
		}
	}
	posted := make(map[string]bool)
	for _, r := range requests {
		if e, err := readEvent(r.Body); err == nil {
			posted[e.ID] = true
		}
	}
	if !maps.Equal(seen, posted) {
		w.t.Errorf("the stream has %d events, the receiver got %d, and they are not the same", len(seen), len(posted))
	}
}

// checkStore holds the attempts on record against the requests that came.
func (w *world) checkStore(requests []simulator.Received) {
	w.t.Helper()
	ctx := w.t.Context()
	store, err := state.OpenReadOnly(ctx, state.Config{Path: w.statePath()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer store.Close()
	if err := store.Verify(ctx); err != nil {
		w.t.Errorf("verifying the store: %v", err)
	}
	seen := make(map[string]int)
	for _, r := range requests {
		seen[r.ID]++
	}
	unknown := 0
	for id, n := range seen {
		delivery, found, err := store.Delivery(ctx, id)
		if err != nil || !found || delivery.Status != event.StatusAccepted {
			w.t.Errorf("delivery %s: found %t, status %q, error %v", id, found, delivery.Status, err)
		}
		attempts, err := store.Attempts(ctx, id)
		if err != nil || len(attempts) < n {
			w.t.Errorf("delivery %s: %d requests came, %d attempts are on record, error %v", id, n, len(attempts), err)
		}
		for i, a := range attempts {
			switch {
			case a.Outcome == event.OutcomeUnknown:
				unknown++
			case a.N != i+1 || a.Duration <= 0:
				w.t.Errorf("delivery %s: attempt %d is recorded as %+v", id, i+1, a)
			case (a.Outcome == event.OutcomeAccepted) != (i == len(attempts)-1):
				w.t.Errorf("delivery %s: attempt %d of %d is %s", id, i+1, len(attempts), a.Outcome)
			}
		}
	}
	w.t.Logf("%d attempts were cut off by a kill", unknown)
}
