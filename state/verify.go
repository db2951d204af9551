package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"checkout-notifier/event"
)

// Verify reads the whole file and checks bbolt's structure and what this
// package promises: every row is readable, every index names what it should and
// nothing else, every counter is right, the last attempt of every delivery is
// on record, and no delivery is parked that nothing would wake. It holds writers
// up meanwhile. The error is ErrDamaged and names the first things that are wrong.
func (s *Store) Verify(ctx context.Context) error {
	err := s.verify(ctx)
	if err != nil {
		return fmt.Errorf("verifying state file: %w", s.classify(err))
	}
	return nil
}

// verify works in one transaction, a write transaction where that is possible,
// because bbolt's check reads what writers change. It is always rolled back.
func (s *Store) verify(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.db.Begin(!s.db.IsReadOnly())
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	if err := checkFile(s.db.file()); err != nil {
		return damaged(s.path, err)
	}
	var found []error
	m, err := findMeta(s.db.file())
	if err != nil {
		return err
	}
	if s.db.IsReadOnly() && m.freelist == noFreelist {
		// bbolt takes all pages for free that it does not reach, so that its own check,
		// which no context ends, finds nothing that checkFile has not.
		found = append(found, checkMetaPages(s.db.file(), m.pageSize)...)
	} else {
		for err := range tx.Check() {
			if len(found) < maxFindings {
				found = append(found, err)
			}
		}
	}
	if len(found) > 0 {
		return damaged(s.path, errors.Join(found...))
	}
	v := &verifier{ctx: ctx, tx: remembering(tx), destinations: make(map[string]*event.DestinationState), rows: make(map[string]int)}
	if err := guard(v.run); err != nil {
		return err
	}
	if len(v.found) > 0 {
		return damaged(s.path, errors.Join(v.found...))
	}
	return nil
}

// maxFindings bounds what one message tells.
const maxFindings = 10

// verifier checks our own invariants.
type verifier struct {
	ctx          context.Context
	tx           *transaction
	found        []error
	destinations map[string]*event.DestinationState // as counted
	rows         map[string]int                     // that each index should have
}

func (v *verifier) report(format string, arguments ...any) {
	if len(v.found) < maxFindings {
		v.found = append(v.found, fmt.Errorf(format, arguments...))
	}
}

// expect checks that an index has a row with a value; a nil value is any.
func (v *verifier) expect(bucket, key, value []byte, format string, arguments ...any) {
	v.rows[string(bucket)]++
	present := v.tx.Bucket(bucket).Get(key)
	if present == nil || (value != nil && !bytes.Equal(present, value)) {
		v.report("%s is not in %s", fmt.Sprintf(format, arguments...), bucket)
	}
}

// expectQueued checks that a pending delivery is in the queue of its destination.
func (v *verifier) expectQueued(r *record, key, value []byte) {
	v.rows[queueName(r.Destination)]++
	queue := v.tx.queue(r.Destination)
	if queue == nil || !bytes.Equal(queue.Get(key), value) || value == nil && queue.Get(key) == nil {
		v.report("delivery %s is not in the queue of %s, or not as it should be", r.ID, r.Destination)
	}
}

func queueName(destination string) string { return "the queue of " + destination }

// queues visits the queue of each destination.
func (v *verifier) queues(fn func(destination string, queue *table) error) error {
	queues := v.tx.Bucket(bucketQueues)
	return queues.ForEach(func(name, row []byte) error {
		if row != nil {
			v.report("%q is no queue", name)
			return nil
		}
		return fn(string(name), v.tx.queue(string(name)))
	})
}

