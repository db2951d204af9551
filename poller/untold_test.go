package poller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// unpayingIf answers as the list does, without any payment_status while lacks says so.
func (l *listing) unpayingIf(lacks *bool) func(*http.Request) (int, string) {
	return func(req *http.Request) (int, string) {
		status, body := l.within(req)
		if *lacks {
			body = unpaying(body)
		}
		return status, body
	}
}

// An API that comes to show no payment_status at all is an error of the account from the
// third order on that completes, until one is told. Then all are announced.
func TestNewestPaymentsAreUntold(t *testing.T) {
	for name, openBefore := range map[string]bool{"new sessions": false, "sessions that were shown open": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				lacks := false
				l := newListing()
				w.answer = l.unpayingIf(&lacks)
				p := w.poller()
				w.run(p, 15*time.Second)
				l.order("cs_100", "complete", "paid")
				w.run(p, time.Minute)
				var orders []string
				for n := range 8 {
					orders = append(orders, fmt.Sprintf("cs_%d", 200+n))
					if openBefore {
						l.order(orders[n], "open", "unpaid")
						w.run(p, 20*time.Second)
					}
				}
				lacks = true
				for n, id := range orders {
					if openBefore {
						l.set(id, time.Unix(l.created[id], 0), "complete", "paid")
					} else {
						l.order(id, "complete", "paid")
					}
					l.order(fmt.Sprintf("cs_%d", 300+n), "open", "unpaid") // somebody is always at the checkout
					w.run(p, 20*time.Second)
					if s := p.Status()[0]; n < 2 != s.Healthy {
						t.Fatalf("after %d orders healthy is %t: %s", n+1, s.Healthy, s.Error)
					}
				}
				w.run(p, 20*time.Minute)
				if s := p.Status()[0]; s.Healthy || time.Since(s.ErrorSince) < 20*time.Minute || !strings.Contains(s.Error, "payment_status") {
					t.Errorf("healthy is %t, since %s: %s", s.Healthy, s.ErrorSince, s.Error)
				}
				p = w.poller()
				w.run(p, 15*time.Second)
				if s := p.Status()[0]; s.Healthy {
					t.Error("healthy after a restart")
				}
				lacks = false
				w.run(p, 15*time.Minute)
				for _, id := range orders {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
					t.Errorf("it is well again, but: %s, %d holes", s.Error, len(s.Holes))
				}
			})
		})
	}
}

// What has no payment_status for a good reason, or now and then, is no error.
func TestFewPaymentsAreUntold(t *testing.T) {
	item := func(l *listing, id, mode, payment string) {
		l.order(id, "complete", payment)
		l.items[id] = strings.TrimSuffix(l.items[id], "}") + fmt.Sprintf(`,"mode":%q}`, mode)
	}
	for name, modes := range map[string]string{ // from the oldest to the newest
		"setup sessions":                       "setup setup setup setup setup",
		"setup sessions and payments":          "paid setup setup paid setup setup setup",
		"two untold ones":                      "paid untold setup untold",
		"many untold ones below another order": "untold untold untold untold untold paid open open",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.answer = l.within
				p := w.poller()
				for n, mode := range strings.Fields(modes) {
					id := fmt.Sprintf("cs_%d", 100+n)
					switch mode {
					case "paid":
						item(l, id, "payment", "paid")
					case "open":
						l.order(id, "open", "unpaid")
					case "untold":
						item(l, id, "payment", "paid")
						l.items[id] = unpaying(l.items[id])
					default:
						item(l, id, mode, "")
					}
				}
				for range 4 {
					w.run(p, 10*time.Minute)
					if s := p.Status()[0]; !s.Healthy {
						t.Fatal(s.Error)
					}
				}
			})
		})
	}
}
