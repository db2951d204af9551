package state_test

import (
	compare "cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// world is a state file and what it should hold, told in the plainest way: a
// list of deliveries in the order of commits.
type world struct {
	s          *state.Store
	cfg        state.Config
	now        time.Time
	n          int
	events     []event.Event
	deliveries []event.Delivery
	attempts   map[string]int
	refusedAt  map[string]time.Time         // of those whose last attempt was refused
	refusals   map[string]map[int]time.Time // by the number of the attempt
	clocks     map[string]event.DestinationState
	slots      map[string]int
	begun      map[string][]string // ids of deliveries that were begun with their commit
}

func same(a, b *event.Delivery) bool {
	return a.Ordered && b.Ordered && a.Destination == b.Destination && a.Account == b.Account && a.Session == b.Session
}

// waiting returns the places of the pending deliveries of d's session.
func (w *world) waiting(d *event.Delivery) (places []int) {
	for i := range w.deliveries {
		if w.deliveries[i].Status == event.StatusPending && same(&w.deliveries[i], d) {
			places = append(places, i)
		}
	}
	return places
}

func (w *world) wake(d *event.Delivery, behind int, at time.Time) {
	for _, i := range w.waiting(d) {
		if f := w.deliveries[i]; i > behind && (f.Due.IsZero() && !f.Blocked() || f.Slots == 0 && f.Due.After(at)) {
			w.deliveries[i].Due = at
			return
		}
	}
}

// bringForward makes the first of a session due that was never refused.
func (w *world) bringForward(later *event.Delivery) {
	for _, i := range w.waiting(later) {
		if f := &w.deliveries[i]; f.HeldAt == nil && !f.Repeated() {
			if !f.Due.IsZero() && w.now.Sub(f.Due) > max(5*time.Second, f.Due.Sub(f.Created)) {
				f.Due = w.now
			}
			return
		}
	}
}

func (w *world) commit(t *rapid.T) {
	tx := &event.Tx{Account: "main"}
	before := w.events
	for range rapid.IntRange(1, 3).Draw(t, "events") {
		if len(before) > 0 && rapid.IntRange(0, 4).Draw(t, "known") == 0 {
			e := rapid.SampledFrom(before).Draw(t, "event")
			tx.Events = append(tx.Events, e)
			tx.Deliveries = append(tx.Deliveries, newDelivery(e, "shop", true, w.now), newDelivery(e, "new", true, w.now))
			continue
		}
		w.n++
		e := newEvent(fmt.Sprint("evt_", w.n), rapid.SampledFrom([]string{"cs_1", "cs_2"}).Draw(t, "session"))
		tx.Events, w.events = append(tx.Events, e), append(w.events, e)
		for _, destination := range []string{"shop", "bus"} {
			d := newDelivery(e, destination, destination == "shop" || rapid.Bool().Draw(t, "ordered"), w.now)
			tx.Deliveries = append(tx.Deliveries, d)
			w.bringForward(&d)
			if earlier := w.waiting(&d); len(earlier) > 0 && w.deliveries[earlier[0]].HeldAt == nil {
				d.Due = time.Time{}
			}
			w.deliveries = append(w.deliveries, d)
			if w.slots[destination] > 0 && (!d.Ordered || len(w.waiting(&d)) == 1) {
				w.slots[destination]--
				w.begun[destination] = append(w.begun[destination], d.ID)
				w.attempts[d.ID] = 1
			}
		}
	}
	if err := w.s.Commit(context.Background(), tx); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func (w *world) due(t *rapid.T) {
	destination := rapid.SampledFrom([]string{"shop", "bus", "new"}).Draw(t, "destination")
	newest, after := rapid.IntRange(0, 3).Draw(t, "newest"), w.now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "after"))*time.Minute)
	first, again := rapid.IntRange(0, 4).Draw(t, "first"), rapid.IntRange(0, 4).Draw(t, "again")
	skip := func(id string) bool { return id[len(id)-1] < 'd' }
	skipped := func(id string) bool { return skip(id) || slices.Contains(w.begun[destination], id) }
	var want []event.Job
	var next time.Time
	for i := range w.deliveries {
		d := w.deliveries[i]
		switch {
		case d.Destination != destination || d.Status != event.StatusPending || d.Due.IsZero() || skipped(d.ID) && !d.Due.After(w.now):
		case d.Due.After(w.now):
			if next.IsZero() || d.Due.Before(next) {
				next = d.Due
			}
		default:
			job := event.Job{Delivery: w.counted(i)}
			for _, j := range w.waiting(&d) {
				if j < i {
					job.Earlier = append(job.Earlier, w.counted(j))
				}
			}
			job.Event = w.events[slices.IndexFunc(w.events, func(e event.Event) bool { return e.ID == d.EventID })]
			want = append(want, job)
		}
	}
	slices.SortStableFunc(want, func(a, b event.Job) int { return a.Delivery.Due.Compare(b.Delivery.Due) })
	var fresh, retries []event.Job
	for _, job := range want {
		switch {
		case !job.Delivery.Repeated():
			fresh = append(fresh, job)
		default:
			retries = append(retries, job)
		}
	}
	var latest []event.Job
	for _, job := range slices.Backward(fresh) {
		if len(latest) < newest && job.Delivery.Due.After(after) && !job.Delivery.SentAgain() {
			latest = append(latest, job)
		}
	}
	fresh = slices.DeleteFunc(fresh, func(a event.Job) bool {
		return slices.ContainsFunc(latest, func(b event.Job) bool { return a.Delivery.ID == b.Delivery.ID })
	})
	want = slices.Concat(latest, fresh[:min(first, len(fresh))], retries[:min(again, len(retries))])
	got, gotNext, err := w.s.Due(context.Background(), destination, event.Look{Now: w.now, Newest: newest, After: after, First: first, Again: again, Skip: skip})
	if err != nil || !gotNext.Equal(next) || len(got) != len(want) {
		t.Fatalf("Due: %d jobs, next %v, %v; want %d and %v", len(got), gotNext, err, len(want), next)
	}
	for i := range want {
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Fatalf("job %d (-want +got):\n%s", i, diff)
		}
	}
}

