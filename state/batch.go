package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
)

// batch is one write transaction, shared by the operations of a group. It keeps
// what many of them change, so that it is written once.
type batch struct {
	tx           *transaction
	destinations map[string]*event.DestinationState
	counts       map[string]int // by countKey

	places   *places
	readings *readings                    // of our clock
	slots    func(destination string) int // that commits may use; may be nil
	begun    []event.Job                  // for them
	used     map[string]int               // how many, by destination
}

func newBatch(tx *bolt.Tx) *batch {
	return &batch{tx: remembering(tx), destinations: make(map[string]*event.DestinationState), counts: make(map[string]int), used: make(map[string]int), places: newPlaces(), readings: new(readings)}
}

func (b *batch) put(bucket, key, value []byte) error { return b.tx.table(bucket).Put(key, value) }

func (b *batch) get(bucket, key []byte) []byte { return b.tx.table(bucket).Get(key) }

func (b *batch) remove(bucket, key []byte) error { return b.tx.table(bucket).Delete(key) }

// add appends a row under the next sequence of a bucket.
func (b *batch) add(bucket []byte, fill float64, value func(sequence uint64) ([]byte, error)) error {
	rows := b.tx.table(bucket)
	rows.FillPercent = fill
	sequence, err := rows.NextSequence()
	if err != nil {
		return err
	}
	row, err := value(sequence)
	if err != nil {
		return err
	}
	return rows.Put(sequenceKey(sequence), row)
}

// addEvent appends the row of an event.
func (b *batch) addEvent(id string, row []byte) error {
	return b.add(bucketEvents, appendOnly, func(sequence uint64) ([]byte, error) {
		return row, b.put(bucketEventIDs, []byte(id), sequenceKey(sequence))
	})
}

// destination returns the state of a destination, to be changed in place.
func (b *batch) destination(name string) (*event.DestinationState, error) {
	if state, ok := b.destinations[name]; ok {
		return state, nil
	}
	state := &event.DestinationState{Name: name}
	if row := b.get(bucketDestinations, []byte(name)); row != nil {
		if err := json.Unmarshal(row, state); err != nil {
			return nil, inconsistent(b.tx.DB().Path(), "state of destination %s: %v", name, err)
		}
	}
	b.destinations[name] = state
	return state, nil
}

// count changes the number of an account's sessions in a watch state.
func (b *batch) count(account string, watch event.Watch, by int) {
	if watch.Is(event.Watched) {
		watch = event.Watched
	}
	b.counts[string(countKey(account, watch))] += by
}

// flush writes what was kept back. It comes last.
func (b *batch) flush() error {
	for name, state := range b.destinations {
		row, err := event.Marshal(state)
		if err != nil {
			return fmt.Errorf("encoding the state of destination %s: %w", name, err)
		}
		if err := b.put(bucketDestinations, []byte(name), row); err != nil {
			return err
		}
	}
	for key, by := range b.counts {
		if by == 0 {
			continue
		}
		n := readCount(b.get(bucketCounts, []byte(key))) + by
		if err := b.put(bucketCounts, []byte(key), binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
			return err
		}
	}
	return nil
}

func readCount(row []byte) int {
	if len(row) != 8 {
		return 0
	}
	return int(binary.BigEndian.Uint64(row))
}

// record is a stored delivery with its places.
type record struct {
	event.Delivery
	sequence uint64
	event    uint64 // sequence of its event
	kind     byte   // under which it waits for its due time
	blocked  string // the subject under which it waits instead
}

var errShortRow = errors.New("row is too short")

func readRecord(tx *transaction, sequence uint64) (record, error) {
	row := tx.table(bucketDeliveries).Get(sequenceKey(sequence))
	r, err := decodeRecord(sequence, row)
	if err != nil {
		return record{}, inconsistent(tx.DB().Path(), "delivery %d: %v", sequence, err)
	}
	return r, nil
}

func decodeRecord(sequence uint64, row []byte) (record, error) {
	if len(row) < sequenceSize {
		return record{}, errShortRow
	}
	r := record{sequence: sequence, event: binary.BigEndian.Uint64(row)}
	if err := unpack(row[sequenceSize:], &r.Delivery, deliveryFields); err != nil {
		return record{}, err
	}
	r.kind = waiting(&r.Delivery)
	if r.Blocked() {
		r.blocked = r.BlockedSubject
	}
	return r, nil
}

func encodeRecord(r *record) ([]byte, error) {
	row, err := pack(appendSequence(make([]byte, 0, deliverySize), r.event), &r.Delivery, deliveryFields)
	if err != nil {
		return nil, invalid("delivery %s: %v", r.ID, err)
	}
	return row, nil
}

