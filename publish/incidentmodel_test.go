package publish_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// TestIncidentsEndAsTheirLastAlertSays sends alerts on the real store to a pager that
// refuses and dawdles by chance, through restarts, kills and retries by hand. No two of an incident
// are under way at once, none changes an incident of which a later one was accepted, and in
// the end every incident is as its last alert says.
func TestIncidentsEndAsTheirLastAlertSays(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // they mostly wait for the disk
			path := filepath.Join(t.TempDir(), "notifier.db")
			synctest.Test(t, func(t *testing.T) { runIncidents(t, path, seed) })
		})
	}
}

// dawdler keeps incidents as PagerDuty does, after a while.
type dawdler struct {
	publish.Pager
	t *testing.T

	mu       sync.Mutex // guards all below
	random   *rand.Rand
	well     bool
	place    map[string]int    // of each delivery, in the order in which they were made
	underWay map[string]bool   // incidents
	last     map[string]int    // place of the last delivery that was accepted of an incident
	open     map[string]bool   // incidents
	want     map[string]string // what the last alert of an incident does
	cut      bool              // a process ended: it may not know what was accepted
}

// mortal is a store of a process that is killed: from then on it writes nothing down.
type mortal struct {
	*state.Store
	killed atomic.Bool
}

var errKilled = errors.New("killed")

func (m *mortal) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	if m.killed.Load() {
		return event.Stepped{}, errKilled
	}
	return m.Store.Take(ctx, step)
}

func (m *mortal) SaveStanding(ctx context.Context, c event.StandingChange) error {
	if m.killed.Load() {
		return errKilled
	}
	return m.Store.SaveStanding(ctx, c)
}

func (p *dawdler) Publish(ctx context.Context, m publish.Message) publish.Result {
	key, action := p.Incident(m)
	p.mu.Lock()
	if p.underWay[key] {
		p.t.Errorf("two of %s are under way", key)
	}
	p.underWay[key] = true
	comes, goes := p.pause(), p.pause()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.underWay, key)
	}()
	broken := publish.Result{Outcome: event.OutcomeRefused, Contact: publish.ContactFailed, Class: publish.ClassTimeout, Error: "cut"}
	select {
	case <-time.After(comes):
	case <-ctx.Done():
		return broken
	}
	took := p.take(key, action, m.Delivery.ID)
	select {
	case <-time.After(goes):
	case <-ctx.Done():
		return broken
	}
	if !took {
		return refused(500)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[key] = max(p.last[key], p.place[m.Delivery.ID])
	return accepted()
}

func (p *dawdler) pause() time.Duration { return time.Duration(p.random.IntN(20)) * time.Second }

func (p *dawdler) take(key, action, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.well && p.random.IntN(2) == 0 {
		return false
	}
	opens := action == "trigger"
	if p.place[id] < p.last[key] && opens != p.open[key] && !p.cut {
		p.t.Errorf("%s: %s of delivery %d came after %d was accepted", key, action, p.place[id], p.last[key])
	}
	p.open[key] = opens
	return true
}

// next makes an alert of a destination.
func (p *dawdler) next(n int) event.Notice {
	p.mu.Lock()
	defer p.mu.Unlock()
	subject := []string{"shop", "bus"}[p.random.IntN(2)]
	eventType := []string{event.DestinationFailing, event.DestinationPaused, event.DestinationRecovered, event.DestinationRecovered}[p.random.IntN(4)]
	made := alert(p.t, eventType, subject, n, map[string]string{"summary": eventType})
	p.place[made.Deliveries[0].ID] = n
	key, action := p.Incident(publish.Message{Event: made.Event, Delivery: made.Deliveries[0]})
	p.want[key] = action
	return made
}

func (p *dawdler) chance(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.IntN(n)
}

func runIncidents(t *testing.T, path string, seed uint64) {
	dest := pagerDestination("http://pager.example/")
	dest.Concurrency, dest.OrderHold = 4, 30*time.Second
	dest.Retry.Schedule = slices.Repeat([]time.Duration{5 * time.Second, 40 * time.Second, 2 * time.Minute}, 1000)
	renderer, err := publish.NewRenderer(dest, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	rendering, err := publish.NewHTTP(dest, renderer, publish.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pager := &dawdler{
		Pager: rendering, t: t, random: rand.New(rand.NewPCG(seed, 2)), place: map[string]int{},
		underWay: map[string]bool{}, last: map[string]int{}, open: map[string]bool{}, want: map[string]string{},
	}
	config := state.DefaultConfig()
	config.Path = path
	start := func() (*mortal, *publish.Relay, func()) {
		opened, err := state.Open(t.Context(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		store := &mortal{Store: opened}
		r := relay(t, store, publish.Options{Grace: time.Millisecond}, publish.Lane{Destination: dest, Publisher: pager})
		stop := run(t, r)
		return store, r, func() {
			stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	store, r, stop := start()
	var ids []string
	for n := 1; n <= 40; n++ {
		made := pager.next(n)
		ids = append(ids, made.Deliveries[0].ID)
		if err := store.Commit(t.Context(), &event.Tx{Notices: []event.Notice{made}}); err != nil {
			t.Fatal(err)
		}
		r.Wake("pager")
		time.Sleep(time.Duration(pager.chance(40)) * time.Second)
		if pager.chance(4) == 0 {
			if err := r.Retry("pager", ids[pager.chance(len(ids))]); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 1 && pager.chance(6) == 0 {
			pager.mu.Lock()
			pager.cut = true
			pager.mu.Unlock()
			if pager.chance(2) == 0 {
				store.killed.Store(true) // what is under way may arrive, and nobody knows
				time.Sleep(time.Duration(pager.chance(20)) * time.Second)
			}
			stop()
			store, r, stop = start()
		}
	}
	pager.mu.Lock()
	pager.well = true
	pager.mu.Unlock()
	time.Sleep(3 * time.Hour)
	given, pending := 0, 0
	for _, id := range ids {
		d, _, err := store.Delivery(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch d.Status {
		case event.StatusPurged:
			given++
		case event.StatusPending:
			pending++
		}
	}
	if err := store.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	for key, action := range pager.want {
		if pager.open[key] != (action == "trigger") {
			t.Errorf("%s is open: %t, the last of it was a %s", key, pager.open[key], action)
		}
	}
	t.Logf("%d of %d were given up", given, len(ids))
	if pending > 0 {
		t.Errorf("%d are pending", pending)
	}
}
