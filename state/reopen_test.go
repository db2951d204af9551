package state_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// bury makes a delivery a dead letter after an attempt.
func bury(t testing.TB, s *state.Store, d event.Delivery, at time.Time) {
	t.Helper()
	held := time.Second
	d.Slots, d.HeldAt, d.Overtook = 2, &held, []string{"evt_x"}
	attempt := event.Attempt{DeliveryID: d.ID, N: d.Attempts + 1, Started: at, Outcome: event.OutcomeRefused, StatusCode: 400}
	resolve(t, s, event.Verdict{Delivery: d, Attempt: &attempt, Dead: "status 400", At: at})
}

func act(at time.Time) event.Act {
	return event.Act{At: at, Actor: "ann", Audit: func(changed []event.Delivery) event.AuditEntry {
		return event.AuditEntry{Time: at, Actor: "ann", Action: "test", Detail: fmt.Sprint(len(changed))}
	}}
}

func TestARedrivenLetterBeginsAnew(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	bury(t, s, d, start.Add(time.Minute))
	now := start.Add(time.Hour)
	again := act(now)
	again.Job = "job_1"
	done, err := s.Redrive(t.Context(), []string{d.ID, "dlv_none"}, again)
	if err != nil || len(done) != 1 {
		t.Fatalf("Redrive: %v, %v", done, err)
	}
	want := d
	want.Due, want.Reopened, want.Attempts, want.Actor, want.Job = now, now, 1, "ann", "job_1"
	want.Reason = "status 400" // why it was dead, until it is accepted
	if diff := cmp.Diff(want, delivery(t, s, d.ID)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, done[0]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if jobs := due(t, s, "shop", now); len(jobs) != 1 {
		t.Errorf("%d are due", len(jobs))
	}
	rows, err := s.Audit(t.Context(), 0, 10)
	if err != nil || len(rows) != 1 || rows[0].Entry.Detail != "1" {
		t.Errorf("audit: %+v, %v", rows, err)
	}

	// It dies again: the same job, begun again, leaves it alone, and so does one
	// that was asked for before.
	bury(t, s, delivery(t, s, d.ID), now.Add(time.Minute))
	later := act(now.Add(time.Hour))
	later.Job, later.Before = "job_2", now.Add(time.Minute)
	for _, a := range []event.Act{again, later} {
		if done, err := s.Redrive(t.Context(), []string{d.ID}, a); err != nil || len(done) != 0 {
			t.Errorf("job %s: %v, %v", a.Job, done, err)
		}
	}
	later.Before = now.Add(time.Hour)
	if done, err := s.Redrive(t.Context(), []string{d.ID}, later); err != nil || len(done) != 1 || done[0].Attempts != 2 {
		t.Errorf("a job of now: %v, %v", done, err)
	}
}

func TestRedrivenLettersKeepTheirOrder(t *testing.T) {
	s := newStore(t)
	var letters []string
	for i := range 3 {
		d := queue(t, s, fmt.Sprint(i), "cs_1", "shop")
		bury(t, s, d, start)
		letters = append(letters, d.ID)
	}
	queue(t, s, "3", "cs_1", "shop")
	now := start.Add(time.Hour)
	for i := range letters { // whatever the order in which they are named
		if _, err := s.Redrive(t.Context(), letters[2-i:3-i], act(now)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		jobs := due(t, s, "shop", now)
		first := jobs[len(jobs)-1]
		for _, job := range jobs {
			if len(job.Earlier) == 0 {
				first = job
			}
		}
		if first.Event.ID != fmt.Sprint("evt_", i) || len(first.Earlier) != 0 {
			t.Fatalf("%s is the first, behind %d others", first.Event.ID, len(first.Earlier))
		}
		resolve(t, s, event.Verdict{Delivery: first.Delivery, Accepted: true, At: now})
	}
}

func TestRetryHastensWhatWaits(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	parked := queue(t, s, "2", "cs_1", "shop")
	d.Slots, d.Attempts = 3, 3
	attempt := event.Attempt{DeliveryID: d.ID, N: 3, Started: start, Outcome: event.OutcomeRefused}
	resolve(t, s, event.Verdict{Delivery: d, Attempt: &attempt, Retry: start.Add(10 * time.Hour)})
	now := start.Add(time.Minute)
	got, err := s.Retry(t.Context(), d.ID, act(now))
	if err != nil || got.Slots != 3 || !got.Due.Equal(now) || got.Actor != "ann" {
		t.Errorf("Retry: %+v, %v", got, err)
	}
	got, err = s.Retry(t.Context(), parked.ID, act(now))
	if err != nil || !got.Due.IsZero() || got.Actor != "ann" {
		t.Errorf("Retry of a parked one: %+v, %v", got, err)
	}
	if _, err := s.Retry(t.Context(), "dlv_none", act(now)); !errors.Is(err, state.ErrNoDelivery) {
		t.Errorf("Retry of none: %v", err)
	}
	resolve(t, s, event.Verdict{Delivery: delivery(t, s, d.ID), Accepted: true, At: now})
	waits := act(now)
	waits.IfStatus = event.StatusPending
	if got, err = s.Retry(t.Context(), d.ID, waits); !errors.Is(err, state.ErrChanged) || got.Status != event.StatusAccepted || delivery(t, s, d.ID).Status != event.StatusAccepted {
		t.Errorf("Retry of an accepted one that should wait: %+v, %v", got, err)
	}
	if _, err = s.Retry(t.Context(), parked.ID, waits); err != nil {
		t.Errorf("Retry of one that waits: %v", err)
	}
	if got, err = s.Retry(t.Context(), d.ID, act(now)); err != nil || got.Status != event.StatusPending || got.Slots != 0 {
		t.Errorf("Retry of an accepted one: %+v, %v", got, err)
	}
}

func TestPurgedLettersArePrunedLater(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	bury(t, s, d, start)
	now := start.Add(time.Hour)
	if purged, err := s.Purge(t.Context(), []string{d.ID}, act(now)); err != nil || len(purged) != 1 {
		t.Fatalf("Purge: %v, %v", purged, err)
	}
	got := delivery(t, s, d.ID)
	if got.Status != event.StatusPurged || got.Reason != "purged by ann: status 400" || !got.Finished.Equal(now) {
		t.Errorf("it is %+v", got)
	}
	if purged, err := s.Purge(t.Context(), []string{d.ID}, act(now)); err != nil || len(purged) != 0 {
		t.Errorf("again: %v, %v", purged, err)
	}
	for border, want := range map[time.Time]int{now: 0, now.Add(time.Second): 1} {
		if pruned, err := s.Prune(t.Context(), state.PrunePolicy{Before: border}); err != nil || pruned.Deliveries != want {
			t.Errorf("pruned before %v: %+v, %v", border, pruned, err)
		}
	}
}

func TestAReplayReachesWhoNeverHadIt(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	resolve(t, s, event.Verdict{Delivery: d, Accepted: true})
	e, _, err := s.Event(t.Context(), d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	now := start.Add(time.Hour)
	a := act(now)
	a.Job, a.Before = "job_1", now
	other := newDelivery(e, "bus", true, time.Time{})
	replays := []event.Replay{{Event: e, Deliveries: []event.Delivery{d, other}}}
	cp := e
	cp.ID, cp.ReplayOf = event.CopyID(e.ID, a.Job), e.ID
	replays = append(replays, event.Replay{Event: cp, Deliveries: []event.Delivery{newDelivery(cp, "shop", true, time.Time{})}})
	gone := newEvent("evt_gone", "cs_1")
	replays = append(replays, event.Replay{Event: gone, Deliveries: []event.Delivery{newDelivery(gone, "shop", true, time.Time{})}})

	made, err := s.Replay(t.Context(), replays, a)
	if err != nil || len(made) != 3 {
		t.Fatalf("Replay: %d, %v", len(made), err)
	}
	for _, want := range []string{"shop", "shop", "bus"} {
		jobs := due(t, s, want, now.Add(time.Minute))
		if len(jobs) != 1 || jobs[0].Delivery.Job != "job_1" || jobs[0].Delivery.Actor != "ann" {
			t.Fatalf("due for %s: %+v", want, jobs)
		}
		resolve(t, s, event.Verdict{Delivery: jobs[0].Delivery, Accepted: true, At: now.Add(time.Minute)})
	}
	if e, found, err := s.Event(t.Context(), cp.ID); err != nil || !found || e.ReplayOf != "evt_1" {
		t.Errorf("the copy is %+v, %v", e, err)
	}
	if made, err := s.Replay(t.Context(), replays, a); err != nil || len(made) != 0 {
		t.Errorf("begun again: %v, %v", made, err)
	}
	only := []event.Replay{{Event: e, Deliveries: []event.Delivery{d}, OnlyNew: true}}
	if made, err := s.Replay(t.Context(), only, act(now.Add(time.Hour))); err != nil || len(made) != 0 {
		t.Errorf("only what is new: %v, %v", made, err)
	}
	for _, bad := range []event.Replay{{}, {Event: e, Deliveries: []event.Delivery{other, newDelivery(cp, "shop", true, now)}}} {
		if _, err := s.Replay(t.Context(), []event.Replay{bad}, a); !errors.Is(err, state.ErrInvalid) {
			t.Errorf("%+v: %v", bad.Event.ID, err)
		}
	}
}

// Whatever people do while a pipeline and a relay are at work, the file is sound
// after each step, and a delivery that is told of is as it was told.
func TestActsKeepTheStoreSound(top *testing.T) {
	top.Parallel() // it waits for the disk
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
		// The model does not know of acts: what it tracks is read back instead.
		refresh := func() {
			for i := range w.deliveries {
				got, _, err := w.s.Delivery(context.Background(), w.deliveries[i].ID)
				if err != nil {
					t.Fatal(err)
				}
				w.deliveries[i] = got
			}
		}
		told := func(changed []event.Delivery, err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range changed {
				got, found, err := w.s.Delivery(context.Background(), want.ID)
				if err != nil || !found {
					t.Fatalf("%s: %t, %v", want.ID, found, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("told of %s (-told +stored):\n%s", want.ID, diff)
				}
			}
		}
		some := func() (ids []string) {
			for range rapid.IntRange(1, 4).Draw(t, "letters") {
				ids = append(ids, w.deliveries[w.pick(t)].ID)
			}
			return ids
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit":  func(t *rapid.T) { w.commit(t) },
			"begin":   w.begin,
			"resolve": w.resolve,
			"again":   w.resolve,
			"unblock": w.unblock,
			"wait":    func(*rapid.T) { w.now = w.now.Add(time.Second) },
			"retry": func(t *rapid.T) {
				d, err := w.s.Retry(context.Background(), w.deliveries[w.pick(t)].ID, act(w.now))
				told([]event.Delivery{d}, err)
			},
			"redrive": func(*rapid.T) { told(w.s.Redrive(context.Background(), some(), act(w.now))) },
			"purge":   func(*rapid.T) { told(w.s.Purge(context.Background(), some(), act(w.now))) },
			"replay": func(t *rapid.T) {
				if len(w.events) == 0 {
					t.Skip("nothing to replay")
				}
				e := rapid.SampledFrom(w.events).Draw(t, "event")
				var list []event.Delivery
				for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"shop", "bus", "new"}), 1, 3, rapid.ID[string]).Draw(t, "to") {
					list = append(list, newDelivery(e, name, true, w.now))
				}
				made, err := w.s.Replay(context.Background(), []event.Replay{{Event: e, Deliveries: list}}, act(w.now))
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range made {
					if d.Destination == "new" {
						w.deliveries = append(w.deliveries, d)
					}
				}
			},
			"": func(t *rapid.T) {
				refresh()
				if err := w.s.Verify(context.Background()); err != nil {
					t.Fatal(err)
				}
			},
		})
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		downgrade(top, cfg.Path, 3)
		w.open(t)
		if err := w.s.Verify(context.Background()); err != nil {
			t.Fatalf("after a migration: %v", err)
		}
		// Whoever is patient is served: nothing stays behind that nobody wakes.
		for range 20 * (len(w.deliveries) + 1) {
			w.now = w.now.Add(time.Minute)
			for _, name := range []string{"shop", "bus", "new"} {
				for _, subject := range subjects {
					u := event.Unblock{Destination: name, Subject: subject, Limit: 100, Due: w.now}
					if _, err := w.s.Take(context.Background(), event.Step{Unblocked: []event.Unblock{u}}); err != nil {
						t.Fatal(err)
					}
				}
				jobs, _, err := w.s.Due(context.Background(), name, event.Look{Now: w.now, First: 100, SentAgain: 100, Again: 100})
				if err != nil {
					t.Fatal(err)
				}
				for _, job := range jobs {
					if err := w.s.Resolve(context.Background(), event.Verdict{Delivery: job.Delivery, Accepted: true, At: w.now}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		states, err := w.s.Destinations(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Pending != 0 {
				t.Fatalf("%d are pending for %s for ever", s.Pending, s.Name)
			}
		}
	})
}

func TestAJobIsAuditedWithItsRow(t *testing.T) {
	s, err := state.Open(t.Context(), config(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var seen []string
	for _, row := range []string{`{"n":1}`, `{"n":2}`} {
		err := s.RecordJob(t.Context(), "job_1", []byte(row), func(before []byte) []event.AuditEntry {
			seen = append(seen, string(before))
			return []event.AuditEntry{{Action: "job"}}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Audit(t.Context(), 0, 10)
	if diff := cmp.Diff([]string{"", `{"n":1}`}, seen); diff != "" || err != nil || len(rows) != 2 {
		t.Errorf("%d entries, %v: %s", len(rows), err, diff)
	}
}

// A delivery that was sent again by hand is refused since then.
func TestRefusalsAreCountedSinceARedrive(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	bury(t, s, d, start.Add(time.Minute))
	now := start.Add(time.Hour)
	if _, err := s.Redrive(t.Context(), []string{d.ID}, act(now)); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= event.OftenRefused; n++ {
		d, at, held := delivery(t, s, d.ID), now.Add(time.Duration(n)*time.Minute), time.Second
		d.Attempts, d.Slots, d.HeldAt = n, n-1, &held
		attempt := event.Attempt{DeliveryID: d.ID, N: n, Started: at, Duration: time.Second, Outcome: event.OutcomeRefused}
		resolve(t, s, event.Verdict{Delivery: d, Attempt: &attempt, Retry: at.Add(time.Hour), At: at})
	}
	states, err := s.Destinations(t.Context())
	want := []event.Refusal{{First: now.Add(2*time.Minute + time.Second), Up: time.Second, Last: now.Add(3*time.Minute + time.Second)}}
	if err != nil || len(states) != 1 || !cmp.Equal(states[0].Refusals, want) {
		t.Errorf("%+v, %v; want %+v", states, err, want)
	}
}
