package publish

import (
	"time"

	"checkout-notifier/event"
)

// queue holds deliveries that were read and wait for a slot. The lane's mu guards
// it.
type queue struct {
	fresh, late []*event.Job // new and never refused so far, and those that were refused
	again       []*event.Job // sent again, and not refused since
	newest      []*event.Job // never tried, the newest first: they take turns with the others after a breaker has closed, and with a backlog
	// passing are about to overtake earlier ones of their session. They begin in the
	// turn that read them or are read again: who is overtaken may change.
	passing []*event.Job

	unseen                         bool      // the outbox may hold what no look has seen
	moreFresh, moreAgain, moreLate bool      // the last look left some
	moreNewest                     bool      // as did the last one for the newest
	next                           time.Time // when the next one becomes due; zero: none is known
	looked                         time.Time
	longest                        time.Time // when the first of fresh became due; zero: there is none
	caughtUp                       time.Time // when a look last left nothing that had come after a backlog
	olderTurn                      bool      // it is not the newest one's turn
	repeatTurn                     bool      // nor that of a fresh one
	lateTurn                       bool      // nor that of one that is sent again
}

func (q *queue) size() int {
	return len(q.newest) + len(q.fresh) + len(q.again) + len(q.late) + len(q.passing)
}

// sooner notes that something becomes due at a time.
func (q *queue) sooner(at time.Time) {
	if !at.IsZero() && (q.next.IsZero() || at.Before(q.next)) {
		q.next = at
	}
}

// wants says whether a look at the outbox may bring something that there is room for.
func (q *queue) wants(now time.Time, room int) bool {
	return q.unseen || !q.next.IsZero() && !now.Before(q.next) || now.Sub(q.looked) >= idleLook ||
		q.moreNewest && len(q.newest) < room || q.moreFresh && len(q.fresh) < room ||
		q.moreAgain && len(q.again) < room || q.moreLate && len(q.late) < room
}

// wait returns how long nothing becomes due.
func (q *queue) wait(now time.Time) time.Duration {
	wait := idleLook - now.Sub(q.looked)
	if !q.next.IsZero() {
		wait = min(wait, q.next.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// nextList returns the list whose first delivery is sent next, nil if all are empty. Deliveries
// that are about to overtake go first. Then the lists take turns, level by level: the newest ones
// and all others; of the others, fresh ones and those that were sent before; of the latter, those that
// are sent again and late ones. lateRoom is how many more late ones may be sent now.
func (q *queue) nextList(lateRoom int) *[]*event.Job {
	late := len(q.late) > 0 && lateRoom > 0
	repeat := len(q.again) > 0 || late
	switch {
	case len(q.passing) > 0:
		return &q.passing
	case len(q.newest) > 0 && (!q.olderTurn || len(q.fresh) == 0 && !repeat):
		return &q.newest
	case len(q.fresh) > 0 && (!q.repeatTurn || !repeat):
		return &q.fresh
	case late && (q.lateTurn || len(q.again) == 0):
		return &q.late
	case repeat:
		return &q.again
	}
	return nil
}

// take takes the first delivery of a list that is next.
func (q *queue) take(from *[]*event.Job) *event.Job {
	q.olderTurn = from == &q.newest
	q.repeatTurn = from == &q.fresh || q.repeatTurn && from != &q.again && from != &q.late
	q.lateTurn = from == &q.again || q.lateTurn && from != &q.late
	return shift(from)
}

func shift(list *[]*event.Job) *event.Job {
	job := (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return job
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
	return max(1, concurrency-max(1, concurrency/4))
}
