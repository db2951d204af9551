package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// Once answers tell the right time again, a change lies between the times that are
// said of it: while they are doubted, and when they are believed.
func TestTimesEncloseTheChangeAfterAWrongDate(t *testing.T) {
	for _, by := range []time.Duration{90 * time.Second, -90 * time.Second, 3 * time.Minute, time.Hour, -time.Hour, 20 * days, -20 * days} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := w.poller()
				w.run(p, time.Minute)
				var ids []string
				for range 20 {
					ids = append(ids, w.create(open(nil)))
				}
				w.run(p, time.Minute)
				w.faults(skewed(by))
				w.run(p, 10*time.Minute)
				w.faults(simulator.Faults{})
				for i, id := range ids {
					time.Sleep(700 * time.Millisecond)
					changed := time.Now()
					w.update(id, paid())
					w.run(p, 15*time.Second)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					if after, before := w.since[id], w.before[id]; after.After(changed) || before.Before(changed.Truncate(time.Second)) {
						t.Errorf("change %d: from %s to %s, it happened at %s", i, after, before, changed.UTC())
					}
				}
			})
		})
	}
}
