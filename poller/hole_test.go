package poller_test

import (
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// shop is a list of 30 sessions of the last half hour, of which the API cannot
// show some: each answer that would holds an error instead.
type shop struct {
	*world
	*listing
	poison map[string]bool
	status int // of the errors
	lists  int
	gets   int
}

func (w *world) shop() *shop {
	s := &shop{world: w, listing: newListing(), poison: make(map[string]bool), status: http.StatusInternalServerError}
	w.cfg.Poll.Tuning.PageSize = 10
	for i := range 30 {
		s.newest(fmt.Sprintf("cs_%d", 1000+i), time.Now().Add(-time.Duration(30-i)*time.Minute), "complete", "paid")
	}
	w.answer = func(req *http.Request) (int, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if isList(req) {
			s.lists++
		} else {
			s.gets++
		}
		status, body := s.listing.answer(req)
		for id := range s.poison {
			if strings.Contains(body, fmt.Sprintf("%q", id)) {
				return s.status, `boom`
			}
		}
		return status, body
	}
	return s
}

// newest adds a session at the top of the list.
func (s *shop) newest(id string, at time.Time, status, payment string) {
	s.ids = append([]string{id}, s.ids...)
	s.set(id, at, status, payment)
}

// One session that the API cannot show costs no more with time and holds nothing
// else up: neither what comes after it, nor the low-water mark, nor a
// reconciliation, nor a backfill. It is named, and told once it is shown.
func TestSessionThatCannotBeShownHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_2000"] = true
		var hours [3]int
		for hour := range hours {
			s.lists = 0
			for minute := range 60 {
				id := fmt.Sprintf("cs_%d", 2000+hour*60+minute)
				s.newest(id, time.Now(), "complete", "paid")
				w.run(p, time.Minute)
				if !s.poison[id] {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
			}
			hours[hour] = s.lists
		}
		if hours[2] > hours[0]*11/10 || hours[0] > 3*360 {
			t.Errorf("%v requests for lists in the hours", hours)
		}
		status := p.Status()[0]
		if !status.Healthy || time.Since(status.Low) > 2*time.Minute || time.Since(status.Reconciled) > 61*time.Minute {
			t.Errorf("healthy %t (%s), low mark %s, reconciled %s", status.Healthy, status.Error, status.Low, status.Reconciled)
		}
		if len(status.Holes) != 1 || status.Holes[0].Above != "cs_2001" || status.Holes[0].Error == "" {
			t.Errorf("the holes are %+v", status.Holes)
		}
		w.backfill(p, time.Hour, poller.Backfill{Since: time.Now().Add(-10 * time.Hour)})
		delete(s.poison, "cs_2000")
		p = w.poller() // a restart knows it too
		w.run(p, 90*time.Minute)
		w.expect("cs_2000", "created", "completed", "paid", "fulfillable")
		if status := p.Status()[0]; len(status.Holes) > 0 || len(w.account.Holes) > 0 {
			t.Errorf("the holes are %+v, stored %+v", status.Holes, w.account.Holes)
		}
	})
}

// Whatever the API cannot show, wherever it stands and how many they are: the rest
// is told on time, a restart forgets nothing, and in the end all is told once.
func TestHoles(t *testing.T) {
	const n = 60
	for name, poisoned := range map[string]func(i int) bool{
		"one":                    func(i int) bool { return i == 20 },
		"the first and the last": func(i int) bool { return i == 0 || i == n-1 },
		"two, with others between": func(i int) bool {
			return i == 20 || i == 24
		},
		"neighbours":       func(i int) bool { return i >= 20 && i < 25 },
		"more than a page": func(i int) bool { return i >= 20 && i < 35 },
		"every other one":  func(i int) bool { return i%2 == 0 },
		"the newest ones":  func(i int) bool { return i >= 50 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.shop()
				w.cfg.Poll.Interval = 15 * time.Second
				p := w.poller()
				w.run(p, time.Minute)
				id := func(i int) string { return fmt.Sprintf("cs_%d", 2000+i) }
				for i := range n {
					s.poison[id(i)] = poisoned(i)
					if !poisoned(i) {
						delete(s.poison, id(i))
					}
					s.newest(id(i), time.Now(), "complete", "paid")
					if i%10 == 9 {
						p = w.poller()
					}
					w.run(p, 31*time.Second) // a hole that is new is found by a page that fails again and again
					if !poisoned(i) {
						w.expect(id(i), "created", "completed", "paid", "fulfillable")
					}
				}
				w.run(p, time.Hour)
				status := p.Status()[0]
				if !status.Healthy || len(status.Holes) == 0 || len(status.Holes) > 32 || time.Since(status.Reconciled) > 61*time.Minute {
					t.Errorf("healthy %t (%s), reconciled %s, %d holes", status.Healthy, status.Error, status.Reconciled, len(status.Holes))
				}
				s.lists, s.gets = 0, 0
				w.run(p, time.Hour)
				if s.lists+s.gets > 4*240+100 { // it is quiet: a pass reads three pages
					t.Errorf("%d requests in an hour", s.lists+s.gets)
				}
				clear(s.poison)
				w.account.ForgottenBefore = time.Now() // what was passed over was never known all the same
				p = w.poller()
				w.run(p, time.Hour)
				for i := range n {
					w.expect(id(i), "created", "completed", "paid", "fulfillable")
				}
				if holes := p.Status()[0].Holes; len(holes) > 0 || len(w.account.Holes) > 0 {
					t.Errorf("the holes are %+v", holes)
				}
			})
		})
	}
}

