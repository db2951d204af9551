package poller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// backfill runs a poller for a while with a backfill beside it.
func (w *world) backfill(p *poller.Poller, d time.Duration, b poller.Backfill) poller.BackfillReport {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	report, err := p.Backfill(ctx, b, nil)
	if err != nil {
		w.t.Errorf("Backfill: %v", err)
	}
	<-ctx.Done()
	if err := <-ended; err != nil {
		w.t.Errorf("Run: %v", err)
	}
	return report
}

// A page of a backfill that could not be committed is read again.
func TestBackfillReadsAgainWhatWasNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.Tuning.Concurrency = 1
		var ids []string
		for i := range 100 {
			ids = append(ids, w.create(simulator.Fields{
				"status": "complete", "payment_status": "unpaid", "created": time.Now().Add(-time.Duration(100-i) * 24 * time.Hour).UTC().Format(time.RFC3339),
			}))
		}
		p := w.poller()
		w.run(p, time.Second)
		pages := 0
		w.failIf = func(poller.Look) bool { pages++; return pages == 25 }
		w.backfill(p, time.Minute, poller.Backfill{Since: time.Now().Add(-200 * 24 * time.Hour), Until: time.Now().Add(-5 * 24 * time.Hour)})
		for i, id := range ids {
			if _, ok := w.snapshots[id]; !ok {
				t.Errorf("session %d was not recorded", i)
			}
		}
	})
}

// A backfill that finds nothing new tells what it read all the same.
func TestBackfillTellsWhatItRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 30 {
			w.create(paid())
		}
		w.cfg.Poll.Tuning.PageSize = 10
		p := w.poller()
		w.run(p, time.Second)
		r := w.backfill(p, time.Minute, poller.Backfill{Since: time.Now().Add(-time.Hour)})
		if r.Pages < 3 || r.Sessions != 30 || r.Reached.IsZero() {
			t.Errorf("report = %+v", r)
		}
	})
}

// A backfill reads nothing more once nobody waits for it.
func TestBackfillEndsWithWhoeverAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Interval = 10 * time.Minute
		w.cfg.Poll.Tuning.PageSize = 10
		for i := range 400 {
			l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(20+i)*24*time.Hour), "complete", "paid")
		}
		w.answer = func(req *http.Request) (int, string) {
			time.Sleep(time.Second)
			return l.answer(req)
		}
		p := w.poller()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = p.Run(ctx) }()
		asked, leave := context.WithTimeout(t.Context(), 10*time.Second)
		defer leave()
		if _, err := p.Backfill(asked, poller.Backfill{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Backfill = %v", err)
		}
		time.Sleep(5 * time.Second)
		asks := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.requests
		}
		before := asks()
		time.Sleep(time.Minute)
		if n := asks() - before; n > 0 {
			t.Errorf("%d requests after whoever asked had left", n)
		}
	})
}

// What a reconciliation finds of sessions that no pass should have looked at is
// no drift; a session that became visible below every pass is.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.Interval = time.Minute
		w.cfg.Poll.Tuning.ReconcileEvery = 20 * time.Minute
		byHand := w.create(paid())
		time.Sleep(time.Hour)
		for range 30 {
			w.create(paid())
			time.Sleep(time.Minute)
		}
		p := w.poller()
		w.run(p, 5*time.Minute)
		w.update(byHand, simulator.Fields{"payment_status": "unpaid"})
		w.run(p, time.Hour) // seen, held and believed
		w.expect(byHand, "regressed")
		if s := p.Status()[0]; s.Drift != 0 {
			t.Errorf("drift = %d after a change by hand", s.Drift)
		}
		late := w.create(paid())
		w.faults(simulator.Faults{Vanished: []string{late}})
		for range 30 { // the head moves on
			w.create(paid())
			w.run(p, time.Minute)
		}
		w.faults(simulator.Faults{})
		w.run(p, time.Hour)
		w.expect(late, "created", "completed", "paid", "fulfillable")
		if s := p.Status()[0]; s.Drift != 1 || s.DriftLast.IsZero() {
			t.Errorf("drift = %d of one session that was visible late", s.Drift)
		}
	})
}

// Who asks for a pass that will not be made any more is told.
func TestNowWhenThePollerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		ctx, cancel := context.WithCancel(t.Context())
		w.answer = func(*http.Request) (int, string) {
			time.Sleep(3500 * time.Millisecond) // not when who waits looks around, each second
			return 0, ""
		}
		go func() { _ = p.Run(ctx) }()
		var answered atomic.Int32
		for range 3 {
			go func() {
				if r, err := p.Now(t.Context()); err == nil && r[0].Error != "" {
					answered.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		cancel()
		time.Sleep(time.Minute)
		if answered.Load() != 3 {
			t.Errorf("%d of 3 were answered", answered.Load())
		}
	})
}

// A dry run records nothing, and yet tells of a session once, although slices
// overlap by the rounding of creation times.
func TestDryRunTellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Poll.Tuning.PageSize = 10
		ago := func(d time.Duration) string { return time.Now().Add(-14*24*time.Hour - d).UTC().Format(time.RFC3339) }
		w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(-time.Minute)})
		w.create(paid())
		const sessions = 1000
		for i := range sessions {
			w.create(simulator.Fields{"status": "complete", "payment_status": "paid", "created": ago(time.Minute + time.Duration(i/4)*3*time.Second)})
		}
		w.answer = func(*http.Request) (int, string) {
			time.Sleep(50 * time.Millisecond)
			return 0, ""
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		r := w.backfill(p, 5*time.Minute, poller.Backfill{Since: time.Now().Add(-14*24*time.Hour - 15*time.Minute), Until: time.Now().Add(-13 * 24 * time.Hour), DryRun: true})
		if r.New != sessions || r.Events != sessions {
			t.Errorf("%d new sessions and %d events, want %d of each", r.New, r.Events, sessions)
		}
	})
}
