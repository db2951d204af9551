package poller_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mall is a shop with more sessions that are settled, 100 on a page, over some of
// which the API answers 403.
func (w *world) mall(older int) *shop {
	s := w.shop()
	w.cfg.Poll.Tuning.PageSize = 100
	for i := range older {
		s.add(fmt.Sprintf("cs_%d", 900-i), time.Now().Add(-time.Duration(31+i)*time.Minute), "complete", "paid")
	}
	s.status = http.StatusForbidden
	return s
}

// A 403 for each page that would show one session is about that session and not
// about the key: others are told on time, it is named, and costs no more with time.
func TestForbiddenSessionHoldsNothingUp(t *testing.T) {
	for name, c := range map[string]struct {
		poison string
		older  int
	}{
		"a new one":             {"cs_2000", 270},
		"a new one among a few": {"cs_2000", 0},
		"a known one":           {"cs_1015", 270},
		"one of an older page":  {"cs_750", 270},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = 20 * time.Second
				s := w.mall(c.older)
				p := w.poller()
				w.run(p, time.Minute)
				s.poison[c.poison] = true
				var hours [3]int
				for hour := range hours {
					before := w.requests
					for minute := range 60 {
						id := fmt.Sprintf("cs_%d", 2000+hour*60+minute)
						s.newest(id, time.Now(), "complete", "paid")
						w.run(p, time.Minute)
						if id != c.poison {
							w.expect(id, "created", "completed", "paid", "fulfillable")
						}
					}
					hours[hour] = w.requests - before
					if hour == 1 {
						p = w.poller() // a restart knows it, too
					}
				}
				if hours[2] > hours[0]*11/10 || hours[0] > 4*180 {
					t.Errorf("%v requests in the hours", hours)
				}
				status := p.Status()[0]
				if !status.Healthy || status.Denied || time.Since(status.Reconciled) > 61*time.Minute || len(status.Holes) != 1 {
					t.Errorf("healthy %t (%s), reconciled %s, holes %+v", status.Healthy, status.Error, status.Reconciled, status.Holes)
				}
				clear(s.poison)
				w.run(p, 90*time.Minute)
				if c.poison == "cs_2000" {
					w.expect(c.poison, "created", "completed", "paid", "fulfillable")
				}
				if holes := p.Status()[0].Holes; len(holes) > 0 {
					t.Errorf("the holes are %+v", holes)
				}
			})
		})
	}
}

// An account whose newest session is answered by 403 when it starts, starts all
// the same.
func TestForbiddenSessionAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.poison(w.create(paid()), http.StatusForbidden, "boom")
		p := w.poller()
		w.run(p, 2*time.Minute)
		id := w.create(paid())
		w.run(p, time.Minute)
		w.expect(id, "created", "completed", "paid", "fulfillable")
	})
}

// A key that is refused is asked for again after five minutes, and at one other
// place, so that a page that is refused on its own cannot look like it.
func TestForbiddenKeyIsLeftAlone(t *testing.T) {
	for _, refusal := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(fmt.Sprint(refusal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.mall(270)
				p := w.poller()
				w.run(p, time.Minute)
				s.status = refusal
				for _, id := range s.ids {
					s.poison[id] = true
				}
				before := w.requests
				w.run(p, time.Hour)
				if n := w.requests - before; n < 12 || n > 26 { // the pauses have jitter
					t.Errorf("%d requests in an hour", n)
				}
				if status := p.Status()[0]; status.Healthy || !status.Denied || len(status.Holes) > 0 {
					t.Errorf("healthy %t, denied %t (%s), holes %+v", status.Healthy, status.Denied, status.Error, status.Holes)
				}
				clear(s.poison)
				s.newest("cs_3000", time.Now(), "complete", "paid")
				w.run(p, 6*time.Minute)
				w.expect("cs_3000", "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// Where some answers are 401 or 403 whatever was asked, nothing is taken for what cannot
// be shown, nor the key for refused.
func TestForbiddenAtRandom(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			refusedAtRandom(t, status)
		})
	}
}

func refusedAtRandom(t *testing.T, status int) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.mall(270)
		p := w.poller()
		w.run(p, time.Minute)
		answer, random := w.answer, rand.New(rand.NewPCG(1, 2))
		w.answer = func(req *http.Request) (int, string) {
			w.mu.Lock()
			refuse := random.IntN(20) == 0
			w.mu.Unlock()
			if refuse {
				return status, `{"error":{"message":"no"}}`
			}
			return answer(req)
		}
		before := w.requests
		for minute := range 100 {
			id := fmt.Sprintf("cs_%d", 2000+minute)
			s.newest(id, time.Now(), "complete", "paid")
			w.run(p, time.Minute)
			w.expect(id, "created", "completed", "paid", "fulfillable")
			if status := p.Status()[0]; len(status.Holes) > 0 || status.Denied {
				t.Errorf("in minute %d denied is %t, the holes are %+v", minute, status.Denied, status.Holes)
			}
		}
		if n := w.requests - before; n > 100*6*13/10 {
			t.Errorf("%d requests in 100 minutes", n)
		}
	})
}

