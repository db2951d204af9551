package poller_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// wrongClocks are a Date and a clock of ours that are wrong from the first answer on.
var wrongClocks = []struct{ date, own time.Duration }{
	{date: -days}, {date: time.Hour}, {date: -time.Hour}, {date: 20 * days}, {date: -20 * days},
	{own: -days}, {own: time.Hour}, {own: -time.Hour}, {own: 20 * days}, {own: -20 * days},
	{date: time.Hour, own: -time.Hour}, {date: -days, own: days},
}

// What existed at the start is recorded silently and what follows is announced,
// whatever a clock says.
func TestStartByAWrongClock(t *testing.T) {
	for _, c := range wrongClocks {
		t.Run(fmt.Sprintf("Date %s, own %s", c.date, c.own), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.own = c.own
				w.faults(skewed(c.date))
				var existed []string
				for _, age := range []time.Duration{0, time.Minute, time.Hour, 26 * time.Hour} {
					existed = append(existed, w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(age)}))
				}
				p := w.poller()
				w.run(p, time.Minute)
				fresh := w.create(paid())
				w.run(p, 5*time.Minute)
				w.faults(simulator.Faults{})
				w.own = 0
				w.run(w.poller(), 30*time.Minute)
				later := w.create(paid())
				w.run(w.poller(), 30*time.Minute)
				for _, id := range existed {
					w.expect(id)
				}
				w.expect(fresh, "created", "completed", "paid", "fulfillable")
				w.expect(later, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// A first chain that takes several passes does not swallow what is created meanwhile.
func TestStartWhileTheFirstChainFails(t *testing.T) {
	for _, date := range []time.Duration{0, time.Hour, -days} {
		t.Run(date.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 3
				w.faults(skewed(date))
				var existed []string
				for i := range 10 {
					existed = append(existed, w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(time.Duration(10-i) * time.Minute)}))
				}
				w.answer = func(req *http.Request) (int, string) {
					body, _ := io.ReadAll(req.Body)
					req.Body = io.NopCloser(strings.NewReader(string(body)))
					if strings.Contains(string(body), existed[4]) {
						return http.StatusUnauthorized, "" // no way around it
					}
					return 0, ""
				}
				p := w.poller()
				w.run(p, 3*time.Minute)
				fresh := w.create(paid())
				w.run(p, 10*time.Minute)
				w.answer = nil
				w.run(w.poller(), 10*time.Minute)
				for _, id := range existed {
					w.expect(id)
				}
				w.expect(fresh, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// A stored start of the future, which a wrong clock made, swallows nothing more.
func TestStartInTheFuture(t *testing.T) {
	for _, start := range []string{poller.StartNow, poller.StartAll, "2026-11-22T09:00:00Z"} {
		t.Run(start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start = start
				w.run(w.poller(), time.Minute)
				w.account.Start = time.Now().Add(20 * days) // as an operator accepted the account, unless it is now
				p := w.poller()
				w.run(p, time.Minute)
				fresh := w.create(paid())
				w.run(p, time.Minute)
				w.expect(fresh, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// One that is configured holds.
func TestConfiguredStartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = ago(-time.Hour)
		p := w.poller()
		w.run(p, time.Minute)
		early := w.create(paid())
		w.run(p, 2*time.Hour)
		fresh := w.create(paid())
		w.run(p, time.Minute)
		w.expect(early)
		w.expect(fresh, "created", "completed", "paid", "fulfillable")
	})
}

// However wrong a clock is at the first pass, it reads back as far as it promises.
func TestFirstPassByAWrongClock(t *testing.T) {
	for _, c := range append(wrongClocks, struct{ date, own time.Duration }{0, 0}) {
		for _, noDate := range []bool{false, true} {
			if noDate && c.date != 0 {
				continue
			}
			t.Run(fmt.Sprintf("Date %s (%t), own %s", c.date, !noDate, c.own), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.own, w.cfg.Poll.Interval = c.own, 30*time.Second
					l := newListing()
					for i := range 150 {
						l.add(fmt.Sprintf("cs_%d", 2000-i), time.Now().Add(-30*time.Hour-time.Duration(i)*time.Minute), "complete", "paid")
					}
					old := time.Now().Add(-13 * days)
					l.add("cs_1", old, "complete", "unpaid")
					w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
						status, body := l.answer(req)
						h := http.Header{}
						if !noDate {
							h.Set("Date", time.Now().Add(c.date).UTC().Format(http.TimeFormat))
						}
						return &http.Response{StatusCode: status, Header: h, Request: req, ProtoMajor: 1, ProtoMinor: 1,
							Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
					})
					w.run(w.poller(), 5*time.Minute)
					l.set("cs_1", old, "complete", "paid")
					w.run(w.poller(), 20*time.Minute)
					w.expect("cs_1", "paid", "fulfillable")
				})
			})
		}
	}
}

// Our clock that was set, back or forth, loses nothing and delays nothing.
func TestOurClockWasSet(t *testing.T) {
	for _, own := range [][2]time.Duration{{days, 0}, {0, -days}, {0, days}, {20 * days, 0}, {0, -20 * days}, {-20 * days, 20 * days}} {
		t.Run(fmt.Sprint(own), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, unpaid := unpaidWorld(t)
				hot := w.create(open(nil))
				w.own = own[0]
				w.run(w.poller(), time.Hour)
				fresh := w.create(open(nil))
				w.own = own[1]
				p := w.poller()
				w.run(p, 20*time.Minute)
				w.update(unpaid, paid())
				w.update(hot, paid())
				w.update(fresh, paid())
				last := w.create(paid())
				w.run(p, 20*time.Minute)
				w.expect(unpaid, "paid", "fulfillable")
				w.expect(hot, "completed", "paid", "fulfillable")
				w.expect(fresh, "created", "completed", "paid", "fulfillable")
				w.expect(last, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}

// An API whose clock runs ahead for a while, creation times included, does not take
// the low-water mark along: what is created later is read at once.
func TestAPIThatLivedInTheFuture(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 20 * days} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(ahead, " restart ", restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would find them
					p := w.poller()
					w.create(paid())
					w.run(p, time.Minute)
					w.faults(skewed(ahead))
					w.run(p, 3*time.Minute)
					odd := w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(-ahead)})
					w.run(p, 3*time.Minute)
					w.faults(simulator.Faults{Unavailable: simulator.Always()})
					if restart {
						time.Sleep(time.Minute)
						p = w.poller()
					} else {
						w.run(p, time.Minute)
					}
					fresh := w.create(paid())
					if restart {
						time.Sleep(40 * time.Minute)
					} else {
						w.run(p, 40*time.Minute)
					}
					w.faults(simulator.Faults{})
					w.run(p, 5*time.Minute)
					w.expect(odd, "created", "completed", "paid", "fulfillable")
					w.expect(fresh, "created", "completed", "paid", "fulfillable")
				})
			})
		}
	}
}

