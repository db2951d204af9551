package poller_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// A look before an expiry that was not recorded, by a commit that failed or
// because it was for show, is not the one that outlives this process.
func TestExpiryByTheClockAfterALookThatWasNotRecorded(t *testing.T) {
	failed := func(w *world, p *poller.Poller, id string) {
		border, once := time.Now().Add(-time.Minute), true
		w.failIf = func(look poller.Look) bool {
			fails := once && look.Session.ID == id && look.At.After(border)
			once = once && !fails
			return fails
		}
		w.run(p, 4*time.Minute+5*time.Second)
	}
	shown := func(w *world, p *poller.Poller, _ string) {
		w.backfill(p, 4*time.Minute, poller.Backfill{Since: time.Now().Add(-5 * time.Hour), DryRun: true})
	}
	for name, look := range map[string]func(*world, *poller.Poller, string){"failed": failed, "dry run": shown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = 20 * time.Second
				w.cfg.Poll.Tuning.PageSize = 5
				id := w.create(open(simulator.Fields{"expires_in": "61m"}))
				for range 10 {
					w.create(paid())
				}
				p := w.poller()
				w.run(p, time.Second)
				time.Sleep(54 * time.Minute)
				w.create(paid()) // the head is above the session
				w.run(p, 2*time.Minute+30*time.Second)
				look(w, p, id)
				time.Sleep(2 * time.Minute)
				w.run(w.poller(), time.Minute)
				w.expect(id, "expired timer")
			})
		})
	}
}

// Where neither cursors nor creation times reach older sessions that is said, and
// the list does not count as read.
func TestNothingReachesOlderSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(simulator.Faults{RepeatPage: simulator.Always(), FilterUnit: simulator.UnitMillis})
		w.cfg.Poll.Tuning.PageSize = 10
		for range 30 {
			w.create(open(nil))
			time.Sleep(10 * time.Second)
		}
		if err := w.poller().RunOnce(t.Context()); err == nil {
			t.Errorf("a pass that read %d of 30 sessions counts as complete", len(w.snapshots))
		}
	})
}

// A session that the API denies by its id and then shows on a page is there.
func TestDeniedAndThenShownIsNotVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize, w.cfg.Poll.Tuning.UnpaidEvery = 3, 4*time.Minute
		for i := range 20 {
			l.add(fmt.Sprintf("cs_%d", 1001-i), time.Now().Add(-time.Duration(26+i)*time.Hour), "complete", "unpaid")
		}
		w.answer = l.answer
		p := w.poller()
		w.run(p, time.Second)
		var mu sync.Mutex
		denials := 0
		w.parallel = true
		w.answer = func(req *http.Request) (int, string) {
			mu.Lock()
			defer mu.Unlock()
			others := newListing()
			others.ids, others.items = l.ids, maps.Clone(l.items)
			delete(others.items, "cs_995")
			_, after := params(req)
			if isList(req) && after == "cs_999" && denials > 1 {
				delete(l.items, "cs_997") // which makes room for one more
				mu.Unlock()
				time.Sleep(5 * time.Second)
				mu.Lock()
				return http.StatusOK, l.page(3, after)
			} else if isList(req) {
				return http.StatusOK, others.page(3, after)
			}
			status, body := others.answer(req)
			if status == http.StatusNotFound && strings.HasSuffix(req.URL.Path, "/cs_995") {
				denials++
			}
			return status, body
		}
		w.run(p, 9*time.Minute) // a round, and two of the looks that follow a denial
		if s := w.snapshots["cs_995"]; denials < 3 || s.Watch.Is(event.Vanished) {
			t.Errorf("%d denials, watch = %s", denials, s.Watch)
		}
	})
}

// A request that fails for a moment, and a commit that does, do not put off the
// next look at a session by a whole round.
func TestFailedLookIsSoonRepeated(t *testing.T) {
	for _, fails := range []string{"request", "commit"} {
		t.Run(fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 5
				w.cfg.Poll.Tuning.UnpaidEvery = time.Hour
				id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
				time.Sleep(50 * time.Minute)
				for range 10 {
					w.create(paid())
				}
				p := w.poller()
				w.run(p, 5*time.Minute)
				w.update(id, simulator.Fields{"payment_status": "paid"})
				began, failures := time.Now(), 0
				w.answer = func(*http.Request) (int, string) {
					if due := time.Since(began) > 5*time.Minute; !due || fails != "request" || failures > 10 {
						return 0, ""
					}
					failures++
					return http.StatusBadGateway, "oh no"
				}
				w.failIf = func(poller.Look) bool {
					failures++
					return fails == "commit" && failures == 1
				}
				w.run(p, 12*time.Minute)
				w.expect(id, "paid", "fulfillable")
			})
		})
	}
}

// A session that stays open after its expiry is looked at each minute, whatever
// the rounds of the others.
func TestOpenAfterItsExpiryIsLookedAtEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		born := time.Now().Add(-3 * time.Hour)
		l.items["cs_1"] = fmt.Sprintf(`{"id":"cs_1","created":%d,"expires_at":%d,"status":"open","payment_status":"unpaid"}`, born.Unix(), born.Add(time.Hour).Unix())
		w.cfg.Poll.Tuning.PageSize = 5
		time.Sleep(30 * time.Second) // between two rounds
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", 50-i), time.Now().Add(-time.Duration(i)*5*time.Minute), "complete", "paid")
		}
		l.ids = append(l.ids, "cs_1")
		var last time.Time
		var longest time.Duration
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if strings.Contains(body, "cs_1") {
				if !last.IsZero() {
					longest = max(longest, time.Since(last))
				}
				last = time.Now()
			}
			return status, body
		}
		w.run(w.poller(), time.Hour)
		if longest > 71*time.Second {
			t.Errorf("it was not looked at for %v", longest)
		}
	})
}

