package poller_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// An API that does everything right is never called odd, however many sessions
// are created in one second and wherever a range is split.
func TestCorrectAPIIsNeverOdd(t *testing.T) {
	for i, gap := range []time.Duration{2 * time.Second, 50 * time.Second, time.Hour} {
		for j, n := range []int{100, 101, 400} {
			latency := time.Duration((i+j)%2) * 50 * time.Millisecond
			t.Run(fmt.Sprint(latency, " ", gap, " ", n), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Start = poller.StartAll
					w.cfg.Poll.Interval = 2 * time.Second
					w.answer = func(*http.Request) (int, string) {
						time.Sleep(latency)
						return 0, ""
					}
					at := time.Now().Add(-time.Minute).UTC()
					for i := range n + 1 {
						created := at
						if i == 0 {
							created = at.Add(-gap)
						}
						w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": created.Format(time.RFC3339)})
					}
					p := w.poller()
					w.run(p, 22*time.Second)
					w.backfill(p, 10*time.Second, poller.Backfill{Since: at.Add(-2 * time.Hour)})
					w.backfill(p, 10*time.Second, poller.Backfill{Since: at.Add(-2 * time.Hour), Until: at})
					s := p.Status()[0]
					if len(s.Oddities) > 0 || len(s.Holes) > 0 || s.Tracked != n+1 || !s.Healthy {
						t.Errorf("%d of %d sessions, odd: %+v, holes: %+v", s.Tracked, n+1, s.Oddities, s.Holes)
					}
				})
			})
		}
	}
}
