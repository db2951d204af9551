package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// vault is the store as the stages see it. An error after which the file takes no
// more writes until it is opened again ends the daemon: whoever supervises it
// starts it anew, which is all that helps and loses nothing. So does damage, in
// whatever call it shows: nothing more is to be built on it.
type vault struct {
	*state.Store
	broken chan error            // holds the first such error
	failed atomic.Pointer[error] // why the last write failed; nil: it did not
}

func newVault(store *state.Store) *vault { return &vault{Store: store, broken: make(chan error, 1)} }

// watch returns the error that ended writing, or nil when the context ends.
func (v *vault) watch(ctx context.Context) error {
	select {
	case err := <-v.broken:
		return fmt.Errorf("the daemon ends because its store cannot go on: %w", err)
	case <-ctx.Done():
		return nil
	}
}

func (v *vault) note(err error) error {
	if errors.Is(err, state.ErrUncertain) || errors.Is(err, state.ErrDamaged) {
		select {
		case v.broken <- err:
		default:
		}
	}
	return err
}

// wrote notes what came of a write. A mistake of the caller's, or its haste, says
// nothing of the store.
func (v *vault) wrote(err error) error {
	switch {
	case err == nil:
		v.failed.Store(nil)
	case errors.Is(err, state.ErrInvalid), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		v.failed.Store(&err)
	}
	return v.note(err)
}

// failure is why the last write failed, nil if it did not.
func (v *vault) failure() error {
	if err := v.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Commit implements pipeline.Store.
func (v *vault) Commit(ctx context.Context, tx *event.Tx) error {
	if tx.Empty() {
		return nil // which says nothing of the store
	}
	return v.wrote(v.Store.Commit(ctx, tx))
}

// Take implements publish.Outbox.
func (v *vault) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	met, err := v.Store.Take(ctx, step)
	return met, v.wrote(err)
}

// Hasten implements publish.Outbox.
func (v *vault) Hasten(ctx context.Context, destination string, now time.Time, limit int) (int, error) {
	n, err := v.Store.Hasten(ctx, destination, now, limit)
	return n, v.wrote(err)
}

// SaveStanding implements publish.Outbox.
func (v *vault) SaveStanding(ctx context.Context, c event.StandingChange) error {
	return v.wrote(v.Store.SaveStanding(ctx, c))
}

// Oldest implements publish.Outbox.
func (v *vault) Pick(ctx context.Context, destination string, newest bool, skip func(*event.Delivery) bool, fits func(*event.Job) bool) (event.Job, bool, error) {
	job, found, err := v.Store.Pick(ctx, destination, newest, skip, fits)
	return job, found, v.note(err)
}

// SaveAccount implements poller.Tracker.
func (v *vault) SaveAccount(ctx context.Context, account event.Account) error {
	return v.wrote(v.Store.SaveAccount(ctx, account))
}

// Tracked implements poller.Tracker.
func (v *vault) Tracked(ctx context.Context, account string, each func(*event.Tracked) error) error {
	return v.note(v.Store.Tracked(ctx, account, each))
}

// Account implements poller.Tracker and pipeline.Store.
func (v *vault) Account(ctx context.Context, name string) (event.Account, bool, error) {
	account, known, err := v.Store.Account(ctx, name)
	return account, known, v.note(err)
}

// Snapshots implements pipeline.Store.
func (v *vault) Snapshots(ctx context.Context, account string, ids []string) (map[string]event.Snapshot, error) {
	snapshots, err := v.Store.Snapshots(ctx, account, ids)
	return snapshots, v.note(err)
}

// Due implements publish.Outbox.
func (v *vault) Due(ctx context.Context, destination string, look event.Look) ([]event.Job, time.Time, error) {
	jobs, next, err := v.Store.Due(ctx, destination, look)
	return jobs, next, v.note(err)
}

// Destinations implements publish.Outbox.
func (v *vault) Destinations(ctx context.Context) ([]event.DestinationState, error) {
	states, err := v.Store.Destinations(ctx)
	return states, v.note(err)
}

// SaveJob implements jobs.Store. Who started or cancelled the job is audited with it.
func (v *vault) SaveJob(ctx context.Context, id string, row []byte) error {
	return v.note(v.Store.RecordJob(ctx, id, row, func(before []byte) []event.AuditEntry { return auditJob(before, row) }))
}

// Job implements jobs.Store.
func (v *vault) Job(ctx context.Context, id string) ([]byte, bool, error) {
	row, found, err := v.Store.Job(ctx, id)
	return row, found, v.note(err)
}

// Jobs implements jobs.Store.
func (v *vault) Jobs(ctx context.Context, before string, limit int) ([][]byte, error) {
	rows, err := v.Store.Jobs(ctx, before, limit)
	return rows, v.note(err)
}

// DeleteJobs implements jobs.Store.
func (v *vault) DeleteJobs(ctx context.Context, ids []string) error {
	return v.note(v.Store.DeleteJobs(ctx, ids))
}

// Prune removes what a policy calls old.
func (v *vault) Prune(ctx context.Context, policy state.PrunePolicy) (state.Pruned, error) {
	pruned, err := v.Store.Prune(ctx, policy)
	return pruned, v.note(err)
}

// Retry makes a delivery due now.
func (v *vault) Retry(ctx context.Context, id string, act event.Act) (event.Delivery, error) {
	d, err := v.Store.Retry(ctx, id, act)
	return d, v.note(err)
}

// Redrive makes dead letters pending again.
func (v *vault) Redrive(ctx context.Context, ids []string, act event.Act) ([]event.Delivery, error) {
	done, err := v.Store.Redrive(ctx, ids, act)
	return done, v.note(err)
}

// Purge gives dead letters up.
func (v *vault) Purge(ctx context.Context, ids []string, act event.Act) ([]event.Delivery, error) {
	purged, err := v.Store.Purge(ctx, ids, act)
	return purged, v.note(err)
}

// Replay makes deliveries of past events.
func (v *vault) Replay(ctx context.Context, replays []event.Replay, act event.Act) ([]event.Delivery, error) {
	made, err := v.Store.Replay(ctx, replays, act)
	return made, v.note(err)
}
