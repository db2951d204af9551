package filelock

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Open opens the file at a path and takes its lock, which is shared if the flags are
// os.O_RDONLY, at the latest at the deadline. A file that was replaced while we waited
// is let go for its successor. With ErrHeld comes who holds it, as Holder says; it is also
// the error when ctx ends meanwhile, joined with that of ctx. If waits is not nil, it is
// called with the same once another process has held the file for a second.
func Open(ctx context.Context, path string, flags int, deadline time.Time, waits func(holder string)) (file *os.File, holder string, err error) {
	for {
		if file, err = os.OpenFile(path, flags, 0o600); err != nil {
			return nil, "", err
		}
		shared, soon := flags == os.O_RDONLY, time.Now().Add(time.Second)
		if waits == nil || deadline.Before(soon) {
			soon = deadline
		}
		err := Lock(ctx, file, shared, soon)
		if errors.Is(err, ErrHeld) && ctx.Err() == nil && soon != deadline {
			waits(Holder(file, path))
			waits = nil
			err = Lock(ctx, file, shared, deadline)
		}
		if err != nil {
			holder = Holder(file, path)
			return nil, holder, errors.Join(err, file.Close())
		}
		same, err := IsAt(file, path)
		if same {
			return file, "", nil
		}
		_ = file.Close() // nothing was written
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
	}
}

// IsAt says whether a path leads to an open file.
func IsAt(file *os.File, path string) (bool, error) {
	held, err := file.Stat()
	if err != nil {
		return false, err
	}
	present, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return os.SameFile(held, present), nil
}
