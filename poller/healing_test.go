package poller_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// byRange lets the API fail over each range in which a session stands, on whatever page
// of it, and over the session itself.
func byRange(l *listing, ill map[string]bool) func(*http.Request) (int, string) {
	return func(req *http.Request) (int, string) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		whole := req.Clone(req.Context())
		whole.Body = io.NopCloser(bytes.NewReader(limits.ReplaceAll(body, []byte(`"limit":1000`))))
		_, all := l.within(whole)
		for id := range ill {
			if strings.Contains(all, fmt.Sprintf("%q", id)) {
				return http.StatusInternalServerError, "boom"
			}
		}
		return l.within(req)
	}
}

// The API may come to show what it could not while a pass goes on: that pass was shown
// nothing of what stands in the hole, and that is no error.
func TestHoleThatHealsWhileThePassGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, poison, healing := newListing(), make(map[string]bool), false
		answer := byRange(l, poison)
		w.answer = func(req *http.Request) (int, string) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			if asked := string(body); healing && isList(req) && !strings.Contains(asked, "created") && strings.Contains(asked, `"limit":100`) {
				clear(poison)
			}
			return answer(req)
		}
		for n := range 10 {
			l.order(fmt.Sprintf("cs_%d", 1000+n), "complete", "paid")
			time.Sleep(time.Minute)
		}
		p := w.poller()
		w.run(p, time.Hour)
		l.order("cs_2000", "open", "unpaid")
		w.run(p, 12*time.Second)
		poison["cs_2000"] = true // known
		w.run(p, time.Minute)
		healing = true
		failed := 0
		for range 20 {
			if w.run(p, 9*time.Second); !p.Status()[0].Healthy {
				failed++
				t.Log(p.Status()[0].Error)
			}
		}
		if s := p.Status()[0]; failed > 0 || len(s.Holes) > 0 {
			t.Errorf("%d of 20 passes failed, holes %+v", failed, s.Holes)
		}
	})
}

// till is a listing that takes orders while it is polled.
type till struct {
	*world
	*listing
	ill  map[string]bool // sessions that the API cannot show
	made map[string]time.Time
}

// till lets a function of a listing and what is ill answer.
func (w *world) till(answer func(*listing, map[string]bool) func(*http.Request) (int, string)) *till {
	s := &till{world: w, listing: newListing(), ill: make(map[string]bool), made: make(map[string]time.Time)}
	answers := answer(s.listing, s.ill)
	w.answer = func(req *http.Request) (int, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return answers(req)
	}
	return s
}

func (s *till) paid(id string, ill bool) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.made[id] = time.Now()
	s.order(id, "complete", "paid")
	if ill {
		s.ill[id] = true
	}
}

// heal lets the API show everything.
func (s *till) heal() {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	clear(s.ill)
}

// pay lets a session be paid.
func (s *till) pay(id string) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.made[id] = time.Now()
	s.set(id, time.Unix(s.created[id], 0), "complete", "paid")
}

func (s *till) asked() int {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.requests
}

// waits lets some time pass, with an order every so often, and returns for how long each one
// waited that was announced meanwhile, counted from now at the earliest. Those that are not
// announced have waited so far.
func (s *till) waits(d, every time.Duration) map[string]time.Duration {
	began, waited := time.Now(), make(map[string]time.Duration)
	for next := began; time.Since(began) < d; time.Sleep(time.Second / 2) {
		if !time.Now().Before(next) {
			next = next.Add(every)
			s.paid(fmt.Sprintf("cs_9%d", time.Now().Unix()), false)
		}
		s.world.mu.Lock()
		for id, at := range s.made {
			if _, told := waited[id]; !told && slices.Contains(s.events[id], "fulfillable") {
				waited[id] = min(time.Since(began), time.Since(at))
			}
		}
		s.world.mu.Unlock()
	}
	for id, at := range s.made {
		if _, told := waited[id]; !told {
			waited[id] = min(time.Since(began), time.Since(at))
		}
	}
	return waited
}

