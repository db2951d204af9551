package deliver_test

import (
	"testing"
	"time"

	"checkout-notifier/publish"
)

// TestIsolation measures what a hanging destination, for which much waits, costs
// another one. Three ways take turns, so that whatever else the machine does meets
// all of them; every run has a store with as many rows:
//
//   - alone: the rows of the other destination are accepted deliveries,
//   - queued: they are pending, and nobody works for that destination,
//   - hanging: they are pending, and its relay tries to deliver them.
func TestIsolation(t *testing.T) {
	o := newOutside(t)
	count, lasts, turns := 10_000, 2*time.Second, max(1, int(duration()/(2*time.Second)))
	if *deliveries == 0 {
		count, lasts, turns = 100, duration()/2, 1
	}
	healthy := noted(o, 1)
	hanging := callback("hanging", o.url(pathHang), 16)
	hanging.Timeout = 2 * time.Second
	finished, queued := newNotifier(t), newNotifier(t)
	finished.fill(t, count, "hanging", time.Time{})
	finished.drain(t, count, callback("hanging", o.url(pathAccept), 16))
	queued.fill(t, count, "hanging", time.Time{})
	ways := []struct {
		name         string
		store        *notifier
		destinations []publish.Destination
		p50, p95     []float64
	}{
		{name: "alone", store: finished, destinations: healthy},
		{name: "queued", store: queued, destinations: healthy},
		{name: "hanging", store: queued, destinations: append(healthy[:1:1], hanging)},
	}
	for turn := range turns {
		for i := range ways {
			w := &ways[(turn+i)%len(ways)]
			r := w.store.relay(t, w.destinations...)
			stop := start(t, r)
			w.store.stream(t, o, r, lasts/5, healthy) // connections are made
			took := w.store.stream(t, o, r, lasts, healthy)
			stop()
			w.p50, w.p95 = append(w.p50, milliseconds(took, 50)), append(w.p95, milliseconds(took, 95))
		}
	}
	alone := median(ways[0].p95)
	t.Logf("commit to received at %d/s beside %d deliveries of another destination, medians of %d runs of %s in turns:", rate, count, turns, lasts)
	for i := range ways {
		w := &ways[i]
		t.Logf("%-8s p50 %5.2f ms, p95 %5.2f ms: %.2f times alone (goal at most 1.5, and 10 ms)", w.name, median(w.p50), median(w.p95), median(w.p95)/alone)
	}
}
