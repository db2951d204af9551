package state

import (
	"bytes"
	"context"
	"time"

	"checkout-notifier/event"
)

// stand stores a change of a destination's standing, with what its owner hears of it and
// who did it. A standing that is not newer than the stored one is left out; the rest is
// stored all the same.
func stand(b *batch, c *event.StandingChange) error {
	if err := checkTexts("destination", c.Destination); err != nil {
		return err
	}
	state, err := b.destination(c.Destination)
	if err != nil {
		return err
	}
	state.Up(c.UpClock, c.Standing.Changed)
	if c.Standing.Version > state.Standing.Version {
		state.Standing = c.Standing
	}
	if err := announce(b, c.Notices); err != nil || c.Audit == nil {
		return err
	}
	return writeAudit(b, *c.Audit)
}

// SaveStanding stores a change of a destination's standing that comes with no step.
func (s *Store) SaveStanding(ctx context.Context, c event.StandingChange) error {
	return s.write(ctx, "storing how destination "+c.Destination+" stands", func(b *batch) error {
		return stand(b, &c)
	})
}

// Hasten makes deliveries of a destination that wait for a later time due now, at
// most limit of them, and returns how many: fewer than limit means that none is
// left. Parked ones stay parked. A pause that is cut short does not use up a step of the
// retry schedule: a destination that fails and recovers in turns would use up a schedule of
// days within minutes. The first step stays used, for it marks a delivery that was refused.
func (s *Store) Hasten(ctx context.Context, destination string, now time.Time, limit int) (hastened int, err error) {
	err = s.write(ctx, "making due what waits for "+destination, func(b *batch) error {
		hastened = 0
		for _, kind := range dueKinds {
			for _, sequence := range dueAfter(b.tx.queue(destination), kind, now, limit-hastened) {
				r, err := readRecord(b.tx, sequence)
				if err != nil {
					return err
				}
				if r.Slots > 1 {
					r.Slots--
				}
				if err := b.setDue(&r, now); err != nil {
					return err
				}
				if err := b.save(&r); err != nil {
					return err
				}
				hastened++
			}
		}
		return nil
	})
	return hastened, err
}

// dueAfter returns the sequences of deliveries that are due later than now.
func dueAfter(queue *table, kind byte, now time.Time, limit int) (sequences []uint64) {
	if queue == nil {
		return nil
	}
	c := queue.Cursor()
	key, _ := c.Seek(appendTime([]byte{kind}, now.Add(time.Nanosecond)))
	for ; len(sequences) < limit && bytes.HasPrefix(key, []byte{kind}); key, _ = c.Next() {
		sequences = append(sequences, lastSequence(key))
	}
	return sequences
}

// Bounds of how many deliveries Pick reads with their sessions, and of how many it
// passes over.
const (
	pickExamined = 1000
	pickPassed   = 200_000
)

// Pick returns one delivery of a destination, due or not: the one that has waited longest, or
// with newest the one that came last. It passes over those for which skip is true, those whose
// job fits refuses, and those that wait for their subject; found is false if none is left. skip
// is given a delivery whose Attempts counts only attempts that have a result.
func (s *Store) Pick(ctx context.Context, destination string, newest bool, skip func(*event.Delivery) bool, fits func(*event.Job) bool) (job event.Job, found bool, err error) {
	held := s.offers.holdBack(nil)
	err = s.view(ctx, "looking for a delivery for "+destination, func(tx *transaction) error {
		found = false
		examined, passed := 0, 0
		look := func(key, _ []byte) (bool, error) {
			r, err := readRecord(tx, lastSequence(key))
			if err != nil {
				return false, err
			}
			if r.Blocked() || skip(&r.Delivery) || held(r.ID) {
				passed++
				return passed < pickPassed, nil
			}
			examined++
			if job, err = readJob(tx, r.sequence); err != nil {
				return false, err
			}
			found = fits(&job)
			return !found && examined < pickExamined, nil
		}
		queue, prefix := tx.queue(destination), []byte{kindPending}
		if newest {
			return queue.eachBack([]byte{kindPending + 1}, prefix, look)
		}
		return queue.each(prefix, look)
	})
	return job, found && err == nil, err
}
