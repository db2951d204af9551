package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"checkout-notifier/event"
)

// attemptNumber returns the n of a key of attempts.
func attemptNumber(key []byte) int {
	if len(key) != sequenceSize+4 {
		return 0
	}
	return int(binary.BigEndian.Uint32(key[sequenceSize:]))
}

// Take writes down a step of a destination's deliveries, whole or not at all;
// nil means that it is on the disk. A delivery that is not in the store, or not
// pending, is left out and named in Stepped.Gone, with what the owner would hear of it.
//
// Of a verdict's Delivery it takes Attempts, Slots, HeldAt, Overtook and
// BlockedSubject; the rest is as it was stored. What the verdict says decides:
//
//   - Accepted, Dead or Void: the delivery is finished. The first one of its session and
//     destination that waits for earlier ones becomes due at At.
//   - Retry: the delivery is due then.
//   - None of these, with a BlockedSubject: it waits until an Unblock of that subject.
//   - None of these, without one: it is parked behind the earlier ones of its session. If
//     there are none any more, it is due at At.
//
// A Release makes the first one behind it that waits due then. The destination's clock
// never goes back.
//
// An attempt that is begun has no result, and its delivery stays due. A row with
// the same number is overwritten. One that is withdrawn leaves no row, unless its
// number was used before. Error: ErrInvalid and the named errors of the store.
func (s *Store) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	for _, verdicts := range [][]event.Verdict{step.Parked, step.Resolved} {
		for i := range verdicts {
			if err := checkVerdict(&verdicts[i]); err != nil {
				return event.Stepped{}, err
			}
		}
	}
	var met event.Stepped
	err := s.write(ctx, "writing deliveries down", func(b *batch) error {
		met = event.Stepped{}
		return take(b, &step, &met)
	})
	return met, err
}

func checkVerdict(v *event.Verdict) error {
	switch ends := v.Ends(); {
	case ends > 1, ends == 1 && !v.Retry.IsZero():
		return fmt.Errorf("verdict on delivery %s: %w", v.Delivery.ID, invalid("more than one of accepted, dead, void and retry"))
	case v.At.IsZero():
		return fmt.Errorf("verdict on delivery %s: %w", v.Delivery.ID, invalid("no time is given"))
	}
	return nil
}

func take(b *batch, step *event.Step, met *event.Stepped) error {
	if step.Standing != nil {
		if err := stand(b, step.Standing); err != nil {
			return err
		}
	}
	for _, verdicts := range [][]event.Verdict{step.Parked, step.Resolved} {
		for i := range verdicts {
			woke, err := resolve(b, &verdicts[i])
			if err = gone(met, verdicts[i].Delivery.ID, err); err != nil {
				return err
			}
			met.Woke = met.Woke || woke
		}
	}
	for i := range step.Withdrawn {
		d := &step.Withdrawn[i].Delivery
		if err := gone(met, d.ID, withdraw(b, &step.Withdrawn[i])); err != nil {
			return err
		}
	}
	for i := range step.Begun {
		d := &step.Begun[i].Delivery
		if err := gone(met, d.ID, begin(b, &step.Begun[i])); err != nil {
			return err
		}
	}
	for i := range step.Unblocked {
		ids, err := unblock(b, &step.Unblocked[i])
		if err != nil {
			return err
		}
		met.Unblocked = append(met.Unblocked, ids)
	}
	return nil
}

func putAttempt(b *batch, sequence uint64, id string, a *event.Attempt) error {
	if a.DeliveryID != id || a.N < 1 || a.N > math.MaxInt32 {
		return invalid("attempt %d of delivery %s cannot be kept with delivery %s", a.N, a.DeliveryID, id)
	}
	row, err := pack(make([]byte, 0, attemptSize), a, attemptFields)
	if err != nil {
		return invalid("attempt %d of delivery %s: %v", a.N, a.DeliveryID, err)
	}
	attempts := b.tx.table(bucketAttempts)
	attempts.FillPercent = appendAndGrow
	return attempts.Put(attemptKey(sequence, a.N), row)
}

// gone notes a delivery that is not pending any more.
func gone(met *event.Stepped, id string, err error) error {
	if !errors.Is(err, errNotPending) {
		return err
	}
	if !slices.Contains(met.Gone, id) {
		met.Gone = append(met.Gone, id)
	}
	return nil
}

