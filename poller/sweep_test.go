package poller_test

import (
	"context"
	"time"

	"checkout-notifier/poller"
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