// A key that was changed is the same account's, whatever the API cannot show.
func TestChangedKeyBesideAHole(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusNotFound} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.shop()
				s.status = status
				w.run(w.poller(), time.Minute)
				s.poison["cs_1029"] = true
				w.cfg.SecretKey = "sk_test_new"
				p := w.poller()
				w.run(p, 15*time.Second)
				s.newest("cs_2000", time.Now(), "complete", "paid")
				w.run(p, 15*time.Second)
				w.expect("cs_2000", "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// An account whose list cannot be shown in part when it starts, the newest
// session included, starts all the same.
func TestHolesAtTheStart(t *testing.T) {
	for _, c := range []struct {
		start  string
		status int
	}{
		{poller.StartAll, http.StatusInternalServerError}, {poller.StartNow, http.StatusInternalServerError},
		{poller.StartAll, http.StatusNotFound}, {poller.StartNow, http.StatusNotFound}, {poller.StartNow, http.StatusBadRequest},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = c.start
				w.cfg.Poll.Tuning.PageSize = 10
				var ids []string
				for i := range 30 {
					ids = append(ids, w.create(simulator.Fields{
						"status": "complete", "payment_status": "paid", "created": dayBefore(time.Duration(30-i) * time.Minute),
					}))
				}
				w.answer = func(req *http.Request) (int, string) {
					resp, err := serve(w.api, req)
					if err != nil {
						return http.StatusBadGateway, ""
					}
					body, _ := io.ReadAll(resp.Body)
					if strings.Contains(string(body), ids[29]) || strings.Contains(string(body), ids[12]) {
						return c.status, "boom"
					}
					return resp.StatusCode, string(body)
				}
				p := w.poller()
				w.run(p, 2*time.Minute)
				if status := p.Status()[0]; time.Since(status.LastSuccess) > 30*time.Second || len(status.Holes) != 2 {
					t.Errorf("last pass %s (%s), the holes are %+v", status.LastSuccess, status.Error, status.Holes)
				}
				id := w.create(paid())
				w.run(p, time.Minute)
				w.answer = nil
				w.run(p, 10*time.Minute)
				all := []string{"created", "completed", "paid", "fulfillable"}
				w.expect(id, all...)
				if c.start == poller.StartNow {
					all = nil
				}
				for _, id := range ids {
					w.expect(id, all...)
				}
			})
		})
	}
}

// What was ordered while nobody read the list is read in as few pages above a hole as
// without one, but for those that find its upper end.
func TestCatchingUpAboveAHole(t *testing.T) {
	t.Parallel()
	for _, orders := range []int{1, 2, 3, 5, 30, 99, 400} {
		t.Run(fmt.Sprint(orders), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.shop()
				w.cfg.Poll.Tuning.PageSize = 100
				w.run(w.poller(), time.Minute)
				s.poison["cs_2000"] = true
				s.newest("cs_2000", time.Now(), "complete", "paid")
				time.Sleep(20 * time.Second)
				s.newest("cs_2001", time.Now(), "complete", "paid")
				w.run(w.poller(), 5*time.Minute)
				s.lists = 0
				if err := w.poller().RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				usual := s.lists
				for i := range orders {
					s.newest(fmt.Sprintf("cs_%d", 3000+i), time.Now(), "complete", "paid")
					time.Sleep(2 * time.Second)
				}
				s.lists = 0
				if err := w.poller().RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i := range orders {
					w.expect(fmt.Sprintf("cs_%d", 3000+i), "created", "completed", "paid", "fulfillable")
				}
				t.Logf("%d requests for lists, %d where nothing is new", s.lists, usual)
				if most := usual + min(orders, 3) + orders/100 + 3*bits.Len(uint(orders)); s.lists > most {
					t.Errorf("%d requests for lists, want at most %d", s.lists, most)
				}
			})
		})
	}
}

