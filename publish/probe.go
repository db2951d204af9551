package publish

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"checkout-notifier/event"
)

// What one delivery meets is no verdict on all: each probe of an open breaker is
// another delivery, and every second one is what may fare better than those that
// have waited longest.

const (
	// overtakeAfter is how long a breaker is open before a probe may be a later event
	// of a session: twice the longest pause between probes, so that ordinary outages
	// end before, and what waits goes in order then.
	overtakeAfter = 2 * breakLastLook
	// typeRefusedFor is how long a type counts as refused. What is refused for ever has a
	// probe in this time; what an outage refused has another chance after it.
	typeRefusedFor = 6 * breakLastLook
	// parkAtOnce bounds what is found to wait for its subject before a probe is found.
	parkAtOnce = 16
)

// aboutMessage says whether a refusal is about the message, as one that is well
// gives: a type that it does not know, a subject that is not for us.
func aboutMessage(r Result) bool {
	switch r.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusGone,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return r.Class == ClassBody || r.Class == ClassNATS
}

// noteType notes that a probe with an event of a type was refused. The first answer that is
// about the message shows that any before it, which were not, came from an outage: the types
// that were refused until then are forgotten. The caller holds mu.
func (l *lane) noteType(d *event.Delivery, r Result, now time.Time) {
	s := &l.standing
	switch about := aboutMessage(r); {
	case !about:
		s.Judging = time.Time{}
	case s.Judging.IsZero():
		s.Judging, s.RefusedTypes = now, nil
	}
	if r.Class == ClassBody {
		return // says nothing of others of its type
	}
	l.refuses(d.EventType, now)
}

// refuses notes that a type is refused. What is to be stored is left as it is. The caller
// holds mu.
func (l *lane) refuses(eventType string, now time.Time) {
	types := map[string]time.Time{}
	maps.Copy(types, l.standing.RefusedTypes)
	types[eventType] = now
	l.standing.RefusedTypes = types
}

// tookType notes that an event of a type was accepted, and removes the type from RefusedTypes.
// A refusal of a type that is still in RefusedTypes does not open the breaker again: a type that
// is always refused would keep it open, and no order_hold would ever end. If an outage may have
// been the reason of those refusals, RefusedTypes is emptied. Over NATS the types of the refused
// events that this one overtook are added. The caller holds mu.
func (l *lane) tookType(job *event.Job, now time.Time) {
	s := &l.standing
	if l.broken() && s.Judging.IsZero() && first(job) {
		s.RefusedTypes = nil
	}
	for i := range job.Earlier {
		if e := &job.Earlier[i]; e.Slots > 0 && l.dest.Type == TypeNATS {
			l.refuses(e.EventType, now)
		}
	}
	if _, refused := s.RefusedTypes[job.Delivery.EventType]; refused {
		types := maps.Clone(s.RefusedTypes)
		delete(types, job.Delivery.EventType)
		s.RefusedTypes = types
	}
}

// refusesType says whether a refusal tells nothing new, because it is known that events of
// this type are refused. The caller holds mu.
func (l *lane) refusesType(d *event.Delivery, r Result) bool {
	_, known := l.standing.RefusedTypes[d.EventType]
	return known && r.Contact == ContactMade && !r.Throttled
}

// first takes what waits for no earlier one of its session.
func first(job *event.Job) bool { return len(job.Earlier) == 0 }

