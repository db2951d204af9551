package poller_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

func dayBefore(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

// A vanished session that no window reaches is asked for, whatever it was when it
// vanished and whichever process asks, and what happened to it is told.
func TestVanishedSessionsAreAskedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		old     simulator.Fields
		restart bool
	}{
		"unpaid":                  {old: simulator.Fields{"status": "complete", "payment_status": "unpaid"}},
		"unpaid, and a restart":   {old: simulator.Fields{"status": "complete", "payment_status": "unpaid"}, restart: true},
		"open":                    {old: simulator.Fields{"expires_at": time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC).Format(time.RFC3339)}},
		"open long after its end": {old: simulator.Fields{"expires_at": time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC).Format(time.RFC3339)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Interval = time.Minute
				w.faults(simulator.Faults{NoExpiry: true})
				tt.old["created"] = dayBefore(60 * time.Hour)
				id := w.create(tt.old)
				for range 5 {
					w.create(paid())
				}
				p := w.poller()
				w.run(p, time.Minute)
				w.faults(simulator.Faults{Vanished: []string{id}, NoExpiry: true})
				w.run(p, 3*time.Hour) // an old open one is asked for each hour
				if w.snapshots[id].Watch != event.Vanished {
					w.run(p, 2*time.Hour)
				}
				if got := w.snapshots[id].Watch; got != event.Vanished {
					t.Fatalf("it is %q", got)
				}
				w.faults(simulator.Faults{NoExpiry: true})
				w.update(id, paid())
				if tt.restart {
					p = w.poller()
				}
				w.run(p, 61*time.Minute)
				want := []string{"paid", "fulfillable"}
				if strings.HasPrefix(name, "open") {
					want = append([]string{"completed"}, want...)
				}
				w.expect(id, want...)
			})
		})
	}
}

// lost is a world of which the list has lost old unpaid sessions, and says by
// which ids it was asked for them, and when.
func (w *world) lost(n int) (l *listing, asked map[string][]time.Time) {
	l, asked = newListing(), make(map[string][]time.Time)
	for i := range 20 {
		l.add(fmt.Sprintf("cs_%d", 9000-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
	}
	for i := range n {
		l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-60*time.Hour-time.Duration(i)*time.Minute), "complete", "unpaid")
	}
	w.answer = func(req *http.Request) (int, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !isList(req) {
			id := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
			asked[id] = append(asked[id], time.Now())
		}
		return l.answer(req)
	}
	return l, asked
}

// Each hour, after a day each day, until unpaid_for has passed: then nobody asks
// any more, and a look that shows the session all the same revives it.
func TestHowOftenVanishedSessionsAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Interval = 15 * time.Minute
		l, asked := w.lost(1)
		p := w.poller()
		w.run(p, time.Minute)
		item := l.items["cs_1000"]
		delete(l.items, "cs_1000")
		w.run(p, time.Hour)
		count := func(d time.Duration) int {
			asked["cs_1000"] = nil
			w.run(p, d)
			return len(asked["cs_1000"])
		}
		if n := count(22 * time.Hour); n < 21 || n > 23 {
			t.Errorf("asked for %d times in 22 hours of the first day", n)
		}
		w.run(p, 4*time.Hour)
		if n := count(10 * 24 * time.Hour); n < 9 || n > 11 {
			t.Errorf("asked for %d times in 10 days", n)
		}
		w.run(p, 3*24*time.Hour) // 14 days are over
		if n := count(10 * 24 * time.Hour); n > 0 {
			t.Errorf("asked for %d times after unpaid_for", n)
		}
		if s := w.snapshots["cs_1000"]; s.Watch != event.Vanished || len(w.events["cs_1000"]) > 0 {
			t.Errorf("it is %q, and told were %q", s.Watch, w.events["cs_1000"])
		}
		l.items["cs_1000"] = strings.Replace(item, "unpaid", "paid", 1)
		w.backfill(p, time.Hour, poller.Backfill{Since: time.Now().Add(-30 * 24 * time.Hour)})
		w.expect("cs_1000", "paid", "fulfillable")
	})
}

// Many vanished sessions cost a few requests a pass, and each of them has its turn.
func TestManyVanishedSessionsCostLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const n = 300
		l, asked := w.lost(n)
		p := w.poller()
		w.run(p, time.Minute)
		for i := range n {
			delete(l.items, fmt.Sprintf("cs_%d", 1000-i))
		}
		w.run(p, 2*time.Hour)
		clear(asked)
		before, began := w.requests, time.Now()
		w.run(p, time.Hour)
		if cost := w.requests - before; cost > 360+n+60 {
			t.Errorf("%d requests in an hour", cost)
		}
		var times []time.Time
		for _, at := range asked {
			times = append(times, at...)
		}
		if len(asked) < n*9/10 {
			t.Errorf("%d of %d were asked for in an hour", len(asked), n)
		}
		slices.SortFunc(times, time.Time.Compare)
		if len(times) > 100 && times[99].Sub(began) < 2*time.Minute {
			t.Errorf("100 were asked for within %s", times[99].Sub(began))
		}
		p = w.poller()
		before = w.requests
		w.run(p, time.Minute)
		if cost := w.requests - before; cost > 70 {
			t.Errorf("%d requests in the first minute of another process", cost)
		}
	})
}

// A Date that was wrong for a while does not make a session that vanished just now one
// that vanished long ago.
func TestVanishedWhileTheClockWasWrong(t *testing.T) {
	for name, skew := range map[string]struct{ shown, vanished int }{
		"ahead while it vanished":       {vanished: 24 * 60 * 60},
		"behind while it was shown":     {shown: -2 * 24 * 60 * 60},
		"far behind while it was shown": {shown: -20 * 24 * 60 * 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
				p := w.poller()
				w.run(p, time.Minute)
				id := w.create(open(nil))
				w.faults(simulator.Faults{ClockSkewS: skew.shown})
				w.run(p, 5*time.Minute)
				w.faults(simulator.Faults{Vanished: []string{id}, ClockSkewS: skew.vanished})
				w.run(p, 15*time.Minute)
				w.faults(simulator.Faults{Vanished: []string{id}})
				w.create(open(nil)) // the head does not reach down to the first one any more
				w.run(p, 15*time.Minute)
				if s := w.snapshots[id]; !s.Watch.Is(event.Vanished) {
					t.Fatalf("watch = %s, want vanished", s.Watch)
				}
				w.faults(simulator.Faults{})
				w.update(id, paid())
				w.run(p, 61*time.Minute)
				w.expect(id, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}
