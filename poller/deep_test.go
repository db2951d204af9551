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

// An item that is nested too deeply is refused alone, however deep it is: what was
// stored of its session stays, the rest of its page is read, and it is said.
func TestItemsTooDeepAreLeftAsTheyWere(t *testing.T) {
	for _, depth := range []int{1_001, 9_997, 9_998, 10_001, 50_000} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.answer = func(req *http.Request) (int, string) {
					w.mu.Lock()
					defer w.mu.Unlock()
					return l.answer(req)
				}
				set := func(id, status, payment string, depth int) {
					w.mu.Lock()
					defer w.mu.Unlock()
					l.set(id, time.Now().Add(-time.Minute), status, payment)
					deep := strings.Repeat(`{"a":[`, depth/2) + strings.Repeat(`]}`, depth/2)
					l.items[id] = strings.TrimSuffix(l.items[id], "}") + `,"note":"\"}]","x":` + deep + "}"
				}
				for _, id := range []string{"cs_3", "cs_2", "cs_1"} {
					l.ids = append(l.ids, id)
					set(id, "open", "unpaid", 10)
				}
				w.cfg.Start = poller.StartAll
				p := w.poller()
				w.run(p, 5*time.Second)
				set("cs_2", "complete", "paid", depth)
				set("cs_1", "complete", "paid", 10)
				w.run(p, 2*time.Minute)
				w.expect("cs_1", "created", "completed", "paid", "fulfillable")
				w.expect("cs_2", "created")
				said := false
				for _, o := range p.Status()[0].Oddities {
					said = said || o.Code == "bad_item" && o.Count > 0 && strings.Contains(o.Detail, "deep")
				}
				if !said {
					t.Errorf("it is not said: %+v", p.Status()[0].Oddities)
				}
				set("cs_2", "complete", "paid", 10)
				w.run(p, 5*time.Minute)
				w.expect("cs_2", "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// Of the row of a session that is nested too deeply the id is known, however deep it is:
// the session is asked for by it.
func TestSessionOfADeepRowIsAskedForByID(t *testing.T) {
	for _, depth := range []int{1_001, 12_000, 50_000} {
		for _, first := range []bool{false, true} {
			t.Run(fmt.Sprint(depth, " deep part first ", first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					l, rows := newListing(), map[string]string{}
					l.add("cs_1", time.Now(), "open", "unpaid")
					w.answer = func(req *http.Request) (int, string) { return l.showing(req, rows) }
					p := w.poller()
					w.run(p, 5*time.Second)
					l.set("cs_1", time.Now(), "complete", "paid")
					l.order("cs_2", "complete", "paid")
					deep := `"x":` + strings.Repeat(`{"id":"cs_9","a":[`, depth/2) + strings.Repeat(`],"b":"]}"}`, depth/2)
					for id, row := range l.items {
						rows[id] = strings.TrimSuffix(row, "}") + "," + deep + "}"
						if first {
							rows[id] = "{" + deep + "," + strings.TrimPrefix(row, "{")
						}
					}
					l.order("cs_3", "complete", "paid")
					w.run(p, 30*time.Second)
					w.expect("cs_1", "completed", "paid", "fulfillable")
					w.expect("cs_2", "created", "completed", "paid", "fulfillable")
					w.expect("cs_3", "created", "completed", "paid", "fulfillable")
					if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
						t.Errorf("error %q, holes %+v", s.Error, s.Holes)
					}
				})
			})
		}
	}
}