func (w *world) offer(t *rapid.T) {
	destination, slots := rapid.SampledFrom([]string{"shop", "bus", "new"}).Draw(t, "destination"), rapid.IntRange(0, 3).Draw(t, "slots")
	var got []string
	for _, job := range w.s.Offer(destination, slots) {
		got = append(got, job.Delivery.ID)
	}
	if diff := cmp.Diff(w.begun[destination], got); diff != "" {
		t.Fatalf("begun for %s (-want +got):\n%s", destination, diff)
	}
	w.slots[destination] = slots
	delete(w.begun, destination)
}

func (w *world) counted(i int) event.Delivery {
	d := w.deliveries[i]
	d.Attempts = max(d.Attempts, w.attempts[d.ID])
	return d
}

func (w *world) pick(t *rapid.T) int {
	if len(w.deliveries) == 0 {
		t.Skip("nothing to deliver")
	}
	return rapid.IntRange(0, len(w.deliveries)-1).Draw(t, "delivery")
}

func (w *world) begin(t *rapid.T) {
	d := w.deliveries[w.pick(t)]
	n := rapid.IntRange(1, 4).Draw(t, "n")
	err := w.s.Begin(context.Background(), event.Attempt{DeliveryID: d.ID, N: n, Started: w.now})
	if finished := d.Status != event.StatusPending; finished != errors.Is(err, state.ErrNotPending) || !finished && err != nil {
		t.Fatalf("Begin of a delivery that is %s: %v", d.Status, err)
	} else if !finished {
		if n >= w.attempts[d.ID] {
			delete(w.refusedAt, d.ID)
		}
		delete(w.refusals[d.ID], n)
		w.attempts[d.ID] = max(w.attempts[d.ID], n)
	}
}

