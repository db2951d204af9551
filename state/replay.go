package state

import (
	"context"

	"checkout-notifier/event"
)

// Replay makes deliveries of past events, all or none, and returns those that
// are pending by it. It leaves out events that were pruned meanwhile, deliveries
// that are pending anyway, and what the act is not about: called again, it
// does nothing. Error: ErrInvalid.
func (s *Store) Replay(ctx context.Context, replays []event.Replay, act event.Act) (made []event.Delivery, err error) {
	rows := make([][]byte, len(replays))
	for i := range replays {
		if rows[i], err = prepareReplay(&replays[i]); err != nil {
			return nil, err
		}
	}
	err = s.write(ctx, "replaying events", func(b *batch) error {
		made = nil
		for i := range replays {
			found, err := b.replay(&replays[i], rows[i], &act)
			if err != nil {
				return err
			}
			made = append(made, found...)
		}
		return b.done(&act, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func prepareReplay(r *event.Replay) ([]byte, error) {
	if err := checkTexts("event", r.Event.ID); err != nil {
		return nil, err
	}
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		if err := checkTexts("delivery", d.ID, d.Destination); err != nil {
			return nil, err
		}
		if d.EventID != r.Event.ID {
			return nil, invalid("delivery %s is of event %s, not of %s", d.ID, d.EventID, r.Event.ID)
		}
	}
	if r.Event.ReplayOf == "" {
		return nil, nil
	}
	row, err := event.Marshal(&r.Event)
	if err != nil {
		return nil, invalid("event %s: %v", r.Event.ID, err)
	}
	return row, nil
}

func (b *batch) replay(r *event.Replay, row []byte, act *event.Act) (made []event.Delivery, err error) {
	if b.get(bucketEventIDs, []byte(r.Event.ID)) == nil {
		if row == nil {
			return nil, nil
		}
		if err := b.addEvent(r.Event.ID, row); err != nil {
			return nil, err
		}
	}
	for _, d := range r.Deliveries {
		stored, known, err := findRecord(b.tx, d.ID)
		switch {
		case err != nil:
			return nil, err
		case !known:
			d.Status, d.Created, d.Due, d.Actor, d.Job = event.StatusPending, act.At, act.At, act.Actor, act.Job
			if err = checkDelivery(&d); err == nil {
				err = addDelivery(b, d)
			}
		case r.OnlyNew || !act.MayReopen(&stored.Delivery):
			continue
		default:
			err = b.reopen(&stored, act)
			d = stored.Delivery
		}
		if err != nil {
			return nil, err
		}
		made = append(made, d)
	}
	return made, nil
}