// A step back that awaits its confirmation is looked at each minute, not in every pass.
func TestHeldIsLookedAtEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 5
		w.cfg.Poll.Tuning.ConfirmAfter = 24 * time.Hour
		time.Sleep(30 * time.Second) // between two rounds
		for i := range 30 {
			l.add(fmt.Sprintf("cs_%d", 50-i), time.Now().Add(-time.Duration(i)*5*time.Minute), "complete", "paid")
		}
		l.add("cs_1", time.Now().Add(-3*time.Hour), "complete", "unpaid")
		w.answer = l.answer
		p := w.poller()
		w.run(p, 5*time.Second)
		l.set("cs_1", time.Now().Add(-3*time.Hour), "open", "unpaid")
		w.run(p, 20*time.Minute) // the round of the unpaid ones finds it
		looks := 0
		w.answer = func(req *http.Request) (int, string) {
			status, body := l.answer(req)
			if strings.Contains(body, "cs_1\"") {
				looks++
			}
			return status, body
		}
		w.run(p, 20*time.Minute)
		if looks < 17 || looks > 21 {
			t.Errorf("%d looks in 20 minutes", looks)
		}
	})
}

// A settled session that steps back is looked at until that is confirmed or over,
// although the head has left it.
func TestStepBackOfASettledSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 5
		w.cfg.Poll.Tuning.Overlap = time.Second
		id := w.create(paid())
		p := w.poller()
		w.run(p, 5*time.Second)
		w.update(id, simulator.Fields{"payment_status": "unpaid"})
		w.run(p, 5*time.Second)
		for range 10 {
			w.create(paid())
			time.Sleep(time.Second)
		}
		w.run(p, 15*time.Second)
		held := func() poller.Status {
			s := p.Status()[0]
			tier := slices.IndexFunc(s.Tiers, func(t poller.Tier) bool { return t.Name == "held" })
			if s.Held != s.Tiers[tier].Sessions {
				t.Errorf("%d are held, and %d in the tier", s.Held, s.Tiers[tier].Sessions)
			}
			return s
		}
		if s := held(); s.Held != 1 || s.Watched != 0 {
			t.Errorf("%d are held, %d watched", s.Held, s.Watched)
		}
		w.run(p, w.cfg.Poll.Tuning.ConfirmAfter+2*time.Minute)
		w.expect(id, "created", "completed", "paid", "fulfillable", "regressed")
		if s := held(); s.Held != 0 || s.Watched != 1 {
			t.Errorf("afterwards %d are held, %d watched", s.Held, s.Watched)
		}
	})
}

// Where cursors are ignored what is due is looked at by creation times, not one by one.
func TestDueSessionsWithoutCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.faults(simulator.Faults{RepeatPage: simulator.Always()})
		w.cfg.Poll.Tuning.PageSize = 20
		for range 200 {
			w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid"})
			time.Sleep(5 * time.Second)
		}
		time.Sleep(time.Hour)
		w.create(paid())
		p := w.poller()
		w.run(p, time.Minute)
		time.Sleep(20 * time.Minute)
		before := w.requests
		w.run(p, time.Second)
		if asked := w.requests - before; asked > 25 {
			t.Errorf("%d requests for 200 sessions on pages of 20", asked)
		}
	})
}

// A session that stands elsewhere among those of its second than its id says is
// found in the list, also where the API answers for no single session.
func TestOrderWithinASecondWithoutLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 2
		w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would find it
		w.answer = func(req *http.Request) (int, string) {
			if !isList(req) {
				return http.StatusNotFound, `404 page not found`
			}
			return l.answer(req)
		}
		for i := range 6 {
			l.add(fmt.Sprintf("cs_%d", 20-i), time.Now().Add(-time.Duration(i)*30*time.Minute), "complete", "paid")
		}
		at := time.Now().Add(-3 * time.Hour)
		l.add("cs_1", at, "complete", "unpaid")
		l.add("cs_2", at, "complete", "paid")
		l.add("cs_0", at.Add(-time.Minute), "complete", "paid")
		p := w.poller()
		w.run(p, 50*time.Minute)
		l.set("cs_1", at, "complete", "paid")
		w.run(p, 20*time.Minute)
		w.expect("cs_1", "paid", "fulfillable")
	})
}

// Rounds that were noted while the API's clock was hours ahead do not make
// everything due in every pass of a later process.
func TestRoundsOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
		w.cfg.Poll.Tuning.PageSize = 2
		w.create(paid())
		for i := range 30 {
			created := time.Now().Add(-time.Duration(i+30) * time.Minute).UTC().Format(time.RFC3339)
			w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": created})
			for range 2 { // so that it needs a page of its own
				w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": created})
			}
		}
		w.faults(simulator.Faults{ClockSkewS: 6 * 60 * 60})
		w.run(w.poller(), 5*time.Minute)
		w.faults(simulator.Faults{})
		before := w.requests
		w.run(w.poller(), time.Hour)
		// A page of the head in each pass, and one in each round for each session.
		if n := w.requests - before; n > 360+5*2*30 {
			t.Errorf("%d requests in an hour", n)
		}
	})
}