// probeJob chooses the delivery that probes an open breaker. A destination may refuse some
// deliveries and take others, and then one that it refused before shows nothing. So there are
// kinds of probes that take turns, by their number since the breaker opened; of the kinds whose
// turn it is, the first one that has a delivery gives the probe. Deliveries on the way there
// that have to wait for their subject are added to the step.
func (l *lane) probeJob(send context.Context, now time.Time, step *event.Step) (job event.Job, found bool, err error) {
	l.mu.Lock()
	s := l.standing
	some := s.Relapse || now.Sub(l.pacer.refused) < forgetAfter // it takes some and refuses others, perhaps
	l.mu.Unlock()
	second, third, newest := s.Probes%2 == 1, s.Probes%3 == 0, s.Probes%6 < 5
	judged := s.Judging.Equal(s.Broken) && now.Sub(s.Broken) >= l.dest.OrderHold // all that it refuses is about messages
	overtakes := judged || now.Sub(s.Broken) >= overtakeAfter                    // else it may be an ordinary outage
	refused := func(eventType string) bool { return now.Sub(s.RefusedTypes[eventType]) < typeRefusedFor }
	// Others were accepted after it was refused.
	refusedAlone := func(d *event.Delivery) bool { return d.HeldAt != nil && *d.HeldAt < s.SuccessUp }
	later := func(job *event.Job) bool {
		return !first(job) && !slices.ContainsFunc(job.Earlier, func(e event.Delivery) bool {
			tried, known := e.Attempts > 0, refused(e.EventType)
			return (!tried || !known) && (!judged || !tried && !known)
		})
	}
	for _, kind := range []struct {
		may, newest bool
		skip        func(*event.Delivery) bool
		fits        func(*event.Job) bool
		anew        bool // also what had its turn, and then all have one again
	}{
		// Never tried, of a type that was not refused since the breaker opened.
		{second, false, func(d *event.Delivery) bool { return d.Attempts > 0 || refused(d.EventType) }, first, false},
		// The same among later events of a session, once they may overtake the earlier one.
		{!third && overtakes, false, func(d *event.Delivery) bool { return d.Attempts > 0 || refused(d.EventType) }, later, false},
		// Such a later event that was tried before.
		{second && overtakes, false, func(d *event.Delivery) bool { return refused(d.EventType) }, later, false},
		// Never tried, mostly the newest one: older ones may be of the burst that opened the breaker.
		{second || some && newest, newest, func(d *event.Delivery) bool { return d.Attempts > 0 }, first, false},
		// What has waited longest of those that were not refused while others were accepted.
		{true, false, refusedAlone, first, false},
		{true, false, refusedAlone, first, true},
		// What has waited longest.
		{true, false, func(*event.Delivery) bool { return false }, first, false},
	} {
		skip := func(d *event.Delivery) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return !kind.anew && l.tried[d.ID] || l.claimed[d.ID] || l.tally != nil && l.tally.seen[d.ID] || kind.skip(d)
		}
		for n := 0; kind.may && !found && err == nil && n < parkAtOnce && (n == 0 || !kind.anew); n++ {
			if job, found, err = l.outbox.Pick(send, l.dest.Name, kind.newest, skip, kind.fits); !found {
				break
			}
			if found = !l.passOver(&job, now, step); found && kind.anew {
				l.mu.Lock()
				clear(l.tried)
				l.mu.Unlock()
			}
		}
	}
	return job, found, err
}

// passOver says whether a delivery has to wait for its subject, and is no probe.
func (l *lane) passOver(job *event.Job, now time.Time, step *event.Step) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.mustAwait(job, now)
	if v == nil {
		return false
	}
	l.tried[job.Delivery.ID] = true
	step.Parked = append(step.Parked, *v)
	return true
}

// ask lets a delivery be tried at once.
func (l *lane) ask(deliveryID string) {
	l.mu.Lock()
	if !slices.Contains(l.asked, deliveryID) {
		l.asked = append(l.asked, deliveryID)
	}
	l.mu.Unlock()
	l.look()
}

// served notes that a delivery was tried, if that was asked for. The caller holds mu.
func (l *lane) served(deliveryID string) {
	if i := slices.Index(l.asked, deliveryID); i >= 0 {
		l.asked = slices.Delete(l.asked, i, i+1)
	}
}

// askedJob returns the first of what was asked for, and forgets what is on its way or
// not pending.
func (l *lane) askedJob(send context.Context) (job event.Job, found bool, err error) {
	for {
		l.mu.Lock()
		if len(l.asked) == 0 {
			l.mu.Unlock()
			return event.Job{}, false, nil
		}
		id := l.asked[0]
		claimed := l.claimed[id]
		l.mu.Unlock()
		if !claimed {
			other := func(d *event.Delivery) bool { return d.ID != id }
			job, found, err = l.outbox.Pick(send, l.dest.Name, false, other, func(*event.Job) bool { return true })
		}
		l.mu.Lock()
		if !found && err == nil {
			l.served(id)
		}
		if found {
			delete(l.stalled, id)
			_ = l.blockedNow(&job) // if its subject takes nothing it is the probe of that, too
		}
		l.mu.Unlock()
		if found || err != nil {
			return job, found, err
		}
	}
}

// pass puts what was asked for at the front of the queue. One whose session has an
// earlier one on its way waits for the end of that.
func (l *lane) pass(send context.Context) error {
	job, found, err := l.askedJob(send)
	if err != nil || !found {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(job.Earlier, func(e event.Delivery) bool { return l.claimed[e.ID] }) {
		return nil
	}
	l.claim(&job)
	l.overtake(&job)
	l.queue.passing = append(l.queue.passing, &job)
	return nil
}
