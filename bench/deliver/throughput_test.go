package deliver_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// writers is how many commit at once where that is measured.
const writers = 16

// arrived calls done when so many deliveries were accepted.
type arrived struct {
	left atomic.Int64
	done chan struct{}
}

func (a *arrived) Attempted(o publish.Observation) {
	if o.Attempt.Outcome == event.OutcomeAccepted && a.left.Add(-1) == 0 {
		close(a.done)
	}
}

func (a *arrived) Told(event.Notice) {}

// TestCommitAndDeliver measures how many events a second are committed, each in a
// Commit of its own by one of many writers, and delivered, beginning with nothing.
func TestCommitAndDeliver(t *testing.T) {
	n, times := size()
	o := newOutside(t)
	store := newNotifier(t)
	var way measured
	for range times {
		events := make([]event.Event, n)
		for i := range events {
			store.made++
			events[i] = newEvent(store.made)
		}
		a := &arrived{done: make(chan struct{})}
		a.left.Store(int64(n))
		d := callback("shop", o.url(pathAccept), 100)
		r, err := publish.NewRelay(store.store, []publish.Lane{lane(t, d)}, publish.Options{Grace: time.Second, Observer: a}, nil)
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, r)
		way.measure(func() {
			store.commitEach(t, r, events)
			<-a.done
		})
		stop()
	}
	t.Logf("commit and deliver, %d writers, %d in flight: %.0f/s (%.0f us CPU) on %d CPUs (goal: five times what a service with a queue of its own makes there, 2835 where that is 567)",
		writers, 100, way.rate(n), way.micros(n), runtime.NumCPU())
}

// commitEach commits events with a delivery each.
func (n *notifier) commitEach(t *testing.T, r *publish.Relay, events []event.Event) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range writers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(events)); i = next.Add(1) - 1 {
				d := newDelivery(&events[i], "shop")
				tx := &event.Tx{Account: "main", Events: events[i : i+1], Deliveries: []event.Delivery{d}}
				if err := n.store.Commit(t.Context(), tx); err != nil {
					t.Error(err)
					return
				}
				r.Wake("shop")
			}
		})
	}
	group.Wait()
}
