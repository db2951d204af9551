package main

import (
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

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
