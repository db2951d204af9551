package publish_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// TestWorlds runs three destinations on the real store while receivers, the disk and
// operators do what they like. Afterwards all is accepted, the store is sound, the
// owner heard of troubles and their ends in turns, and order and limits were kept.
func TestWorlds(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "notifier.db")
			synctest.Test(t, func(t *testing.T) { newWorld(t, path, seed).live() })
		})
	}
}

var errDisk = errors.New("input/output error")

// disk is a store that may fail, and counts what it is asked.
type disk struct {
	*state.Store
	w *world
}

func (d disk) ask() error {
	for range 5 {
		runtime.Gosched() // a real one takes its time, in which others go on
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.asked++
	if d.w.broken || d.w.flaky && d.w.random.IntN(4) == 0 || d.w.worn && d.w.random.IntN(2) == 0 {
		return errDisk
	}
	return nil
}

func (d disk) Due(ctx context.Context, destination string, look event.Look) ([]event.Job, time.Time, error) {
	if err := d.ask(); err != nil {
		return nil, time.Time{}, err
	}
	return d.Store.Due(ctx, destination, look)
}

func (d disk) Pick(ctx context.Context, destination string, newest bool, skip func(*event.Delivery) bool, fits func(*event.Job) bool) (event.Job, bool, error) {
	if err := d.ask(); err != nil {
		return event.Job{}, false, err
	}
	return d.Store.Pick(ctx, destination, newest, skip, fits)
}

func (d disk) BlockedSubjects(ctx context.Context, destination, after string, limit int) ([]string, error) {
	if err := d.ask(); err != nil {
		return nil, err
	}
	return d.Store.BlockedSubjects(ctx, destination, after, limit)
}

func (d disk) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	if err := d.ask(); err != nil {
		return event.Stepped{}, err
	}
	return d.Store.Take(ctx, step)
}

func (d disk) Hasten(ctx context.Context, destination string, now time.Time, limit int) (int, error) {
	if err := d.ask(); err != nil {
		return 0, err
	}
	return d.Store.Hasten(ctx, destination, now, min(limit, 500))
}

func (d disk) SaveStanding(ctx context.Context, c event.StandingChange) error {
	if err := d.ask(); err != nil {
		return err
	}
	return d.Store.SaveStanding(ctx, c)
}

// world is what happens, and what has to come of it.
type world struct {
	t      *testing.T
	config state.Config
	lanes  []publish.Lane
	events []event.Event

	store *state.Store
	relay *publish.Relay
	stop  func()

	mu            sync.Mutex // guards all below
	random        *rand.Rand
	well          bool // receivers accept everything, and nothing fails
	broken, flaky bool // the disk
	worn          bool // it fails every other time
	asked         int
	order         map[string][]event.Delivery // of each destination and session
	ids           []string
	accepted      map[string]bool
	told          map[string][]string
	down          map[string]bool
	deaf          map[string]bool // subjects that the bus takes nothing for
	underWay      map[string]int
	requests      map[string][]time.Time
}

func newWorld(t *testing.T, path string, seed uint64) *world {
	w := &world{
		t: t, config: state.DefaultConfig(), random: rand.New(rand.NewPCG(seed, 7)),
		order: map[string][]event.Delivery{}, accepted: map[string]bool{}, told: map[string][]string{},
		worn: seed%2 == 1, down: map[string]bool{}, deaf: map[string]bool{}, underWay: map[string]int{}, requests: map[string][]time.Time{},
	}
	w.config.Path = path
	shop := exact("shop")
	shop.Concurrency, shop.OrderHold = 1+w.random.IntN(6), 30*time.Second
	shop.Retry.Schedule = slices.Repeat([]time.Duration{5 * time.Second, 40 * time.Second, 10 * time.Minute}, 1000)
	mail := exact("mail")
	mail.Concurrency, mail.OrderHold, mail.RateLimit = 1+w.random.IntN(3), time.Minute, 5
	mail.Retry.Schedule, mail.Retry.OnGone = []time.Duration{2 * time.Second, 20 * time.Second, 3 * time.Minute}, publish.OnGonePause
	bus := publish.DefaultNATS()
	bus.Name, bus.Concurrency, bus.OrderHold = "bus", 2, 10*time.Second
	for _, d := range []publish.Destination{shop, mail, bus} {
		p := publish.Publisher(&party{w, d})
		if d.Type == publish.TypeNATS {
			p = &routedParty{&party{w, d}}
		}
		w.lanes = append(w.lanes, publish.Lane{Destination: d, Publisher: p})
	}
	return w
}