// A Date that was wrong for a while does not make the poller forget, then or later,
// what it knows: no page is handed on again because of it.
func TestWrongDateForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 20 {
			w.create(paid())
		}
		p := w.poller()
		w.run(p, time.Minute)
		w.faults(skewed(300 * days))
		w.run(p, 5*time.Minute)
		w.faults(simulator.Faults{})
		w.run(p, 5*time.Minute)
		if s := p.Status()[0]; s.Tracked != 20 {
			t.Errorf("%d of 20 sessions are known", s.Tracked)
		}
		if w.handled > 20 {
			t.Errorf("%d looks at 20 sessions were handed on", w.handled)
		}
	})
}

// What was past being watched when it was first seen is given up silently, also when a
// clock was wrong then. What was not is announced when its time comes.
func TestLeftoversAreGivenUpSilently(t *testing.T) {
	for _, c := range []struct{ date, own time.Duration }{{}, {date: -30 * days}, {date: 30 * days}, {own: -30 * days}, {own: 30 * days}} {
		for _, noted := range []bool{false, true} {
			t.Run(fmt.Sprintf("Date %s, own %s, noted %t", c.date, c.own, noted), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.cfg.Poll.Interval = 10 * time.Minute
					l := newListing()
					date := c.date
					w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
						status, body := l.answer(req)
						return &http.Response{
							StatusCode: status, Header: http.Header{"Date": {time.Now().Add(date).UTC().Format(http.TimeFormat)}}, Request: req,
							ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
						}, nil
					})
					open := func(id string, age time.Duration) { l.add(id, time.Now().Add(-age), "open", "unpaid") }
					open("cs_9", 10*days)
					open("cs_8", 16*days)
					open("cs_7", 43*days)
					w.own = c.own
					w.run(w.poller(), 5*time.Minute)
					want := []string(nil)
					if noted {
						for id, item := range l.items {
							l.items[id] = strings.Replace(item, `"status"`, `"currency":"USD","status"`, 1)
						}
						w.run(w.poller(), 90*time.Minute)
						want = []string{"updated"}
					}
					date, w.own = 0, 0
					w.run(w.poller(), 2*time.Hour)
					for _, id := range l.ids {
						w.expect(id, want...)
					}
					w.run(w.poller(), 15*days)
					w.expect("cs_9", append(want, "unresolved")...)
					if noted { // what changed is watched anew
						want = append(want, "unresolved")
					}
					w.expect("cs_8", want...)
					w.expect("cs_7", want...)
				})
			})
		}
	}
}

// Until the start is fixed the status shows the configured one.
func TestStatusShowsTheConfiguredStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*http.Request) (int, string) { return http.StatusBadGateway, "" }
		p := w.poller()
		w.run(p, 5*time.Second)
		if s := p.Status()[0]; !s.Start.IsZero() || s.Configured != poller.StartNow {
			t.Errorf("start %s, configured %q", s.Start, s.Configured)
		}
	})
}

// Our clock is a day behind, and no answer of the first pass is a whole page: what its
// answers show is no new order, whichever of them was taken for the first.
func TestStartByOurClockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.own = -24 * time.Hour
		old := w.sell(3, time.Minute)
		time.Sleep(time.Minute)
		began := time.Now()
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return 0, ""
			}
			q, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(q))
			var asked struct {
				Limit   int
				Created struct {
					LTE int64 `json:"lte,string"`
				}
			}
			if err := json.Unmarshal(q, &asked); err != nil {
				t.Error(err)
			}
			newest := asked.Limit == 1 && !strings.Contains(string(q), "created")
			longAgo := asked.Created.LTE > 0 && asked.Created.LTE < began.Add(-days).Unix()
			if time.Since(began) > 3*time.Minute || newest || longAgo {
				return 0, ""
			}
			return http.StatusInternalServerError, "{}"
		}
		w.run(w.poller(), time.Minute)
		p := w.poller()
		w.run(p, 5*time.Minute)
		fresh := w.create(paid())
		w.run(p, time.Minute)
		for _, id := range old {
			w.expect(id)
		}
		w.expect(fresh, "created", "completed", "paid", "fulfillable")
	})
}