// byPage lets the API fail over each page with an ill session, and over that session.
func byPage(l *listing, ill map[string]bool) func(*http.Request) (int, string) {
	return l.sick(ill, func() bool { return false })
}

// What stands in holes is told soon after the API shows it, in whole pages, also where
// passes take longer than their interval. It holds up nobody who orders meanwhile.
func TestHolesAreReadInWholePagesOnceTheyAreShown(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{time.Second, 10 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.RateLimit, w.cfg.Poll.Interval, w.cfg.Poll.Tuning.PageSize = 5, interval, 10
				s := w.till(byPage)
				for n := range 60 {
					s.order(fmt.Sprintf("cs_%d", 1000+n), "open", "unpaid")
					time.Sleep(time.Minute)
				}
				w.run(w.poller(), 20*time.Second)
				for n := range 600 { // as many as a pass reads in twelve seconds
					s.paid(fmt.Sprintf("cs_%d", 2000+n), n%150 >= 100)
					time.Sleep(50 * time.Millisecond)
				}
				p := w.poller()
				w.run(p, 150*time.Second)
				if n := len(p.Status()[0].Holes); n != 4 {
					t.Fatalf("%d holes", n)
				}
				s.heal()
				stop := s.start(p)
				longest := make(map[bool]time.Duration) // of those in the holes, and of others
				for id, waited := range s.waits(2*time.Minute, 5*time.Second) {
					longest[id < "cs_9"] = max(longest[id < "cs_9"], waited)
				}
				stop()
				if longest[true] > 35*time.Second || longest[false] > 20*time.Second || len(p.Status()[0].Holes) > 0 {
					t.Errorf("those in the holes waited for up to %v, others for up to %v; holes %+v", longest[true], longest[false], p.Status()[0].Holes)
				}
			})
		})
	}
}

// An API that comes back after an outage with a session that it cannot show, on the newest
// page, is read as soon as it is asked: the pauses of the outage are no pauses of that
// session. While it is away it is asked seldom.
func TestOutageThatLeavesASessionThatCannotBeShown(t *testing.T) {
	t.Parallel()
	const asked, margin = 30 * time.Second, 20 * time.Second // the longest pause of an outage; to find out what is shown
	for name, answer := range map[string]func(*listing, map[string]bool) func(*http.Request) (int, string){"page": byPage, "range": byRange} {
		for _, outage := range []time.Duration{15 * time.Second, time.Minute, 10 * time.Minute} {
			t.Run(fmt.Sprint(name, outage), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.RateLimit = 5
					s := w.till(answer)
					for n := range 60 {
						s.paid(fmt.Sprintf("cs_%d", 1000+n), false)
						time.Sleep(time.Minute)
					}
					clear(s.made)
					s.set("cs_1050", time.Unix(s.created["cs_1050"], 0), "open", "unpaid")
					var down atomic.Bool
					answers := w.answer
					w.answer = func(req *http.Request) (int, string) {
						if down.Load() {
							return http.StatusServiceUnavailable, "down"
						}
						return answers(req)
					}
					p := w.poller()
					w.run(p, 20*time.Second)
					stop := s.start(p)
					down.Store(true)
					before := s.asked()
					s.pay("cs_1050")
					for n := range 20 {
						s.paid(fmt.Sprintf("cs_%d", 2000+n), n == 10)
						time.Sleep(outage / 20)
					}
					if n := s.asked() - before; n > 18+int(outage/(4*time.Second)) {
						t.Errorf("%d requests in an outage of %v", n, outage)
					}
					down.Store(false)
					ended, ill := time.Now(), s.made["cs_2010"]
					for id, waited := range s.waits(2*time.Minute, 5*time.Second) {
						if at := s.made[id]; id == "cs_2010" || name == "range" && at.After(ill) && at.Before(ended.Add(asked+margin)) {
							continue // nothing shows what came after it and before it was found
						}
						if waited > asked+margin {
							t.Errorf("%s waited for %v", id, waited)
						}
					}
					stop()
				})
			})
		}
	}
}