// look is what one page brings.
func (w *world) look(n int) *event.Tx {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx := &event.Tx{Account: "main"}
	for i := range 5 {
		e := event.SampleEvent(event.Paid)
		e.Session = fmt.Sprint("cs_", i)
		e.ID = event.ID("main", e.Session, event.Paid, n)
		tx.Events, w.events = append(tx.Events, e), append(w.events, e)
		for _, to := range []struct{ name, own string }{{"shop", ""}, {"mail", ""}, {"shop", "own"}, {"bus", ""}} {
			d := w.delivery(&e, to.name, to.own)
			w.ids = append(w.ids, d.ID)
			w.order[to.name+e.Session] = append(w.order[to.name+e.Session], d)
			tx.Deliveries = append(tx.Deliveries, d)
		}
	}
	return tx
}

func (w *world) delivery(e *event.Event, name, own string) event.Delivery {
	return event.Delivery{
		ID: event.DeliveryID(e.ID, name, own), EventID: e.ID, EventType: e.Type, Account: "main", Session: e.Session, OwnRule: own,
		Destination: name, Rules: []string{"all"}, Ordered: true, Created: time.Now(), Status: event.StatusPending, Due: time.Now(),
	}
}

func (w *world) start() {
	var err error
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.store, err = state.Open(w.t.Context(), w.config, nil); err != nil {
		w.t.Fatal(err)
	}
	options := publish.Options{Grace: time.Millisecond, Announce: func(e event.Event) event.Notice { return event.Notice{Event: e} }}
	w.relay = relay(w.t, disk{w.store, w}, options, w.lanes...)
	w.stop = run(w.t, w.relay)
}

func (w *world) restart(crash bool) {
	w.set(func() { w.broken = crash })
	w.stop()
	w.set(func() {
		w.forget()
		w.broken = false
	})
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	w.start()
}

// forget draws the conclusions from the end of a process that could not write all
// down. An acceptance that nobody knows of is none: the delivery is repeated. An
// attempt without a result may have arrived: what it overtook stays said.
func (w *world) forget() {
	for _, id := range w.ids {
		d, _, err := w.store.Delivery(context.Background(), id)
		if err != nil {
			w.t.Error(err)
		}
		if d.Status != event.StatusPending {
			continue
		}
		unknown := w.accepted[id] && d.Reopened.IsZero()
		_, seen := w.told[key(&d)]
		unsent := len(d.Overtook) > 0 && !seen
		if (unknown || unsent) && !w.broken && !w.flaky && !w.worn {
			w.t.Errorf("what came of %s was not written down, accepted: %t", id, unknown)
		}
		if unknown {
			w.accepted[id] = false
		}
		if unsent {
			w.told[key(&d)] = d.Overtook
		}
	}
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) chance(n int) (c int) {
	w.set(func() { c = w.random.IntN(n) })
	return c
}

