package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/filelock"
)

const (
	suffixCompacting = ".compacting" // what Compact has not finished

	compactStep = 4 << 20 // bytes of a transaction, which it holds in memory
)

// Compact writes the state file, which nobody may have open, anew without the
// space that is free inside it. The new file is verified and has as much in it as
// the old one before it takes its place; the old one is gone then. before and after
// are the sizes in bytes; they are equal, and nothing is changed, if the new file would
// not be smaller. Errors: those of Check and WriteCopy.
func Compact(ctx context.Context, cfg Config, now time.Time) (before, after int64, err error) {
	target, err := follow(cfg.Path)
	if err != nil {
		return 0, 0, err
	}
	if _, err := os.Stat(target); err != nil {
		return 0, 0, fileError(cfg.Path, true, err)
	}
	present, err := openLocked(ctx, target, os.O_RDWR, time.Now().Add(waitToRestore), nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = present.Close() }()                                // nothing was written to it
	if err := filelock.Lock(ctx, present, true, time.Now()); err != nil { // shared with what reads it here
		return 0, 0, err
	}
	was, err := Check(ctx, target)
	if err != nil {
		return 0, 0, err
	}
	temporary := target + suffixCompacting
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if err := errors.Join(os.RemoveAll(temporary), compactTo(temporary, target)); err != nil {
		return 0, 0, copyError(temporary, err)
	}
	compacted, err := os.Open(temporary)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = compacted.Close() }() // only read
	if info, err := compacted.Stat(); err != nil || info.Size() >= was.Bytes {
		return was.Bytes, was.Bytes, err // there is nothing to give back
	}
	done, err := restore(ctx, compacted, present, target, now, func(is Contents) error {
		if is.Sessions != was.Sessions || is.Events != was.Events || is.Deliveries != was.Deliveries || is.Pending != was.Pending || is.DeadLetters != was.DeadLetters {
			return fmt.Errorf("compacting %s: the new file has not all that is in the old one; nothing was changed", target)
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return was.Bytes, done.Bytes, errors.Join(os.Remove(done.Kept), syncDirectory(filepath.Dir(target)))
}

// compactTo copies a file, row by row, to a new one.
func compactTo(to, from string) error {
	source, err := openBolt(from, nil, true)
	if err != nil {
		return err
	}
	fresh, err := openBolt(to, nil, false)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	fresh.AllocSize = 0 // no room to grow
	err = guard(func() error { return bolt.Compact(fresh, source, compactStep) })
	return errors.Join(err, fresh.Close(), source.Close())
}
