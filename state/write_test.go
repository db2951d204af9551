package state_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// TestWritersTogether lets many writers commit at once, some of them wrongly:
// the wrong ones fail, each with its own error, and nobody else does.
func TestWritersTogether(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	done := queue(t, s, "done", "cs_done", "shop")
	resolve(t, s, event.Verdict{Delivery: done, Accepted: true})
	const writers, rounds = 24, 12
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range rounds {
				id := fmt.Sprintf("%d-%d", w, i)
				tx := page(id, 1, start, "shop")
				want := error(nil)
				switch w % 4 {
				case 1: // fails inside the transaction, after it has written something
					tx.Deliveries = append(tx.Deliveries, newDelivery(newEvent("evt_none", "cs_none"), "shop", true, start))
					want = state.ErrInvalid
				case 2:
					if err := s.Resolve(ctx, event.Verdict{Delivery: done, Dead: "again", At: start}); !errors.Is(err, state.ErrNotPending) {
						t.Errorf("%s: Resolve = %v", id, err)
					}
				}
				if err := s.Commit(ctx, tx); !errors.Is(err, want) {
					t.Errorf("%s: Commit = %v, want %v", id, err, want)
				}
				if want == nil {
					a := event.Attempt{DeliveryID: tx.Deliveries[0].ID, N: 1, Started: start}
					if err := s.Begin(ctx, a); err != nil {
						t.Errorf("%s: Begin = %v", id, err)
					}
				}
				if _, _, err := s.Due(ctx, "shop", event.Look{Now: start, First: 3, Again: 3}); err != nil {
					t.Errorf("%s: Due = %v", id, err)
				}
			}
		})
	}
	group.Go(func() {
		for range 5 {
			if err := s.Verify(ctx); err != nil {
				t.Errorf("among writers: %v", err)
			}
		}
	})
	group.Wait()
	states, err := s.Destinations(ctx)
	if want := writers / 4 * 3 * rounds; err != nil || states[0].Pending != want || states[0].Dead != 0 {
		t.Errorf("destinations %+v, %v; want %d pending", states, err, want)
	}
}

func TestOfManyThatResolveOneWins(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	results := make(chan error, 32)
	var group sync.WaitGroup
	for range cap(results) {
		group.Go(func() {
			results <- s.Resolve(t.Context(), event.Verdict{Delivery: d, Accepted: true, At: start})
		})
	}
	group.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, state.ErrNotPending):
			t.Errorf("Resolve = %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestClosedStore(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, dueErr := s.Due(ctx, "shop", event.Look{Now: start, First: 1, Again: 1})
	for _, err := range []error{s.Commit(ctx, page("a", 1, start)), s.Resolve(ctx, event.Verdict{Delivery: d, At: start}), dueErr, s.Verify(ctx)} {
		if !errors.Is(err, state.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}
