package poller_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// monthsAgo is a start long before the sessions of these tests.
const monthsAgo = "2026-09-22T10:00:00Z"

// alone counts what is asked for by its id.
func (w *world) alone(answer func(*http.Request) (int, string)) map[string]int {
	asked := map[string]int{}
	w.answer = func(req *http.Request) (int, string) {
		if !isList(req) {
			w.mu.Lock()
			asked[req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]]++
			w.mu.Unlock()
		}
		return answer(req)
	}
	return asked
}

// showingAll is showing for an API that ignores created.
func (l *listing) showingAll(req *http.Request, rows map[string]string) (int, string) {
	if !isList(req) {
		return l.answer(req)
	}
	shown := &listing{ids: l.ids, items: make(map[string]string)}
	for _, id := range l.ids {
		shown.items[id] = l.items[id]
		if row, ok := rows[id]; ok {
			shown.items[id] = row
		}
	}
	return shown.answer(req)
}

func paidRow(id string, created time.Time) string {
	return fmt.Sprintf(`{"id":%q,"created":%d,"status":"complete","payment_status":"paid"}`, id, created.Unix())
}

// A creation time that contradicts what was asked for, or where the row stands, decides
// nothing: the session is asked for by its id.
func TestMisdatedRowIsAskedForByID(t *testing.T) {
	year := func(time.Time) time.Time { return time.UnixMilli(1500000000000) }
	zone := func(created time.Time) time.Time { return created.Add(-8 * time.Hour) }
	for _, c := range []struct {
		name, start string
		wrong       func(time.Time) time.Time
		others      int // younger than an hour
		ignored     bool
		times       int // new ones with a wrong time
		size        int // of a page
	}{
		{"year", monthsAgo, year, 5, false, 1, 100},
		{"year, created[gte] ignored", monthsAgo, year, 5, true, 1, 100},
		{"year, three of them", monthsAgo, year, 5, false, 3, 100},
		{"year, three of them, created[gte] ignored", poller.StartNow, year, 5, true, 3, 100},
		{"year, all that is shown", monthsAgo, year, 0, false, 3, 100},
		{"year, all that is shown, created[gte] ignored", poller.StartNow, year, 0, true, 3, 100},
		{"year, start now", poller.StartNow, year, 5, false, 1, 100},
		{"year, last of its page, created[gte] ignored", poller.StartNow, year, 5, true, 1, 2},
		{"zone, start now", poller.StartNow, zone, 5, false, 1, 100},
		{"zone, all that is shown", poller.StartNow, zone, 0, false, 1, 100},
		{"zone, created[gte] ignored", poller.StartNow, zone, 5, true, 1, 100},
		{"zone, months ago", monthsAgo, zone, 5, false, 1, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start, w.cfg.Poll.Interval, w.cfg.Poll.Tuning.PageSize = c.start, 30*time.Second, c.size
				l, rows := newListing(), map[string]string{}
				show := l.showing
				if c.ignored {
					show = l.showingAll
				}
				for i := range c.others {
					l.add(fmt.Sprintf("cs_%d", 900-i), time.Now().Add(-time.Duration(i)*time.Minute), "open", "unpaid")
				}
				old := 70 * 24 * time.Hour
				if c.start == poller.StartNow {
					old = 30 * time.Minute
				}
				l.add("cs_100", time.Now().Add(-old), "complete", "paid")
				asked := w.alone(func(req *http.Request) (int, string) { return show(req, rows) })
				p := w.poller()
				w.run(p, time.Hour)
				clear(asked)
				for i := range c.times {
					id := fmt.Sprintf("cs_%d", 1000+i)
					l.order(id, "complete", "paid")
					rows[id] = paidRow(id, c.wrong(time.Now()))
				}
				l.order("cs_1100", "complete", "paid")
				time.Sleep(time.Second)
				if c.others == 0 {
					l.ids = l.ids[1:] // nothing else is shown
				}
				w.run(p, time.Minute)
				for i := range c.times {
					id := fmt.Sprintf("cs_%d", 1000+i)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					if made := w.snapshots[id].Created; time.Since(made) > time.Hour {
						t.Errorf("%s is recorded as created at %s", id, made)
					}
				}
				clear(rows)
				w.run(p, 2*time.Hour)
				for id, n := range asked {
					if n > 1 {
						t.Errorf("%s was asked for %d times", id, n)
					}
				}
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 || w.events["cs_100"] != nil {
					t.Errorf("error %q, holes %+v, events of what existed %v", s.Error, s.Holes, w.events["cs_100"])
				}
			})
		})
	}
}