func (v *verifier) run() error {
	for _, check := range []func() error{v.accounts, v.sessions, v.events, v.deliveries, v.attempts, v.order, v.states, v.totals, v.jobs, v.audit, v.conditions} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// each visits the rows of a bucket, as long as the context lives.
func (v *verifier) each(bucket []byte, fn func(key, value []byte)) error {
	n := 0
	return v.tx.Bucket(bucket).ForEach(func(key, value []byte) error {
		if n++; n%1000 == 0 && v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		fn(key, value)
		return nil
	})
}

// sequence checks that a row's sequence will not be given out again.
func (v *verifier) sequence(bucket, key []byte) {
	if last := v.tx.Bucket(bucket).Sequence(); lastSequence(key) > last {
		v.report("row %d of %s lies behind its last sequence %d", lastSequence(key), bucket, last)
	}
}

func (v *verifier) jobs() error {
	if v.tx.Bucket(bucketJobs) == nil {
		return nil
	}
	return v.each(bucketJobs, func(id, row []byte) {
		if !json.Valid(row) {
			v.report("job %s is unreadable", id)
		}
	})
}

func (v *verifier) audit() error {
	return v.each(bucketAudit, func(key, row []byte) {
		var a event.AuditEntry
		if err := json.Unmarshal(row, &a); err != nil {
			v.report("audit entry %d is unreadable: %v", lastSequence(key), err)
		}
		v.sequence(bucketAudit, key)
	})
}

func (v *verifier) conditions() error {
	return v.each(bucketConditions, func(key, row []byte) {
		var c event.Condition
		if err := json.Unmarshal(row, &c); err != nil || !bytes.Equal(key, conditionKey(c.Kind, c.Subject)) {
			v.report("condition at key %x is unreadable: %v", key, err)
		}
	})
}

func (v *verifier) accounts() error {
	return v.each(bucketAccounts, func(name, row []byte) {
		var account event.Account
		if err := json.Unmarshal(row, &account); err != nil || account.Name != string(name) {
			v.report("account %s is unreadable: %v", name, err)
		}
	})
}

func (v *verifier) sessions() error {
	counts := make(map[string]int)
	err := v.each(bucketSessions, func(key, row []byte) {
		var s event.Snapshot
		if err := json.Unmarshal(row, &s); err != nil {
			v.report("session at key %x: %v", key, err)
			return
		}
		if !bytes.Equal(key, sessionKey(s.Account, s.Created, s.ID)) {
			v.report("session %s has another's key", s.ID)
		}
		key, want := indexKey(s.Account, s.ID), encodeTracked(s.Track())
		if t, err := decodeTracked(s.ID, v.tx.Bucket(bucketIndex).Get(key)); err == nil && bytes.Equal(encodeTracked(t), want) {
			want = nil // said in an earlier format, perhaps
		}
		v.expect(bucketIndex, key, want, "the row of session %s", s.ID)
		watch := s.Watch
		if watch.Is(event.Watched) {
			watch = event.Watched
		}
		counts[string(countKey(s.Account, watch))]++
	})
	if err != nil {
		return err
	}
	err = v.each(bucketCounts, func(key, row []byte) {
		if readCount(row) != counts[string(key)] {
			v.report("%d sessions are counted at %x and %d are there", readCount(row), key, counts[string(key)])
		}
		delete(counts, string(key))
	})
	for key := range counts {
		v.report("sessions at %x are not counted", key)
	}
	return err
}

func (v *verifier) events() error {
	return v.each(bucketEvents, func(key, row []byte) {
		var e event.Event
		if err := decodeEvent(row, &e); err != nil {
			v.report("event %d: %v", lastSequence(key), err)
			return
		}
		v.sequence(bucketEvents, key)
		v.expect(bucketEventIDs, []byte(e.ID), key, "event %s", e.ID)
	})
}

func (v *verifier) deliveries() error {
	return v.each(bucketDeliveries, func(key, row []byte) {
		r, err := decodeRecord(lastSequence(key), row)
		if err != nil {
			v.report("delivery %d: %v", lastSequence(key), err)
			return
		}
		v.sequence(bucketDeliveries, key)
		v.expect(bucketDeliveryIDs, []byte(r.ID), key, "delivery %s", r.ID)
		v.expect(bucketFanOut, appendSequence(sequenceKey(r.event), r.sequence), nil, "delivery %s", r.ID)
		owner := v.tx.Bucket(bucketEventIDs).Get([]byte(r.EventID))
		if owner == nil || lastSequence(owner) != r.event {
			v.report("the event of delivery %s is missing", r.ID)
		}
		if last := lastAttempt(v.tx, r.sequence); last < r.Attempts {
			v.report("delivery %s had %d attempts, and the last on record is %d", r.ID, r.Attempts, last)
		}
		v.status(&r)
	})
}

// status checks that a delivery is in the indexes of its status.
func (v *verifier) status(r *record) {
	state := v.destinations[r.Destination]
	if state == nil {
		state = &event.DestinationState{Name: r.Destination}
		v.destinations[r.Destination] = state
	}
	switch r.Status {
	case event.StatusPending:
		state.Pending++
		v.expectQueued(r, pendingKey(r.sequence), appendTime(nil, r.Since()))
		switch {
		case r.Blocked():
			v.expectQueued(r, blockedKey(r.BlockedSubject, r.sequence), nil)
		case !r.Due.IsZero():
			v.expectQueued(r, dueKey(waiting(&r.Delivery), r.Due, r.sequence), []byte(r.ID))
		}
		if r.Ordered {
			v.expectQueued(r, orderKey(&r.Delivery, r.sequence), nil)
		} else if r.Due.IsZero() && !r.Blocked() {
			v.report("delivery %s is parked and not ordered", r.ID)
		}
	case event.StatusAccepted, event.StatusPurged:
		v.expect(bucketAccepted, acceptedKey(r.Finished, r.sequence), nil, "delivery %s", r.ID)
	case event.StatusDead:
		state.Dead++
		v.expect(bucketDead, destinationKey(r.Destination, r.sequence), []byte(r.Reason), "delivery %s", r.ID)
	default:
		v.report("delivery %s is %q", r.ID, r.Status)
	}
	if r.Status != event.StatusPending && !r.Due.IsZero() {
		v.report("delivery %s is %s and due", r.ID, r.Status)
	}
}

func (v *verifier) attempts() error {
	return v.each(bucketAttempts, func(key, row []byte) {
		var a event.Attempt
		if err := unpack(row, &a, attemptFields); err != nil || a.N != attemptNumber(key) {
			v.report("attempt at key %x is unreadable: %v", key, err)
			return
		}
		owner := v.tx.Bucket(bucketDeliveryIDs).Get([]byte(a.DeliveryID))
		if owner == nil || !bytes.Equal(owner, key[:sequenceSize]) {
			v.report("attempt %d is of delivery %s, which is missing", a.N, a.DeliveryID)
		}
	})
}

// order checks that the first pending delivery of a session is not parked: each
// that finishes wakes the first parked one, so that then all get their turn.
func (v *verifier) order() error {
	return v.queues(func(_ string, queue *table) error {
		var session []byte
		return queue.each([]byte{kindOrder}, func(key, _ []byte) (bool, error) {
			prefix := key[:max(1, len(key)-sequenceSize)]
			if bytes.Equal(prefix, session) {
				return true, v.ctx.Err()
			}
			session = bytes.Clone(prefix)
			r, err := readRecord(v.tx, lastSequence(key))
			if err != nil || r.Due.IsZero() && !r.Blocked() {
				v.report("delivery %d (%s) is parked behind nobody: %v", lastSequence(key), r.ID, err)
			}
			return true, v.ctx.Err()
		})
	})
}

func (v *verifier) states() error {
	err := v.each(bucketDestinations, func(name, row []byte) {
		var state event.DestinationState
		if err := json.Unmarshal(row, &state); err != nil || state.Name != string(name) {
			v.report("state of destination %s is unreadable: %v", name, err)
			return
		}
		counted := v.destinations[state.Name]
		if counted == nil {
			counted = &event.DestinationState{}
		}
		if state.Pending != counted.Pending || state.Dead != counted.Dead {
			v.report("destination %s counts %d pending and %d dead, and has %d and %d",
				name, state.Pending, state.Dead, counted.Pending, counted.Dead)
		}
		delete(v.destinations, state.Name)
	})
	for name, state := range v.destinations {
		if state.Pending+state.Dead > 0 {
			v.report("destination %s is not counted", name)
		}
	}
	return err
}

// totals checks that no index has rows beyond those that were expected.
func (v *verifier) totals() error {
	indexes := [][]byte{
		bucketIndex, bucketEventIDs, bucketDeliveryIDs, bucketFanOut,
		bucketAccepted, bucketDead,
	}
	for _, bucket := range indexes {
		n := 0
		if err := v.each(bucket, func(_, _ []byte) { n++ }); err != nil {
			return err
		}
		if n != v.rows[string(bucket)] {
			v.report("%s has %d rows instead of %d", bucket, n, v.rows[string(bucket)])
		}
	}
	return v.queues(func(destination string, queue *table) error {
		n := 0
		err := queue.ForEach(func(_, _ []byte) error {
			n++
			return v.ctx.Err()
		})
		if name := queueName(destination); n != v.rows[name] {
			v.report("%s has %d rows instead of %d", name, n, v.rows[name])
		}
		return err
	})
}
