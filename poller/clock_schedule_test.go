package poller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// A Date that is wrong from the first answer on, or our own clock, delays no payment
// of a known session, neither meanwhile nor when it comes right.
func TestPaymentsDoNotWaitForAWrongClock(t *testing.T) {
	for _, c := range append(wrongClocks, struct{ date, own time.Duration }{date: 3 * days}) {
		if c.date != 0 && c.own != 0 {
			continue // nothing tells the time
		}
		t.Run(fmt.Sprintf("Date %s, own %s", c.date, c.own), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would find them
				w.own = c.own
				var hot, warm []string // each is paid at one of two times
				for range 2 {
					hot = append(hot, w.create(simulator.Fields{"created": ago(0)}))
					for _, age := range []time.Duration{45 * time.Minute, 5 * time.Hour, 23 * time.Hour} {
						warm = append(warm, w.create(simulator.Fields{"created": ago(age)}))
					}
				}
				w.faults(skewed(c.date))
				p := w.poller()
				w.run(p, 15*time.Minute)
				w.create(paid()) // the head is far above them
				w.run(p, 2*time.Minute)
				for i := range 2 {
					w.update(hot[i], paid())
					for _, id := range warm[3*i : 3*i+3] {
						w.update(id, paid())
					}
					w.run(p, w.cfg.Poll.Interval+time.Second)
					w.expect(hot[i], "completed", "paid", "fulfillable")
					w.run(p, w.cfg.Poll.Tuning.WarmEvery)
					for _, id := range warm[3*i : 3*i+3] {
						w.expect(id, "completed", "paid", "fulfillable")
					}
					next := p.Status()[0].NextDue
					if wait := time.Until(next.Add(-c.own)); !next.IsZero() && wait.Abs() > w.cfg.Poll.Tuning.WarmEvery {
						t.Errorf("the next look is due in %s", wait)
					}
					w.faults(simulator.Faults{})
					w.run(p, time.Minute)
				}
			})
		})
	}
}

// A look by a clock that was ahead puts off the next one of a watched session no longer than
// until the clock is right, also in the next process.
func TestALookOfTheFutureDelaysNoPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, unpaid := unpaidWorld(t)
		w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
		w.run(w.poller(), time.Minute)
		w.faults(skewed(time.Hour))
		p := w.poller()
		w.run(p, 20*time.Minute)
		w.update(unpaid, simulator.Fields{"metadata": map[string]any{"note": "stored with the time of the look"}})
		w.run(p, 30*time.Minute)
		w.faults(simulator.Faults{})
		p = w.poller()
		w.run(p, 20*time.Minute)
		w.update(unpaid, paid())
		w.run(p, 30*time.Minute)
		w.expect(unpaid, "updated", "paid", "fulfillable")
	})
}
