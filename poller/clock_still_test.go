package poller_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// A Date that stands still, or hardly moves, puts off no look: sessions below the head
// are looked at as often as they should be, however often the API is asked.
func TestDateThatStandsStill(t *testing.T) {
	for name, date := range map[string]func(since time.Duration) time.Duration{
		"from the start": func(time.Duration) time.Duration { return 0 },
		"later":          func(since time.Duration) time.Duration { return min(since, 12*time.Minute) },
		"slow":           func(since time.Duration) time.Duration { return since / 10 },
		"by the minute":  func(since time.Duration) time.Duration { return since.Truncate(time.Minute) },
		"fast":           func(since time.Duration) time.Duration { return since * 10 },
	} {
		for _, every := range []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second} {
			t.Run(fmt.Sprint(name, ", asked each ", every), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Interval, w.cfg.Poll.Tuning.ReconcileEvery = every, 1000*time.Hour
					w.cfg.Poll.Tuning.HotAge, w.cfg.Poll.Tuning.Overlap = time.Minute, time.Minute
					began := time.Now()
					w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
						resp, err := w.RoundTrip(req)
						if err == nil {
							resp.Header.Set("Date", began.Add(date(time.Since(began))).UTC().Format(http.TimeFormat))
						}
						return resp, err
					})
					unpaid := simulator.Fields{"created": ago(3 * time.Hour), "status": "complete", "payment_status": "unpaid"}
					var warm, late []string
					for range 5 {
						warm, late = append(warm, w.create(simulator.Fields{"created": ago(2 * time.Hour)})), append(late, w.create(unpaid))
					}
					w.create(simulator.Fields{"created": ago(0)}) // the head ends with it
					p := w.poller()
					w.run(p, 20*time.Minute)
					for i := range warm {
						w.update(warm[i], paid())
						w.update(late[i], paid())
						w.run(p, w.cfg.Poll.Tuning.WarmEvery+every+time.Second)
						w.expect(warm[i], "completed", "paid", "fulfillable")
						w.run(p, w.cfg.Poll.Tuning.UnpaidEvery-w.cfg.Poll.Tuning.WarmEvery)
						w.expect(late[i], "paid", "fulfillable")
					}
				})
			})
		}
	}
}

// A clock that drifts is followed, however far it comes with time.
func TestClockThatDrifts(t *testing.T) {
	for _, per := range []time.Duration{1000, -1000} {
		t.Run(fmt.Sprint(int(per)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				began := time.Now()
				drift := func() time.Duration { return time.Since(began) / per }
				w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
					resp, err := w.RoundTrip(req)
					if err == nil {
						resp.Header.Set("Date", time.Now().Add(drift()).UTC().Format(http.TimeFormat))
					}
					return resp, err
				})
				p := w.poller()
				for range 60 {
					w.run(p, 6*time.Minute)
					if skew := p.Status()[0].ClockSkew.Duration(); (skew - drift()).Abs() > 1100*time.Millisecond {
						t.Fatalf("skew = %s, it is %s", skew, drift())
					}
				}
			})
		})
	}
}
