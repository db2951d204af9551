package poller_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// An answer that tells another month for once gives up no session, forgets none,
// and confirms no step back.
func TestOneWrongDate(t *testing.T) {
	for _, jump := range []time.Duration{30 * 24 * time.Hour, 11 * time.Minute, -30 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				unpaid := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
				settled := w.create(paid())
				p := w.poller()
				w.run(p, 15*time.Second)
				before := p.Status()[0].Tracked
				w.update(settled, simulator.Fields{"payment_status": "unpaid"})
				w.run(p, 15*time.Second)
				w.faults(simulator.Faults{ClockSkewS: int(jump.Seconds())})
				w.run(p, 15*time.Second)
				w.update(settled, paid())
				w.faults(simulator.Faults{})
				w.run(p, time.Minute)
				w.expect(unpaid)
				w.expect(settled)
				if after := p.Status()[0].Tracked; after != before {
					t.Errorf("%d sessions are known, %d were", after, before)
				}
				w.update(unpaid, paid())
				w.run(p, 20*time.Minute)
				w.expect(unpaid, "paid", "fulfillable")
			})
		})
	}
}

// A clock that was set is believed after a while.
func TestClockThatWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(open(nil))
		p := w.poller()
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{ClockSkewS: 7200})
		w.run(p, 15*time.Second)
		if skew := p.Status()[0].ClockSkew.Duration(); skew.Abs() > time.Second {
			t.Errorf("skew = %v at once", skew)
		}
		w.run(p, 2*time.Minute)
		if skew := p.Status()[0].ClockSkew.Duration(); (skew - 2*time.Hour).Abs() > time.Second {
			t.Errorf("skew = %v after two minutes", skew)
		}
	})
}

// Neither does the first answer that a process gets.
func TestFirstDateIsWrong(t *testing.T) {
	for _, jump := range []time.Duration{30 * 24 * time.Hour, 11 * time.Minute, -30 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				unpaid := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
				settled := w.create(paid())
				w.run(w.poller(), 15*time.Second)
				w.update(settled, simulator.Fields{"payment_status": "unpaid"})
				w.run(w.poller(), 15*time.Second)
				answers := 0
				w.answer = func(*http.Request) (int, string) {
					skew := 0
					if answers++; answers == 1 {
						skew = int(jump.Seconds())
					}
					w.faults(simulator.Faults{ClockSkewS: skew})
					return 0, ""
				}
				p := w.poller()
				w.run(p, 15*time.Second)
				w.update(settled, paid())
				w.run(p, time.Minute)
				w.expect(unpaid)
				w.expect(settled)
				w.update(unpaid, paid())
				w.run(p, 20*time.Minute)
				w.expect(unpaid, "paid", "fulfillable")
			})
		})
	}
}

// Nor do a few among the first. What fails tells the time, too.
func TestSomeOfTheFirstDatesAreWrong(t *testing.T) {
	const ahead = 90 // seconds, of ours: no answer agrees with our clock
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(simulator.Faults{ClockSkewS: ahead})
		w.run(w.poller(), 3*time.Minute)
		id := w.create(open(simulator.Fields{"expires_in": "10m"}))
		w.run(w.poller(), 9*time.Minute)
		time.Sleep(10 * time.Minute)
		answers := 0
		w.answer = func(*http.Request) (int, string) {
			answers++
			f := simulator.Faults{ClockSkewS: ahead}
			if answers%3 == 0 {
				f.ClockSkewS -= 1800
			} else if answers == 2 || answers == 4 || answers == 5 {
				f.Unavailable = simulator.Always()
			}
			w.faults(f)
			return 0, ""
		}
		w.run(w.poller(), time.Minute)
		w.expect(id, "created", "expired timer")
	})
}

// Few wrong answers over a minute do not move the time, and no number of them does
// if what was good for nothing else told the right one.
func TestWrongDatesOverAMinute(t *testing.T) {
	wrong := simulator.Faults{ClockSkewS: -1800}
	failed, silent, bad := simulator.Faults{Unavailable: simulator.Always()}, simulator.Faults{Hang: simulator.Always()}, simulator.Faults{EmptyPage: simulator.Always()}
	for name, c := range map[string]struct {
		between []simulator.Faults
		wrong   int
	}{
		"errors":  {[]simulator.Faults{failed}, 5},
		"silence": {[]simulator.Faults{silent}, 2},
		"pages":   {[]simulator.Faults{bad, bad, wrong}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := w.poller()
				w.run(p, time.Minute)
				id := w.create(open(simulator.Fields{"expires_in": "10m"}))
				w.run(p, 8*time.Minute+20*time.Second)
				var first time.Time
				told, between := 0, 0
				w.answer = func(*http.Request) (int, string) {
					switch {
					case told == 0:
						first = time.Now()
						fallthrough
					case told < c.wrong && time.Since(first) > time.Minute:
						told++
						w.faults(wrong)
					case told < c.wrong:
						w.faults(c.between[between%len(c.between)])
						between++
					default:
						w.faults(simulator.Faults{})
					}
					return 0, ""
				}
				w.run(p, 5*time.Minute)
				if told < c.wrong {
					t.Errorf("%d wrong answers, want %d", told, c.wrong)
				}
				w.expect(id, "created", "expired timer")
			})
		})
	}
}
