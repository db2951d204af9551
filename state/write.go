package state

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// maxGroup bounds the writers that are committed together, and with them the
// memory and the time of one transaction.
const maxGroup = 256

// operation is one writer's part of a transaction. apply may run more than
// once, each time on a transaction that shows nothing of the runs before.
type operation struct {
	apply     func(*batch) error
	cancelled func() error
	// turn receives once: after the operation is done, or when its writer is to
	// lead the next group.
	turn chan struct{}
	done bool
	err  error
}

// write commits what apply does, together with the writers that wait at the
// same time. A lone writer begins at once. A context that ends after the
// transaction has begun does not undo it.
func (s *Store) write(ctx context.Context, doing string, apply func(*batch) error) error {
	op := &operation{apply: apply, cancelled: ctx.Err, turn: make(chan struct{}, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, op)
	follow := s.leading
	s.leading = true
	s.mu.Unlock()
	if follow {
		<-op.turn
	}
	if !op.done {
		s.lead()
	}
	if op.err != nil {
		return fmt.Errorf("%s: %w", doing, op.err)
	}
	return nil
}

// lead commits the group at the head of the queue, which begins with the
// caller's own operation, and hands the lead to the next writer.
func (s *Store) lead() {
	runtime.Gosched() // those that were committed together come back together
	s.mu.Lock()
	n := min(len(s.queue), maxGroup)
	group := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	s.mu.Unlock()

	s.run(group)

	s.mu.Lock()
	if len(s.queue) > 0 {
		s.queue[0].turn <- struct{}{}
	} else {
		s.leading = false
	}
	s.mu.Unlock()
	for _, op := range group[1:] {
		op.done = true
		op.turn <- struct{}{}
	}
}

// run settles every operation of a group. One that fails is taken out, the
// others are committed without it, and then it is tried alone, because its
// error may have been due to a companion.
func (s *Store) run(group []*operation) {
	var live, alone []*operation
	for _, op := range group {
		if op.err = op.cancelled(); op.err == nil {
			live = append(live, op)
		}
	}
	for len(live) > 0 {
		failed, err := s.transact(live)
		if failed < 0 || len(live) == 1 {
			for _, op := range live {
				op.err = err
			}
			break
		}
		alone = append(alone, live[failed])
		live = slices.Delete(live, failed, failed+1)
	}
	for _, op := range alone {
		_, op.err = s.transact([]*operation{op})
	}
}

// transact runs operations in one transaction. If one of them fails, its place
// is returned; failed is -1 if the error, or the success, is everybody's.
func (s *Store) transact(group []*operation) (failed int, err error) {
	if f := s.uncertain.Load(); f != nil {
		return -1, f
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return -1, s.classify(err)
	}
	id := tx.ID()
	b := newBatch(tx)
	b.slots, b.places, b.readings = s.offers.free, s.places, &s.readings
	failed, err = b.apply(group)
	if err != nil {
		if stuck := guard(tx.Rollback); stuck != nil {
			return -1, s.endWriting(errors.Join(err, stuck))
		}
		return failed, s.classify(err)
	}
	s.offers.committing(b.begun)
	err = guard(func() error { return s.commit(tx) })
	s.offers.committed(b.begun, err == nil)
	if err != nil {
		return -1, s.afterFailedCommit(id, tx, err)
	}
	return -1, nil
}

func (b *batch) apply(group []*operation) (failed int, err error) {
	for i, op := range group {
		if err := guard(func() error { return op.apply(b) }); err != nil {
			return i, err
		}
	}
	return -1, guard(b.flush)
}

// afterFailedCommit tells a commit that left no trace from one whose last page
// may or may not have reached the disk. After the latter, bbolt would reuse
// pages that a restart might still need, so that nothing more is written.
func (s *Store) afterFailedCommit(id int, tx *bolt.Tx, cause error) error {
	var crash *panicError
	if errors.As(cause, &crash) { // otherwise bbolt has rolled back itself
		if stuck := guard(tx.Rollback); stuck != nil && !errors.Is(stuck, berrors.ErrTxClosed) {
			return s.endWriting(errors.Join(cause, stuck))
		}
	}
	visible := true
	err := guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			visible = tx.ID() >= id
			return nil
		})
	})
	if err != nil || visible {
		return s.endWriting(errors.Join(cause, err))
	}
	return s.classify(cause)
}

// endWriting refuses all later writes.
func (s *Store) endWriting(cause error) error {
	s.uncertain.CompareAndSwap(nil, &fault{kind: ErrUncertain, cause: cause, message: fmt.Sprintf(
		"a write to state file %s failed at its end (%v) and may or may not have happened: nothing more is written; check the disk and restart notifier", s.path, cause)})
	return s.uncertain.Load()
}