func begin(b *batch, start *event.Begin) error {
	sequence, err := b.place(&start.Delivery)
	if err != nil {
		return err
	}
	if start.Overtakes {
		if err := overtake(b, sequence, start.Delivery.Overtook); err != nil {
			return err
		}
	}
	a := start.Attempt
	a.Outcome = event.OutcomeUnknown
	return putAttempt(b, sequence, start.Delivery.ID, &a)
}

// overtake fixes what a delivery says that it overtook.
func overtake(b *batch, sequence uint64, eventIDs []string) error {
	r, err := readRecord(b.tx, sequence)
	if err != nil {
		return err
	}
	r.Overtook = eventIDs
	return b.save(&r)
}

func withdraw(b *batch, start *event.Begin) error {
	d, a := &start.Delivery, start.Attempt
	sequence, err := b.place(d)
	if err != nil {
		return err
	}
	if start.Overtakes {
		if err := overtake(b, sequence, nil); err != nil {
			return err
		}
	}
	if d.Attempts < a.N {
		return b.remove(bucketAttempts, attemptKey(sequence, a.N))
	}
	a.Outcome, a.Note = event.OutcomeUnavailable, "not sent"
	return putAttempt(b, sequence, d.ID, &a)
}

// resolve does to a pending delivery what a verdict says.
func resolve(b *batch, v *event.Verdict) (woke bool, err error) {
	sequence, err := b.place(&v.Delivery)
	if err != nil {
		return false, err
	}
	r, err := readRecord(b.tx, sequence)
	if err != nil {
		return false, err
	}
	r.Attempts, r.Slots = max(r.Attempts, v.Delivery.Attempts), v.Delivery.Slots
	r.HeldAt, r.Overtook, r.BlockedSubject = v.Delivery.HeldAt, v.Delivery.Overtook, v.Delivery.BlockedSubject
	if v.Attempt != nil {
		r.Actor = "" // the attempt that was asked for is made
		r.Attempts = max(r.Attempts, v.Attempt.N)
		if err := putAttempt(b, sequence, r.ID, v.Attempt); err != nil {
			return false, err
		}
	}
	state, err := b.destination(r.Destination)
	if err != nil {
		return false, err
	}
	state.Up(v.UpClock, v.At)
	if err := announce(b, v.Notices); err != nil {
		return false, err
	}
	if v.Ends() > 0 {
		return finish(b, &r, state, v)
	}
	return postpone(b, &r, v)
}

// finish takes an accepted, dead or void delivery out of everything that is pending.
func finish(b *batch, r *record, state *event.DestinationState, v *event.Verdict) (woke bool, err error) {
	r.BlockedSubject = ""
	if err := b.setDue(r, time.Time{}); err != nil {
		return false, err
	}
	if err := b.dequeue(r.Destination, pendingKey(r.sequence)); err != nil {
		return false, err
	}
	state.Pending--
	r.Finished = v.At
	if v.Dead == "" {
		r.Status, r.Reason = event.StatusAccepted, v.Void
		if v.Void != "" {
			r.Status = event.StatusPurged
		}
		err = b.put(bucketAccepted, acceptedKey(v.At, r.sequence), nil)
	} else {
		r.Status, r.Reason = event.StatusDead, v.Dead
		state.Dead++
		err = b.put(bucketDead, destinationKey(r.Destination, r.sequence), []byte(v.Dead))
	}
	if err != nil {
		return false, err
	}
	b.places.forget(r.ID) // were this undone, it is found by its id
	if err := b.save(r); err != nil || !r.Ordered {
		return false, err
	}
	if err := b.dequeue(r.Destination, orderKey(&r.Delivery, r.sequence)); err != nil {
		return false, err
	}
	return b.wake(&r.Delivery, 0, v.At)
}

// postpone makes a delivery due again or parks it.
func postpone(b *batch, r *record, v *event.Verdict) (woke bool, err error) {
	due := v.Retry
	if due.IsZero() && r.BlockedSubject == "" {
		// Parked behind nobody it would never be looked at again.
		first, found := head(b.tx, &r.Delivery)
		if !r.Ordered || !found || first >= r.sequence {
			due = v.At
		}
	}
	if err := b.setDue(r, due); err != nil {
		return false, err
	}
	if err := b.save(r); err != nil {
		return false, err
	}
	if v.Release.IsZero() || !r.Ordered {
		return false, nil
	}
	return b.wake(&r.Delivery, r.sequence, v.Release)
}
