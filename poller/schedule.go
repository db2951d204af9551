package poller

import (
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

const (
	// createdRounding is by how much a creation time may be rounded by the API.
	createdRounding = time.Second
	// expiryGrace is how long after expires_at the API is given to say so.
	expiryGrace = 2 * time.Second
	// A session that stays open after its expiry is looked at each lateEvery,
	// after lateSlow each lateSlowEvery.
	lateEvery     = time.Minute
	lateSlow      = 24 * time.Hour
	lateSlowEvery = time.Hour
	// heldEvery is how often a step back is looked at while it awaits confirmation.
	heldEvery = time.Minute
	// Window is what the first pass and a reconciliation read at least: the
	// longest life of an open session and an hour.
	Window = 25 * time.Hour
)

// dueAt returns when a watched session must be looked at again, given when it
// was last looked at or asked for.
func dueAt(t *event.Tracked, last time.Time, tuning Tuning) time.Time {
	switch {
	case t.Held:
		return last.Add(min(heldEvery, tuning.WarmEvery))
	case t.Status == checkout.StatusComplete:
		return last.Add(tuning.UnpaidEvery)
	}
	turn := t.Expiry().Add(expiryGrace)
	switch {
	case last.Before(turn):
		return earlier(last.Add(tuning.WarmEvery), turn)
	case last.Before(turn.Add(lateSlow)):
		return last.Add(lateEvery)
	}
	return last.Add(lateSlowEvery)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// hot says whether a session is young enough to be looked at in every pass.
func hot(t *event.Tracked, now time.Time, tuning Tuning) bool {
	return now.Sub(t.Created) < tuning.HotAge
}

// backoff returns how long to wait after the n-th failure in a row (from 1).
func backoff(e *Error, n int, jitter float64) time.Duration {
	const first, most, deniedWait = time.Second, 30 * time.Second, 5 * time.Minute
	wait := most
	if n < 6 {
		wait = min(first<<(n-1), most)
	}
	if e.Kind == KindDenied {
		wait = deniedWait
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return time.Duration(float64(wait) * (1 - jitter/2))
}
