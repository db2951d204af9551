package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"checkout-notifier/filelock"
)

// lockName is the file in the directory of the streams by which a process has it.
const lockName = "notifier.lock"

// lockWait is how long another process may take to let go of the directory: a
// daemon that is being replaced is about to.
const lockWait = 10 * time.Second

// directoryLock keeps other processes out of a directory until it is released.
type directoryLock struct {
	file    *os.File
	release func()
}

func lockDirectory(ctx context.Context, dir string, log *slog.Logger) (*directoryLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir cannot be used: %w", err)
	}
	path := filepath.Join(dir, lockName)
	file, holder, err := filelock.Open(ctx, path, os.O_RDWR|os.O_CREATE, time.Now().Add(lockWait), func(holder string) {
		log.Warn(fmt.Sprintf("another notifier%s keeps its streams in nats.embedded.store_dir: it is waited for up to %s", holder, lockWait), slog.String("store_dir", dir))
	})
	switch {
	case errors.Is(err, filelock.ErrHeld):
		return nil, fmt.Errorf("%w: another notifier%s keeps its streams in %s: stop it or choose another nats.embedded.store_dir", ErrHeld, holder, dir)
	case err != nil:
		return nil, fmt.Errorf("nats.embedded.store_dir cannot be used: %w", err)
	}
	note := filelock.WriteNote(path)
	return &directoryLock{file: file, release: sync.OnceFunc(func() {
		if note != "" {
			_ = os.Remove(note) // a note counts only while the lock is held
		}
		_ = file.Close() // which releases the lock
	})}, nil
}
