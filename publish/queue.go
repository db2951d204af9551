package publish

import (
	"slices"
	"time"

	"checkout-notifier/event"
)

// queue holds deliveries that were read and wait for a slot. The lane's mu guards
// it.
type queue struct {
	fresh, late []*event.Job // never refused so far, and those that were
	newest      []*event.Job // never tried, the newest first: they take turns with the others after a breaker has closed
	// passing are about to overtake earlier ones of their session. They begin in the
	// turn that read them or are read again: who is overtaken may change.
	passing []*event.Job

	unseen              bool      // the outbox may hold what no look has seen
	moreFresh, moreLate bool      // the last look left some
	moreNewest          bool      // as did the last one for the newest
	next                time.Time // when the next one becomes due; zero: none is known
	looked              time.Time
	lateTurn            bool // it is a late one's turn
	olderTurn           bool // it is not the newest one's turn
}

func (q *queue) size() int { return len(q.newest) + len(q.fresh) + len(q.late) + len(q.passing) }

// sooner notes that something becomes due at a time.
func (q *queue) sooner(at time.Time) {
	if !at.IsZero() && (q.next.IsZero() || at.Before(q.next)) {
		q.next = at
	}
}

// wants says whether a look at the outbox may bring something that there is room for.
func (q *queue) wants(now time.Time, room int) bool {
	return q.unseen || !q.next.IsZero() && !now.Before(q.next) || now.Sub(q.looked) >= idleLook ||
		q.moreNewest && len(q.newest) < room || q.moreFresh && len(q.fresh) < room || q.moreLate && len(q.late) < room
}

// wait returns how long nothing becomes due.
func (q *queue) wait(now time.Time) time.Duration {
	wait := idleLook - now.Sub(q.looked)
	if !q.next.IsZero() {
		wait = min(wait, q.next.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// pop takes the next delivery, the newest and others in turns, and of the others fresh
// and late ones in turns, as long as there is room for late ones.
func (q *queue) pop(lateRoom int) (job *event.Job, late, ok bool) {
	if len(q.passing) > 0 {
		job, q.passing = q.passing[0], q.passing[1:]
		return job, job.Delivery.Repeated(), true
	}
	if older := len(q.fresh) > 0 || len(q.late) > 0 && lateRoom > 0; len(q.newest) > 0 && (!older || !q.olderTurn) {
		q.olderTurn = true
		return shift(&q.newest), false, true
	}
	q.olderTurn = false
	late = len(q.late) > 0 && lateRoom > 0 && (len(q.fresh) == 0 || q.lateTurn)
	from := &q.fresh
	if late {
		from = &q.late
	}
	if len(*from) == 0 {
		return nil, false, false
	}
	q.lateTurn = !late
	return shift(from), late, true
}

func shift(list *[]*event.Job) *event.Job {
	job := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return job
}

// list is where a delivery waits.
func (q *queue) list(job *event.Job) *[]*event.Job {
	if job.Delivery.Repeated() {
		return &q.late
	}
	return &q.fresh
}

// put returns a delivery to the front.
func (q *queue) put(job *event.Job) {
	list := q.list(job)
	*list = slices.Insert(*list, 0, job)
}

// Bounds of what is read ahead.
const (
	leastAhead = 16
	mostAhead  = 256
)

// ahead is how many deliveries of each kind are read at once.
func ahead(concurrency int) int { return min(max(4*concurrency, leastAhead), mostAhead) }

// lateSlots is how many attempts under way may be of deliveries that were refused
// before: retries, which may be slow, leave some for first attempts.
func lateSlots(concurrency int) int {
	if concurrency == 1 {
		return 1
	}
	return concurrency - max(1, concurrency/4)
}