// findRecord looks a delivery up by its id.
func findRecord(tx *transaction, id string) (r record, found bool, err error) {
	sequence := tx.table(bucketDeliveryIDs).Get([]byte(id))
	if sequence == nil {
		return record{}, false, nil
	}
	r, err = readRecord(tx, lastSequence(sequence))
	return r, err == nil, err
}

func (b *batch) save(r *record) error {
	row, err := encodeRecord(r)
	if err != nil {
		return err
	}
	rows := b.tx.table(bucketDeliveries)
	rows.FillPercent = appendAndGrow
	return rows.Put(sequenceKey(r.sequence), row)
}

// setDue changes when a delivery is due, and moves it to the part of the queue (see dueKinds)
// where it belongs after other changes of it. With the zero time it waits for its
// BlockedSubject or, without one, is parked behind an earlier one of its session. The caller
// saves the record afterwards.
func (b *batch) setDue(r *record, due time.Time) error {
	var err error
	switch {
	case !r.Due.IsZero():
		err = b.dequeue(r.Destination, dueKey(r.kind, r.Due, r.sequence))
	case r.blocked != "":
		err = b.dequeue(r.Destination, blockedKey(r.blocked, r.sequence))
	}
	if err != nil {
		return err
	}
	b.readings.note(due)
	r.Due, r.kind, r.blocked = due, waiting(&r.Delivery), ""
	switch {
	case r.Blocked():
		r.blocked = r.BlockedSubject
		return b.enqueue(r.Destination, blockedKey(r.blocked, r.sequence), nil)
	case due.IsZero():
		return nil
	}
	return b.enqueue(r.Destination, dueKey(r.kind, due, r.sequence), []byte(r.ID))
}

// makeDue is setDue, and saves the record.
func (b *batch) makeDue(r *record, due time.Time) error {
	if err := b.setDue(r, due); err != nil {
		return err
	}
	return b.save(r)
}

// head returns the first pending delivery of the session and destination of
// one that is ordered.
func head(tx *transaction, d *event.Delivery) (sequence uint64, found bool) {
	prefix := orderPrefix(d)
	key, _ := tx.queue(d.Destination).seek(prefix, prefix)
	return lastSequence(key), key != nil
}

// wake makes the first delivery of the same session and destination behind a
// sequence that waits for earlier ones due at a time.
func (b *batch) wake(d *event.Delivery, behind uint64, at time.Time) (woke bool, err error) {
	var waiting *record
	err = b.tx.queue(d.Destination).each(orderPrefix(d), func(key, _ []byte) (bool, error) {
		if lastSequence(key) <= behind {
			return true, nil
		}
		r, err := readRecord(b.tx, lastSequence(key))
		if err == nil && waitsForEarlier(&r.Delivery, at) {
			waiting = &r
		}
		return waiting == nil, err
	})
	if err != nil || waiting == nil {
		return false, err
	}
	return true, b.makeDue(waiting, at)
}

// backlogAfter: a new delivery that has been due for longer than this stands in a backlog.
const backlogAfter = 5 * time.Second

// bringForward makes the first delivery of a session that is new and was never refused due
// with a later one, if it stands in a backlog that is being sent: else the later one would
// wait for all of that. Each time it has to have waited for longer, so that in the end its
// turn comes where later ones come all the time.
func (b *batch) bringForward(behind *event.Delivery, due time.Time) error {
	state, err := b.destination(behind.Destination)
	if err != nil {
		return err
	}
	if s := &state.Standing; !s.Paused.IsZero() || !s.Broken.IsZero() || s.Down.IsOpen() {
		return nil // what waits is sent in its order once it takes something
	}
	var first record
	err = b.tx.queue(behind.Destination).each(orderPrefix(behind), func(key, _ []byte) (more bool, err error) {
		first, err = readRecord(b.tx, lastSequence(key))
		return first.HeldAt != nil || first.kind != kindDue, err
	})
	moved := first.Due.Sub(first.Created)
	if err != nil || first.HeldAt != nil || first.kind != kindDue || first.Due.IsZero() || due.Sub(first.Due) <= max(backlogAfter, moved) {
		return err
	}
	return b.makeDue(&first, due)
}

// waitsForEarlier says whether an ordered delivery waits for nothing but an earlier one: it
// is parked, or it was never refused and is due only when order_hold may have run out, which
// is later than at.
func waitsForEarlier(d *event.Delivery, at time.Time) bool {
	return d.Due.IsZero() && !d.Blocked() || (d.Slots == 0 && d.Due.After(at))
}
