package state_test

import (
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// TestADeliveryThatWasReadIsFoundWhateverBecameOfIt: it was finished and pruned, and
// its id was given to another row, since it was read to be sent.
func TestADeliveryThatWasReadIsFoundWhateverBecameOfIt(t *testing.T) {
	s := newStore(t)
	read := queue(t, s, "1", "cs_1", "shop")
	due(t, s, "shop", start)
	a := event.Attempt{DeliveryID: read.ID, N: 1, Started: start}
	resolve(t, s, event.Verdict{Delivery: read, Attempt: &a, Accepted: true, At: start})
	if err := s.Begin(t.Context(), a); err == nil {
		t.Error("an accepted delivery was begun again")
	}
	if _, err := s.Retry(t.Context(), read.ID, event.Act{At: start, Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	due(t, s, "shop", start)
	resolve(t, s, event.Verdict{Delivery: read, Attempt: &a, Accepted: true, At: start})
	pruned, err := s.Prune(t.Context(), state.PrunePolicy{Before: start.Add(time.Hour)})
	if err != nil || pruned.Deliveries != 1 || pruned.Events != 1 {
		t.Fatalf("pruned %v, %v", pruned, err)
	}
	if met, err := s.Take(t.Context(), event.Step{Begun: []event.Begin{{Delivery: read, Attempt: a}}}); err != nil || len(met.Gone) != 1 {
		t.Errorf("a delivery that was pruned: %v, %v", met, err)
	}

	other := queue(t, s, "0", "cs_0", "shop")
	queue(t, s, "1", "cs_1", "shop") // forgotten, and told of again
	for _, id := range []string{other.ID, read.ID} {
		a := event.Attempt{DeliveryID: id, N: 1, Started: start}
		if err := s.Begin(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if attempts, err := s.Attempts(t.Context(), id); err != nil || len(attempts) != 1 || attempts[0].DeliveryID != id {
			t.Errorf("attempts of %s: %v, %v", id, attempts, err)
		}
	}
}
