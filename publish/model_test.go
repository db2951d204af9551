package publish_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// TestModel runs the relay on the real store through outages, refusals and
// restarts by chance. All events arrive, none passes another without saying so,
// none says so of one that came before it, and no more are under way than may be.
func TestModel(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // they mostly wait for the disk
			path := filepath.Join(t.TempDir(), "notifier.db")
			synctest.Test(t, func(t *testing.T) { runModel(t, path, seed) })
		})
	}
}

const modelConcurrency = 4

// moody is a receiver that behaves by chance and remembers what it saw.
type moody struct {
	t *testing.T

	mu       sync.Mutex // guards all below
	random   *rand.Rand
	down     bool                // nobody can connect
	well     bool                // everything is accepted from now on
	order    map[string][]string // events of each session
	told     map[string][]string // what each event that was seen said that it overtook
	accepted map[string]bool
	underWay int
}

func (r *moody) Publish(ctx context.Context, m publish.Message) publish.Result {
	pause, connected := r.begin(&m.Delivery)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.underWay--
	}()
	if !connected {
		return unreachable()
	}
	select {
	case <-time.After(pause):
		return r.answer(&m.Delivery)
	case <-ctx.Done():
		return publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassTimeout, Error: "cut"}
	}
}

func (r *moody) begin(d *event.Delivery) (pause time.Duration, connected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay++; r.underWay > modelConcurrency {
		r.t.Errorf("%d under way", r.underWay)
	}
	if r.down && !r.well {
		return 0, false
	}
	told, seen := r.told[d.EventID]
	if seen && !slices.Equal(told, d.Overtook) {
		r.t.Errorf("%s overtook %v, and before that %v", d.EventID, d.Overtook, told)
	}
	for _, passed := range d.Overtook {
		if !seen && r.accepted[passed] {
			r.t.Errorf("%s says that it overtook %s, which came before", d.EventID, passed)
		}
	}
	r.told[d.EventID] = d.Overtook
	return time.Duration(r.random.IntN(5)) * 300 * time.Millisecond, true
}

func (r *moody) answer(d *event.Delivery) publish.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.well {
		switch r.random.IntN(10) {
		case 0, 1:
			return refused(500)
		case 2:
			asked := refused(429)
			asked.RetryAfter, asked.Throttled = time.Duration(r.random.IntN(60))*time.Second, true
			return asked
		case 3:
			return gone()
		case 4:
			return publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassConnect, Error: "reset"}
		}
	}
	for _, earlier := range r.order[d.Session] {
		if earlier == d.EventID {
			break
		}
		if !r.accepted[earlier] && !slices.Contains(d.Overtook, earlier) {
			r.t.Errorf("%s arrived before %s and does not say so", d.EventID, earlier)
		}
	}
	r.accepted[d.EventID] = true
	return accepted()
}

// look is what one page brings: an event of each of six sessions.
func (r *moody) look(n int) *event.Tx {
	r.mu.Lock()
	defer r.mu.Unlock()
	tx := &event.Tx{Account: "main"}
	for i := range 6 {
		e := event.SampleEvent(event.Paid)
		e.Session = fmt.Sprint("cs_", i)
		e.ID = event.ID("main", e.Session, event.Paid, n)
		r.order[e.Session] = append(r.order[e.Session], e.ID)
		tx.Events = append(tx.Events, e)
		tx.Deliveries = append(tx.Deliveries, event.Delivery{
			ID: event.DeliveryID(e.ID, "shop", ""), EventID: e.ID, EventType: e.Type, Account: "main", Session: e.Session,
			Destination: "shop", Rules: []string{"all"}, Ordered: true, Created: time.Now(), Status: event.StatusPending, Due: time.Now(),
		})
	}
	return tx
}

// chance says how long to wait for what comes next, and whether the process
// starts anew then; now and then the receiver goes or comes back.
func (r *moody) chance() (pause time.Duration, restart bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.random.IntN(4) == 0 {
		r.down = !r.down
	}
	return time.Duration(r.random.IntN(60)) * time.Second, r.random.IntN(3) == 0
}

func runModel(t *testing.T, path string, seed uint64) {
	receiver := &moody{
		t: t, random: rand.New(rand.NewPCG(seed, 1)),
		order: map[string][]string{}, told: map[string][]string{}, accepted: map[string]bool{},
	}
	config := state.DefaultConfig()
	config.Path = path
	d := exact("shop")
	d.Concurrency, d.OrderHold = modelConcurrency, 30*time.Second
	d.Retry.Schedule = slices.Repeat([]time.Duration{5 * time.Second, 40 * time.Second, 10 * time.Minute}, 1000)
	start := func() (*state.Store, *publish.Relay, func()) {
		store, err := state.Open(t.Context(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := relay(t, store, publish.Options{Grace: time.Millisecond}, publish.Lane{Destination: d, Publisher: receiver})
		stop := run(t, r)
		return store, r, func() {
			stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	store, r, stop := start()
	for n := range 7 {
		if err := store.Commit(t.Context(), receiver.look(n)); err != nil {
			t.Fatal(err)
		}
		r.Wake("shop")
		pause, restart := receiver.chance()
		time.Sleep(pause)
		if restart {
			stop()
			store, r, stop = start()
		}
	}
	receiver.mu.Lock()
	receiver.well = true
	receiver.mu.Unlock()
	time.Sleep(3 * time.Hour)
	stop()
	if n := len(receiver.accepted); n != 6*7 {
		t.Errorf("%d of %d events arrived", n, 6*7)
	}
}
