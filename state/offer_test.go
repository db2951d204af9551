package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// offered returns the events of the deliveries that commits have begun.
func offered(s *state.Store, destination string, slots int) []string {
	ids := []string{}
	for _, job := range s.Offer(destination, slots) {
		ids = append(ids, job.Event.ID)
	}
	return ids
}

// TestACommitBeginsWhatASlotIsOfferedFor and nothing else: what waits for another
// one of its session, is due later, or has no slot, waits for a step.
func TestACommitBeginsWhatASlotIsOfferedFor(t *testing.T) {
	s := newStore(t)
	var transactions int
	s.Watch(func(int) { transactions++ })
	queue(t, s, "early", "cs_0", "shop")
	if got := offered(s, "shop", 3); len(got) != 0 {
		t.Errorf("begun before it was offered: %v", got)
	}
	first, second := queue(t, s, "first", "cs_1", "shop"), queue(t, s, "second", "cs_1", "shop")
	behind := queue(t, s, "behind", "cs_0", "shop")
	e := newEvent("evt_later", "cs_2")
	later := newDelivery(e, "shop", true, start)
	later.Due = start.Add(time.Second)
	commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{later}})
	queue(t, s, "bus", "cs_3", "bus")
	commit(t, s, page("many", 3, start, "shop"))
	for _, d := range []event.Delivery{second, behind, later} {
		if attempts, err := s.Attempts(t.Context(), d.ID); err != nil || len(attempts) > 0 {
			t.Errorf("%s: %v, %v", d.EventID, attempts, err)
		}
	}
	want := []event.Attempt{{DeliveryID: first.ID, N: 1, Started: first.Created, Outcome: event.OutcomeUnknown}}
	attempts, err := s.Attempts(t.Context(), first.ID)
	if diff := cmp.Diff(want, attempts); diff != "" || err != nil {
		t.Errorf("attempts %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"evt_early", "evt_many0002"}, dueIDs(t, s, "shop", start)); diff != "" {
		t.Errorf("due before the offer is asked after (-want +got):\n%s", diff)
	}

	transactions = 0
	jobs := s.Offer("shop", 0)
	if len(jobs) != 3 || jobs[0].Event.ID != "evt_first" || jobs[2].Event.ID != "evt_many0001" {
		t.Fatalf("begun: %v", jobs)
	}
	if diff := cmp.Diff(first, jobs[0].Delivery); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	// Sent and resolved, or withdrawn, without a write of its own.
	done := event.Attempt{DeliveryID: first.ID, N: 1, Started: start, Outcome: event.OutcomeAccepted}
	met, err := s.Take(t.Context(), event.Step{
		Resolved:  []event.Verdict{{Delivery: jobs[0].Delivery, Attempt: &done, Accepted: true, At: start}},
		Withdrawn: []event.Begin{{Delivery: jobs[1].Delivery, Attempt: event.Attempt{DeliveryID: jobs[1].Delivery.ID, N: 1}}},
	})
	if err != nil || !met.Woke || len(met.Gone) > 0 || transactions != 1 {
		t.Errorf("step in %d transactions: %v, %v", transactions, met, err)
	}
	if attempts, err := s.Attempts(t.Context(), jobs[1].Delivery.ID); err != nil || len(attempts) > 0 {
		t.Errorf("attempts after it was withdrawn: %v, %v", attempts, err)
	}
	queue(t, s, "unoffered", "cs_4", "shop")
	if got := offered(s, "shop", 0); len(got) != 0 {
		t.Errorf("begun after the offer ended: %v", got)
	}
}

// TestAnAttemptThatWasBegunWithItsCommitSurvives a crash without a result, and its
// delivery is due.
func TestAnAttemptThatWasBegunWithItsCommitSurvives(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	s.Offer("shop", 1)
	e := newEvent("evt_1", "cs_1")
	d := newDelivery(e, "shop", true, start)
	d.Actor = "ann" // as a replay sets it
	commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}})
	s.Close()
	s = openStore(t, cfg)
	if got := offered(s, "shop", 1); len(got) > 0 {
		t.Errorf("offered after a restart: %v", got)
	}
	jobs := due(t, s, "shop", start)
	if len(jobs) != 1 || jobs[0].Delivery.ID != d.ID || jobs[0].Delivery.Attempts != 1 || jobs[0].Delivery.Slots != 0 {
		t.Errorf("due after a restart: %v", jobs)
	}
	want := []event.Attempt{{DeliveryID: d.ID, N: 1, Started: start, Outcome: event.OutcomeUnknown, Actor: "ann"}}
	attempts, err := s.Attempts(t.Context(), d.ID)
	if diff := cmp.Diff(want, attempts); diff != "" || err != nil {
		t.Errorf("attempts after a restart: %v (-want +got):\n%s", err, diff)
	}
}

// TestACommitThatFailsBeginsNothing, and what it would have begun can be stored
// later.
func TestACommitThatFailsBeginsNothing(t *testing.T) {
	s := newStore(t)
	s.Offer("shop", 2)
	tx := page("a", 1, start, "shop")
	s.Fail(fmt.Errorf("the disk says no"))
	if err := s.Commit(t.Context(), tx); err == nil {
		t.Fatal("the disk did not say no")
	}
	s.Fail(nil)
	if got := offered(s, "shop", 2); len(got) > 0 {
		t.Errorf("begun by a commit that failed: %v", got)
	}
	commit(t, s, tx)
	if got := offered(s, "shop", 2); len(got) != 1 {
		t.Errorf("begun by the next one: %v", got)
	}
	// One that cannot be stored is left out of a group, and with it what it began.
	bad := page("b", 1, start, "shop")
	bad.Deliveries[0].EventID = "evt_unknown"
	if err := s.Commit(t.Context(), bad); err == nil {
		t.Error("a delivery of an unknown event was stored")
	}
	if got := offered(s, "shop", 2); len(got) > 0 {
		t.Errorf("begun by one that is invalid: %v", got)
	}
}
