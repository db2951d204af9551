package poller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// unseen lists sessions of which the list does not show an old unpaid one any
// more; what the API says when it is asked for by its id is answer's. It returns
// the list and how often it was asked so.
func (w *world) unseen(old string, answer func() (int, string)) (l *listing, asked *int) {
	l, asked = newListing(), new(int)
	for i := range 20 {
		l.add(fmt.Sprintf("cs_%d", 2000-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
	}
	created := time.Now().Add(-60 * time.Hour)
	l.add("cs_12", created.Add(time.Minute), "complete", "unpaid")
	l.add(old, created, "complete", "unpaid")
	w.answer = func(req *http.Request) (int, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if strings.HasSuffix(req.URL.Path, "/"+old) {
			*asked++
			if status, body := answer(); status != 0 {
				return status, body
			}
		}
		return l.answer(req)
	}
	return l, asked
}

// What the API says of a single session, when it is asked for it, concerns that
// one alone: it is asked for again, less and less often, and everything else goes
// on as ever.
func TestRefusedSessionPausesOnlyItself(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError, http.StatusBadGateway, http.StatusConflict} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = 30 * time.Second
				refuses := true
				l, asked := w.unseen("cs_11", func() (int, string) {
					if refuses {
						return status, `{"error":{"message":"no"}}`
					}
					return 0, ""
				})
				p := w.poller()
				w.run(p, time.Minute)
				item := l.items["cs_11"]
				delete(l.items, "cs_11") // the list does not show it any more
				before := p.Status()[0]
				w.run(p, 30*time.Minute)
				l.set("cs_12", time.Now().Add(-60*time.Hour), "complete", "paid")
				w.run(p, 16*time.Minute)
				w.expect("cs_12", "paid", "fulfillable")
				w.run(p, 4*time.Hour)
				s := p.Status()[0]
				const passes = 4*120 + 46*2
				if n := s.Passes - before.Passes; n < passes*95/100 || !s.Healthy || s.Rate != before.Rate {
					t.Errorf("%d passes of %d were completed, the rate is %v; healthy %t: %s", n, passes, s.Rate, s.Healthy, s.Error)
				}
				if *asked < 5 || *asked > 15 {
					t.Errorf("it was asked for %d times in 5 hours", *asked)
				}
				l.items["cs_11"] = strings.Replace(item, "unpaid", "paid", 1)
				refuses = false
				w.run(p, 61*time.Minute)
				w.expect("cs_11", "paid", "fulfillable")
			})
		})
	}
}

// A key that is refused is another matter, whatever was asked.
func TestRefusedKeyPausesTheAccount(t *testing.T) {
	for name, refuse := range map[string]func(req *http.Request) int{
		"401 for whatever": func(*http.Request) int { return http.StatusUnauthorized },
		"403 for whatever": func(*http.Request) int { return http.StatusForbidden },
		"403 for the list": func(req *http.Request) int {
			if isList(req) {
				return http.StatusForbidden
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l, _ := w.unseen("cs_11", func() (int, string) { return 0, "" })
				p := w.poller()
				w.run(p, time.Minute)
				delete(l.items, "cs_11")
				answer, refused, after := w.answer, 0, 0
				w.answer = func(req *http.Request) (int, string) {
					if status := refuse(req); status != 0 {
						refused++
						return status, `{"error":{"message":"no"}}`
					}
					if refused > 0 {
						after++
					}
					return answer(req)
				}
				w.run(p, 20*time.Minute)
				// At most eight pauses, and three requests before the first one.
				if refused == 0 || refused > 11 || after > 20 {
					t.Errorf("the key was refused %d times and used %d times after", refused, after)
				}
			})
		})
	}
}
