package publish

import (
	"slices"
	"time"

	"checkout-notifier/event"
)

// decide says whether a due delivery may be sent. One that has to let earlier
// events of its session go first comes back with the verdict that makes it
// wait, or is noted as stalled, which costs no write. It waits for order_hold once, however
// many of the earlier ones are refused one after the other.
func (l *lane) decide(job *event.Job, now time.Time) *event.Verdict {
	d := &job.Delivery
	if !d.Ordered || len(job.Earlier) == 0 {
		return nil
	}
	up := l.clock.at(now)
	stretch := min(now.Sub(d.Created), up-l.clock.total) // for which it has waited at least, if others were refused by then
	var remaining, waited time.Duration
	settling := false
	hold := func(held time.Duration) {
		remaining, waited = max(remaining, l.dest.OrderHold-held), max(waited, min(stretch, held))
	}
	for _, earlier := range job.Earlier {
		if earlier.EventID == d.EventID {
			continue // another rule's rendering of the same event: neither comes first
		}
		switch {
		case earlier.HeldAt == nil && earlier.SentAgain() && !d.SentAgain() && !l.claimed[earlier.ID]:
			hold(min(stretch, now.Sub(earlier.Since()))) // how much there is before it, to be sent again, nobody knows
			continue
		case earlier.HeldAt == nil || earlier.Slots == 0 && !earlier.Blocked() || l.isNext(&earlier, now):
			return l.park(d, now, time.Time{}) // it wakes this one when it ends
		}
		settling = l.subjects.settling(&earlier, d.ID, now) || settling
		hold(up - *earlier.HeldAt)
	}
	remaining = min(remaining, l.dest.OrderHold-waited)
	switch {
	case remaining > 0 && l.clock.running:
		l.holds = true
		return l.park(d, now, now.Add(remaining))
	case remaining > 0:
		l.stalled[d.ID] = true
	case settling:
		return l.park(d, now, now.Add(probeFirst))
	default:
		l.overtake(job)
	}
	return nil
}

// isNext says whether one that was refused is on its way, or due and has a slot. Where those
// for repetitions are taken, the hold decides.
func (l *lane) isNext(d *event.Delivery, now time.Time) bool {
	_, slots := l.room()
	if l.claimed[d.ID] {
		return slices.IndexFunc(l.queue.late, func(job *event.Job) bool { return job.Delivery.ID == d.ID }) < slots
	}
	return !d.Due.IsZero() && !d.Due.After(now) && len(l.queue.late) < slots && !l.queue.moreLate
}

// overtake lets a delivery go before the earlier ones of its session, and say so.
// What it was to say at an attempt that may have arrived, it says for ever.
func (l *lane) overtake(job *event.Job) {
	d := &job.Delivery
	if d.Overtook != nil || len(job.Earlier) == 0 {
		return
	}
	overtook := make([]string, 0, len(job.Earlier))
	for i := range job.Earlier {
		if id := job.Earlier[i].EventID; id != d.EventID {
			overtook = append(overtook, id)
		}
	}
	d.Overtook = slices.Compact(overtook) // an event may have two renderings
	l.passing[d.ID] = len(overtook) > 0
}

// park lets a delivery wait for earlier ones of its session, until it is woken or,
// if retry is not zero, until then.
func (l *lane) park(d *event.Delivery, now, retry time.Time) *event.Verdict {
	parked := *d
	parked.BlockedSubject = ""
	return &event.Verdict{Delivery: parked, At: now, UpClock: l.clock.known(now), Retry: retry}
}

// hold notes when a delivery was first not taken, which begins the hold of an ordered
// one, and tells when the next one of its session may go. The caller holds mu.
func (l *lane) hold(v *event.Verdict, d *event.Delivery, now time.Time) {
	up := l.clock.at(now)
	if d.HeldAt == nil {
		d.HeldAt = &up
	}
	if !d.Ordered {
		return
	}
	v.Release = now
	if len(d.Overtook) == 0 { // else the next one may have waited for long enough
		v.Release = now.Add(max(0, l.dest.OrderHold-(up-*d.HeldAt)))
	}
}

// noteContact moves the up clock; a contact regained wakes what waits for it.
func (l *lane) noteContact(c Contact, now time.Time) {
	if !l.standing.Paused.IsZero() {
		return // it stands still, whatever comes of what was under way
	}
	was := l.clock.running
	l.clock.note(c, now)
	l.skipThrottled(now)
	if l.clock.running && !was {
		l.unstall()
	}
}

// skipThrottled lets no hold run out while all have to wait.
func (l *lane) skipThrottled(now time.Time) {
	if l.standing.Throttled.After(now) {
		l.clock.skip(now, l.standing.Throttled)
	}
}

// unstall lets held followers look again.
func (l *lane) unstall() {
	clear(l.stalled)
	l.queue.unseen = true
	l.poke()
}
