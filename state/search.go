package state

import (
	"context"
	"math"

	"checkout-notifier/event"
)

// DeliveryRow is a delivery with its place in the order of commits.
type DeliveryRow struct {
	Sequence uint64
	Delivery event.Delivery
}

// SearchDeliveries returns deliveries that a query chooses, newest first. It
// looks at a bounded number of them, so that there may be fewer than the limit
// although next says where to go on; next is 0 at the end.
func (s *Store) SearchDeliveries(ctx context.Context, q Query) (rows []DeliveryRow, next uint64, err error) {
	err = s.view(ctx, "looking for deliveries", func(tx *transaction) error {
		rows, next = nil, 0
		q.narrow(tx)
		walkers := q.walkers(tx)
		var last uint64
		examined, old := 0, 0
		for w := newest(walkers); w != nil; w = newest(walkers) {
			if len(rows) == q.Limit || examined == examineAtOnce {
				if old < examineAtOnce {
					next = last
				}
				return nil
			}
			examined, last = examined+1, w.sequence()
			r, err := readRecord(tx, last)
			if err != nil {
				return err
			}
			if !q.ByEnd && r.Created.Before(q.Since) {
				old++
			}
			if q.MatchDelivery(&r.Delivery) {
				rows = append(rows, DeliveryRow{Sequence: last, Delivery: withAttempts(tx, r)})
			}
			w.step()
		}
		return nil
	})
	return rows, next, err
}

// SearchEvents returns events that a query chooses, as SearchDeliveries does.
func (s *Store) SearchEvents(ctx context.Context, q Query) (rows []Sequenced, next uint64, err error) {
	err = s.view(ctx, "looking for events", func(tx *transaction) error {
		rows, next = nil, 0
		q.narrow(tx)
		w := newBackward(tx.Bucket(bucketEvents), nil, q.Before)
		var last uint64
		examined, old := 0, 0
		for ; w.sequence() > 0; w.step() {
			if len(rows) == q.Limit || examined == examineAtOnce {
				if old < examineAtOnce {
					next = last
				}
				return nil
			}
			examined, last = examined+1, w.sequence()
			e, err := eventOf(tx, last, w.row)
			if err != nil {
				return err
			}
			if e.ReplayOf == "" && e.Time.Before(q.Since) { // a copy is as old as what it is a copy of
				old++
			}
			matches := q.matchEvent(&e)
			if matches && q.Rule != "" && !q.Failed {
				deliveries, err := fanOut(tx, last)
				if err != nil {
					return err
				}
				matches = q.ruleMatched(deliveries)
			}
			if matches {
				rows = append(rows, Sequenced{Sequence: last, Event: e})
			}
		}
		return nil
	})
	return rows, next, err
}

// fanOut returns the deliveries of an event in the order of commits.
func fanOut(tx *transaction, sequence uint64) (deliveries []event.Delivery, err error) {
	err = tx.table(bucketFanOut).each(sequenceKey(sequence), func(key, _ []byte) (bool, error) {
		r, err := readRecord(tx, lastSequence(key))
		if err == nil {
			deliveries = append(deliveries, withAttempts(tx, r))
		}
		return true, err
	})
	return deliveries, err
}

// FannedOut is an event with its deliveries.
type FannedOut struct {
	Event      event.Event
	Deliveries []event.Delivery
}

// WalkEvents returns events that a query chooses, oldest first, with their
// deliveries, beginning behind the sequence after, and how many it looked at. It
// looks at a bounded number of them and returns where to go on; next is 0 at the
// end. Before is not used.
func (s *Store) WalkEvents(ctx context.Context, q Query, after uint64) (found []FannedOut, examined int, next uint64, err error) {
	err = s.view(ctx, "walking through the events", func(tx *transaction) error {
		found, examined, next = nil, 0, 0
		c := tx.Bucket(bucketEvents).Cursor()
		young := 0
		for key, row := c.Seek(sequenceKey(after + 1)); key != nil; key, row = c.Next() {
			if len(found) == q.Limit || examined == examineAtOnce {
				if young < examineAtOnce {
					next = after
				}
				return nil
			}
			examined, after = examined+1, lastSequence(key)
			e, err := eventOf(tx, after, row)
			if err != nil {
				return err
			}
			if e.ReplayOf == "" && !q.Until.IsZero() && e.Time.After(q.Until) {
				young++
			}
			if !q.matchEvent(&e) {
				continue
			}
			deliveries, err := fanOut(tx, after)
			if err != nil {
				return err
			}
			if q.ruleMatched(deliveries) {
				found = append(found, FannedOut{Event: e, Deliveries: deliveries})
			}
		}
		return nil
	})
	return found, examined, next, err
}

// SeekEvents returns a sequence behind which all events of a query lie, to begin
// walking there. It reads backwards from the newest, which costs no more than
// walking does.
func (s *Store) SeekEvents(ctx context.Context, of Query) (after uint64, err error) {
	err = s.view(ctx, "looking where to begin", func(tx *transaction) error {
		of.narrow(tx)
		return nil
	})
	if err != nil || of.Since.IsZero() {
		return 0, err
	}
	after = math.MaxUint64 - 1 // behind all
	q := Query{Since: of.Since, Limit: examineAtOnce}
	for {
		rows, next, err := s.SearchEvents(ctx, q)
		if err != nil {
			return 0, err
		}
		if len(rows) > 0 {
			after = rows[len(rows)-1].Sequence - 1
		}
		if next == 0 {
			return after, nil
		}
		q.Before = next
	}
}
