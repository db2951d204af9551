package poller_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// crowd lets each request take a while, and counts those under way and the looks.
type crowd struct {
	flying, most, requests, shown atomic.Int32
}

func (w *world) crowd(takes time.Duration) *crowd {
	c := new(crowd)
	w.parallel = true
	w.answer = func(req *http.Request) (int, string) {
		c.requests.Add(1)
		for n := c.flying.Add(1); n > c.most.Load(); {
			c.most.Store(n)
		}
		defer c.flying.Add(-1)
		time.Sleep(takes)
		resp, err := serve(w.api, req)
		if err != nil {
			return http.StatusBadGateway, err.Error()
		}
		body, _ := io.ReadAll(resp.Body)
		c.shown.Add(int32(strings.Count(string(body), `"payment_method_types"`)))
		return resp.StatusCode, string(body)
	}
	return c
}

// spread makes sessions over a past time, the oldest first.
func (w *world) spread(n int, over time.Duration, fields simulator.Fields) {
	w.t.Helper()
	began := time.Now().Add(-over)
	for i := range n {
		f := simulator.Fields{"created": began.Add(over * time.Duration(i) / time.Duration(n)).UTC().Format(time.RFC3339)}
		for k, v := range fields {
			f[k] = v
		}
		w.create(f)
	}
}

// The first pass and a reconciliation read slices in parallel, each session
// about once.
func TestSlicesInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 20
		w.cfg.Poll.Tuning.ReconcileEvery = time.Hour
		w.spread(1200, 24*time.Hour, paid())
		p := w.poller()
		c := w.crowd(time.Second)
		w.run(p, 40*time.Second) // 60 pages
		if n := len(w.snapshots); n != 1200 {
			t.Errorf("%d sessions of 1200 in 40 s", n)
		}
		check := func(what string) {
			t.Helper()
			if most := c.most.Load(); most != 4 {
				t.Errorf("%s: %d requests at once, want 4", what, most)
			}
			if shown := c.shown.Load(); shown > 1200*5/4 {
				t.Errorf("%s: %d looks at 1200 sessions", what, shown)
			}
		}
		check("first pass")
		w.cfg.Poll.Interval = 5 * time.Minute
		time.Sleep(time.Hour)
		c = w.crowd(time.Second)
		w.run(w.poller(), time.Minute)
		check("reconciliation")
		if s := p.Status()[0]; s.Drift != 0 {
			t.Errorf("drift = %d", s.Drift)
		}
	})
}

// The next page is asked for while the present one is committed.
func TestNextPageWhileOneIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 10
		w.spread(200, time.Hour, paid())
		w.crowd(time.Second)
		w.failIf = func(poller.Look) bool {
			time.Sleep(100 * time.Millisecond) // a second for a page
			return false
		}
		p := w.poller()
		began := time.Now()
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("20 pages took %v", took)
		}
	})
}

// A long reconciliation at a low rate leaves passes their interval.
func TestSweepInLeftoverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.RateLimit = 2
		w.spread(2000, 24*time.Hour, paid())
		p := w.poller()
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		var heads []time.Time
		w.answer = func(req *http.Request) (int, string) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(strings.NewReader(string(body)))
			if isList(req) && !strings.Contains(string(body), "starting_after") && !strings.Contains(string(body), "lte") {
				heads = append(heads, time.Now())
			}
			return 0, ""
		}
		w.run(p, 5*time.Minute)
		if n := len(heads); n < 28 || n > 31 {
			t.Errorf("%d heads were read in 5 minutes", n)
		}
		for i := 1; i < len(heads); i++ {
			if gap := heads[i].Sub(heads[i-1]); gap > 14*time.Second {
				t.Errorf("no head was read for %v", gap)
			}
		}
		if s := p.Status()[0]; s.Reconciling || time.Since(s.Reconciled) > 6*time.Minute || s.Drift != 0 {
			t.Errorf("reconciled %v ago, drift %d", time.Since(s.Reconciled), s.Drift)
		}
	})
}

// After a restart only what is due is looked at, not all that is watched.
func TestRequestsAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.spread(600, 10*time.Hour, simulator.Fields{"status": "open", "payment_status": "unpaid", "expires_in": "23h"})
		p := w.poller()
		w.run(p, 7*time.Minute)
		c := w.crowd(0)
		w.run(w.poller(), time.Second)
		if n := c.requests.Load(); n > 12 {
			t.Errorf("%d requests right after a restart", n)
		}
		c = w.crowd(0)
		w.run(w.poller(), 5*time.Minute) // and yet all of them are due in the next round
		if n := c.shown.Load(); n < 600 {
			t.Errorf("%d looks at 600 sessions within a round", n)
		}
	})
}

func TestStatusOfTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.spread(40, 10*time.Hour, simulator.Fields{"status": "open", "payment_status": "unpaid", "expires_in": "23h"})
		w.spread(20, 5*time.Hour, simulator.Fields{"status": "complete", "payment_status": "unpaid"})
		w.create(open(nil))
		p := w.poller()
		c := w.crowd(0)
		w.run(p, 12*time.Second)
		s := p.Status()[0]
		got := make(map[string]int)
		for _, tier := range s.Tiers {
			got[tier.Name] = tier.Sessions
			if tier.Name != "hot" && tier.Sessions > 0 && (tier.Due > 0 || time.Since(tier.OldestLook) > 13*time.Second) {
				t.Errorf("tier %+v right after a look", tier)
			}
		}
		if fmt.Sprint(got) != "map[expiring:0 held:0 hot:3 unpaid:19 vanished:0 warm:39]" { // the newest of each is hot
			t.Errorf("tiers = %v", got)
		}
		if wait := time.Until(s.NextDue); wait <= 0 || wait > 5*time.Minute {
			t.Errorf("the next is due in %v", wait)
		}
		if s.RequestsLastHour != int(c.requests.Load()) || s.Requests != s.RequestsLastHour || s.Watched != 61 || s.Waiting != 0 {
			t.Errorf("status = %+v, %d requests", s, c.requests.Load())
		}
	})
}
