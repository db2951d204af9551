package state

import (
	"bytes"
	"context"
	"slices"
	"time"

	"checkout-notifier/event"
)

// Due returns deliveries of a destination that are due, each once, and of each kind as many
// as look asks for: the newest and the oldest that were never refused, then those that are
// sent again, then those that were refused before. Parked ones, which wait for an earlier one
// of their session, are not due. next is when the next delivery becomes due, zero if none
// waits for a time.
//
// What is not due yet is not read, except in the first call and in the first after the wall
// clock was set back: these correct the due times that were made while it was ahead.
//
// Attempts of a delivery counts the attempts that were begun, with or without a result.
func (s *Store) Due(ctx context.Context, destination string, look event.Look) (found []event.Job, next time.Time, err error) {
	if err := s.reschedule(ctx, destination, look.Now); err != nil {
		return nil, time.Time{}, err
	}
	look.Skip = s.offers.holdBack(look.Skip)
	err = s.view(ctx, "reading what is due for "+destination, func(tx *transaction) error {
		queue := tx.queue(destination)
		jobs, err := s.dueIn(nil, tx, queue, kindDue, true, &look, look.Newest)
		newest, others := jobs, look
		others.Skip = func(id string) bool {
			return look.Skip(id) || slices.ContainsFunc(newest, func(j event.Job) bool { return j.Delivery.ID == id })
		}
		for _, part := range [...]struct {
			kind  byte
			limit int
		}{{kindDue, look.First}, {kindAgain, look.SentAgain}, {kindRetry, look.Again}} {
			if err == nil {
				jobs, err = s.dueIn(jobs, tx, queue, part.kind, false, &others, part.limit)
			}
		}
		found, next = jobs, firstDueAfter(queue, look.Now)
		return err
	})
	return found, next, err
}

// mostAtOnce is how many jobs there is room for from the start.
const mostAtOnce = 256

// dueIn adds what is due of a kind.
func (s *Store) dueIn(jobs []event.Job, tx *transaction, queue *table, kind byte, newest bool, look *event.Look, limit int) ([]event.Job, error) {
	limit += len(jobs)
	add := func(key, id []byte) (bool, error) {
		due, ok := readDue(key)
		if !ok {
			return false, inconsistent(tx.DB().Path(), "an entry of what is due is unreadable")
		}
		if due.After(look.Now) || newest && !due.After(look.After) || len(jobs) >= limit {
			return false, nil
		}
		if look.Skip(string(id)) {
			return true, nil
		}
		if jobs == nil {
			jobs = make([]event.Job, 0, min(limit, mostAtOnce))
		}
		job, err := readJob(tx, lastSequence(key))
		if err == nil {
			jobs = append(jobs, job)
			s.places.note(job.Delivery.ID, lastSequence(key))
		}
		return true, err
	}
	prefix := []byte{kind}
	if newest {
		return jobs, queue.eachBack(appendTime([]byte{kind}, look.Now.Add(time.Nanosecond)), prefix, add)
	}
	return jobs, queue.each(prefix, add)
}

// firstDueAfter returns the due time of the first entry that is due after now; zero:
// there is none.
func firstDueAfter(queue *table, now time.Time) (next time.Time) {
	for _, kind := range dueKinds {
		key, _ := queue.seek(appendTime([]byte{kind}, now.Add(time.Nanosecond)), []byte{kind})
		if due, ok := readDue(key); ok && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return next
}

func readJob(tx *transaction, sequence uint64) (event.Job, error) {
	r, err := readRecord(tx, sequence)
	if err != nil {
		return event.Job{}, err
	}
	job := event.Job{Delivery: withAttempts(tx, r)}
	if job.Siblings, err = siblings(tx, &r); err != nil {
		return job, err
	}
	if job.Event, err = readEvent(tx, r.event); err != nil || !r.Ordered {
		return job, err
	}
	err = tx.queue(r.Destination).each(orderPrefix(&r.Delivery), func(key, _ []byte) (bool, error) {
		if lastSequence(key) >= sequence {
			return false, nil
		}
		earlier, err := readRecord(tx, lastSequence(key))
		if err == nil {
			job.Earlier = append(job.Earlier, withAttempts(tx, earlier))
		}
		return true, err
	})
	return job, err
}

// siblings returns Job.Siblings.
func siblings(tx *transaction, of *record) (rules []string, err error) {
	if of.OwnRule == "" {
		return nil, nil
	}
	deliveries, err := fanOut(tx, of.event)
	for i := range deliveries {
		if d := &deliveries[i]; d.ID != of.ID && d.Destination == of.Destination {
			rules = append(rules, d.OwnRule)
		}
	}
	return rules, err
}

func readEvent(tx *transaction, sequence uint64) (event.Event, error) {
	row := tx.table(bucketEvents).Get(sequenceKey(sequence))
	if row == nil {
		return event.Event{}, inconsistent(tx.DB().Path(), "event %d is missing", sequence)
	}
	return eventOf(tx, sequence, row)
}

// eventOf decodes the row of an event.
func eventOf(tx *transaction, sequence uint64, row []byte) (e event.Event, err error) {
	if err := decodeEvent(row, &e); err != nil {
		return e, inconsistent(tx.DB().Path(), "event %d: %v", sequence, err)
	}
	return e, nil
}

// withAttempts counts an attempt that was begun and whose result is not known.
func withAttempts(tx *transaction, r record) event.Delivery {
	r.Attempts = max(r.Attempts, lastAttempt(tx, r.sequence))
	return r.Delivery
}

// lastAttempt returns the highest number of a delivery's attempts on record, 0
// if there are none.
func lastAttempt(tx *transaction, sequence uint64) int {
	attempts := tx.table(bucketAttempts)
	c := attempts.cursor()
	defer attempts.release(c)
	if key, _ := c.Seek(sequenceKey(sequence)); !bytes.HasPrefix(key, sequenceKey(sequence)) {
		return 0 // as most that are read have none
	}
	key, _ := c.Seek(sequenceKey(sequence + 1))
	if key == nil {
		key, _ = c.Last()
	} else {
		key, _ = c.Prev()
	}
	if !bytes.HasPrefix(key, sequenceKey(sequence)) {
		return 0
	}
	return attemptNumber(key)
}
