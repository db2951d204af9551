package state

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
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

// Begin makes an attempt durable before it is sent: nil means that it may be
// sent now. Its outcome is unknown until Resolve tells it, and the delivery
// stays due. A row with the same number is overwritten. Errors: ErrNoDelivery,
// ErrFinished, ErrInvalid.
func (s *Store) Begin(ctx context.Context, a event.Attempt) error {
	a.Outcome = event.OutcomeUnknown
	return s.write(ctx, "beginning an attempt of delivery "+a.DeliveryID, func(b *batch) error {
		r, err := b.pending(a.DeliveryID)
		if err != nil {
			return err
		}
		return putAttempt(b, &r, &a)
	})
}

func putAttempt(b *batch, r *record, a *event.Attempt) error {
	if a.DeliveryID != r.ID || a.N < 1 || a.N > math.MaxInt32 {
		return invalid("attempt %d of delivery %s cannot be kept with delivery %s", a.N, a.DeliveryID, r.ID)
	}
	row, err := marshal(a)
	if err != nil {
		return invalid("attempt %d of delivery %s: %v", a.N, a.DeliveryID, err)
	}
	attempts := b.tx.Bucket(bucketAttempts)
	attempts.FillPercent = appendAndGrow
	return attempts.Put(attemptKey(r.sequence, a.N), row)
}

// Resolve stores the result of an attempt and what becomes of the delivery in
// one transaction. Of v.Delivery it takes Attempts, Slots, HeldAt and Overtook;
// the rest is as it was stored.
//
// Accepted and Dead finish the delivery and make the first one of its session
// and destination that waits for earlier ones due at v.At: one that is parked,
// or one that was released for a later time. A Retry makes it due then. None of
// the three parks it behind the earlier ones of its session; if there are none
// any more, it is due at v.At. A Release makes the first one behind it that
// waits due then. The destination's clock never goes back.
//
// Errors: ErrNoDelivery, ErrFinished if it is accepted or dead already (nothing
// is stored then), ErrInvalid.
func (s *Store) Resolve(ctx context.Context, v event.Verdict) error {
	doing := "resolving delivery " + v.Delivery.ID
	if v.Accepted && v.Dead != "" || (v.Accepted || v.Dead != "") && !v.Retry.IsZero() {
		return fmt.Errorf("%s: %w", doing, invalid("more than one of accepted, dead and retry"))
	}
	if v.At.IsZero() {
		return fmt.Errorf("%s: %w", doing, invalid("no time is given"))
	}
	return s.write(ctx, doing, func(b *batch) error {
		r, err := b.pending(v.Delivery.ID)
		if err != nil {
			return err
		}
		r.Attempts, r.Slots = max(r.Attempts, v.Delivery.Attempts), v.Delivery.Slots
		r.HeldAt, r.Overtook = v.Delivery.HeldAt, v.Delivery.Overtook
		if v.Attempt != nil {
			r.Actor = "" // the attempt that was asked for is made
		}
		if v.Attempt != nil {
			r.Attempts = max(r.Attempts, v.Attempt.N)
			if err := putAttempt(b, &r, v.Attempt); err != nil {
				return err
			}
		}
		state, err := b.destination(r.Destination)
		if err != nil {
			return err
		}
		state.UpClock = max(state.UpClock, v.UpClock)
		stand(state, v.Standing)
		if err := announce(b, v.Notices); err != nil {
			return err
		}
		if v.Accepted || v.Dead != "" {
			return finish(b, &r, state, &v)
		}
		return postpone(b, &r, &v)
	})
}

// finish takes an accepted or dead delivery out of everything that is pending.
func finish(b *batch, r *record, state *event.DestinationState, v *event.Verdict) error {
	if err := b.setDue(r, time.Time{}); err != nil {
		return err
	}
	if err := b.remove(bucketPending, destinationKey(r.Destination, r.sequence)); err != nil {
		return err
	}
	state.Pending--
	r.Finished = v.At
	var err error
	if v.Accepted {
		r.Status = event.StatusAccepted
		err = b.put(bucketAccepted, acceptedKey(v.At, r.sequence), nil)
	} else {
		r.Status, r.Reason = event.StatusDead, v.Dead
		state.Dead++
		err = b.put(bucketDead, destinationKey(r.Destination, r.sequence), []byte(v.Dead))
	}
	if err != nil {
		return err
	}
	if err := b.save(r); err != nil || !r.Ordered {
		return err
	}
	if err := b.remove(bucketOrder, orderKey(&r.Delivery, r.sequence)); err != nil {
		return err
	}
	return b.wake(&r.Delivery, 0, v.At)
}

// postpone makes a delivery due again or parks it.
func postpone(b *batch, r *record, v *event.Verdict) error {
	due := v.Retry
	if due.IsZero() {
		// Parked behind nobody it would never be looked at again.
		first, found := head(b.tx, &r.Delivery)
		if !r.Ordered || !found || first >= r.sequence {
			due = v.At
		}
	}
	if err := b.setDue(r, due); err != nil {
		return err
	}
	if err := b.save(r); err != nil {
		return err
	}
	if v.Release.IsZero() || !r.Ordered {
		return nil
	}
	return b.wake(&r.Delivery, r.sequence, v.Release)
}
