package poller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// shop is a list of 30 sessions of the last half hour, of which the API cannot
// show some: each answer that would holds an error instead.
type shop struct {
	*world
	*listing
	poison map[string]bool
	lists  int
	gets   int
}

func (w *world) shop() *shop {
	s := &shop{world: w, listing: newListing(), poison: make(map[string]bool)}
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
				return http.StatusInternalServerError, `boom`
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
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_2000"] = true
		var hours [5]int
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
		if hours[4] > hours[0]*11/10 || hours[0] > 3*360 {
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
