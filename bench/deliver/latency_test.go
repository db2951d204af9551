package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// rate is how many deliveries are made a second where their time counts.
const rate = 200

// stream commits deliveries for some time, each to the next destination, and
// returns how long each took from its commit to its reception.
func (n *notifier) stream(t *testing.T, o *outside, r *publish.Relay, lasts time.Duration, destinations []publish.Destination) []time.Duration {
	t.Helper()
	committed := make(map[string]time.Time)
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < lasts; <-ticker.C {
		n.made++
		e := newEvent(n.made)
		name := destinations[n.made%len(destinations)].Name
		d := newDelivery(&e, name)
		if err := n.store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
			t.Fatal(err)
		}
		committed[d.ID] = time.Now()
		r.Wake(name)
	}
	var took []time.Duration
	for deadline := time.Now().Add(30 * time.Second); len(took) < len(committed) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for id, at := range o.arrivals(t) {
			if since, ours := committed[id]; ours {
				took = append(took, max(0, at.Sub(since)))
			}
		}
	}
	if len(took) != len(committed) {
		t.Fatalf("%d of %d deliveries arrived", len(took), len(committed))
	}
	slices.Sort(took)
	return took
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(10 * time.Microsecond)
}

// start lets a relay work until the test ends.
func start(t *testing.T, r *publish.Relay) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func noted(o *outside, count int) (destinations []publish.Destination) {
	for i := range count {
		name := fmt.Sprintf("shop-%d", i)
		destinations = append(destinations, callback(name, o.url(pathNote+"/"+name), 16))
	}
	return destinations
}

func duration() time.Duration {
	if *deliveries == 0 {
		return time.Second / 2
	}
	return time.Duration(*deliveries) * time.Second / rate
}

// TestLatency measures how long a delivery takes from its commit to its
// reception, at 200 a second over 20 destinations.
func TestLatency(t *testing.T) {
	o := newOutside(t)
	n := newNotifier(t)
	destinations := noted(o, 20)
	r := n.relay(t, destinations...)
	start(t, r)
	n.stream(t, o, r, duration()/5, destinations) // connections are made
	took := n.stream(t, o, r, duration(), destinations)
	t.Logf("commit to received at %d/s over %d destinations: p50 %s, p95 %s (goal 15ms), p99 %s, max %s of %d",
		rate, len(destinations), percentile(took, 50), percentile(took, 95), percentile(took, 99), took[len(took)-1], len(took))
}

// TestIsolation measures what a hanging destination, for which much waits, costs
// another one.
func TestIsolation(t *testing.T) {
	o := newOutside(t)
	n := newNotifier(t)
	queued := 10_000
	if *deliveries == 0 {
		queued = 100
	}
	healthy := noted(o, 1)
	hanging := callback("hanging", o.url(pathHang), 16)
	hanging.Timeout = 2 * time.Second
	alone := n.relay(t, healthy...)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- alone.Run(ctx) }()
	n.stream(t, o, alone, duration()/5, healthy)
	baseline := n.stream(t, o, alone, duration(), healthy)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	n.fill(t, queued, "hanging", time.Time{})
	r := n.relay(t, append(healthy, hanging)...)
	start(t, r)
	n.stream(t, o, r, duration()/5, healthy)
	beside := n.stream(t, o, r, duration(), healthy)
	b, p := percentile(baseline, 95), percentile(beside, 95)
	t.Logf("p95 of a healthy destination: alone %s, beside a hanging one with %d queued %s: %.2f (goal at most 1.5)", b, queued, p, float64(p)/float64(b))
}
