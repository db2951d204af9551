package main

import (
	"context"
	"log/slog"
	"time"

	"checkout-notifier/config"
	"checkout-notifier/poller"
	"checkout-notifier/state"
)

const (
	pruneEvery = time.Hour   // how often what is past its retention is removed
	pruneLook  = time.Minute // how often it is asked whether that may be done
)

// pruneLoop removes what is past its retention, until the context ends.
func pruneLoop(ctx context.Context, cfg *config.Config, accounts func() []poller.Status, prune func(context.Context, state.PrunePolicy) (state.Pruned, error), log *slog.Logger) error {
	ticker := time.NewTicker(pruneLook)
	defer ticker.Stop()
	var next time.Time
	for {
		now := time.Now()
		if agreed, known := agreedTime(accounts(), now); known && !now.Before(next) {
			next = now.Add(pruneEvery)
			pruned, err := prune(ctx, prunePolicy(cfg, agreed))
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				log.Error("removing what is past state.retention failed and is tried again in an hour", "error", err)
			case pruned.Deliveries+pruned.Events+pruned.Sessions > 0:
				log.Info("removed what is past state.retention", "deliveries", pruned.Deliveries, "events", pruned.Events, "sessions", pruned.Sessions)
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

// prunePolicy says what is past its retention at a time. Sessions stay as long as any window
// of any account reaches them: those that end now, and those that end at the low-water mark
// of an account that was not polled for long.
func prunePolicy(cfg *config.Config, now time.Time) state.PrunePolicy {
	window := poller.Window
	for _, a := range cfg.Accounts {
		window = max(window, a.Poll.UnpaidFor, a.Poll.Tuning.Overlap)
	}
	cutoff := now.Add(-cfg.State.Retention)
	return state.PrunePolicy{Before: cutoff, CreatedBefore: now.Add(-max(2*window, cfg.State.Retention)), LookedBefore: cutoff, Reach: window}
}