func (w *world) resolve(t *rapid.T) {
	i := w.pick(t)
	d := &w.deliveries[i]
	v := event.Verdict{Delivery: *d, At: w.now, UpClock: time.Duration(rapid.IntRange(0, 100).Draw(t, "clock"))}
	v.Delivery.Slots++
	if rapid.Bool().Draw(t, "refused") {
		v.Delivery.HeldAt = &v.UpClock
		if n := w.attempts[d.ID]; n > 0 && d.Status == event.StatusPending {
			v.Attempt = &event.Attempt{DeliveryID: d.ID, N: n, Started: w.now, Duration: time.Second, Outcome: event.OutcomeRefused}
			w.refusedAt[d.ID], v.Delivery.Attempts = w.now.Add(time.Second), n
			if w.refusals[d.ID] == nil {
				w.refusals[d.ID] = make(map[int]time.Time)
			}
			w.refusals[d.ID][n] = w.now.Add(time.Second)
		}
	}
	later := func(what string) time.Time {
		return w.now.Add(time.Duration(rapid.IntRange(-2, 5).Draw(t, what)) * time.Second)
	}
	v.Delivery.BlockedSubject = ""
	switch rapid.IntRange(0, 5).Draw(t, "verdict") {
	case 5:
		v.Delivery.Slots--
		v.Delivery.BlockedSubject = rapid.SampledFrom(subjects).Draw(t, "subject")
	case 0, 1:
		v.Accepted = true
	case 2:
		v.Dead = "refused"
	case 3:
		v.Retry = later("retry")
	}
	if rapid.Bool().Draw(t, "release") {
		v.Release = later("release")
	}
	err := w.s.Resolve(context.Background(), v)
	if d.Status != event.StatusPending {
		if !errors.Is(err, state.ErrNotPending) {
			t.Fatalf("Resolve of a delivery that is %s: %v", d.Status, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	d.Attempts, d.Slots, d.HeldAt, d.BlockedSubject = v.Delivery.Attempts, v.Delivery.Slots, v.Delivery.HeldAt, v.Delivery.BlockedSubject
	clock := w.clocks[d.Destination]
	clock.Up(v.UpClock, v.At)
	w.clocks[d.Destination] = clock
	w.settle(i, &v)
}

func (w *world) settle(i int, v *event.Verdict) {
	d := &w.deliveries[i]
	if v.Accepted || v.Dead != "" {
		d.Status, d.Reason, d.Finished, d.Due, d.BlockedSubject = event.StatusAccepted, v.Dead, v.At, time.Time{}, ""
		if v.Dead != "" {
			d.Status = event.StatusDead
		}
		w.wake(d, -1, v.At)
		return
	}
	d.Due = v.Retry
	if earlier := w.waiting(d); d.Due.IsZero() && !d.Blocked() && (len(earlier) == 0 || earlier[0] == i) {
		d.Due = v.At
	}
	if !v.Release.IsZero() {
		w.wake(d, i, v.Release)
	}
}

var subjects = []string{"checkout.main.expired", "checkout.main.paid", "c"}

// unblock makes due what waits for a subject, in the order of commits.
func (w *world) unblock(t *rapid.T) {
	u := event.Unblock{
		Destination: rapid.SampledFrom([]string{"shop", "bus", "new"}).Draw(t, "destination"),
		Subject:     rapid.SampledFrom(subjects).Draw(t, "subject"), Limit: rapid.IntRange(1, 3).Draw(t, "limit"), Due: w.now,
	}
	var want, left []string
	for i := range w.deliveries {
		d := &w.deliveries[i]
		switch {
		case d.Destination != u.Destination || !d.Blocked():
		case d.BlockedSubject == u.Subject && len(want) < u.Limit:
			d.Due = u.Due
			want = append(want, d.ID)
		case !slices.Contains(left, d.BlockedSubject):
			left = append(left, d.BlockedSubject)
		}
	}
	met, err := w.s.Take(context.Background(), event.Step{Unblocked: []event.Unblock{u}})
	if err != nil || len(met.Unblocked) != 1 || !slices.Equal(met.Unblocked[0], want) {
		t.Fatalf("unblocked %v, %v; want %v", met.Unblocked, err, want)
	}
	var got []string
	for after := ""; ; {
		one, err := w.s.BlockedSubjects(context.Background(), u.Destination, after, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(one) == 0 {
			break
		}
		got, after = append(got, one[0]), one[0]
	}
	slices.Sort(left)
	slices.Sort(got)
	if !slices.Equal(got, left) {
		t.Fatalf("deliveries wait for %v, want %v", got, left)
	}
}

func (w *world) look(t *rapid.T) {
	want := make(map[string]*event.DestinationState)
	for i := range w.deliveries {
		d := &w.deliveries[i]
		if want[d.Destination] == nil {
			clock := w.clocks[d.Destination]
			clock.Name = d.Destination
			want[d.Destination] = &clock
		}
		switch d.Status {
		case event.StatusPending:
			if want[d.Destination].Pending++; want[d.Destination].Pending == 1 {
				want[d.Destination].OldestPending = d.Created
			}
			if !d.Due.IsZero() {
				want[d.Destination].Refused += min(1, d.Slots)
				if d.Slots > 0 && d.HeldAt != nil && d.Attempts >= event.OftenRefused {
					r := event.Refusal{Up: *d.HeldAt, Last: w.refusedAt[d.ID]}
					for n := 1; n <= d.Attempts && r.First.Before(d.Since()); n++ {
						r.First = w.refusals[d.ID][n]
					}
					want[d.Destination].Refusals = append(want[d.Destination].Refusals, r)
				}
				if next := &want[d.Destination].NextRetry; d.Repeated() && (next.IsZero() || d.Due.Before(*next)) {
					*next = d.Due
				}
			}
		case event.StatusDead:
			want[d.Destination].Dead++
		}
		got, found, err := w.s.Delivery(context.Background(), d.ID)
		if diff := cmp.Diff(w.counted(i), got); diff != "" || !found || err != nil {
			t.Fatalf("delivery %s: %v (-want +got):\n%s", d.ID, err, diff)
		}
	}
	states, err := w.s.Destinations(context.Background())
	if err != nil || len(states) != len(want) {
		t.Fatalf("destinations %v, %v; want %v", states, err, want)
	}
	for _, got := range states {
		if diff := cmp.Diff(*want[got.Name], got, anyOrder); diff != "" {
			t.Fatalf("destination %s (-want +got):\n%s", got.Name, diff)
		}
	}
	events, err := w.s.Events(context.Background(), 0, 1000)
	if err != nil || len(events) != len(w.events) {
		t.Fatalf("%d events, %v; want %d", len(events), err, len(w.events))
	}
}

// anyOrder compares refusals, which come in the order in which they are due again.
var anyOrder = cmpopts.SortSlices(func(a, b event.Refusal) int {
	return compare.Or(compare.Compare(a.Up, b.Up), a.First.Compare(b.First), a.Last.Compare(b.Last))
})

func (w *world) open(t *rapid.T) {
	var err error
	if w.s, err = state.Open(context.Background(), w.cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("Open: %v", err)
	}
	w.slots, w.begun = make(map[string]int), make(map[string][]string) // which a restart forgets
}

func (w *world) reopen(t *rapid.T) {
	if err := w.s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w.open(t)
}

// TestAgainstTheModel does what a pipeline and a relay may do, in any order,
// and compares every answer with the model's, also those of a file that is migrated.
func TestAgainstTheModel(top *testing.T) {
	dir := top.TempDir()
	rapid.Check(top, func(t *rapid.T) {
		cfg := state.DefaultConfig()
		temporary, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(temporary)
		cfg.Path = filepath.Join(temporary, "notifier.db")
		w := &world{cfg: cfg, now: start, attempts: make(map[string]int), refusedAt: make(map[string]time.Time), refusals: make(map[string]map[int]time.Time), clocks: make(map[string]event.DestinationState)}
		w.open(t)
		defer func() { w.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"commit":  w.commit,
			"begin":   w.begin,
			"resolve": w.resolve,
			"due":     w.due,
			"unblock": w.unblock,
			"offer":   w.offer,
			"wait":    func(*rapid.T) { w.now = w.now.Add(time.Second) },
			"look":    w.look,
			"reopen":  w.reopen,
		})
		if err := w.s.Verify(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
		for _, name := range []string{"shop", "bus", "new"} { // earlier schemas had no blocked ones
			for _, subject := range subjects {
				u := event.Unblock{Destination: name, Subject: subject, Limit: 1000, Due: w.now}
				if _, err := w.s.Take(context.Background(), event.Step{Unblocked: []event.Unblock{u}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range w.deliveries {
			if w.deliveries[i].Blocked() {
				w.deliveries[i].Due = w.now
			}
		}
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		schema := rapid.Uint64Range(1, 3).Draw(t, "schema")
		downgrade(top, cfg.Path, schema)
		w.open(t)
		w.look(t)
		w.due(t)
		if err := w.s.Verify(context.Background()); err != nil {
			t.Fatalf("after a migration from schema %d: %v", schema, err)
		}
	})
}
