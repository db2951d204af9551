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
// fails within this time after its recovery is told of only if that lasts, and to be well again
// only once it was for as long: one that comes and goes would call somebody each minute.
const relapseWithin = 10 * time.Minute

// tellBrokenAfter is how long a destination must fail, from the first failure in the row on,
// before its owner hears that its breaker is open: one that is just starting refuses ten orders
// at once, and takes them a moment later. Two cases take longer, see tellBroken. In a relapse,
// and within relapseWithin after the owner heard that it is well, it is tellAfter. While the
// owner has an open alert of deliveries that it refuses again and again, it is tellFailingAfter
// (failsLong): ten of those that are repeated at the same time open the breaker although the
// destination takes all others.
const tellBrokenAfter = 30 * time.Second

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

// open opens the breaker. The caller holds mu.
func (l *lane) open(r Result, now time.Time) {
	s := &l.standing
	s.Relapse = l.onTrial(now)
	s.Broken, s.Opened, s.Probes, s.NextProbe = now, now, 0, now.Add(breakFirstLook)
	s.Judging, s.RefusedTypes, s.Well = now, nil, event.Trouble{}
	clear(l.tried)
	l.log.Warn("the destination refused what it was sent several times in a row: what is for it waits, and one delivery at a time is tried as a probe until one is accepted", "failures_in_a_row", s.Failures, "reason", s.Why)
	l.tellBroken(r, now)
}

// tellBroken is called with each refusal that opens the breaker or meets it open, and tells the
// owner if the destination has failed for long enough by then (tellBrokenAfter). A 429 only
// asks for fewer deliveries at a time: of these the owner hears once failsLong says so.
//
// Where the time is tellAfter it may end between two probes, and a destination that is down for
// little longer each time would be well at the next probe, and never told of. So health.tells
// is when that time ends, and tell looks at it then, with no refusal. The caller holds mu.
func (l *lane) tellBroken(r Result, now time.Time) {
	s := &l.standing
	after, lasts := tellBrokenAfter, l.refusedFor(now)
	if s.Relapse || l.failsSince(now).Sub(s.Recovered) < relapseWithin {
		after = tellAfter
	}
	l.health.tells = time.Time{}
	switch {
	case !r.Throttled && lasts >= after && !s.AnnouncedRefused || l.failsLong(now, false):
		l.announceFailing(now)
	case !r.Throttled && after == tellAfter && !s.AnnouncedRefused:
		l.health.tells = now.Add(after - lasts)
		time.AfterFunc(after-lasts, l.poke)
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
