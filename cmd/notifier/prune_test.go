package main

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/state"
)

// The first removal waits until an account was polled, and goes by the clock that is behind.
func TestPruneLoopGoesByAllClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention, window, ahead, start = 30 * 24 * time.Hour, 40 * 24 * time.Hour, 20 * 24 * time.Hour, 10 * time.Minute
		began := time.Now()
		cfg := &config.Config{State: state.Config{Retention: retention}, Accounts: []poller.Account{{Poll: poller.Poll{UnpaidFor: window}}}}
		accounts := func() []poller.Status {
			s := poller.Status{ClockSkew: event.Seconds(-ahead)}
			if time.Since(began) >= start {
				s.LastSuccess = began
			}
			return []poller.Status{s}
		}
		var got []state.PrunePolicy
		prune := func(_ context.Context, p state.PrunePolicy) (state.Pruned, error) {
			got = append(got, p)
			return state.Pruned{}, nil
		}
		ctx, stop := context.WithTimeout(t.Context(), start+pruneEvery+time.Minute)
		defer stop()
		if err := pruneLoop(ctx, cfg, accounts, prune, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		var want []state.PrunePolicy
		for _, at := range []time.Time{began.Add(start), began.Add(start + pruneEvery)} {
			right := at.Add(-ahead)
			want = append(want, state.PrunePolicy{Before: right.Add(-retention), CreatedBefore: right.Add(-2 * window), LookedBefore: right.Add(-retention), Reach: window})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// What is removed is gone for good, so that no single clock decides it.
func TestNothingIsPrunedByOneClock(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	polled := func(skew time.Duration) poller.Status {
		return poller.Status{LastSuccess: now, ClockSkew: event.Seconds(skew)}
	}
	const month = 30 * 24 * time.Hour
	for name, tt := range map[string]struct {
		accounts []poller.Status
		want     time.Time
		known    bool
	}{
		"no account was polled":      {[]poller.Status{{ClockSkew: event.Seconds(-month)}}, now, false},
		"the clocks agree":           {[]poller.Status{polled(0), {}}, now, true},
		"ours is ahead":              {[]poller.Status{polled(time.Second), polled(-month)}, now.Add(-month), true},
		"that of an API is ahead":    {[]poller.Status{polled(month)}, now, true},
		"that of the other is right": {[]poller.Status{polled(month), polled(0)}, now, true},
	} {
		if got, known := agreedTime(tt.accounts, now); known != tt.known || known && !got.Equal(tt.want) {
			t.Errorf("%s: %s, %t, want %s, %t", name, got, known, tt.want, tt.known)
		}
	}
}
