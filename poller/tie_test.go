package poller_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// The API promises no order within a second: where a page ends there, the next answer
// may have another one, and no session must fall between the two.
func TestOrderWithinASecondChanges(t *testing.T) {
	for _, c := range []struct{ size, together int }{{5, 3}, {5, 1}, {4, 9}, {2, 2}, {3, 3}, {4, 4}, {3, 7}, {1, 1}, {40, 30}} {
		t.Run(fmt.Sprintf("%d on a page, %d in a second", c.size, c.together), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, l, random := newWorld(t), newListing(), rand.New(rand.NewPCG(1, 2))
				w.cfg.Start = poller.StartAll
				w.cfg.Poll.Tuning.PageSize = c.size
				const seconds = 20
				l.add("cs_newest", time.Now().Add(-time.Minute), "complete", "paid")
				for i := range seconds * c.together {
					created := time.Now().Add(-30*time.Hour - time.Duration(i/c.together)*time.Second)
					l.add(fmt.Sprintf("cs_%d", i), created, "complete", "paid")
				}
				asked := 0
				w.answer = func(req *http.Request) (int, string) {
					asked++
					for from := 1; from < len(l.ids); from += c.together {
						second := l.ids[from : from+c.together]
						random.Shuffle(len(second), func(i, j int) { second[i], second[j] = second[j], second[i] })
					}
					return l.answer(req)
				}
				p := w.poller()
				if err := p.RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, id := range l.ids {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				for _, o := range p.Status()[0].Oddities {
					if o.Code == "bad_page" || o.Code == "cursor_ignored" {
						t.Errorf("odd: %+v", o)
					}
				}
				t.Log(asked, "requests")
			})
		})
	}
}

// A hole is not taken to end at a session of the second in which it begins: those that
// were shown stand above it, whatever their ids say.
func TestHoleBelowATie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.shop()
		at := time.Now()
		s.newest("cs_2000", at.Add(-time.Second), "complete", "paid")
		for _, id := range []string{"cs_2003", "cs_2001", "cs_2002"} {
			s.newest(id, at, "complete", "paid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		s.poison["cs_2000"] = true
		w.run(p, time.Minute)
		status := p.Status()[0]
		if len(status.Holes) != 1 || status.Holes[0].Above != "cs_2003" || status.Holes[0].Below != "cs_2000" {
			t.Errorf("holes %+v", status.Holes)
		}
		for _, o := range status.Oddities {
			if o.Code == "cursor_ignored" {
				t.Errorf("odd: %+v", o)
			}
		}
	})
}
