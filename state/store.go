// Package state is the durable memory of notifier: what was seen of every
// session, every event and its deliveries, and what is still due, in one bbolt
// file.
//
// A write that returned nil has reached the disk, whole; one that returned an
// error has changed nothing (but see ErrUncertain). A delivery stays due, or
// parked behind an earlier one of its session, until it is accepted or dead.
// The package reads no clock but to wait for the file's lock, starts no
// goroutine and hands out no memory of the file: all that it returns is the
// caller's. What is pending or dead is never removed.
package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// Store is an open state file. All methods may be called concurrently.
type Store struct {
	db   database
	path string
	note string // path of the note that names our process; "" when none was written
	log  *slog.Logger

	// commit ends a write transaction; tests replace it.
	commit func(*bolt.Tx) error

	created bool // by Open, because there was none

	mu      sync.Mutex   // guards queue and leading
	queue   []*operation // writers whose turn has not come, the next leader first
	leading bool         // a writer is committing a group, or was told to

	beside   atomic.Pointer[string] // where the file is while something else stands at path
	other    *os.File               // that, locked by us; nil if it cannot be. PutBack and Close have it
	rival    atomic.Pointer[string] // who has it locked instead
	offers   *offers
	places   *places
	readings readings // of our clock

	uncertain         atomic.Pointer[fault] // set once, when a commit ended without a known outcome
	skippedEvents     atomic.Uint64
	skippedDeliveries atomic.Uint64
}

// Created says whether Open made the state file, because there was none.
func (s *Store) Created() bool { return s.created }

// Close waits for the transactions under way and releases the file. Calls that
// come later return ErrClosed. Closing twice is no error.
func (s *Store) Close() error {
	if s.note != "" && s.beside.Load() == nil { // else it may be somebody else's
		_ = os.Remove(s.note) // only read while the lock is held
	}
	_ = s.other.Close() // perhaps there is none; nothing was written to it
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing state file %s: %w", s.path, err)
	}
	return nil
}

// Path returns the path of the file, for messages.
func (s *Store) Path() string { return s.path }

// Size returns the size of the file in bytes.
func (s *Store) Size() (size int64, err error) {
	err = s.db.with(func(o *opened) error {
		info, err := o.file.Stat()
		if err == nil {
			size = info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the size of the state file: %w", err)
	}
	return size, nil
}

// view runs fn in a read transaction. What fn keeps must be copied.
func (s *Store) view(ctx context.Context, doing string, fn func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err := s.db.View(func(tx *bolt.Tx) error {
		return guard(func() error { return fn(remembering(tx)) })
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, s.classify(err))
	}
	return nil
}

// guard turns what a damaged file does to bbolt, panics and memory faults, into
// errors. It must surround every use of pages.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = &panicError{reason: reason, stack: debug.Stack()}
		}
	}()
	return fn()
}

// panicError is a panic of bbolt, or of ours, inside a transaction.
type panicError struct {
	reason any
	stack  []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.reason) }

// classify gives an error of bbolt or of the system its name.
func (s *Store) classify(err error) error {
	var crash *panicError
	if errors.As(err, &crash) {
		s.log.Error("a transaction on the state file panicked", "path", s.path, "reason", fmt.Sprint(crash.reason), "stack", string(crash.stack))
	}
	return classify(s.path, err)
}
