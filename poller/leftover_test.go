package poller_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/poller"
)

// oddRows are rows that stand in the place of a session's, of which no session has what
// may be taken for an id.
var oddRows = []string{`null`, `42`, `"cs_0"`, `"cs_1"`, `[]`, `{}`, `{"id":"cs_0","created":1}`, `{"id":"cs_0","created":null,"status":["open"]}`}

// Once the list is sound no row is remembered for longer than until a reconciliation,
// and a backfill is one; nothing is lost. While the list shows a row it is not forgotten.
func TestLeftOverGoesAway(t *testing.T) {
	inWorlds(t, 30, func(rt *rapid.T) {
		before := rapid.IntRange(0, 40).Draw(rt, "sessions before")
		gap := rapid.IntRange(5, 400).Draw(rt, "seconds between sessions")
		size := rapid.IntRange(3, 20).Draw(rt, "page size")
		last := rapid.Bool().Draw(rt, "at the end of pages")
		faulty := rapid.IntRange(5, 120).Draw(rt, "faulty seconds")
		quiet := rapid.Bool().Draw(rt, "quiet afterwards")
		backfill := rapid.Bool().Draw(rt, "backfill")
		seed := rapid.Uint64().Draw(rt, "seed")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			l := newListing()
			w.cfg.Poll.Interval, w.cfg.Poll.Tuning.ReconcileEvery = 15*time.Second, 10*time.Minute
			w.cfg.Poll.Tuning.PageSize = size
			n := 10000
			order := func(created time.Time) {
				l.ids = append([]string{fmt.Sprintf("cs_%d", n)}, l.ids...)
				l.set(l.ids[0], created, "complete", "paid")
				n++
			}
			for i := range before {
				order(time.Now().Add(time.Duration(i-before) * time.Duration(gap) * time.Second))
			}
			rng := seed
			odd := false
			w.answer = func(req *http.Request) (int, string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				rng = rng*6364136223846793005 + 1442695040888963407
				status, body := l.within(req)
				if rows := strings.Split(body, `},{`); isList(req) && odd && strings.Contains(body, `{"id"`) {
					at := int(rng>>33) % len(rows)
					if last {
						at = len(rows) - 1
					}
					row := strings.Trim(rows[at], "]}")
					row = row[strings.LastIndex(row, `"id"`):]
					body = strings.Replace(body, "{"+row+"}", oddRows[int(rng>>40)%len(oddRows)], 1)
				}
				return status, body
			}
			p := w.poller()
			w.run(p, 30*time.Second)
			run := func(seconds int, orders bool) {
				for range max(seconds/gap, 1) {
					if orders {
						w.mu.Lock()
						order(time.Now())
						w.mu.Unlock()
					}
					w.run(p, time.Duration(min(gap, seconds))*time.Second)
				}
			}
			run(60, true)
			odd = true
			run(faulty, true)
			odd = false
			run(60, !quiet)
			if backfill {
				w.backfill(p, time.Minute, poller.Backfill{})
			} else {
				w.run(p, w.cfg.Poll.Tuning.ReconcileEvery+3*time.Minute)
			}
			w.run(p, 30*time.Second)
			if s := p.Status()[0]; len(s.Holes) > 0 || !s.Healthy {
				rt.Errorf("holes %+v, error %q", s.Holes, s.Error)
			}
			for _, id := range l.ids {
				if _, known := w.snapshots[id]; !known {
					rt.Errorf("%s was lost", id)
				}
			}
		})
	})
}

// A row that the list goes on showing is told of all the time, wherever it stands, and
// no longer than it is shown.
func TestLeftOverStaysWhileShown(t *testing.T) {
	for _, row := range []string{`42`, `"cs_0"`} {
		for _, age := range []time.Duration{0, 3 * time.Hour, 10 * 24 * time.Hour} {
			t.Run(fmt.Sprint(row, age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Interval = 30 * time.Second
					l := newListing()
					w.answer = func(req *http.Request) (int, string) {
						w.mu.Lock()
						defer w.mu.Unlock()
						return l.showing(req, map[string]string{"cs_500": row})
					}
					for i := range 30 {
						l.add(fmt.Sprintf("cs_%d", 509-i), time.Now().Add(-age-time.Duration(i+3)*10*time.Minute), "complete", "paid")
					}
					p := w.poller()
					w.run(p, time.Minute)
					for i := range 20 {
						l.order(fmt.Sprintf("cs_%d", 1000+i), "complete", "paid")
						w.run(p, 10*time.Minute)
						if s := p.Status()[0]; len(s.Holes) == 0 {
							t.Fatalf("forgotten after %d0 minutes", i+1)
						}
					}
					l.ids = slices.DeleteFunc(l.ids, func(id string) bool { return id == "cs_500" })
					w.run(p, w.cfg.Poll.Tuning.ReconcileEvery+10*time.Minute)
					if s := p.Status()[0]; len(s.Holes) > 0 || len(s.Oddities) == 0 {
						t.Errorf("holes %+v", s.Holes)
					}
				})
			})
		}
	}
}

// A row at the lower end of what the passes read is not remembered for longer because
// the next one reads less.
func TestLeftOverAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.within
		for i := range 100 {
			l.add(fmt.Sprintf("cs_%d", 500-i), time.Now().Add(-time.Duration(i)*10*time.Second), "complete", "paid")
		}
		p := w.poller()
		w.run(p, time.Minute)
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.within(req)
			if at := strings.LastIndex(body, `{"id"`); isList(req) && at >= 0 {
				body = body[:at] + `"cs_0"` + body[strings.LastIndex(body, "]"):]
			}
			return status, body
		}
		l.order("cs_600", "complete", "paid")
		w.run(p, 15*time.Second)
		w.answer = l.within
		l.order("cs_601", "complete", "paid")
		w.run(p, time.Minute)
		if s := p.Status()[0]; len(s.Holes) > 0 {
			t.Errorf("holes %+v", s.Holes)
		}
	})
}
