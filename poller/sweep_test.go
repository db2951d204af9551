package poller_test

import (
	"context"
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
