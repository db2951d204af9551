package deliver_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// pile commits deliveries that share few events, which is quicker: a thousand of
// each, each rendered by a rule of its own.
func (n *notifier) pile(t testing.TB, count int, destination string, due time.Time) {
	t.Helper()
	const each = 1000
	for ; count > 0; count -= each {
		n.made++
		e := newEvent(n.made)
		tx := &event.Tx{Account: "main", Events: []event.Event{e}}
		for i := range min(count, each) {
			d := newDelivery(&e, destination)
			d.OwnRule = fmt.Sprint("rule-", i)
			d.ID, d.Due, d.Ordered = event.DeliveryID(e.ID, destination, d.OwnRule), due, false
			tx.Deliveries = append(tx.Deliveries, d)
		}
		if err := n.store.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
}

// first is a publisher that tells of the first message and then takes none.
type first struct{ at chan time.Time }

func (f first) Publish(ctx context.Context, _ publish.Message) publish.Result {
	select {
	case f.at <- time.Now():
	default:
	}
	<-ctx.Done()
	return publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassTimeout}
}

// TestBacklog measures how soon a relay that starts sends the first of many due
// deliveries, alone and behind as many times more that are not due; and what
// memory a million that wait take.
func TestBacklog(t *testing.T) {
	due, later, waiting := 100_000, 300_000, 1_000_000
	if *deliveries == 0 {
		due, later, waiting = 1000, 3000, 3000
	}
	n := newNotifier(t)
	n.pile(t, due, "shop", time.Now())
	alone := n.soon(t)
	n.pile(t, later, "shop", time.Now().Add(24*time.Hour))
	among := n.soon(t)
	t.Logf("the first of %d due is sent after %s, among %d that are not due after %s", due, alone, later, among)
	n.pile(t, waiting-due-later, "shop", time.Now())
	before := heap()
	f := first{make(chan time.Time, 1)}
	r := n.over(t, f)
	defer start(t, r)()
	<-f.at
	t.Logf("%d deliveries wait: %.1f MB of heap more than before the relay started", waiting, float64(heap()-before)/1e6)
}

// soon returns after which time of a relay's start the first message is sent.
func (n *notifier) soon(t *testing.T) time.Duration {
	t.Helper()
	f := first{make(chan time.Time, 1)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	began := time.Now()
	r := n.over(t, f)
	go func() { ended <- r.Run(ctx) }()
	took := (<-f.at).Sub(began)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return took.Round(10 * time.Microsecond)
}

func (n *notifier) over(t *testing.T, p publish.Publisher) *publish.Relay {
	t.Helper()
	d := callback("shop", "https://shop.example/hooks", 64)
	r, err := publish.NewRelay(n.store, []publish.Lane{{Destination: d, Publisher: p}}, publish.Options{Grace: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
