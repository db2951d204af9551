package publish

import (
	"context"
	"maps"
	"time"

	"checkout-notifier/event"
)

// sortAtOnce is how much is read at once where subjects are blocked: most of it may
// have to wait, and what is behind it should not.
const sortAtOnce = 512

// refill reads what is due, as far as there is room for it, and sorts out what
// must wait.
func (l *lane) refill(send context.Context, now time.Time, step *event.Step) error {
	l.mu.Lock()
	q, most := &l.queue, ahead(l.dest.Concurrency)
	if l.pacer.limiter != nil {
		most = leastAhead // what is read waits for the limiter: not so much that it grows stale
	}
	room, _ := l.room()
	look := event.Look{Now: now, Skip: l.skip}
	trial, backlog := l.onTrial(now), q.moreFresh && now.Sub(q.longest) > longestCommit
	switch {
	case trial:
		// What comes later and is well waits for what was read before it: no more than begins now.
		look.Newest, most = max(0, newestAhead-len(q.newest)), min(most, room)
	case backlog:
		look.Newest, look.After = max(0, min(most, max(newestAhead, l.dest.Concurrency))-len(q.newest)), q.caughtUp.Add(-longestCommit)
	}
	if len(l.subjects.known) > 0 {
		most = max(most, sortAtOnce)
	}
	look.First, look.SentAgain, look.Again = max(0, most-len(q.fresh)), max(0, most-len(q.again)), max(0, most-len(q.late))
	wants := room > 0 && q.wants(now, room)
	q.unseen = q.unseen && !wants
	l.mu.Unlock()
	if !wants {
		return nil
	}
	jobs, next, err := l.outbox.Due(send, l.dest.Name, look)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		q.unseen = true
		return err
	}
	q.looked, q.next = now, next
	newest, stood := look.Newest, len(l.stalled)
	for i := range jobs {
		into, more := &q.fresh, &look.First
		switch d := &jobs[i].Delivery; {
		case d.Repeated():
			into, more = &q.late, &look.Again
		case d.SentAgain():
			into, more = &q.again, &look.SentAgain
		case i < newest && d.Due.After(look.After):
			into, more = &q.newest, &look.Newest
		}
		*more--
		l.sort(&jobs[i], now, step, into)
	}
	q.moreNewest = look.Newest == 0 && (trial || backlog)
	q.moreFresh, q.moreAgain, q.moreLate = look.First == 0, look.SentAgain == 0, look.Again == 0
	if trial || !q.moreNewest {
		q.caughtUp = now
	}
	q.longest = time.Time{}
	if len(q.fresh) > 0 {
		q.longest = q.fresh[0].Delivery.Due
	}
	if len(jobs) > 0 && len(l.stalled)-stood == len(jobs) {
		q.sooner(now) // others may be behind those that stand still
	}
	return nil
}

// longestCommit is how long after a delivery was made it may be found for the first time. While
// nothing waits longer, deliveries are read in the order in which they became due, which is cheaper.
const longestCommit = 5 * time.Second

// newestAhead is how many of the newest deliveries are read before others while there may
// be a relapse: there has to be room for these, and of what comes meanwhile. Otherwise
// they are read only if they came after a backlog, and so many as may begin.
const newestAhead = 4

// sort puts a due delivery into the queue, or adds to the step that it must wait.
func (l *lane) sort(job *event.Job, now time.Time, step *event.Step, into *[]*event.Job) {
	parked := l.decide(job, now)
	if parked == nil && !l.stalled[job.Delivery.ID] {
		parked = l.mustAwait(job, now)
	}
	switch {
	case parked != nil:
		step.Parked = append(step.Parked, *parked)
		l.noProbe(job.Delivery.ID)
	case l.stalled[job.Delivery.ID]:
		l.noProbe(job.Delivery.ID)
	default:
		l.claim(job)
		if l.passing[job.Delivery.ID] {
			into = &l.queue.passing
		}
		*into = append(*into, job)
	}
}

func (l *lane) claim(job *event.Job) {
	l.claimed[job.Delivery.ID] = true
	if l.tally != nil {
		l.tally.seen[job.Delivery.ID] = true
	}
}

// release forgets that a delivery is in hand.
func (l *lane) release(id string) {
	delete(l.claimed, id)
	maps.DeleteFunc(l.paging, func(_, of string) bool { return of == id })
}

// unclaim lets a delivery be read again: nothing came of it.
func (l *lane) unclaim(id string) {
	l.release(id)
	delete(l.passing, id)
	if l.tally != nil {
		delete(l.tally.seen, id)
	}
}

func (l *lane) skip(deliveryID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claimed[deliveryID] || l.stalled[deliveryID] || l.tally != nil && l.tally.seen[deliveryID]
}
