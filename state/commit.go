package state

import (
	"context"
	"fmt"
	"time"

	"checkout-notifier/event"
)

// Commit stores what a page of looks changed, whole or not at all; nil means
// that it is on the disk. An empty one costs nothing.
//
// An event whose id is in the store already is not stored again, and its
// deliveries are left out: that is how an event that was computed twice stays
// exactly once. Such events are logged and counted (see Skipped). The same
// goes for a delivery whose id exists. A delivery may also belong to an event
// that was committed earlier.
//
// A new delivery is due at its Due, unless it is ordered and an earlier one of
// its session and destination is pending and was never refused: then it is
// parked until that one is accepted, dead, or releases it, and brings it forward if
// it stands in a backlog. Its first attempt may be begun with it: see Offer.
//
// Errors: ErrInvalid, ErrDiskFull and the other named errors of the store.
func (s *Store) Commit(ctx context.Context, tx *event.Tx) error {
	if tx.Empty() {
		return nil
	}
	doing := "committing what the program tells"
	if tx.Account != "" {
		doing = "committing a page of account " + tx.Account
	}
	c, err := prepare(tx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.write(ctx, doing, c.apply); err != nil {
		return err
	}
	if len(c.knownEvents) > 0 || c.knownDeliveries > 0 {
		s.skippedEvents.Add(uint64(len(c.knownEvents)))
		s.skippedDeliveries.Add(uint64(c.knownDeliveries))
		s.log.Warn("events came again that are stored already; they are not stored or sent twice", "account", tx.Account,
			"events", c.knownEvents, "deliveries", c.knownDeliveries)
	}
	return nil
}

// Skipped returns how many events and deliveries Commit has left out, since
// Open, because their ids were in the store already.
func (s *Store) Skipped() (events, deliveries uint64) {
	return s.skippedEvents.Load(), s.skippedDeliveries.Load()
}

// commit is a Tx on its way, encoded before the transaction begins.
type commit struct {
	tx        *event.Tx
	snapshots [][]byte
	events    [][]byte

	// What one run of apply finds.
	known           map[string]bool // ids of this Tx's events that were in the store
	knownEvents     []string
	knownDeliveries int
}

func prepare(tx *event.Tx) (*commit, error) {
	c := &commit{tx: tx}
	rows := newEncoder()
	for i := range tx.Snapshots {
		snapshot := &tx.Snapshots[i]
		if snapshot.Account != tx.Account {
			return nil, invalid("session %q belongs to account %q", snapshot.ID, snapshot.Account)
		}
		if err := checkTexts("session", snapshot.ID, snapshot.Account); err != nil {
			return nil, err
		}
		row, err := rows.snapshot(snapshot)
		if err != nil {
			return nil, invalid("session %s: %v", snapshot.ID, err)
		}
		c.snapshots = append(c.snapshots, row)
	}
	for i := range tx.Events {
		if err := checkTexts("event", tx.Events[i].ID); err != nil {
			return nil, err
		}
		row, err := rows.event(&tx.Events[i])
		if err != nil {
			return nil, invalid("event %s: %v", tx.Events[i].ID, err)
		}
		c.events = append(c.events, row)
	}
	for i := range tx.Deliveries {
		if err := checkDelivery(&tx.Deliveries[i]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func checkDelivery(d *event.Delivery) error {
	if err := checkTexts("delivery", d.ID, d.EventID, d.Destination); err != nil {
		return err
	}
	switch {
	case len(d.Account) > maxText || len(d.Session) > maxText:
		return invalid("delivery %s: account or session is too long", d.ID)
	case d.Status != "" && d.Status != event.StatusPending:
		return invalid("delivery %s is new and cannot be %s", d.ID, d.Status)
	case d.Due.IsZero():
		return invalid("delivery %s is due at no time", d.ID)
	}
	return nil
}

// checkTexts refuses what cannot be part of a key.
func checkTexts(what string, texts ...string) error {
	for _, text := range texts {
		if text == "" || len(text) > maxText {
			return invalid("%s %.64q: a name or id is empty or longer than %d bytes", what, texts[0], maxText)
		}
	}
	return nil
}

func (c *commit) apply(b *batch) error {
	c.known, c.knownEvents, c.knownDeliveries = make(map[string]bool), nil, 0
	added := make(map[string]bool)
	for i := range c.tx.Snapshots {
		if err := putSnapshot(b, &c.tx.Snapshots[i], c.snapshots[i]); err != nil {
			return err
		}
	}
	for i := range c.tx.Events {
		id := c.tx.Events[i].ID
		if b.get(bucketEventIDs, []byte(id)) != nil {
			// One that this Tx names twice is new all the same: its deliveries stay.
			c.known[id] = !added[id]
			c.knownEvents = append(c.knownEvents, id)
			continue
		}
		added[id] = true
		if err := b.addEvent(id, c.events[i]); err != nil {
			return err
		}
	}
	for i := range c.tx.Deliveries {
		d := &c.tx.Deliveries[i]
		if c.known[d.EventID] || b.get(bucketDeliveryIDs, []byte(d.ID)) != nil {
			c.knownDeliveries++
			continue
		}
		if err := addDelivery(b, *d); err != nil {
			return err
		}
	}
	if err := announce(b, c.tx.Notices); err != nil {
		return err
	}
	if err := changeConditions(b, c.tx.Raised, c.tx.Cleared); err != nil {
		return err
	}
	return writeAudit(b, c.tx.Audit...)
}

// putSnapshot writes a snapshot and its index row.
func putSnapshot(b *batch, snapshot *event.Snapshot, row []byte) error {
	index := indexKey(snapshot.Account, snapshot.ID)
	if old := b.get(bucketIndex, index); old != nil {
		t, err := decodeTracked(snapshot.ID, old)
		if err != nil {
			return inconsistent(b.tx.DB().Path(), "index row of session %s: %v", snapshot.ID, err)
		}
		b.count(snapshot.Account, t.Watch, -1)
		if !t.Created.Equal(snapshot.Created) {
			if err := b.remove(bucketSessions, sessionKey(snapshot.Account, t.Created, snapshot.ID)); err != nil {
				return err
			}
		}
	}
	b.count(snapshot.Account, snapshot.Watch, 1)
	if err := b.put(bucketIndex, index, encodeTracked(snapshot.Track())); err != nil {
		return err
	}
	return b.put(bucketSessions, sessionKey(snapshot.Account, snapshot.Created, snapshot.ID), row)
}

// addDelivery appends a new delivery and enters it into the indexes of pending ones.
func addDelivery(b *batch, d event.Delivery) error {
	owner := b.get(bucketEventIDs, []byte(d.EventID))
	if owner == nil {
		return invalid("delivery %s is of event %s, which is not in the store", d.ID, d.EventID)
	}
	r := record{Delivery: d, event: lastSequence(owner)}
	r.Status, r.Due, r.Finished, r.Reason = event.StatusPending, time.Time{}, time.Time{}, ""
	state, err := b.destination(d.Destination)
	if err != nil {
		return err
	}
	state.Pending++
	alone := false
	err = b.add(bucketDeliveries, appendAndGrow, func(sequence uint64) ([]byte, error) {
		r.sequence = sequence
		if alone, err = addPending(b, &r, d.Due); err != nil {
			return nil, err
		}
		return encodeRecord(&r)
	})
	if err != nil || !alone || d.Due.After(d.Created) {
		return err
	}
	return b.beginNew(&r)
}

// beginNew begins the first attempt of a new delivery if a slot is offered for it.
func (b *batch) beginNew(r *record) error {
	if b.slots == nil || b.used[r.Destination] >= b.slots(r.Destination) {
		return nil
	}
	job, err := readJob(b.tx, r.sequence)
	if err != nil {
		return err
	}
	b.used[r.Destination]++
	b.begun = append(b.begun, job)
	return putAttempt(b, r.sequence, r.ID, &event.Attempt{DeliveryID: r.ID, N: 1, Started: r.Created, Outcome: event.OutcomeUnknown, Actor: r.Actor})
}

// addPending enters a new delivery into the indexes and makes it due, or parks it.
// It is alone if no earlier one of its session is pending, or it need not wait for
// one.
func addPending(b *batch, r *record, due time.Time) (alone bool, err error) {
	if err := b.put(bucketDeliveryIDs, []byte(r.ID), sequenceKey(r.sequence)); err != nil {
		return false, err
	}
	if err := b.put(bucketFanOut, appendSequence(sequenceKey(r.event), r.sequence), nil); err != nil {
		return false, err
	}
	if err := b.enqueue(r.Destination, pendingKey(r.sequence), appendTime(nil, r.Created)); err != nil {
		return false, err
	}
	if !r.Ordered {
		return true, b.setDue(r, due)
	}
	first, waits := head(b.tx, &r.Delivery)
	if waits && !r.SentAgain() {
		if err := b.bringForward(&r.Delivery, due); err != nil {
			return false, err
		}
	}
	if err := b.enqueue(r.Destination, orderKey(&r.Delivery, r.sequence), nil); err != nil {
		return false, err
	}
	if waits {
		earlier, err := readRecord(b.tx, first)
		if err != nil {
			return false, err
		}
		// If the earlier one was refused before, this one is due all the same: it missed
		// the release of waiting deliveries that followed the refusal. Behind one that is
		// sent again it waits for order_hold at most.
		if earlier.HeldAt == nil && (!earlier.SentAgain() || r.SentAgain()) {
			return false, nil
		}
	}
	return !waits, b.setDue(r, due)
}
