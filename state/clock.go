package state

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"checkout-notifier/event"
)

// readings are what is known of our clock's steps: by how much it is ahead of the
// monotonic one changes with them alone. Times without a monotonic reading tell nothing.
type readings struct {
	mu       sync.Mutex
	furthest time.Time      // that was furthest ahead since our clock was last set back
	setBack  int            // how often it was, as far as it was seen
	seen     map[string]int // setBack as it was when the queue of a destination was last scheduled anew
}

// stepped is by how much our clock was set forward between two times; if it was set
// back, the step is negative.
func stepped(from, to time.Time) time.Duration {
	return to.Round(0).Sub(from.Round(0)) - to.Sub(from)
}

// note takes in a time by which a delivery waits. That it was told while our clock was
// ahead shows only when a queue is read.
func (r *readings) note(due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.furthest.IsZero() && stepped(r.furthest, due) > 0 {
		r.furthest = due
	}
}

// read takes in the time at which the queue of a destination is read. Unless stale is
// false, the queue is to be scheduled anew: because this process reads it for the first
// time, or because our clock was set back since it was last scheduled anew.
func (r *readings) read(destination string, now time.Time) (setBack int, stale, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch step := stepped(r.furthest, now); {
	case r.furthest.IsZero() || step > 0:
		r.furthest = now
	case step < -event.ClockSlack:
		r.furthest = now
		r.setBack++
	}
	seen, known := r.seen[destination]
	return r.setBack, !known || seen < r.setBack, !known
}

// scheduled ends what read asked for.
func (r *readings) scheduled(destination string, setBack int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = make(map[string]int)
	}
	r.seen[destination] = setBack
}

// reschedule makes deliveries of a destination due again that wait for a time that
// our clock told while it was ahead: each keeps its pause, from now on. What tells
// of such a clock is a time in the delivery itself that lies in the future. One that
// waits for an earlier one of its session has none that says when it was last put off:
// it is due now, and whoever sends it decides for how long it has to wait.
func (s *Store) reschedule(ctx context.Context, destination string, now time.Time) error {
	setBack, stale, first := s.readings.read(destination, now)
	if !stale {
		return nil
	}
	var ahead []uint64
	err := s.view(ctx, "looking for times of the future", func(tx *transaction) error {
		ahead = nil
		queue := tx.queue(destination)
		for _, kind := range dueKinds {
			for _, sequence := range dueAfter(queue, kind, now, math.MaxInt) {
				r, err := readRecord(tx, sequence)
				if err != nil {
					return err
				}
				at, err := scheduledAt(tx, &r)
				if err != nil {
					return err
				}
				if at.After(now.Add(event.ClockSlack)) || !first && isHeld(tx, &r) {
					ahead = append(ahead, sequence)
				}
			}
		}
		return nil
	})
	const atOnce = 500
	for part := range slices.Chunk(ahead, atOnce) {
		if err != nil {
			break
		}
		err = s.write(ctx, "rescheduling what waits for a time of the future", func(b *batch) error {
			for _, sequence := range part {
				if err := b.reschedule(sequence, now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	if len(ahead) > 0 {
		s.log.Warn("deliveries were scheduled by a clock that was ahead: they are scheduled anew", "destination", destination, "deliveries", len(ahead))
	}
	s.readings.scheduled(destination, setBack)
	return nil
}

func (b *batch) reschedule(sequence uint64, now time.Time) error {
	r, err := readRecord(b.tx, sequence)
	if err != nil || !r.Due.After(now) { // it was changed since it was read
		return err
	}
	due := now
	if !isHeld(b.tx, &r) {
		at, err := scheduledAt(b.tx, &r)
		if err != nil {
			return err
		}
		due = now.Add(max(0, r.Due.Sub(at)))
	}
	return b.makeDue(&r, due)
}

// isHeld says whether a delivery that was not refused itself waits for an earlier one
// of its session.
func isHeld(tx *transaction, r *record) bool {
	if !r.Ordered || r.Repeated() {
		return false
	}
	first, found := head(tx, &r.Delivery)
	return found && first < r.sequence
}

// scheduledAt is when a delivery was given its due time, by our clock: when it
// became pending, or at its last attempt, or at that of the first one of its
// session, for which it waits.
func scheduledAt(tx *transaction, r *record) (time.Time, error) {
	at, err := touchedAt(tx, r)
	if err != nil || !r.Ordered {
		return at, err
	}
	first, found := head(tx, &r.Delivery)
	if !found || first >= r.sequence {
		if r.Attempts == 0 && !r.Repeated() {
			at = event.Later(at, r.Due) // when an earlier or a later one made it due
		}
		return at, nil
	}
	earlier, err := readRecord(tx, first)
	if err != nil {
		return at, err
	}
	before, err := touchedAt(tx, &earlier)
	return event.Later(at, before), err
}

func touchedAt(tx *transaction, r *record) (time.Time, error) {
	last, err := lastTry(tx, r)
	return event.Later(r.Since(), last.Started), err
}

// lastTry is the last attempt of a delivery, zero if there was none.
func lastTry(tx *transaction, r *record) (event.Attempt, error) {
	return readAttempt(tx, r, lastAttempt(tx, r.sequence))
}

// readAttempt is the attempt of a delivery with a number, zero if there is none.
func readAttempt(tx *transaction, r *record, n int) (a event.Attempt, err error) {
	if row := tx.table(bucketAttempts).Get(attemptKey(r.sequence, n)); row != nil {
		if err := unpack(row, &a, attemptFields); err != nil {
			return a, inconsistent(tx.DB().Path(), "attempt %d of delivery %s: %v", n, r.ID, err)
		}
	}
	return a, nil
}
