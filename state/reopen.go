package state

import (
	"context"
	"fmt"
	"time"

	"checkout-notifier/event"
)

// done writes an act down, if it changed anything.
func (b *batch) done(a *event.Act, changed []event.Delivery) error {
	if len(changed) == 0 {
		return nil
	}
	if a.Tell != nil {
		if err := announce(b, a.Tell(changed)); err != nil {
			return err
		}
	}
	if a.Audit == nil {
		return nil
	}
	return writeAudit(b, a.Audit(changed))
}

// Retry makes a delivery due now. One that is accepted, dead or purged becomes
// pending again, with all slots of its schedule. One that is pending keeps its
// slots; if earlier ones of its session are pending it still waits for its turn.
// Errors: ErrNoDelivery, and ErrChanged, with the delivery as it is.
func (s *Store) Retry(ctx context.Context, id string, act event.Act) (d event.Delivery, err error) {
	err = s.write(ctx, "retrying delivery "+id, func(b *batch) error {
		r, found, err := findRecord(b.tx, id)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("%w: %s", ErrNoDelivery, id)
		case act.IfStatus != "" && act.IfStatus != r.Status:
			d = r.Delivery
			return ErrChanged
		case r.Status == event.StatusPending:
			err = b.hasten(&r, &act)
		default:
			err = b.reopen(&r, &act)
		}
		if err != nil {
			return err
		}
		d = withAttempts(b.tx, r)
		return b.done(&act, []event.Delivery{d})
	})
	return d, err
}

// hasten makes a pending delivery due now, unless it is parked.
func (b *batch) hasten(r *record, act *event.Act) error {
	r.Actor = act.Actor
	if r.Blocked() || r.Due.After(act.At) {
		if err := b.setDue(r, act.At); err != nil {
			return err
		}
	}
	return b.save(r)
}

// reopen makes a finished delivery pending again, in the place among the others
// of its session that it had. Its attempts stay, and are counted on.
func (b *batch) reopen(r *record, act *event.Act) error {
	state, err := b.destination(r.Destination)
	if err != nil {
		return err
	}
	if r.Status == event.StatusDead {
		state.Dead--
		err = b.remove(bucketDead, destinationKey(r.Destination, r.sequence))
	} else {
		err = b.remove(bucketAccepted, acceptedKey(r.Finished, r.sequence))
	}
	if err != nil {
		return err
	}
	state.Pending++
	r.Reopened = act.At
	if err := b.enqueue(r.Destination, pendingKey(r.sequence), appendTime(nil, r.Since())); err != nil {
		return err
	}
	r.Attempts = max(r.Attempts, lastAttempt(b.tx, r.sequence))
	r.Status, r.Finished = event.StatusPending, time.Time{} // the reason stays until it is accepted
	r.Slots, r.HeldAt, r.Overtook = 0, nil, nil
	r.Actor = act.Actor
	if act.Job != "" { // a retry by hand does not undo what a job made due
		r.Job = act.Job
	}
	if err := b.queueAgain(r, act.At); err != nil {
		return err
	}
	return b.save(r)
}

// queueAgain makes a delivery due, or parks it behind an earlier one of its
// session. Unlike a new one it need not be the last of them.
func (b *batch) queueAgain(r *record, due time.Time) error {
	if !r.Ordered {
		return b.setDue(r, due)
	}
	first, others := head(b.tx, &r.Delivery)
	if err := b.enqueue(r.Destination, orderKey(&r.Delivery, r.sequence), nil); err != nil {
		return err
	}
	if others && first < r.sequence {
		earlier, err := readRecord(b.tx, first)
		if err != nil {
			return err
		}
		if earlier.HeldAt == nil { // behind a held one it is due, as a new one would be
			return nil
		}
	}
	return b.setDue(r, due)
}

// Redrive makes dead letters pending again, all or none, and returns them as
// they are now. It leaves out what is no dead letter any more, and what the act
// is not about.
func (s *Store) Redrive(ctx context.Context, ids []string, act event.Act) ([]event.Delivery, error) {
	return s.writeDead(ctx, "redriving dead letters", ids, &act, (*batch).reopen)
}

// writeDead returns what was changed, nil if nothing was written.
func (s *Store) writeDead(ctx context.Context, doing string, ids []string, act *event.Act, do func(*batch, *record, *event.Act) error) (changed []event.Delivery, err error) {
	err = s.write(ctx, doing, func(b *batch) (err error) {
		changed, err = b.eachDead(ids, act, do)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// eachDead does something to those dead letters that an act is about.
func (b *batch) eachDead(ids []string, act *event.Act, do func(*batch, *record, *event.Act) error) (changed []event.Delivery, err error) {
	for _, id := range ids {
		r, found, err := findRecord(b.tx, id)
		if err != nil {
			return nil, err
		}
		if !found || r.Status != event.StatusDead || !act.MayReopen(&r.Delivery) {
			continue
		}
		if err := do(b, &r, act); err != nil {
			return nil, err
		}
		changed = append(changed, withAttempts(b.tx, r))
	}
	return changed, b.done(act, changed)
}

// Purge gives dead letters up for good, all or none, and returns them as they
// are now: they stay, with their reason and who purged them, as long as accepted
// deliveries do. What is no dead letter any more is left out.
func (s *Store) Purge(ctx context.Context, ids []string, act event.Act) ([]event.Delivery, error) {
	return s.writeDead(ctx, "purging dead letters", ids, &act, (*batch).purge)
}

func (b *batch) purge(r *record, act *event.Act) error {
	state, err := b.destination(r.Destination)
	if err != nil {
		return err
	}
	state.Dead--
	if err := b.remove(bucketDead, destinationKey(r.Destination, r.sequence)); err != nil {
		return err
	}
	r.Status, r.Reason, r.Finished = event.StatusPurged, "purged by "+act.Actor+": "+r.Reason, act.At
	if err := b.put(bucketAccepted, acceptedKey(act.At, r.sequence), nil); err != nil {
		return err
	}
	return b.save(r)
}