// A key with which no session is shown any more is taken for a refused one, also where the
// API answers questions that show none.
func TestForbiddenKeyThatShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.mall(270)
		answer := w.answer
		w.answer = func(req *http.Request) (int, string) {
			var body []byte
			if req.Body != nil {
				body, _ = io.ReadAll(req.Body)
			}
			if strings.Contains(string(body), `"lte":"12888`) { // 2010
				return http.StatusOK, `{"object":"list","has_more":false,"data":[]}`
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			return answer(req)
		}
		p := w.poller()
		w.run(p, time.Minute)
		for _, id := range s.ids {
			s.poison[id] = true
		}
		before := w.requests
		w.run(p, 5*time.Minute)
		if status := p.Status()[0]; status.Healthy || !status.Denied {
			t.Errorf("after %d requests healthy %t, denied %t (%s), holes %+v", w.requests-before, status.Healthy, status.Denied, status.Error, status.Holes)
		}
		before = w.requests
		w.run(p, time.Hour)
		if n := w.requests - before; n < 12 || n > 26 {
			t.Errorf("%d requests in an hour", n)
		}
		clear(s.poison)
		s.newest("cs_3000", time.Now(), "complete", "paid")
		w.run(p, 6*time.Minute)
		w.expect("cs_3000", "created", "completed", "paid", "fulfillable")
	})
}

// A key that is refused from the question for a single session on is found out as soon
// as one that is refused for a page.
func TestForbiddenKeyBeginsWithASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		for i := range 20 {
			s.set(fmt.Sprintf("cs_%d", 1000+i), time.Now().Add(-time.Duration(30-i)*time.Minute), "open", "unpaid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_1010"] = true
		w.run(p, 20*time.Minute)
		answer, before := w.answer, 0
		w.answer = func(req *http.Request) (int, string) {
			w.mu.Lock()
			if before == 0 && !isList(req) {
				before = w.requests - 1
			}
			refused := before > 0
			w.mu.Unlock()
			if refused {
				return http.StatusForbidden, "no such key"
			}
			return answer(req)
		}
		for before == 0 {
			w.run(p, 10*time.Second)
		}
		w.run(p, time.Minute)
		if n := w.requests - before; n > 5 { // one may have been under way
			t.Errorf("%d requests were refused in a minute", n)
		}
	})
}

// Of several sessions that are answered by 403 at once none is taken for the key.
func TestForbiddenSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		s.status = http.StatusForbidden
		p := w.poller()
		w.run(p, 65*time.Second) // no pass is under way where a run ends
		for i := range 14 {
			s.poison[fmt.Sprintf("cs_%d", 1000+2*i)] = true
		}
		for minute := range 60 {
			id := fmt.Sprintf("cs_%d", 2000+minute)
			s.newest(id, time.Now(), "complete", "paid")
			if minute%10 == 5 {
				s.poison[id] = true
			}
			w.run(p, time.Minute)
			if !s.poison[id] {
				w.expect(id, "created", "completed", "paid", "fulfillable")
			}
		}
	})
}