// A session that becomes visible late beside one that cannot be shown is found as
// long as sessions become visible.
func TestLateSessionInAHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_2000"] = true
		s.newest("cs_2000", time.Now(), "complete", "paid")
		w.run(p, 20*time.Second)
		late := time.Now()
		w.run(p, 20*time.Second)
		s.newest("cs_2002", time.Now(), "complete", "paid")
		w.run(p, 5*time.Minute)
		s.newest("cs_2001", late, "complete", "paid")
		s.ids[0], s.ids[1] = s.ids[1], s.ids[0]
		w.run(p, 3*time.Minute)
		w.expect("cs_2001", "created", "completed", "paid", "fulfillable")
	})
}

// A known session over which the API fails is named and asked for less and less
// often; those that share its page are looked at as often as ever.
func TestKnownSessionThatCannotBeShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		for i := range 20 {
			s.add(fmt.Sprintf("cs_%d", 100-i), time.Now().Add(-60*time.Hour-time.Duration(i)*time.Minute), "complete", "unpaid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_95"] = true
		w.run(p, 2*time.Hour)
		status := p.Status()[0]
		if !status.Healthy || len(status.Holes) != 2 {
			t.Errorf("healthy %t (%s), the holes are %+v, want a session and a part of the list", status.Healthy, status.Error, status.Holes)
		}
		before := w.requests
		w.run(p, time.Hour)
		if cost := w.requests - before; cost > 3*360 {
			t.Errorf("%d requests in an hour", cost)
		}
		pay := func(id string) { s.items[id] = strings.Replace(s.items[id], "unpaid", "paid", 1) }
		pay("cs_97")
		pay("cs_93")
		pay("cs_95")
		w.run(p, 16*time.Minute)
		w.expect("cs_97", "paid", "fulfillable")
		w.expect("cs_93", "paid", "fulfillable")
		clear(s.poison)
		w.run(p, 61*time.Minute)
		w.expect("cs_95", "paid", "fulfillable")
		if holes := p.Status()[0].Holes; len(holes) > 0 {
			t.Errorf("the holes are %+v", holes)
		}
	})
}

// A process for each pass knows nothing of the sessions that the one before could not be
// shown: they do not keep it from those that it comes to later.
func TestSessionsThatCannotBeShownToOnePass(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.Concurrency = 1
				s := w.shop()
				s.status = status
				for i := range 30 {
					s.add(fmt.Sprintf("cs_%d", 900-i), time.Now().Add(-time.Duration(31+i)*time.Minute), "complete", "paid")
				}
				for _, id := range []string{"cs_1014", "cs_1003", "cs_885"} { // each on a page of its own
					s.set(id, time.Unix(s.created[id], 0), "open", "unpaid")
				}
				pass := func() error {
					time.Sleep(time.Minute)
					return w.poller().RunOnce(t.Context())
				}
				if err := pass(); err != nil {
					t.Fatal(err)
				}
				s.poison["cs_1014"], s.poison["cs_1003"] = true, true
				s.set("cs_885", time.Unix(s.created["cs_885"], 0), "complete", "paid")
				for range 5 {
					if err := pass(); err != nil {
						t.Error(err)
					}
				}
				w.expect("cs_885", "completed", "paid", "fulfillable")
			})
		})
	}
}

// A hole among sessions of one second, whose order no id tells, may seem to end with one
// that stands above it: nobody goes round in circles there.
func TestHoleThatEndsAboveItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		at := time.Now()
		for _, id := range []string{"cs_1102", "cs_1103", "cs_1101"} {
			s.newest(id, at, "complete", "paid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		s.newest("cs_2000", time.Now(), "complete", "paid")
		s.poison["cs_2000"], s.poison["cs_1029"] = true, true
		s.lists = 0
		w.run(p, 10*time.Minute)
		if s.lists > 600 {
			t.Errorf("%d requests for lists in ten minutes", s.lists)
		}
		s.newest("cs_2001", time.Now(), "complete", "paid")
		w.run(p, time.Minute)
		w.expect("cs_2001", "created", "completed", "paid", "fulfillable")
	})
}
