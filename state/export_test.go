package state

import (
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
)

// ErrNotPending is what Begin and Resolve say of a delivery that is not pending.
var ErrNotPending = errNotPending

// Begin takes the step of one attempt.
func (s *Store) Begin(ctx context.Context, a event.Attempt) error {
	d, found, err := s.Delivery(ctx, a.DeliveryID)
	if err != nil {
		return err
	}
	if !found {
		return ErrNotPending
	}
	met, err := s.Take(ctx, event.Step{Begun: []event.Begin{{Delivery: d, Attempt: a}}})
	if err == nil && len(met.Gone) > 0 {
		return ErrNotPending
	}
	return err
}

// Resolve takes the step of one verdict.
func (s *Store) Resolve(ctx context.Context, v event.Verdict) error {
	met, err := s.Take(ctx, event.Step{Resolved: []event.Verdict{v}})
	if err == nil && len(met.Gone) > 0 {
		return ErrNotPending
	}
	return err
}

// Watch calls each with the pages that a transaction has written, for every
// transaction from now on.
func (s *Store) Watch(each func(pages int)) {
	s.commit = func(tx *bolt.Tx) error {
		err := tx.Commit()
		stats := tx.Stats()
		each(int(stats.GetPageCount()))
		return err
	}
}

// Fail makes commits fail from now on, without a trace, unless the error is nil.
func (s *Store) Fail(err error) {
	s.commit = (*bolt.Tx).Commit
	if err != nil {
		s.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Rollback(), err) }
	}
}
