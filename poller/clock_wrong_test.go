package poller_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

const days = 24 * time.Hour

func skewed(by time.Duration) simulator.Faults {
	return simulator.Faults{ClockSkewS: int(by / time.Second)}
}

// unpaidWorld has an unpaid session that no head shows.
func unpaidWorld(t *testing.T) (w *world, unpaid string) {
	t.Helper()
	w = newWorld(t)
	unpaid = w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": ago(60 * time.Hour)})
	for range 5 {
		w.create(paid())
	}
	return w, unpaid
}

// A Date that is wrong for minutes, or for hours, gives nothing up.
func TestNothingIsGivenUpByTheServersClockAlone(t *testing.T) {
	for _, lasts := range []time.Duration{20 * time.Minute, 3 * time.Hour} {
		for _, ahead := range []time.Duration{20 * days, -20 * days} {
			t.Run(lasts.String()+" "+ahead.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w, unpaid := unpaidWorld(t)
					w.cfg.Poll.Interval = time.Minute
					p := w.poller()
					w.run(p, time.Minute)
					w.faults(skewed(ahead))
					w.run(p, lasts)
					late := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"}) // complete at a wrong time
					w.run(p, time.Hour)
					w.faults(simulator.Faults{})
					w.run(p, 20*time.Minute)
					w.update(unpaid, paid())
					w.update(late, paid())
					w.run(p, time.Hour)
					w.expect(unpaid, "paid", "fulfillable")
					w.expect(late, "created", "completed", "paid", "fulfillable")
				})
			})
		}
	}
}

// Neither does our own clock.
func TestNothingIsGivenUpByOurClockAlone(t *testing.T) {
	for _, ahead := range []time.Duration{20 * days, -20 * days} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, unpaid := unpaidWorld(t)
				w.own = ahead
				w.run(w.poller(), 10*time.Minute)
				w.own = 0
				w.run(w.poller(), 10*time.Minute)
				w.own = ahead
				p := w.poller()
				w.run(p, time.Hour)
				w.update(unpaid, paid())
				w.run(p, time.Hour)
				w.expect(unpaid, "paid", "fulfillable")
			})
		})
	}
}

// When both clocks say so, a session is given up, and that a clock was wrong when
// it was seen complete delays it no longer than the clock was wrong.
func TestGivenUpInTime(t *testing.T) {
	for _, ahead := range []time.Duration{0, 300 * days} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval, w.cfg.Poll.UnpaidFor = time.Minute, 12*time.Hour
				p := w.poller()
				w.run(p, time.Minute)
				w.faults(skewed(ahead))
				w.run(p, 5*time.Minute)
				id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
				w.run(p, 5*time.Minute)
				w.faults(simulator.Faults{})
				w.run(p, 11*time.Hour)
				w.expect(id, "created", "completed")
				w.run(p, 3*time.Hour)
				w.expect(id, "created", "completed", "unresolved")
			})
		})
	}
}

// A change that happens while an answer is on its way lies after the time at which
// the last look was asked for.
func TestChangeWhileAnAnswerIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(w.poller(), 5*time.Second)
		id := w.create(open(nil))
		w.run(w.poller(), 12*time.Second)
		var changed time.Time
		w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := serve(w.api, req) // the API reads now
			if changed.IsZero() {
				time.Sleep(10 * time.Second)
				changed = time.Now()
				w.update(id, paid())
				time.Sleep(10 * time.Second)
			}
			return resp, err
		})
		w.run(w.poller(), time.Minute)
		if after := w.since[id]; after.IsZero() || after.After(changed) {
			t.Errorf("occurred_after %s, it happened at %s", after, changed.UTC())
		}
	})
}

// Date is cut to the second, so the server's time is known to a second only: that
// must not move the time of a look behind a change that followed it.
func TestChangeRightAfterALook(t *testing.T) {
	for _, skew := range []time.Duration{-90 * time.Second, 0, 90 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				id := w.create(open(nil))
				time.Sleep(300 * time.Millisecond)
				var changed time.Time
				var answers atomic.Int32
				w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
					time.Sleep(200 * time.Millisecond)
					resp, err := serve(w.api, req)
					if err != nil {
						return nil, err
					}
					resp.Header.Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
					if answers.Add(1) == 8 {
						changed = time.Now().Add(skew)
						w.update(id, paid())
					}
					time.Sleep(200 * time.Millisecond)
					return resp, err
				})
				w.run(w.poller(), 2*time.Minute)
				if after := w.since[id]; after.IsZero() || after.After(changed) {
					t.Errorf("occurred_after %s, it happened at %s", after, changed.UTC())
				}
			})
		})
	}
}

// Where the clocks differ on whether a session had expired, the reason of its expiry
// is unknown.
func TestReasonOfAnExpiryByAWrongClock(t *testing.T) {
	for _, c := range []struct {
		date, own time.Duration
		byHand    bool
		want      string
	}{
		{0, 0, true, "expired manual"}, {0, 0, false, "expired timer"},
		{time.Hour, 0, true, "expired unknown"}, {0, days, true, "expired unknown"},
		{-days, 0, false, "expired unknown"}, {0, -days, false, "expired unknown"},
	} {
		t.Run(fmt.Sprintf("Date %s, own %s, by hand %t", c.date, c.own, c.byHand), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.own = c.own
				p := w.poller()
				w.run(p, time.Minute)
				id := w.create(open(simulator.Fields{"expires_in": "1h"}))
				w.run(p, time.Minute)
				w.faults(skewed(c.date))
				w.run(p, 5*time.Minute)
				if c.byHand {
					w.update(id, simulator.Fields{"status": "expired"})
				} else {
					w.run(p, 58*time.Minute)
				}
				w.run(p, 20*time.Minute)
				w.expect(id, "created", c.want)
			})
		})
	}
}

// A hole is not asked for less often because clocks were behind for a while.
func TestHoleOutlivesClocksThatAreBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
			resp, err := w.RoundTrip(req)
			if err == nil {
				resp.Header.Set("Date", time.Now().Add(w.own).UTC().Format(http.TimeFormat))
			}
			return resp, err
		})
		w.run(w.poller(), time.Minute)
		s.newest("cs_2000", time.Now(), "complete", "paid")
		s.newest("cs_2001", time.Now(), "complete", "paid")
		s.poison["cs_2000"] = true
		w.run(w.poller(), 2*time.Minute)
		w.own = -20 * days
		w.run(w.poller(), 5*time.Minute)
		w.own = 0
		w.run(w.poller(), time.Minute)
		delete(s.poison, "cs_2000")
		w.run(w.poller(), 5*time.Minute)
		w.expect("cs_2000", "created", "completed", "paid", "fulfillable")
	})
}
