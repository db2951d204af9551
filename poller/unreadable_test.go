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

// A list of which nothing can be read is an answer all the same: the account
// starts, and what comes later is announced.
func TestListOfUnreadableItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		l.ids, l.items["bad"] = []string{"bad"}, `{"created":1795555555,"status":"open"}`
		if err := w.poller().RunOnce(t.Context()); err != nil {
			t.Errorf("a session without id fails the pass: %v", err)
		}
		time.Sleep(time.Minute)
		l.ids = nil
		l.add("cs_1", time.Now(), "complete", "paid")
		l.ids = append(l.ids, "bad")
		w.run(w.poller(), 15*time.Second)
		w.expect("cs_1", "created", "completed", "paid", "fulfillable")
	})
}

// What only one pass reads is asked for again when some of it cannot be read.
func TestSpoiledItemsBelowEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-time.Duration(40+i)*time.Hour), "complete", "paid")
		}
		n := 0
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			switch n++; n { // the second page
			case 2:
				body = strings.Replace(body, `"id":"cs_12"`, `"id":null`, 1)
			case 3:
				body = strings.Replace(body, `"cs_15","created"`, `"cs_15","status":null,"created_at"`, 1)
			case 5: // the third
				body = strings.Replace(body, `"status":"complete"`, `"status":null`, 1)
			}
			return status, body
		}
		w.run(w.poller(), time.Minute)
		for _, id := range l.ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
	})
}

// The oldest session of all is no less asked for again if it cannot be read at first,
// although the readable ones beside it were shown before or end the page.
func TestSpoiledItemAtTheEnd(t *testing.T) {
	for older := range 4 {
		t.Run(fmt.Sprint(older), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.cfg.Start = poller.StartAll
				w.cfg.Poll.Tuning.PageSize = 3
				for i := range 3 + older {
					l.add(fmt.Sprintf("cs_%d", 100-i), time.Now().Add(-time.Duration(40+i)*time.Hour), "complete", "paid")
				}
				last := l.ids[len(l.ids)-1]
				began := time.Now()
				w.answer = func(req *http.Request) (int, string) {
					status, body := l.answer(req)
					if isList(req) && time.Since(began) < 3*time.Minute {
						body = strings.Replace(body, fmt.Sprintf(`%q,"created"`, last), fmt.Sprintf(`%q,"status":null,"created_at"`, last), 1)
					}
					return status, body
				}
				w.run(w.poller(), 30*time.Minute)
				for _, id := range l.ids {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
			})
		})
	}
}

// Many rows in a row that make no sense, and that no later pass reads, come out about as
// fast as the rate allows for asking for each by its id.
func TestManyGarbledRowsBelowEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const garbled = 600
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.RateLimit = 5
		l.add("cs_9999", time.Now(), "open", "unpaid")
		rows := make(map[string]string)
		for i := range garbled + 20 {
			id := fmt.Sprintf("cs_%d", 5000-i)
			l.add(id, time.Now().Add(-40*time.Hour-time.Duration(i)*time.Second), "complete", "paid")
			if i >= 10 && i < garbled+10 {
				rows[id] = fmt.Sprintf(`{"id":%q,"created":null,"status":"complete"}`, id)
			}
		}
		lists := 0
		w.answer = func(req *http.Request) (int, string) {
			if isList(req) {
				lists++
			}
			return l.showing(req, rows)
		}
		p := w.poller()
		w.run(p, 4*time.Minute) // two of them are enough for 600 questions
		for id := range rows {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
		if holes := p.Status()[0].Holes; len(holes) > 0 || lists > 120 {
			t.Errorf("the list was asked for %d times, holes %+v", lists, holes)
		}
	})
}

// A watched session that the API cannot show in a readable form delays no other.
func TestUnreadableSessionDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = func(req *http.Request) (int, string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return l.answer(req)
		}
		l.add("cs_100", time.Now().Add(-2*time.Hour), "open", "unpaid")
		l.add("cs_99", time.Now().Add(-3*time.Hour), "open", "unpaid")
		p := w.poller()
		w.run(p, 15*time.Second)
		l.items["cs_99"] = `{"id":"cs_99","created":1,"status":{"oh":"no"}}`
		go func() {
			for i := range 100 {
				w.mu.Lock()
				id := fmt.Sprintf("cs_%d", 101+i)
				l.ids = append([]string{id}, l.ids...)
				l.set(id, time.Now(), "complete", "paid")
				w.mu.Unlock()
				time.Sleep(17 * time.Second)
				w.expect(id, "created", "completed", "paid", "fulfillable")
			}
		}()
		w.run(p, 30*time.Minute)
	})
}

