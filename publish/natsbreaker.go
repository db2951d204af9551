package publish

import (
	"context"
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
// not been asked yet to take all that waits. The caller holds mu.
func (l *lane) mayTakeOthers(now time.Time) bool {
	s := &l.standing
	switch {
	case l.dest.Type != TypeNATS:
		return false
	case now.Sub(s.LastSuccess) < natsMixed:
		return true
	case now.Sub(s.FailedSince) >= natsMixed:
		return false
	}
	first := func(t task) bool { return !t.late }
	return len(l.queue.fresh)+l.starting > 0 || l.queue.moreFresh || l.sending.all > l.sending.late || slices.ContainsFunc(l.begun, first)
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

// newcomers bounds the deliveries among which a probe is looked for.
const newcomers = 16

// probeJob returns what the next probe may be: what has waited longest, and over
// NATS in turns with that what came since the breaker opened. It adds to the step
// what it comes across that has to wait for its subject.
func (l *lane) probeJob(send context.Context, now time.Time, step *event.Step) (event.Job, bool, error) {
	l.mu.Lock()
	late := l.dest.Type != TypeNATS || l.standing.Probes%2 == 0
	l.mu.Unlock()
	if !late {
		jobs, _, err := l.outbox.Due(send, l.dest.Name, now, newcomers, 0, l.triedOrSeen)
		if err != nil {
			return event.Job{}, false, err
		}
		for i := range jobs {
			if len(jobs[i].Earlier) == 0 && !l.passOver(&jobs[i], now, step) {
				return jobs[i], true, nil
			}
		}
	}
	for range newcomers {
		job, found, err := l.outbox.Oldest(send, l.dest.Name, l.triedOrSeen)
		if err != nil || !found || !l.passOver(&job, now, step) {
			return job, found, err
		}
	}
	return event.Job{}, false, nil
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
