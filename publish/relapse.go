package publish

import (
	"time"

	"checkout-notifier/event"
)

// A destination that takes some orders and refuses others for ever closes its breaker
// with each of the former, and opens it with the latter, again and again. What opens it
// soon after it closed is a relapse. As long as there may be one the newest deliveries
// take turns with those that have waited longest: what is well does not wait until all
// that came before it and is refused was tried.

// relapseWithin is for how long the breaker's opening counts as a relapse: since it closed,
// or since the last refusal of a delivery that had waited for it to close. A destination that
// fails within this time after its recovery is told of only if that lasts: one that comes and
// goes would call somebody each minute.
const relapseWithin = 10 * time.Minute

// onTrial says whether, within relapseWithin, the breaker closed, or a delivery that had
// waited for it to close was refused. The caller holds mu.
func (l *lane) onTrial(now time.Time) bool { return now.Sub(l.standing.Unsettled) < relapseWithin }

// stayOnTrial notes the refusal of a delivery that may have waited for the breaker to
// close. The caller holds mu.
func (l *lane) stayOnTrial(d *event.Delivery, now time.Time) {
	if s := &l.standing; !l.broken() && l.onTrial(now) && !d.Created.After(s.Opened) {
		s.Unsettled = now
	}
}

// open opens the breaker. That is not told at once of a relapse, nor where a 429 brings it,
// which asks for no more than fewer deliveries at a time. The caller holds mu.
func (l *lane) open(r Result, now time.Time) {
	s := &l.standing
	s.Relapse = l.onTrial(now)
	s.Broken, s.Opened, s.Probes, s.NextProbe = now, now, 0, now.Add(breakFirstLook)
	s.Judging, s.RefusedTypes = now, nil
	clear(l.tried)
	l.log.Warn("the destination refused what it was sent several times in a row: what is for it waits, and one delivery at a time is tried as a probe until one is accepted", "failures_in_a_row", s.Failures, "reason", s.Why)
	if !r.Throttled && !s.Relapse && now.Sub(s.Recovered) >= relapseWithin || l.failsLong(now, false) {
		l.announceFailing(now)
	}
}

// stopClock stops the reachable time, by which order_hold is measured, while the breaker is
// open. In a relapse it stops only after relapseWithin: otherwise a destination that comes
// and goes would hold events back for ever. The caller holds mu.
func (l *lane) stopClock(now time.Time) {
	s := &l.standing
	if l.broken() && (!s.Relapse || now.Sub(s.Broken) >= relapseWithin) {
		l.clock.note(ContactFailed, now)
	}
}

// refusedBefore says whether a refusal tells nothing new, because the delivery was refused
// before and others were accepted since. Over NATS, where such a delivery is sent again for
// ever, each refusal counts against the destination. The caller holds mu.
func (l *lane) refusedBefore(d *event.Delivery, r Result, now time.Time) bool {
	if l.dest.Type != TypeHTTP || d.HeldAt == nil || r.Contact != ContactMade || r.Throttled {
		return false
	}
	return l.clock.at(now)-*d.HeldAt >= now.Sub(l.standing.LastSuccess)
}
