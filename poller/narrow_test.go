package poller_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// narrowed returns the oddity of a page that was read in smaller ones.
func narrowed(s *poller.Status) (told []poller.Oddity) {
	return slices.DeleteFunc(slices.Clone(s.Oddities), func(o poller.Oddity) bool { return o.Code != "page_narrowed" })
}

// What fails whatever was asked, because of the key or of an outage, however short, is not
// about a page.
func TestAnOutageIsNoOddityOfAPage(t *testing.T) {
	const hang = -1
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, hang} {
		for _, length := range []time.Duration{0, 3 * time.Second, 40 * time.Second, 10 * time.Minute} {
			t.Run(fmt.Sprintf("%d for %s", status, length), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					s := w.mall(270)
					w.parallel = true
					p := w.poller()
					w.run(p, time.Minute)
					answer, met, until := w.answer, 0, time.Now().Add(30*time.Second)
					w.answer = func(req *http.Request) (int, string) {
						w.mu.Lock()
						failing := met == 0 || time.Now().Before(until)
						if met++; met == 1 {
							until = time.Now().Add(length)
						}
						w.mu.Unlock()
						switch {
						case !failing:
							return answer(req)
						case status == hang:
							<-req.Context().Done()
							return http.StatusGatewayTimeout, ""
						}
						return status, `{"error":{"message":"no"}}`
					}
					ctx, cancel := context.WithTimeout(t.Context(), length+10*time.Minute)
					defer cancel()
					s.newest("cs_3000", time.Now(), "complete", "paid")
					if err := p.Run(ctx); err != nil {
						t.Fatal(err)
					}
					w.expect("cs_3000", "created", "completed", "paid", "fulfillable")
					if status := p.Status()[0]; len(narrowed(&status)) > 0 || len(status.Holes) > 0 || met < 2 {
						t.Errorf("after %d requests: oddities %+v, holes %+v", met, status.Oddities, status.Holes)
					}
				})
			})
		}
	}
}

// A page that is refused while others are shown is told of.
func TestAPageThatFailsIsAnOddity(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		for _, id := range []string{"cs_1029", "cs_1028", "cs_1015"} {
			t.Run(fmt.Sprint(status, id), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					s := w.mall(270)
					s.status = status
					p := w.poller()
					w.run(p, time.Minute)
					s.poison[id] = true
					w.run(p, 2*time.Minute)
					if status := p.Status()[0]; len(narrowed(&status)) != 1 {
						t.Errorf("oddities %+v", status.Oddities)
					}
				})
			})
		}
	}
}
