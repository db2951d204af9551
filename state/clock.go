package state

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"checkout-notifier/event"
)

// clockSlack is by how much the times of one moment may differ.
const clockSlack = time.Second

// readings are the times at which the queue of each destination was read last.
type readings struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// mayBeBehind says whether our clock may have been set back since the queue of a
// destination was read last, because it fell behind the monotonic one or was not
// read by this process before.
func (r *readings) mayBeBehind(destination string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.last[destination]
	return !known || now.Round(0).Sub(last.Round(0)) < max(0, now.Sub(last))-clockSlack
}

func (r *readings) note(destination string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[string]time.Time)
	}
	r.last[destination] = now
}

// reschedule makes deliveries of a destination due again that wait for a time that
// our clock told while it was ahead: each keeps its pause, from now on. What tells
// of such a clock is a time in the delivery itself that lies in the future.
func (s *Store) reschedule(ctx context.Context, destination string, now time.Time) error {
	if !s.readings.mayBeBehind(destination, now) {
		return nil
	}
	var ahead []uint64
	err := s.view(ctx, "looking for times of the future", func(tx *transaction) error {
		ahead = nil
		queue := tx.queue(destination)
		for _, kind := range []byte{kindDue, kindRetry} {
			for _, sequence := range dueAfter(queue, kind, now, math.MaxInt) {
				r, err := readRecord(tx, sequence)
				if err != nil {
					return err
				}
				at, err := scheduledAt(tx, &r)
				if err != nil {
					return err
				}
				if at.After(now.Add(clockSlack)) {
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
	s.readings.note(destination, now)
	return nil
}

func (b *batch) reschedule(sequence uint64, now time.Time) error {
	r, err := readRecord(b.tx, sequence)
	if err != nil || !r.Due.After(now) { // it was changed since it was read
		return err
	}
	at, err := scheduledAt(b.tx, &r)
	if err != nil {
		return err
	}
	if err := b.setDue(&r, now.Add(max(0, r.Due.Sub(at)))); err != nil {
		return err
	}
	return b.save(&r)
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
		return at, nil
	}
	earlier, err := readRecord(tx, first)
	if err != nil {
		return at, err
	}
	before, err := touchedAt(tx, &earlier)
	if before.After(at) {
		at = before
	}
	return at, err
}

func touchedAt(tx *transaction, r *record) (time.Time, error) {
	at := r.Since()
	n := lastAttempt(tx, r.sequence)
	if n == 0 {
		return at, nil
	}
	var a event.Attempt
	if err := unpack(tx.table(bucketAttempts).Get(attemptKey(r.sequence, n)), &a, attemptFields); err != nil {
		return at, inconsistent(tx.DB().Path(), "attempt %d of delivery %s: %v", n, r.ID, err)
	}
	if a.Started.After(at) {
		at = a.Started
	}
	return at, nil
}