// One creation time that makes no sense does not end the walk down the list,
// wherever on its page it stands.
func TestNonsenseCreatedEndsNoChain(t *testing.T) {
	for _, place := range []int{0, 5, 8, 9, 10} {
		t.Run(fmt.Sprint(place), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l := newListing()
				w.answer = l.answer
				w.cfg.Poll.Tuning.PageSize = 10
				l.add("cs_100", time.Now(), "complete", "paid")
				p := w.poller()
				w.run(p, 15*time.Second)
				time.Sleep(30 * time.Hour)
				l.ids = nil
				for i := range 40 {
					created := time.Now().Add(-time.Duration(1+i*30) * time.Minute)
					if i == place {
						created = time.Unix(1, 0)
					}
					l.add(fmt.Sprintf("cs_%d", 9999-i), created, "complete", "paid")
				}
				l.ids = append(l.ids, "cs_100")
				w.run(p, 15*time.Second)
				for i, id := range l.ids[:40] {
					if i != place { // created before the account's start
						w.expect(id, "created", "completed", "paid", "fulfillable")
					}
				}
			})
		})
	}
}

// What makes no sense either way is known after a restart, however the last process
// ended: what is older than the window no pass reads again.
func TestUnreadableRowIsKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start, w.cfg.Poll.Interval, w.cfg.Poll.Tuning.ReconcileEvery = poller.StartAll, time.Minute, 5*time.Minute
		l := newListing()
		w.answer = l.within
		for i := range 3 {
			l.add(fmt.Sprintf("cs_%d", 90-i), time.Now().Add(-time.Duration(i)*time.Minute), "open", "unpaid")
		}
		p := w.poller()
		w.run(p, 20*time.Minute) // what the first reconciliation cannot read is a hole, which is stored
		l.add("cs_80", time.Now().Add(20*time.Minute-poller.Window), "complete", "paid")
		well := l.items["cs_80"]
		l.items["cs_80"] = strings.Replace(well, `"status":"complete"`, `"status":null`, 1)
		w.answer = func(req *http.Request) (int, string) {
			if strings.HasSuffix(req.URL.Path, "/cs_80") {
				return http.StatusInternalServerError, `{}`
			}
			return l.within(req)
		}
		w.run(p, time.Hour)
		named := func(p *poller.Poller) {
			t.Helper()
			if s := p.Status()[0]; len(s.Holes) != 1 || s.Holes[0].Session != "cs_80" {
				t.Errorf("holes %+v", s.Holes)
			}
		}
		named(p)
		p = w.poller() // which knows what was stored
		w.run(p, 5*time.Minute)
		named(p)
		l.items["cs_80"] = well
		w.answer = l.within
		w.run(p, 2*time.Hour)
		w.expect("cs_80", "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; len(s.Holes) > 0 {
			t.Errorf("afterwards: holes %+v", s.Holes)
		}
	})
}

// A row that makes no sense is asked for in time, and no more often than any other, after
// the API's clock was wrong when the list showed it first.
func TestUnreadableRowOutlivesAWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{-20 * days, 20 * days} {
		t.Run(wrong.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				l, by := newListing(), time.Duration(0)
				w.cfg.Poll.Interval, w.cfg.Poll.Tuning.ReconcileEvery = 30*time.Second, 24*time.Hour
				w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
					resp, err := w.RoundTrip(req)
					if err == nil {
						resp.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
					}
					return resp, err
				})
				l.add("cs_1", time.Now(), "open", "unpaid")
				asked := w.alone(l.answer)
				p := w.poller()
				w.run(p, time.Minute)
				by = wrong
				w.run(p, 5*time.Minute)
				l.ids = append([]string{"cs_2"}, l.ids...)
				l.set("cs_2", time.Now(), "complete", "paid")
				well := l.items["cs_2"]
				l.items["cs_2"] = strings.Replace(well, `"status":"complete"`, `"status":null`, 1)
				w.run(p, 5*time.Minute)
				by = 0
				w.run(p, 5*time.Minute)
				asked["cs_2"] = 0
				w.run(p, time.Hour)
				if n := asked["cs_2"]; n < 3 || n > 12 {
					t.Errorf("the session was asked for %d times within an hour", n)
				}
			})
		})
	}
}
