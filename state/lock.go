package state

import (
	"context"
	"errors"
	"os"
	"time"

	"checkout-notifier/filelock"
)

// ownLock is false where only bbolt knows how to lock a file: a held file is
// then reported by bbolt, after its time-out. Where it is true, bbolt's lock, on
// the same open file, is the same lock.
const ownLock = filelock.Works

// lock takes the file's lock, shared or exclusive, at the latest at the
// deadline; then the error is ErrHeld. Closing the file releases the lock.
func lock(ctx context.Context, file *os.File, shared bool, deadline time.Time) error {
	err := filelock.Lock(ctx, file, shared, deadline)
	if errors.Is(err, filelock.ErrHeld) {
		return ErrHeld
	}
	return err
}
