package diff

import (
	"time"

	"checkout-notifier/event"
)

// LastLook returns when the last look that still showed prev was asked for: the
// stored one, or a later one of this process, which may be zero. Where the server's
// clock was ahead of ours by more than it is now, the stored time was too late by
// the difference and is moved back. Where it was ahead by less, the time is too
// early, which is only less exact.
func (l Look) LastLook(prev *event.Snapshot, later time.Time) time.Time {
	last := prev.LookedAt
	if !prev.LookedOwn.IsZero() {
		if ahead := last.Round(0).Sub(prev.LookedOwn.Round(0)) - l.ahead(); ahead > dateStep {
			last = last.Add(-ahead - max(dateStep, l.At.Sub(l.asked()))) // the time now may be less exact
		}
	}
	own := !later.Equal(prev.LookedAt.Truncate(time.Millisecond)) // not the stored one, to the precision of the index
	if own && (later.After(last) || last.After(l.At)) && !later.IsZero() {
		return later
	}
	return last
}

// dateStep is how exactly the server's clock is known: Date is cut to seconds.
const dateStep = time.Second

// ahead is by how much the server's clock is ahead of the hands of ours.
func (l Look) ahead() time.Duration { return l.At.Round(0).Sub(l.own().Round(0)) }

// ownAsked is when the look was asked for, by our own clock.
func (l Look) ownAsked() time.Time { return l.asked().Add(-l.ahead()).Round(0) }
