package state

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
)

// PrunePolicy says what is old. A zero time leaves its kind alone.
type PrunePolicy struct {
	// Before is the border for accepted deliveries, by when they were accepted,
	// and for events, by their time.
	Before time.Time
	// A session goes when it is settled, given up or vanished, was created
	// before CreatedBefore and last looked at before LookedBefore; both must lie
	// outside every window of its account, and both must be set.
	CreatedBefore, LookedBefore time.Time
	// Reach is how far below the low-water mark of an account its windows reach:
	// a session created there or later stays, whatever the clock says, because
	// others beside it may not have been seen yet and must not count as forgotten.
	Reach time.Duration
}

// Pruned is what a Prune removed.
type Pruned struct {
	Deliveries, Attempts, Events, Sessions int
}

// Bounds of one step, so that writers are not held up.
const (
	pruneRows    = 500    // removed in one transaction
	pruneExamine = 20_000 // looked at in one transaction
	// pruneAhead is how many events in a row may be young before the rest is
	// taken for young: events are stored nearly, not quite, in order of time.
	pruneAhead = 2000
)

// Prune removes what the policy calls old: accepted deliveries with their
// attempts, events without deliveries, and sessions that can change no more.
// What is pending or dead stays, with its event. When sessions go, their
// account's ForgottenBefore is raised behind them in the same transaction;
// those of an account without a low-water mark stay. It works in small transactions
// and stops between them when ctx ends; what it removed by then is returned with
// the error.
func (s *Store) Prune(ctx context.Context, policy PrunePolicy) (Pruned, error) {
	var pruned Pruned
	var steps []pruner
	if !policy.Before.IsZero() {
		steps = append(steps, &deliveryPruner{before: policy.Before}, &eventPruner{before: policy.Before})
	}
	if !policy.CreatedBefore.IsZero() && !policy.LookedBefore.IsZero() {
		steps = append(steps, &sessionPruner{created: policy.CreatedBefore, looked: policy.LookedBefore, reach: policy.Reach})
	}
	for _, p := range steps {
		if err := s.prune(ctx, p, &pruned); err != nil {
			return pruned, err
		}
	}
	return pruned, nil
}

// pruner finds and removes one kind of rows.
type pruner interface {
	// find returns candidates among the rows behind from and where to go on, nil
	// at the end. It only reads.
	find(tx *transaction, from []byte) (keys [][]byte, next []byte, err error)
	// remove removes those of the keys that are still to go.
	remove(b *batch, keys [][]byte, pruned *Pruned) error
}

// prune runs one pruner through its bucket. Candidates are found in read
// transactions, so that nothing is written when there is nothing to remove.
func (s *Store) prune(ctx context.Context, p pruner, total *Pruned) error {
	from := []byte{}
	for from != nil {
		var keys [][]byte
		err := s.view(ctx, "pruning", func(tx *transaction) error {
			var err error
			keys, from, err = p.find(tx, from)
			return err
		})
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			continue
		}
		var pruned Pruned
		err = s.write(ctx, "pruning", func(b *batch) error {
			pruned = Pruned{}
			return p.remove(b, keys, &pruned)
		})
		if err != nil {
			return err
		}
		total.Deliveries += pruned.Deliveries
		total.Attempts += pruned.Attempts
		total.Events += pruned.Events
		total.Sessions += pruned.Sessions
	}
	return nil
}

// scan collects the keys behind from that pick wants, within the bounds.
func scan(bucket *bolt.Bucket, from []byte, pick func(key, value []byte) (take, more bool, err error)) (keys [][]byte, next []byte, err error) {
	c := bucket.Cursor()
	examined := 0
	for key, value := c.Seek(from); key != nil; key, value = c.Next() {
		if len(keys) == pruneRows || examined == pruneExamine {
			return keys, bytes.Clone(key), nil
		}
		examined++
		take, more, err := pick(key, value)
		if err != nil || !more {
			return keys, nil, err
		}
		if take {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys, nil, nil
}

// deliveryPruner walks the accepted deliveries in the order of their finish.
type deliveryPruner struct{ before time.Time }

func (p *deliveryPruner) find(tx *transaction, from []byte) ([][]byte, []byte, error) {
	return scan(tx.Bucket(bucketAccepted), from, func(key, _ []byte) (bool, bool, error) {
		finished, ok := readTime(key)
		old := ok && finished.Before(p.before)
		return old, old, nil
	})
}

func (p *deliveryPruner) remove(b *batch, keys [][]byte, pruned *Pruned) error {
	for _, key := range keys {
		if b.get(bucketAccepted, key) == nil {
			continue // another Prune was faster, or it was made pending again
		}
		r, err := readRecord(b.tx, lastSequence(key))
		if err != nil {
			return err
		}
		if r.Status != event.StatusAccepted && r.Status != event.StatusPurged {
			return inconsistent(b.tx.DB().Path(), "delivery %s is %s among the accepted", r.ID, r.Status)
		}
		if err := removeDelivery(b, &r, key, pruned); err != nil {
			return err
		}
	}
	return nil
}

func removeDelivery(b *batch, r *record, accepted []byte, pruned *Pruned) error {
	sequence := sequenceKey(r.sequence)
	var attempts [][]byte
	err := b.tx.table(bucketAttempts).each(sequence, func(key, _ []byte) (bool, error) {
		attempts = append(attempts, bytes.Clone(key))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, key := range attempts {
		if err := b.remove(bucketAttempts, key); err != nil {
			return err
		}
	}
	rows := []struct{ bucket, key []byte }{
		{bucketAccepted, accepted},
		{bucketDeliveryIDs, []byte(r.ID)},
		{bucketFanOut, appendSequence(sequenceKey(r.event), r.sequence)},
		{bucketDeliveries, sequence},
	}
	for _, row := range rows {
		if err := b.remove(row.bucket, row.key); err != nil {
			return err
		}
	}
	pruned.Attempts += len(attempts)
	pruned.Deliveries++
	return nil
}

// eventPruner walks the events from the oldest on.
type eventPruner struct {
	before time.Time
	young  int // in a row
}

func (p *eventPruner) find(tx *transaction, from []byte) ([][]byte, []byte, error) {
	return scan(tx.Bucket(bucketEvents), from, func(key, row []byte) (bool, bool, error) {
		e, err := eventOf(tx, lastSequence(key), row)
		if err != nil {
			return false, false, err
		}
		if !e.Time.Before(p.before) {
			p.young++
			return false, p.young < pruneAhead, nil
		}
		p.young = 0
		return !hasDeliveries(tx, key), true, nil
	})
}

func hasDeliveries(tx *transaction, sequence []byte) bool {
	key, _ := tx.Bucket(bucketFanOut).Cursor().Seek(sequence)
	return bytes.HasPrefix(key, sequence)
}

func (p *eventPruner) remove(b *batch, keys [][]byte, pruned *Pruned) error {
	for _, key := range keys {
		if b.get(bucketEvents, key) == nil || hasDeliveries(b.tx, key) {
			continue // gone, or replayed, since it was found
		}
		e, err := readEvent(b.tx, lastSequence(key))
		if err != nil {
			return err
		}
		if err := b.remove(bucketEventIDs, []byte(e.ID)); err != nil {
			return err
		}
		if err := b.remove(bucketEvents, key); err != nil {
			return err
		}
		pruned.Events++
	}
	return nil
}