// act is something that may happen at any time.
func (w *world) act() {
	ctx, act := w.t.Context(), event.Act{At: time.Now(), Actor: "anna"}
	name := w.lanes[w.chance(len(w.lanes))].Destination.Name
	var err error
	switch w.chance(14) {
	case 0:
		_, _ = w.relay.Pause(ctx, name, "anna")
	case 1, 2:
		for _, l := range w.lanes {
			_, _ = w.relay.Resume(ctx, l.Destination.Name, "anna")
		}
	case 3:
		_, err = w.store.Retry(ctx, w.ids[w.chance(len(w.ids))], act)
	case 4:
		_, err = w.store.Redrive(ctx, w.ids, act)
	case 5:
		e := w.events[w.chance(len(w.events))]
		_, err = w.store.Replay(ctx, []event.Replay{{Event: e, Deliveries: []event.Delivery{w.delivery(&e, name, "")}}}, act)
	case 6, 7:
		w.set(func() { w.down[name] = !w.down[name] })
	case 8:
		w.restart(w.chance(2) == 0)
	case 9:
		w.set(func() { w.broken = !w.broken })
	case 10:
		w.set(func() { w.flaky = !w.flaky })
	case 12, 13:
		subject := fmt.Sprint("checkout.cs_", w.chance(5))
		w.set(func() { w.deaf[subject] = !w.deaf[subject] })
	case 11:
		ids := slices.DeleteFunc(slices.Clone(w.ids), func(string) bool { return w.chance(3) > 0 })
		_, err = w.store.Purge(ctx, ids, act)
		if err == nil {
			for _, id := range ids {
				if d, _, _ := w.store.Delivery(ctx, id); d.Status == event.StatusPurged {
					_, err = w.store.Retry(ctx, id, act)
				}
			}
		}
	}
	if err != nil {
		w.t.Error(err)
	}
	if w.chance(4) > 0 {
		w.relay.Wake("shop", "mail", "bus")
	}
}

func (w *world) live() {
	w.start()
	for n := range 6 {
		if err := w.store.Commit(w.t.Context(), w.look(n)); err != nil {
			w.t.Fatal(err)
		}
		w.relay.Wake("shop", "mail", "bus")
		for range w.chance(6) {
			w.sleep(time.Duration(w.chance(20000)) * time.Millisecond)
			w.act()
		}
		w.sleep(time.Duration(w.chance(200)) * time.Second)
	}
	w.set(func() { w.well, w.broken, w.flaky, w.worn = true, false, false, false })
	for range 3 {
		w.sleep(15 * time.Second)
		for _, l := range w.lanes {
			if _, err := w.relay.Resume(w.t.Context(), l.Destination.Name, "anna"); err != nil {
				w.t.Error(err)
			}
		}
	}
	w.sleep(3 * time.Hour)
	if _, err := w.store.Redrive(w.t.Context(), w.ids, event.Act{At: time.Now(), Actor: "anna"}); err != nil {
		w.t.Error(err)
	}
	w.relay.Wake("shop", "mail", "bus")
	w.sleep(3 * time.Hour)
	w.stop()
	w.judge()
}

// sleep lets time pass, and looks whether the lanes sleep too.
func (w *world) sleep(pause time.Duration) {
	before := 0
	w.set(func() { before = w.asked })
	time.Sleep(pause)
	w.set(func() {
		if most := 2000 + int(pause.Minutes())*20; w.asked-before > most {
			w.t.Errorf("the store was asked %d times in %s", w.asked-before, pause)
		}
	})
}

func (w *world) judge() {
	ctx := context.Background()
	if err := w.store.Verify(ctx); err != nil {
		w.t.Error(err)
	}
	for _, id := range w.ids {
		d, found, err := w.store.Delivery(ctx, id)
		if err != nil || !found || d.Status != event.StatusAccepted || !w.accepted[id] {
			w.t.Errorf("delivery %s to %s is %s, accepted: %t, %v", id, d.Destination, d.Status, w.accepted[id], err)
		}
	}
	rows, err := w.store.Events(ctx, 0, 10000)
	if err != nil {
		w.t.Error(err)
	}
	failing := map[string]string{} // how, by destination
	for _, row := range rows {
		e := row.Event
		switch e.Type {
		case event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused:
			how := ""
			switch {
			case e.Type == event.DestinationRecovered:
			case e.Type == event.DestinationPaused && (slices.Contains([]string{"wholly", "in part", "for some"}, failing[e.Subject])):
				continue // it may be resumed and paused again while it fails
			case e.Type == event.DestinationPaused:
				how = "paused"
			case strings.Contains(string(e.System), "takes nothing for"):
				how = "in part"
			case strings.Contains(string(e.System), "takes others, but has refused"):
				how = "for some"
			default:
				how = "wholly"
			}
			if how == failing[e.Subject] {
				w.t.Errorf("%s (%s) was told of %s twice", e.Type, how, e.Subject)
			}
			failing[e.Subject] = how
		}
	}
	for name, how := range failing {
		if how != "" {
			w.t.Errorf("the owner still thinks that %s fails or is paused", name)
		}
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}
