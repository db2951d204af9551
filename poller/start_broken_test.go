package poller_test

import (
	"cmp"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// old returns an API that fails over ranges of its list, with n sessions of three days of
// which the one of an age cannot be shown.
func (w *world) old(n int, broken time.Duration) (r *ranged, id string) {
	r = w.ranged()
	r.l = newListing()
	r.n = 1000 + n
	for i := range n {
		at := time.Now().Add(-3*days + time.Duration(i)*3*days/time.Duration(n))
		if age := time.Since(at); id == "" && age <= broken {
			id, at = fmt.Sprintf("cs_%d", 1000+i), time.Now().Add(-broken)
			r.broken[id] = true
		}
		r.l.ids = append([]string{fmt.Sprintf("cs_%d", 1000+i)}, r.l.ids...)
		r.l.set(fmt.Sprintf("cs_%d", 1000+i), at, "complete", "paid")
		if broken < 3*time.Hour && id != "" {
			break // it is the newest
		}
	}
	return r, id
}

// An account starts, and announces what is ordered from then on, whatever old session the
// API cannot show. What existed stays silent, also when it can be shown.
func TestStartAboveAnOldSessionThatCannotBeShown(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		pages  bool          // it fails only over pages with the session
		broken time.Duration // the age of that session
		own    time.Duration // by how much our own clock is ahead
		start  bool          // it is configured as a time
	}{
		"a range":                              {broken: 36 * time.Hour},
		"a range, a configured start":          {broken: 36 * time.Hour, start: true},
		"a range, the newest":                  {broken: 2 * time.Hour},
		"a page, the newest":                   {broken: 2 * time.Hour, pages: true},
		"a page, a configured start":           {broken: 2 * time.Hour, pages: true, start: true},
		"a range, our clock is behind":         {broken: 36 * time.Hour, own: -days},
		"a range, our clock is ahead":          {broken: 36 * time.Hour, own: days},
		"a page, our clock is behind":          {broken: 2 * time.Hour, pages: true, own: -days},
		"a page, our clock is ahead":           {broken: 2 * time.Hour, pages: true, own: days},
		"a range, our clock is minutes behind": {broken: 36 * time.Hour, own: -10 * time.Minute},
	} {
		for answer, status := range map[string]int{"500": http.StatusInternalServerError, "403": http.StatusForbidden, "hang": 0} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, restart %t", name, answer, restart), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						r, broken := w.old(40, scene.broken)
						r.hangs, r.status, r.pages, w.own = status == 0, status, scene.pages, scene.own
						if scene.start {
							w.cfg.Start = ago(0)
						}
						existed := append([]string(nil), r.l.ids...)
						p := w.poller()
						stop := w.start(p)
						time.Sleep(10 * time.Second)
						if status == 0 || scene.own != 0 { // a question takes the whole timeout; by clocks that differ
							time.Sleep(2 * time.Minute) // all that the first pass shows existed
						}
						if restart {
							stop()
						}
						first := r.order() // is there, paid, before anything else was shown
						if restart {
							time.Sleep(10 * time.Second)
							p = w.poller()
							stop = w.start(p)
						}
						for range 30 {
							time.Sleep(10 * time.Second)
							r.order()
						}
						if late := r.late(2 * time.Minute); len(late) > 0 {
							t.Errorf("of %d orders these were not told: %v; %+v", len(r.paid), late, p.Status()[0])
						}
						if s := p.Status()[0]; !s.Healthy || len(s.Holes) != 1 {
							t.Errorf("healthy %t: %s; holes %+v", s.Healthy, s.Error, s.Holes)
						}
						r.mu.Lock()
						delete(r.broken, broken)
						r.mu.Unlock()
						time.Sleep(time.Hour)
						stop()
						if late := r.late(0); len(late) > 0 {
							t.Errorf("healed, these were not told: %v", late)
						}
						r.once()
						for _, id := range existed {
							if id != broken || scene.own != -days || !scene.pages { // a clock calls it newer, and nothing was shown that is as new
								w.expect(id)
							}
						}
						w.expect(first, "completed", "created", "fulfillable", "paid")
					})
				})
			}
		}
	}
}

// An API that shows nothing at all, or refuses the key, starts no account.
func TestNoStartWithoutAnAnswer(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound, -1} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				old := w.create(paid())
				w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
					if status < 0 {
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					return (&recorder{header: make(http.Header), status: status, body: []byte("no")}).response(req)
				})
				p := w.poller()
				w.run(p, 10*time.Minute)
				if s := p.Status()[0]; s.Healthy || !w.account.Start.IsZero() || s.Configured != poller.StartNow {
					t.Errorf("healthy %t, start %s, error %q", s.Healthy, w.account.Start, cmp.Or(s.Error, "none"))
				}
				w.network = nil
				w.run(w.poller(), time.Minute)
				w.expect(old)
			})
		})
	}
}

// An API that shows nothing but answers some questions lets the account start, but shows no
// clock to be right: what existed stays silent whichever is wrong, and what was ordered since
// is announced.
func TestStartWhileNothingIsShown(t *testing.T) {
	t.Parallel()
	for _, own := range []time.Duration{0, -days, days, -10 * time.Minute, 10 * time.Minute} {
		for _, empty := range []bool{false, true} { // or ranges show nothing because there is nothing
			t.Run(fmt.Sprintf("own %s, empty %t", own, empty), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					r, _ := w.old(40, 36*time.Hour)
					w.own = own
					if empty {
						r.l = newListing()
					}
					existed := append([]string(nil), r.l.ids...)
					for _, id := range existed {
						r.broken[id] = true
					}
					p := w.poller()
					w.run(p, 2*time.Minute)
					for range 10 {
						if !empty {
							r.broken[r.order()] = true
						} else {
							r.order()
						}
						w.run(p, time.Minute)
					}
					clear(r.broken)
					w.run(p, time.Hour)
					w.run(w.poller(), time.Hour)
					for _, id := range existed {
						w.expect(id)
					}
					if late := r.late(0); len(late) > 0 {
						t.Errorf("these were not told: %v", late)
					}
					r.once()
				})
			})
		}
	}
}

// Where created[lte] is ignored too, nothing below the newest session can be read if the API
// cannot show that one, but what is ordered above it is told.
func TestStartAboveANewestSessionWithoutLTE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, _ := w.old(40, 2*time.Hour)
		r.pages, r.ignores = true, "lte"
		p := w.poller()
		w.run(p, time.Minute)
		fresh := r.order()
		w.run(p, time.Minute)
		w.expect(fresh, "created", "completed", "paid", "fulfillable")
	})
}
