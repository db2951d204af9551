package poller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// What is stored and outside a filter that was made narrower is not announced, whether
// the API reads the filter or not, and it is when the filter is taken back.
func TestFilterThatIsMadeNarrower(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		t.Run(fmt.Sprint("the API ignores it ", ignored), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = 30 * time.Second
				if ignored {
					w.faults(simulator.Faults{IgnoreFilters: simulator.Always()})
				}
				w.run(w.poller(), time.Minute)
				mine := w.create(open(map[string]any{"customer": "cus_A"}))
				other := w.create(open(map[string]any{"customer": "cus_B"}))
				w.run(w.poller(), time.Minute)
				w.expect(mine, "created")
				w.expect(other, "created")

				w.cfg.Filter.Customer = "cus_A"
				p := w.poller()
				w.run(p, time.Minute)
				w.update(mine, paid())
				w.update(other, paid())
				w.run(p, 3*time.Hour)
				w.expect(mine, "created", "completed", "paid", "fulfillable")
				w.expect(other, "created")
				if s := p.Status()[0]; !s.Healthy {
					t.Errorf("status = %+v", s)
				}
				w.run(p, time.Hour)

				w.cfg.Filter.Customer = ""
				w.run(w.poller(), 2*time.Hour)
				w.expect(other, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}
