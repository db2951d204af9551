package state

import (
	"bytes"
	"context"

	"checkout-notifier/event"
)

// Sequenced is an event with its place in the order of commits.
type Sequenced struct {
	Sequence uint64 // from 1, with gaps where events were pruned
	Event    event.Event
}

// DeadLetter is a dead delivery with its place in the order of commits.
type DeadLetter struct {
	Sequence uint64
	Delivery event.Delivery
}

// Event returns an event by its id, and whether it is in the store.
func (s *Store) Event(ctx context.Context, id string) (e event.Event, found bool, err error) {
	err = s.view(ctx, "reading event "+id, func(tx *transaction) error {
		sequence := tx.Bucket(bucketEventIDs).Get([]byte(id))
		if sequence == nil {
			return nil
		}
		e, err = readEvent(tx, lastSequence(sequence))
		found = err == nil
		return err
	})
	return e, found, err
}

// Events returns at most limit events in the order of commits, beginning behind
// the sequence after; 0 begins with the oldest.
func (s *Store) Events(ctx context.Context, after uint64, limit int) (events []Sequenced, err error) {
	err = s.view(ctx, "reading events", func(tx *transaction) error {
		c := tx.Bucket(bucketEvents).Cursor()
		for key, row := c.Seek(sequenceKey(after + 1)); key != nil && len(events) < limit; key, row = c.Next() {
			e, err := eventOf(tx, lastSequence(key), row)
			if err != nil {
				return err
			}
			events = append(events, Sequenced{lastSequence(key), e})
		}
		return nil
	})
	return events, err
}

// Delivery returns a delivery by its id, and whether it is in the store.
func (s *Store) Delivery(ctx context.Context, id string) (d event.Delivery, found bool, err error) {
	err = s.view(ctx, "reading delivery "+id, func(tx *transaction) error {
		var r record
		if r, found, err = findRecord(tx, id); found {
			d = withAttempts(tx, r)
		}
		return err
	})
	return d, found, err
}

// Ahead returns the first pending delivery of a delivery's session at its destination,
// if that is an earlier one: what a parked one waits for.
func (s *Store) Ahead(ctx context.Context, id string) (ahead event.Delivery, found bool, err error) {
	err = s.view(ctx, "looking for what delivery "+id+" waits for", func(tx *transaction) error {
		found = false
		r, known, err := findRecord(tx, id)
		if err != nil || !known || !r.Ordered {
			return err
		}
		first, others := head(tx, &r.Delivery)
		if !others || first >= r.sequence {
			return nil
		}
		earlier, err := readRecord(tx, first)
		if err == nil {
			ahead, found = withAttempts(tx, earlier), true
		}
		return err
	})
	return ahead, found, err
}

// EventDeliveries returns the deliveries of an event in the order of commits.
func (s *Store) EventDeliveries(ctx context.Context, eventID string) (deliveries []event.Delivery, err error) {
	err = s.view(ctx, "reading the deliveries of event "+eventID, func(tx *transaction) error {
		sequence := tx.Bucket(bucketEventIDs).Get([]byte(eventID))
		if sequence == nil {
			return nil
		}
		deliveries, err = fanOut(tx, lastSequence(sequence))
		return err
	})
	return deliveries, err
}

// Attempts returns the attempts of a delivery by number. One whose outcome is
// unknown is under way, or was when the process ended.
func (s *Store) Attempts(ctx context.Context, deliveryID string) (attempts []event.Attempt, err error) {
	err = s.view(ctx, "reading the attempts of delivery "+deliveryID, func(tx *transaction) error {
		sequence := tx.Bucket(bucketDeliveryIDs).Get([]byte(deliveryID))
		if sequence == nil {
			return nil
		}
		return tx.table(bucketAttempts).each(sequence, func(_, row []byte) (bool, error) {
			var a event.Attempt
			if err := unpack(row, &a, attemptFields); err != nil {
				return false, inconsistent(s.path, "attempt of delivery %s: %v", deliveryID, err)
			}
			attempts = append(attempts, a)
			return true, nil
		})
	})
	return attempts, err
}

// DeadLetters returns at most limit dead deliveries of a destination in the
// order of commits, beginning behind the sequence after; 0 begins with the
// oldest.
func (s *Store) DeadLetters(ctx context.Context, destination string, after uint64, limit int) (letters []DeadLetter, err error) {
	err = s.view(ctx, "reading the dead letters of "+destination, func(tx *transaction) error {
		prefix := appendText(nil, destination)
		c := tx.Bucket(bucketDead).Cursor()
		for key, _ := c.Seek(appendSequence(prefix, after+1)); len(letters) < limit && bytes.HasPrefix(key, prefix); key, _ = c.Next() {
			r, err := readRecord(tx, lastSequence(key))
			if err != nil {
				return err
			}
			letters = append(letters, DeadLetter{Sequence: r.sequence, Delivery: withAttempts(tx, r)})
		}
		return nil
	})
	return letters, err
}
