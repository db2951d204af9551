package publish

import (
	"slices"
	"time"

	"checkout-notifier/event"
)

// One server takes many subjects, and a permission may be missing for some of them:
// deliveries for the others must not wait for what these meet.

// natsMixed is how long what a NATS destination has accepted speaks against what
// it refuses, and how long first attempts go on beside refusals: as long as the
// last slot of the default schedule, in which all that waits has its turn.
const natsMixed = time.Minute

// mayTakeOthers says whether a NATS destination has just accepted something, or has
// not been asked yet to take all that waits, later events of sessions included. The
// caller holds mu.
func (l *lane) mayTakeOthers(now time.Time) bool {
	s := &l.standing
	switch {
	case l.dest.Type != TypeNATS:
		return false
	case now.Sub(s.LastSuccess) < natsMixed, l.holds && l.refusedFor(now) < natsMixed+l.dest.OrderHold:
		return true
	case l.refusedFor(now) >= natsMixed:
		return false
	}
	first := func(t task) bool { return !t.late }
	q := &l.queue
	return len(q.newest)+len(q.fresh)+len(q.again)+l.starting > 0 || q.moreFresh || q.moreAgain || l.sending.all > l.sending.late || slices.ContainsFunc(l.begun, first)
}

// writeOver lets the next attempt take the row of one that was refused over NATS,
// where a refusal repeats for ever: what a delivery leaves in the store while it
// waits has a bound. Its first attempts stay, and one that somebody asked for. The
// caller holds mu.
func (l *lane) writeOver(d *event.Delivery) {
	if l.dest.Type == TypeNATS && d.Attempts > len(l.dest.Retry.Schedule) && d.Actor == "" {
		l.reuse[d.ID] = d.Attempts
	}
}
