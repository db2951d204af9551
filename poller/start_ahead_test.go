package poller_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// ahead puts both clocks ahead of the time, or right.
func (w *world) ahead(by time.Duration) {
	w.own = by
	w.faults(skewed(by))
}

// sells creates a session that is paid, so long ago.
func (w *world) sells(age time.Duration) string {
	return w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(age)})
}

// Clocks that are both ahead when the account starts put its start into the future.
// Once they are right, what was created after the true start is announced, once, and
// what is older stays silent.
func TestStartByClocksThatAreAhead(t *testing.T) {
	all := []string{"created", "completed", "paid", "fulfillable"}
	for by, rightAfter := range map[time.Duration][]time.Duration{
		10 * time.Minute: {5 * time.Minute, 3 * time.Hour},
		time.Hour:        {20 * time.Minute, 3 * time.Hour},
		days:             {20 * time.Minute, 20 * time.Hour},
		20 * days:        {3 * time.Hour},
	} {
		for _, after := range rightAfter {
			t.Run(fmt.Sprintf("ahead by %s, right after %s", by, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Interval = 30 * time.Second
					w.ahead(by)
					existed := []string{w.sells(0), w.sells(time.Minute), w.sells(2 * time.Hour), w.sells(30 * time.Hour)}
					p := w.poller()
					w.run(p, 30*time.Second)
					late := w.sells(2 * time.Minute) // it became visible late
					fresh := []string{w.create(paid())}
					opened := w.create(open(nil))
					owed := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
					w.run(p, 3*time.Minute)
					w.update(owed, paid())
					w.run(p, after)
					fresh = append(fresh, w.create(paid()))
					w.run(p, time.Minute)
					w.ahead(0)
					w.run(p, 5*time.Minute)
					w.update(opened, paid())
					fresh = append(fresh, w.create(paid()))
					w.run(p, time.Hour)
					w.run(w.poller(), 10*time.Minute)
					for _, id := range append(existed, late) {
						w.expect(id)
					}
					for _, id := range append(fresh, opened) {
						w.expect(id, all...)
					}
					w.expect(owed, "paid", "fulfillable", "created", "completed")
				})
			})
		}
	}
}

// A process that is told so only after a restart knows for how long the account was
// polled, and not for how long it was not: what was created as long after the true
// start is announced, and the rest if somebody asks for it.
func TestStartByClocksThatWereAheadBeforeARestart(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, days} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.ahead(by)
				existed := []string{w.sells(0), w.sells(5 * time.Minute)}
				began := time.Now()
				p := w.poller()
				w.run(p, 30*time.Second)
				existed = append(existed, w.sells(2*time.Minute)) // it became visible late
				lost := w.create(paid())
				w.run(p, 10*time.Minute)
				fresh := []string{w.create(paid())}
				w.run(p, 10*time.Minute)
				time.Sleep(5 * time.Minute)
				fresh = append(fresh, w.create(paid()))
				w.ahead(0)
				for range 3 {
					w.run(w.poller(), 5*time.Minute)
				}
				fresh = append(fresh, w.create(paid()))
				w.run(w.poller(), 5*time.Minute)
				for _, id := range append(existed, lost) {
					w.expect(id)
				}
				asked := poller.Backfill{Since: began.Add(time.Second), Announce: true}
				w.backfill(w.poller(), time.Minute, asked)
				w.backfill(w.poller(), time.Minute, asked)
				for _, id := range existed {
					w.expect(id)
				}
				for _, id := range append(fresh, lost) {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
			})
		})
	}
}

// A store that fails, or a process that dies, while that is announced repeats nothing
// and misses nothing.
func TestStartPutRightAcrossACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 2
		w.ahead(time.Hour)
		existed := []string{w.sells(0), w.sells(time.Minute)}
		p := w.poller()
		w.run(p, time.Minute)
		var fresh []string
		for range 20 {
			fresh = append(fresh, w.create(paid()))
			w.run(p, time.Minute)
		}
		w.ahead(0)
		failures := 0
		w.failIf = func(l poller.Look) bool {
			if l.Session.ID == fresh[10] && failures < 3 {
				failures++
				return true
			}
			return false
		}
		w.run(p, 90*time.Second)
		w.failIf = nil
		for range 3 {
			w.run(w.poller(), time.Minute)
		}
		for _, id := range existed {
			w.expect(id)
		}
		for _, id := range fresh {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// A start that is configured is nobody's mistake, not even once the configuration says
// another one.
func TestConfiguredStartIsNotPutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = ago(-time.Hour)
		p := w.poller()
		w.run(p, time.Minute)
		early := w.create(paid())
		w.run(p, 2*time.Hour)
		w.cfg.Start = poller.StartNow
		w.run(w.poller(), time.Hour)
		w.expect(early)
	})
}

// What existed within the second of the start, to which creation times are rounded, is
// not withheld: nothing was wrong with the clocks.
func TestStartOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		existed := w.sells(0)
		w.fail = errors.New("disk full for a moment") // so that a later pass shows it first
		w.run(w.poller(), 2*time.Minute)
		w.expect(existed)
	})
}
