package main

import (
	"context"
	"errors"
	"fmt"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// vault is the store as the stages write to it. An error after which the file
// takes no more writes until it is opened again ends the daemon: whoever
// supervises it starts it anew, which is all that helps and loses nothing.
type vault struct {
	*state.Store
	broken chan error // holds the first such error
}

func newVault(store *state.Store) *vault { return &vault{Store: store, broken: make(chan error, 1)} }

// watch returns the error that ended writing, or nil when the context ends.
func (v *vault) watch(ctx context.Context) error {
	select {
	case err := <-v.broken:
		return fmt.Errorf("the daemon ends because its store takes no more writes: %w", err)
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

// Commit implements pipeline.Store.
func (v *vault) Commit(ctx context.Context, tx *event.Tx) error {
	return v.note(v.Store.Commit(ctx, tx))
}

// Begin implements publish.Outbox.
func (v *vault) Begin(ctx context.Context, a event.Attempt) error {
	return v.note(v.Store.Begin(ctx, a))
}

// Resolve implements publish.Outbox.
func (v *vault) Resolve(ctx context.Context, verdict event.Verdict) error {
	return v.note(v.Store.Resolve(ctx, verdict))
}

// SaveAccount implements poller.Tracker.
func (v *vault) SaveAccount(ctx context.Context, account event.Account) error {
	return v.note(v.Store.SaveAccount(ctx, account))
}

// Tracked implements poller.Tracker.
func (v *vault) Tracked(ctx context.Context, account string) ([]event.Tracked, error) {
	var rows []event.Tracked
	for row, err := range v.Index(ctx, account) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
