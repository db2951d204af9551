package state_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

func isClosed(err error) bool { return errors.Is(err, state.ErrClosed) }

func TestCommitKeepsWhatItWasGiven(t *testing.T) {
	s := newStore(t)
	tx := page("a", 3, start, "shop", "bus")
	tx.Snapshots[1].Held = event.Held{"status": {Hash: 1 << 63, Since: start, Pass: start}}
	tx.Snapshots[2].Watch, tx.Snapshots[2].CompleteAt = event.Settled, start.Add(time.Nanosecond)
	commit(t, s, tx)

	ctx := t.Context()
	got, err := s.Snapshots(ctx, "main", []string{"cs_a0000", "cs_a0001", "cs_a0002", "cs_unknown"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]event.Snapshot{"cs_a0000": tx.Snapshots[0], "cs_a0001": tx.Snapshots[1], "cs_a0002": tx.Snapshots[2]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	if other, err := s.Snapshots(ctx, "mai", []string{"ncs_a0000", "cs_a0000"}); err != nil || len(other) != 0 {
		t.Errorf("another account has %v, %v", other, err)
	}
	events, err := s.Events(ctx, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if diff := cmp.Diff(state.Sequenced{Sequence: uint64(i + 1), Event: tx.Events[i]}, e); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	if later, err := s.Events(ctx, 1, 1); err != nil || len(later) != 1 || later[0].Sequence != 2 {
		t.Errorf("Events(1, 1) = %v, %v", later, err)
	}
	deliveries, err := s.EventDeliveries(ctx, "evt_a0001")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tx.Deliveries[2:4], deliveries); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if e, found, err := s.Event(ctx, "evt_a0002"); err != nil || !found || e.Session != "cs_a0002" {
		t.Errorf("Event = %v, %t, %v", e, found, err)
	}
	if _, found, err := s.Event(ctx, "evt_none"); err != nil || found {
		t.Errorf("an unknown event is found: %t, %v", found, err)
	}
	counts, err := s.SessionCounts(ctx)
	if diff := cmp.Diff(map[string]map[event.Watch]int{"main": {event.Watched: 2, event.Settled: 1}}, counts); diff != "" || err != nil {
		t.Errorf("counts (-want +got):\n%s%v", diff, err)
	}
}

func TestCommitReplacesASession(t *testing.T) {
	s := newStore(t)
	first := snapshot("cs_1", start)
	commit(t, s, &event.Tx{Account: "main", Snapshots: []event.Snapshot{first}})
	second := first
	second.Created, second.Watch, second.Revision = start.Add(-time.Hour), event.Vanished, 2
	commit(t, s, &event.Tx{Account: "main", Snapshots: []event.Snapshot{second}})

	got, err := s.Snapshots(t.Context(), "main", []string{"cs_1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]event.Snapshot{"cs_1": second}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	counts, err := s.SessionCounts(t.Context())
	if diff := cmp.Diff(map[string]map[event.Watch]int{"main": {event.Vanished: 1}}, counts); diff != "" || err != nil {
		t.Errorf("counts (-want +got):\n%s%v", diff, err)
	}
}

func TestTrackedReadsTheRowsOfOneAccount(t *testing.T) {
	s := newStore(t)
	tx := page("a", 4500, start)
	tx.Snapshots[17].Watch = "" // an early version's
	commit(t, s, &event.Tx{Account: "main", Snapshots: tx.Snapshots})
	other := snapshot("cs_other", start)
	other.Account = "main2"
	commit(t, s, &event.Tx{Account: "main2", Snapshots: []event.Snapshot{other}})

	i := 0
	err := s.Tracked(t.Context(), "main", func(row *event.Tracked) error {
		if diff := cmp.Diff(tx.Snapshots[i].Track(), *row); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
		i++
		return nil
	})
	if err != nil || i != 4500 {
		t.Errorf("%d rows, %v", i, err)
	}
	n := 0
	enough := errors.New("enough")
	err = s.Tracked(t.Context(), "main", func(*event.Tracked) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("stopped after %d rows by %v", n, err)
	}
	for _, after := range []int{0, 1500} {
		n = 0
		ctx, cancel := context.WithCancel(t.Context())
		stop := func(*event.Tracked) error {
			if n++; n == after {
				cancel()
			}
			return nil
		}
		if after == 0 {
			cancel()
		}
		if err := s.Tracked(ctx, "main", stop); !errors.Is(err, context.Canceled) || n > after+1000 {
			t.Errorf("cancelled after %d rows: %d rows, %v", after, n, err)
		}
		cancel()
	}
}

func TestAnEventIsStoredAndDeliveredOnce(t *testing.T) {
	s := newStore(t)
	tx := page("a", 2, start, "shop")
	commit(t, s, tx)
	tx.Events[0].Reason = "computed again"
	again := page("a", 3, start, "shop", "late")
	commit(t, s, again)

	events, err := s.Events(t.Context(), 0, 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_a0000", "evt_a0001", "evt_a0002"}) {
		t.Errorf("shop is owed %v", got)
	}
	if got := dueIDs(t, s, "late", start); !cmp.Equal(got, []string{"evt_a0002"}) {
		t.Errorf("late is owed %v", got)
	}
	if e, d := s.Skipped(); e != 2 || d != 4 {
		t.Errorf("skipped %d events and %d deliveries", e, d)
	}

	// A delivery may be added to an event that is there; it too comes once.
	replay := newDelivery(again.Events[0], "replay", true, start)
	for range 2 {
		commit(t, s, &event.Tx{Account: "main", Deliveries: []event.Delivery{replay}})
	}
	if got := dueIDs(t, s, "replay", start); !cmp.Equal(got, []string{"evt_a0000"}) {
		t.Errorf("replay is owed %v", got)
	}
}

func TestAnEventNamedTwiceInOneCommitIsDelivered(t *testing.T) {
	s := newStore(t)
	tx := page("a", 1, start, "shop")
	tx.Events = append(tx.Events, tx.Events[0])
	tx.Deliveries = append(tx.Deliveries, tx.Deliveries[0])
	commit(t, s, tx)
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_a0000"}) {
		t.Errorf("due %v", got)
	}
	if events, err := s.Events(t.Context(), 0, 10); err != nil || len(events) != 1 {
		t.Errorf("events %v, %v", events, err)
	}
}

func TestCommitRefusesNonsenseWhole(t *testing.T) {
	far := time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, spoil := range map[string]func(*event.Tx){
		"session without id":         func(tx *event.Tx) { tx.Snapshots[1].ID = "" },
		"session with a huge id":     func(tx *event.Tx) { tx.Snapshots[1].ID = strings.Repeat("x", 5000) },
		"session of another account": func(tx *event.Tx) { tx.Snapshots[1].Account = "other" },
		"session of no JSON year":    func(tx *event.Tx) { tx.Snapshots[1].LookedAt = far },
		"session with broken JSON":   func(tx *event.Tx) { tx.Snapshots[1].Object = []byte("{") },
		"event without id":           func(tx *event.Tx) { tx.Events[1].ID = "" },
		"event with broken JSON":     func(tx *event.Tx) { tx.Events[1].Object = []byte("{") },
		"delivery without id":        func(tx *event.Tx) { tx.Deliveries[1].ID = "" },
		"delivery to nowhere":        func(tx *event.Tx) { tx.Deliveries[1].Destination = "" },
		"delivery of no event":       func(tx *event.Tx) { tx.Deliveries[1].EventID = "evt_none" },
		"delivery never due":         func(tx *event.Tx) { tx.Deliveries[1].Due = time.Time{} },
		"delivery already accepted":  func(tx *event.Tx) { tx.Deliveries[1].Status = event.StatusAccepted },
		"delivery of a huge session": func(tx *event.Tx) { tx.Deliveries[1].Session = strings.Repeat("x", 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			tx := page("a", 2, start, "shop")
			spoil(tx)
			if err := s.Commit(t.Context(), tx); !errors.Is(err, state.ErrInvalid) {
				t.Fatalf("Commit = %v", err)
			}
			events, err := s.Events(t.Context(), 0, 10)
			if err != nil || len(events) != 0 || len(due(t, s, "shop", start)) != 0 {
				t.Errorf("something was stored: %v, %v", events, err)
			}
			counts, err := s.SessionCounts(t.Context())
			if err != nil || len(counts) != 0 {
				t.Errorf("sessions were stored: %v, %v", counts, err)
			}
		})
	}
}

func TestEmptyCommitWritesNothing(t *testing.T) {
	s := newStore(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(cancelled, &event.Tx{Account: "main"}); err != nil {
		t.Errorf("Commit = %v", err)
	}
	if err := s.Commit(cancelled, page("a", 1, start)); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v", err)
	}
}

func TestAccounts(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	if _, found, err := s.Account(ctx, "main"); found || err != nil {
		t.Fatalf("found %t, %v", found, err)
	}
	main := event.Account{Name: "main", Host: "api.example", Mode: "live", KeyHash: "k", Start: start, StartFixed: true, Low: start, ForgottenBefore: start}
	other := event.Account{Name: "eu", Host: "api.example", Mode: "test"}
	for _, account := range []event.Account{main, other} {
		if err := s.SaveAccount(ctx, account); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Accounts(ctx)
	if diff := cmp.Diff([]event.Account{other, main}, all); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	stale := main
	stale.Low, stale.ForgottenBefore = start.Add(time.Minute), time.Time{}
	if err := s.SaveAccount(ctx, stale); err != nil {
		t.Fatal(err)
	}
	got, found, err := s.Account(ctx, "main")
	stale.ForgottenBefore = start
	if diff := cmp.Diff(stale, got, cmpopts.EquateEmpty()); diff != "" || !found || err != nil {
		t.Errorf("ForgottenBefore went back, or Low did not move (-want +got):\n%s%v", diff, err)
	}
	if err := s.SaveAccount(ctx, event.Account{}); !errors.Is(err, state.ErrInvalid) {
		t.Errorf("a nameless account: %v", err)
	}
}
