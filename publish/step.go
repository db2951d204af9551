package publish

import (
	"context"
	"time"

	"checkout-notifier/event"
)

// begin is the part of a step that makes an attempt durable, and with it what the
// delivery overtakes, so that a crash cannot change what was said of it.
func (l *lane) begin(t *task) event.Begin {
	return event.Begin{Delivery: t.job.Delivery, Attempt: t.attempt, Overtakes: l.passing[t.job.Delivery.ID]}
}

// withdraw gives up what was begun and not sent.
func (l *lane) withdraw() []event.Begin {
	l.overtaken, l.begun = append(l.overtaken, l.begun...), nil
	return l.withdrawBlocked()
}

// take writes a step down, with all that the owner has not heard, and draws the
// conclusions. refused is that of takeResults.
func (l *lane) take(send context.Context, step *event.Step, tasks []task, refused int) error {
	var s statement
	l.mu.Lock()
	if len(step.Resolved)+len(l.news) > 0 {
		s = l.statement(time.Now())
		step.Standing = &s.change
	}
	l.mu.Unlock()
	s.change.Notices = l.notices(s.news, s.refused+refused)
	// The store is local: a shutdown must not keep a result from being written.
	met, err := l.outbox.Take(context.WithoutCancel(send), *step)
	if err != nil {
		l.putBack(step, tasks, s.news)
		return err
	}
	l.mu.Lock()
	l.health.marks.wrote(&s.change.Standing)
	l.health.stores.reset()
	l.health.storeless = time.Time{}
	for i := range step.Resolved {
		v := &step.Resolved[i]
		l.release(v.Delivery.ID)
		if v.Attempt.Outcome == event.OutcomeUnavailable {
			l.reuse[v.Delivery.ID] = v.Attempt.N
			l.waitsFor(v)
		}
		l.queue.sooner(v.Retry)
		l.queue.sooner(v.Release)
		l.holds = l.holds || met.Woke && v.Release.After(v.At)
		if v.Dead != "" && len(l.stalled) > 0 {
			l.unstall() // one may have waited for this, which a contact need not follow
		}
	}
	for i := range step.Parked {
		l.queue.sooner(step.Parked[i].Retry)
		l.queue.sooner(step.Parked[i].Release)
		if v := &step.Parked[i]; v.Void != "" {
			l.log.Info("a delivery is given up: it would change an incident of which a later one was accepted", "delivery", v.Delivery.ID, "event", v.Delivery.EventID, "type", v.Delivery.EventType, "reason", v.Void)
		}
	}
	for i, ids := range met.Unblocked {
		l.unblocked(&step.Unblocked[i], ids)
	}
	for i := range step.Withdrawn {
		b := &step.Withdrawn[i]
		l.unclaim(b.Delivery.ID)
		if b.Attempt.N == b.Delivery.Attempts {
			l.reuse[b.Delivery.ID] = b.Attempt.N
		}
	}
	l.leaving = nil
	l.queue.unseen = l.queue.unseen || met.Woke || len(step.Withdrawn) > 0
	for _, id := range met.Gone {
		l.unclaim(id)
	}
	l.mu.Unlock()
	l.told(step.Resolved, met.Gone)
	l.call(s.change.Notices)
	return nil
}

// putBack undoes a step that could not be stored. Its results go behind those that came
// meanwhile, its news and the attempts that commits had begun to the front, and the
// deliveries whose attempts it would have begun are read again.
func (l *lane) putBack(step *event.Step, tasks []task, unheard []news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news = append(unheard, l.news...)
	l.starting = 0
	for i := range step.Resolved {
		l.results = append(l.results, outcome{verdict: step.Resolved[i]})
	}
	for i := range step.Unblocked {
		if b := l.subjects.known[step.Unblocked[i].Subject]; b != nil {
			b.next = time.Now()
			l.subjects.sooner(b.next)
		}
	}
	for i := range tasks {
		if d := &tasks[i].job.Delivery; tasks[i].attempt.N == d.Attempts {
			l.reuse[d.ID] = d.Attempts
		}
		l.unclaim(tasks[i].job.Delivery.ID)
	}
	l.begun, l.leaving = append(l.leaving, l.begun...), nil
	l.queue.unseen = l.queue.unseen || len(tasks)+len(step.Parked) > 0
}
