package main

import (
	"context"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/state"
)

const (
	pruneEvery = time.Hour   // how often what is past its retention is removed
	pruneLook  = time.Minute // how often it is asked whether that may be done
)

// pruneLoop removes what is past its retention, until the context ends.
func (d *daemon) pruneLoop(ctx context.Context) error {
	ticker := time.NewTicker(pruneLook)
	defer ticker.Stop()
	var next time.Time
	for {
		now := time.Now()
		if agreed, known := agreedTime(d.poller.Status(), now); known && !now.Before(next) {
			next = now.Add(pruneEvery)
			pruned, err := d.prune(ctx, agreed)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				d.log.Error("removing what is past state.retention failed and is tried again in an hour", "error", err)
			case pruned.Deliveries+pruned.Events+pruned.Sessions > 0:
				d.log.Info("removed what is past state.retention", "deliveries", pruned.Deliveries, "events", pruned.Events, "sessions", pruned.Sessions)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// agreedTime is a time that our clock and those of all APIs have reached. What is
// removed is gone for good: one clock that is ahead must not decide it. Until this
// process has polled an account, no other clock is known.
func agreedTime(accounts []poller.Status, now time.Time) (agreed time.Time, known bool) {
	agreed = now
	for i := range accounts {
		s := &accounts[i]
		if s.LastSuccess.IsZero() {
			continue
		}
		known = true
		if theirs := now.Add(s.ClockSkew.Duration()); theirs.Before(agreed) {
			agreed = theirs
		}
	}
	return agreed, known
}

// prune removes what is past its retention. Sessions stay as long as any window
// of any account reaches them: those that end now, and those that end at the
// low-water mark of an account that was not polled for long.
func (d *daemon) prune(ctx context.Context, now time.Time) (state.Pruned, error) {
	window := poller.Window
	for _, a := range d.cfg.Accounts {
		window = max(window, a.Poll.UnpaidFor, a.Poll.Tuning.Overlap)
	}
	cutoff := now.Add(-d.cfg.State.Retention)
	created := now.Add(-2 * window)
	if cutoff.Before(created) {
		created = cutoff
	}
	return d.store.Prune(ctx, state.PrunePolicy{Before: cutoff, CreatedBefore: created, LookedBefore: cutoff, Reach: window})
}
