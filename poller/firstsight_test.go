package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// A replica that lags right after the first sight tells nothing, and what was paid
// then is told at once.
func TestReplicaThatLagsAfterTheFirstSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 5*time.Second)
		id := w.create(open(nil))
		other := w.create(open(nil))
		time.Sleep(10 * time.Second)
		w.update(id, simulator.Fields{"metadata": map[string]any{"order": "A-17"}})
		time.Sleep(time.Second)
		w.run(p, 5*time.Second)
		w.faults(simulator.Faults{Stale: simulator.Always(), StaleMS: 8000, StaleMinMS: 8000})
		w.run(p, 5*time.Second)
		w.faults(simulator.Faults{})
		w.update(other, paid())
		w.run(p, time.Minute)
		w.expect(id, "created")
		w.expect(other, "created", "completed", "paid", "fulfillable")
		w.run(p, 30*time.Minute)
		w.expect(id, "created")
	})
}