// What the API gives no answer for by its id either is not recorded as an old one: it is
// named, holds up nothing else, and is announced once its creation time is known.
func TestMisdatedRowThatCannotBeAskedFor(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusInternalServerError} {
		for _, by := range []string{"list", "id"} {
			t.Run(fmt.Sprint(status, " until right by ", by), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Start = monthsAgo
					l, rows := newListing(), map[string]string{}
					l.add("cs_5", time.Now(), "open", "unpaid")
					away := true
					asked := w.alone(func(req *http.Request) (int, string) {
						if away && strings.HasSuffix(req.URL.Path, "/cs_6") {
							return status, `{"error":{"message":"not now"}}`
						}
						return l.showing(req, rows)
					})
					p := w.poller()
					w.run(p, time.Minute)
					l.order("cs_6", "complete", "paid")
					rows["cs_6"] = paidRow("cs_6", time.UnixMilli(1500000000000))
					time.Sleep(time.Second)
					l.order("cs_7", "complete", "paid")
					w.run(p, time.Hour)
					w.expect("cs_7", "created", "completed", "paid", "fulfillable")
					s := p.Status()[0]
					if _, known := w.snapshots["cs_6"]; known || !s.Healthy || len(s.Holes) != 1 || s.Holes[0].Session != "cs_6" {
						t.Errorf("recorded %t, error %q, holes %+v", known, s.Error, s.Holes)
					}
					if n := asked["cs_6"]; n == 0 || n > 40 {
						t.Errorf("it was asked for %d times", n)
					}
					if by == "list" {
						clear(rows)
						w.run(p, time.Minute)
					} else {
						away = false
						for i := 0; i < 30 && w.events["cs_6"] == nil; i++ {
							w.run(p, time.Minute)
						}
					}
					w.expect("cs_6", "created", "completed", "paid", "fulfillable")
					if s := p.Status()[0]; len(s.Holes) > 0 {
						t.Errorf("still named: %+v", s.Holes)
					}
				})
			})
		}
	}
}

// If the API says the same by id the session is what it is, and is not asked for again.
func TestMisdatedByIDAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = monthsAgo
		l := newListing()
		l.add("cs_5", time.Now(), "open", "unpaid")
		asked := w.alone(l.within)
		p := w.poller()
		w.run(p, time.Minute)
		l.order("cs_6", "complete", "paid")
		l.items["cs_6"] = paidRow("cs_6", time.UnixMilli(1500000000000))
		w.run(p, 2*time.Hour)
		w.expect("cs_6")
		if _, known := w.snapshots["cs_6"]; !known || asked["cs_6"] != 1 {
			t.Errorf("recorded %t, asked for %d times", known, asked["cs_6"])
		}
	})
}

// Whatever the API ignores and however it sorts, old sessions cost no requests of their own
// in every pass, neither before nor after the index has forgotten them.
func TestOldSessionsAreNotMisdated(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		for _, ascending := range []bool{false, true} {
			t.Run(fmt.Sprintf("created ignored %t, ascending %t", ignored, ascending), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Interval = 30 * time.Second
					w.cfg.Start = time.Now().Add(-3 * 24 * time.Hour).Format(time.RFC3339)
					l := newListing()
					for i := range 250 { // of 40 days
						l.add(fmt.Sprintf("cs_%d", 9000-i), time.Now().Add(-time.Duration(i)*230*time.Minute), "complete", "paid")
					}
					order := func() {
						l.order(fmt.Sprintf("cs_%d", 9001+len(l.ids)), "complete", "paid")
					}
					if ascending {
						slices.Reverse(l.ids)
						order = func() { l.add(fmt.Sprintf("cs_%d", 9001+len(l.ids)), time.Now(), "complete", "paid") }
					}
					answer := l.within
					if ignored {
						answer = l.answer
					}
					asked := w.alone(answer)
					p := w.poller()
					for range 12 {
						w.run(p, 5*time.Minute)
						order()
					}
					if len(asked) > 175 { // once each
						t.Errorf("%d sessions were asked for", len(asked))
					}
					clear(asked)
					for range 12 {
						w.run(p, 5*time.Minute)
						order()
					}
					w.backfill(p, time.Hour, poller.Backfill{Since: time.Now().Add(-50 * 24 * time.Hour)})
					if len(asked) > 20 { // for pages of strangers
						t.Errorf("%d sessions were asked for in the second hour", len(asked))
					}
					for i := range 24 {
						w.expect(fmt.Sprintf("cs_%d", 9001+250+i), "created", "completed", "paid", "fulfillable")
					}
					if n := len(w.snapshots); n < 110 {
						t.Errorf("%d sessions are recorded", n)
					}
					if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
						t.Errorf("error %q, holes %+v", s.Error, s.Holes)
					}
				})
			})
		}
	}
}

// Another creation time of a known session changes nothing.
func TestKnownSessionWithAnotherTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = monthsAgo
		l, rows := newListing(), map[string]string{}
		l.add("cs_5", time.Now(), "complete", "paid")
		asked := w.alone(func(req *http.Request) (int, string) { return l.showing(req, rows) })
		p := w.poller()
		w.run(p, time.Minute)
		created := w.snapshots["cs_5"].Created
		rows["cs_5"] = paidRow("cs_5", created.Add(-8*time.Hour))
		w.run(p, 20*time.Minute)
		if now := w.snapshots["cs_5"].Created; !now.Equal(created) || len(asked) > 0 {
			t.Errorf("created %s, now %s, asked for %v", created, now, asked)
		}
	})
}

