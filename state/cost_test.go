package state_test

import (
	"fmt"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// backlog commits deliveries to another destination, which are pending or were
// accepted.
func backlog(t *testing.T, s *state.Store, n int, pending bool) {
	t.Helper()
	for i := 0; i < n; i += 500 {
		tx := page(fmt.Sprintf("h%05d-", i), 500, start, "hanging")
		tx.Snapshots = nil
		commit(t, s, tx)
		var step event.Step
		for _, d := range tx.Deliveries {
			a := event.Attempt{DeliveryID: d.ID, N: 1, Started: start}
			step.Resolved = append(step.Resolved, event.Verdict{Delivery: d, Attempt: &a, Accepted: true, At: start.Add(time.Duration(i) * time.Second)})
		}
		if pending {
			continue
		}
		if _, err := s.Take(t.Context(), step); err != nil {
			t.Fatal(err)
		}
	}
}

// TestADeliveryIsTwoTransactions where its destination offers a slot: that of the
// page, with which its attempt begins, and that of its result.
func TestADeliveryIsTwoTransactions(t *testing.T) {
	const deliveries = 50
	written := func(slots int) (transactions, pages int) {
		s := newStore(t)
		backlog(t, s, 1000, true)
		s.Watch(func(n int) { transactions++; pages += n })
		for i := range deliveries {
			s.Offer("shop", slots)
			tx := page(fmt.Sprintf("k%05d-", i), 1, start.Add(time.Duration(i)*time.Millisecond), "shop")
			commit(t, s, tx)
			jobs := s.Offer("shop", slots)
			if len(jobs) == 0 {
				jobs = due(t, s, "shop", start.Add(time.Hour))
				if err := s.Begin(t.Context(), event.Attempt{DeliveryID: jobs[0].Delivery.ID, N: 1, Started: start}); err != nil {
					t.Fatal(err)
				}
			}
			d := jobs[0].Delivery
			a := event.Attempt{DeliveryID: d.ID, N: 1, Started: start}
			resolve(t, s, event.Verdict{Delivery: d, Attempt: &a, Accepted: true, At: start.Add(100 * time.Hour)})
		}
		return transactions, pages
	}
	apart, pagesApart := written(0)
	together, pagesTogether := written(1)
	t.Logf("%d deliveries: %d transactions and %d pages with a write for each beginning, %d and %d without",
		deliveries, apart, pagesApart, together, pagesTogether)
	if apart != 3*deliveries || together != 2*deliveries || pagesTogether >= pagesApart {
		t.Errorf("%d and %d transactions, %d and %d pages", apart, together, pagesApart, pagesTogether)
	}
}

// TestABacklogCostsOthersNoPages counts the pages that a delivery writes beside
// those of another destination. What is pending of these may cost it no more than
// what is finished.
func TestABacklogCostsOthersNoPages(t *testing.T) {
	t.Parallel() // it waits for the disk
	n := 10_000
	if raceEnabled {
		n = 2000
	}
	const deliveries = 100
	written := func(pending bool) (pages int) {
		s := newStore(t)
		backlog(t, s, n, pending)
		s.Watch(func(n int) { pages += n })
		for i := range deliveries {
			tx := page(fmt.Sprintf("k%05d-", i), 1, start.Add(time.Duration(i)*time.Millisecond), "shop")
			commit(t, s, tx)
			d := tx.Deliveries[0]
			a := event.Attempt{DeliveryID: d.ID, N: 1, Started: start}
			if err := s.Begin(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			resolve(t, s, event.Verdict{Delivery: d, Attempt: &a, Accepted: true, At: start.Add(100 * time.Hour)})
		}
		return pages
	}
	finished, pending := written(false), written(true)
	t.Logf("pages a delivery, beside %d of another destination: %.1f if they are pending, %.1f if they are finished",
		n, float64(pending)/deliveries, float64(finished)/deliveries)
	if pending > finished {
		t.Errorf("%d pages beside what is pending, %d beside what is finished", pending, finished)
	}
}
