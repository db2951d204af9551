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

// relapseWithin is how long after the breaker closed, and after the last refusal of what
// waited for that, its opening counts as a relapse, and after its recovery a destination
// that fails again is told of only if that lasts: one that comes and goes would call
// somebody each minute.
const relapseWithin = 10 * time.Minute

// onTrial says whether the breaker closed of late, or what waited for that was refused
// of late. The caller holds mu.
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

// stopClock lets the time of holds stand still under an open breaker. In a relapse it
// goes on for as long as another would be one: otherwise what comes and goes would make
// a hold endless. The caller holds mu.
func (l *lane) stopClock(now time.Time) {
	s := &l.standing
	if l.broken() && (!s.Relapse || now.Sub(s.Broken) >= relapseWithin) {
		l.clock.note(ContactFailed, now)
	}
}

// refusedBefore says whether a refusal is only what is known of the delivery: it was
// refused before, others were accepted since, and it is refused again. Over NATS, where
// that repeats for ever, it is a reason to leave the destination alone. The caller holds
// mu.
func (l *lane) refusedBefore(d *event.Delivery, r Result, now time.Time) bool {
	if l.dest.Type != TypeHTTP || d.HeldAt == nil || r.Contact != ContactMade || r.Throttled {
		return false
	}
	return l.clock.at(now)-*d.HeldAt >= now.Sub(l.standing.LastSuccess)
}
