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
// returns how long each took from the beginning of its commit to its reception.
func (n *notifier) stream(t *testing.T, o *outside, r *publish.Relay, lasts time.Duration, destinations []publish.Destination) []time.Duration {
	t.Helper()
	begun := make(map[string]time.Time)
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < lasts; <-ticker.C {
		n.made++
		e := newEvent(n.made)
		name := destinations[n.made%len(destinations)].Name
		d := newDelivery(&e, name)
		begun[d.ID] = time.Now()
		if err := n.store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
			t.Fatal(err)
		}
		r.Wake(name)
	}
	var took []time.Duration
	for deadline := time.Now().Add(30 * time.Second); len(took) < len(begun) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for id, at := range o.arrivals(t) {
			if since, ours := begun[id]; ours {
				took = append(took, max(0, at.Sub(since)))
			}
		}
	}
	if len(took) != len(begun) {
		t.Fatalf("%d of %d deliveries arrived", len(took), len(begun))
	}
	slices.Sort(took)
	return took
}

// milliseconds returns a percentile of a run as a number.
func milliseconds(sorted []time.Duration, p int) float64 {
	return float64(percentile(sorted, p).Microseconds()) / 1000
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(10 * time.Microsecond)
}

// start lets a relay work until stop is called.
func start(t *testing.T, r *publish.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
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

// TestLatency measures how long a delivery takes from the beginning of its commit
// to its reception, at 200 a second over 20 destinations.
func TestLatency(t *testing.T) {
	o := newOutside(t)
	n := newNotifier(t)
	destinations := noted(o, 20)
	r := n.relay(t, destinations...)
	defer start(t, r)()
	n.stream(t, o, r, duration()/5, destinations) // connections are made
	took := n.stream(t, o, r, duration(), destinations)
	t.Logf("commit to received at %d/s over %d destinations: p50 %s, p95 %s (goal 15ms), p99 %s, max %s of %d",
		rate, len(destinations), percentile(took, 50), percentile(took, 95), percentile(took, 99), took[len(took)-1], len(took))
}