// A refusal by id contradicts the list, which shows the session: one replica that lags must
// not make a new order pass for an old one. It is believed once it has lasted, or where the
// API answers for no single session.
func TestRefusalOfAListedSessionIsNotBelievedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		lags    time.Duration // the answers by id
		single  bool          // the API answers for others
		restart bool
		silent  time.Duration // recorded without an announcement until then, 0: announced
	}{
		{"first answer", 3 * time.Second, true, false, 0},
		{"half a minute", 25 * time.Second, true, false, 0},
		{"nearly a minute", 55 * time.Second, true, false, 0},
		{"over a restart", 55 * time.Second, true, true, 0},
		{"for good", 24 * time.Hour, true, false, 100 * time.Second},
		{"no single sessions", 24 * time.Hour, false, false, 15 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l, rows := newListing(), map[string]string{}
				l.add("cs_5", time.Now().Add(time.Second), "open", "unpaid")
				until, old := time.Time{}, time.Now().Add(-10*time.Minute)
				w.answer = func(req *http.Request) (int, string) {
					if !isList(req) && (!c.single || (strings.HasSuffix(req.URL.Path, "/cs_6") && time.Now().Before(until))) {
						return http.StatusNotFound, `{"error":{"message":"No such checkout session"}}`
					}
					return l.showing(req, rows)
				}
				p := w.poller()
				w.run(p, time.Minute)
				until = time.Now().Add(c.lags)
				l.add("cs_6", time.Now(), "complete", "paid")
				rows["cs_6"] = paidRow("cs_6", old)
				w.run(p, 10*time.Second)
				if c.restart {
					p = w.poller()
				}
				if c.silent > 0 {
					w.run(p, c.silent-10*time.Second)
					w.expect("cs_6")
					if _, known := w.snapshots["cs_6"]; !known {
						t.Error("it is not recorded")
					}
				} else {
					w.run(p, 90*time.Second)
					w.expect("cs_6", "created", "completed", "paid", "fulfillable")
				}
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
					t.Errorf("error %q, holes %+v", s.Error, s.Holes)
				}
			})
		})
	}
}

// The first order of an account that had none is no old one either.
func TestMisdatedFirstSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, rows := newListing(), map[string]string{}
		w.answer = func(req *http.Request) (int, string) { return l.showing(req, rows) }
		p := w.poller()
		w.run(p, time.Minute)
		l.order("cs_6", "complete", "paid")
		rows["cs_6"] = paidRow("cs_6", time.Now().Add(-8*time.Hour))
		w.run(p, 5*time.Second)
		w.expect("cs_6", "created", "completed", "paid", "fulfillable")
	})
}

// What is shown after an old session is old only if the API honours starting_after.
func TestMisdatedRowBelowAnIgnoredCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l, rows := newListing(), map[string]string{}
		w.cfg.Poll.Tuning.PageSize = 3
		for i := range 6 {
			l.add(fmt.Sprintf("cs_%d", 5-i), time.Now().Add(-time.Duration(2+i)*time.Hour), "open", "unpaid")
		}
		began := time.Now()
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return l.answer(req)
			}
			_, _, limit, after := asked(req)
			shown := &listing{ids: l.ids, items: maps.Clone(l.items), created: l.created}
			maps.Copy(shown.items, rows)
			if after != "cs_3" { // the others come to see them a while later
				delete(shown.items, "cs_7")
				delete(shown.items, "cs_8")
			}
			if after == "" {
				return shown.within(req)
			}
			return http.StatusOK, shown.page(limit, "")
		}
		p := w.poller()
		w.run(p, time.Minute)
		l.order("cs_6", "open", "unpaid")
		w.run(p, time.Minute)
		for _, id := range []string{"cs_7", "cs_8"} {
			l.order(id, "complete", "paid")
			rows[id] = paidRow(id, began.Add(-8*time.Hour))
		}
		w.run(p, 20*time.Minute)
		clear(rows)
		w.run(p, time.Minute)
		for _, id := range []string{"cs_7", "cs_8"} {
			if told := w.events[id]; len(told) < 4 {
				t.Errorf("of %s only %v was told", id, told)
			}
		}
	})
}

// A process that makes one pass asks by id for what only its reconciliation came upon.
func TestLateSessionOfSinglePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		l.add("cs_5", time.Now(), "open", "unpaid")
		created := time.Now().Add(-2 * time.Hour)
		l.add("cs_4", created, "open", "unpaid")
		late := l.items["cs_4"]
		delete(l.items, "cs_4")
		w.answer = l.within
		passes := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Minute) {
				if err := w.poller().RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		passes(time.Hour)
		l.items["cs_4"] = late
		passes(3 * time.Hour)
		l.set("cs_4", created, "complete", "paid")
		passes(time.Hour)
		w.expect("cs_4", "completed", "paid", "fulfillable")
	})
}
