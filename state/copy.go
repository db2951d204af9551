package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"checkout-notifier/filelock"
)

// CopyReserve is what a copy leaves free on the disk that it goes to, which may be
// that of the state file.
const CopyReserve = 64 << 20

const (
	suffixUnfinished = ".new"       // what WriteCopy, or Open that makes a state file, has not finished
	suffixDownload   = ".download-" // and a number: a copy that is being sent

	// copySync is how many bytes of a copy are written before they are brought to
	// the disk, so that no commit has to wait for more than that.
	copySync = 8 << 20
	// mostGrowth, or the size of the file if that is more, is how much the state
	// file may grow while it is copied: meanwhile no page of it is used again.
	mostGrowth = 256 << 20
)

// Backup writes a copy of the store as it is at this moment to a file, verifies it
// and puts it in the place of whatever was at the path. It holds up neither
// readers nor writers. The errors are those of WriteCopy, and ErrInvalid if it is the
// state file itself.
func (s *Store) Backup(ctx context.Context, path string) (Contents, error) {
	if s.at(path) {
		return Contents{}, invalid("%s is the state file itself", path)
	}
	size, err := s.Size()
	if err != nil {
		return Contents{}, err
	}
	return WriteCopy(ctx, path, size, func(w io.Writer) error {
		return s.view(ctx, "copying state file "+s.path, func(tx *transaction) error {
			_, err := tx.WriteTo(&growthGuard{w: w, store: s, most: size + max(size, mostGrowth)})
			return err
		})
	})
}

// growthGuard ends a copy that takes so long that the state file grows for it.
type growthGuard struct {
	w     io.Writer
	store *Store
	most  int64
}

func (g *growthGuard) Write(p []byte) (int, error) {
	if size, err := g.store.Size(); err == nil && size > g.most {
		return 0, fmt.Errorf("%w (%.1f MB): the disk of the copy is too slow", ErrGrown, float64(size)/1e6)
	}
	return g.w.Write(p)
}

// WriteCopy makes a file by fill, verifies it as Check does and gives it its name,
// in place of whatever was at the path; a path that is a link stays one. The file
// is there whole or not at all, with mode 0600. size is about what fill writes.
// What an earlier call left unfinished is written over. Errors: that of fill or
// ctx, those of Check, ErrHeld (another process makes the same file), ErrDiskFull,
// ErrReadOnly, ErrDirectory.
func WriteCopy(ctx context.Context, path string, size int64, fill func(io.Writer) error) (Contents, error) {
	target, err := follow(path)
	if err != nil {
		return Contents{}, aboutCopy(path, err)
	}
	unfinished := target + suffixUnfinished
	c, err := writeUnfinished(ctx, unfinished, naming{place: path, content: path}, size, CopyReserve, fill)
	if err != nil {
		return Contents{}, err
	}
	if err := os.Rename(unfinished, target); err != nil {
		return Contents{}, errors.Join(copyError(target, err), os.Remove(unfinished))
	}
	if err := syncDirectory(filepath.Dir(target)); err != nil {
		return Contents{}, copyError(target, err)
	}
	c.Path = path
	return c, nil
}

// DownloadPath is where a copy is made that is to be sent to somebody at once: on
// the disk of the state file. What a process that is killed leaves there is removed
// by the next one that opens the file for writing.
func (s *Store) DownloadPath(now time.Time) string {
	return fmt.Sprintf("%s%s%d", s.path, suffixDownload, now.UnixNano())
}

// RemoveUnfinished removes what a WriteCopy that was killed left of a file. One
// that is at work keeps it.
func RemoveUnfinished(ctx context.Context, path string) error {
	file, err := makeLocked(ctx, path+suffixUnfinished, time.Now())
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(path+suffixUnfinished), file.Close())
}

// ErrGrown: a copy took so long that the state file grew for it.
var ErrGrown = errors.New("the state file grew too large while it was copied")

// naming is what errors call a copy that is being made: the name that it is to have,
// and the file whose content it has.
type naming struct{ place, content string }

// writeUnfinished makes a verified file under the name of one that is not
// finished, and removes it if that fails. reserve is what it leaves free on the disk.
func writeUnfinished(ctx context.Context, path string, names naming, size, reserve int64, fill func(io.Writer) error) (c Contents, err error) {
	file, err := makeLocked(ctx, path, time.Now())
	if err != nil {
		return c, aboutCopy(names.place, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
		_ = file.Close() // it was synced
	}()
	if err := file.Chmod(0o600); err != nil {
		return c, copyError(names.place, err)
	}
	if err := file.Truncate(0); err != nil {
		return c, copyError(names.place, err)
	}
	if free, err := space(file); err == nil && free < size+reserve {
		return c, tooLittleSpace(names.place, free, size, reserve)
	}
	if err := fill(&steadyWriter{ctx: ctx, file: file}); err != nil {
		return c, copyError(names.place, err)
	}
	if err := file.Sync(); err != nil {
		return c, copyError(names.place, err)
	}
	if err := filelock.Lock(ctx, file, true, time.Now()); err != nil { // shared with Check
		return c, copyError(names.place, err)
	}
	c, err = Check(ctx, path)
	return c, calling(path, names.content, err)
}

func tooLittleSpace(path string, free, size, reserve int64) error {
	const mega = 1e6
	return &fault{kind: ErrDiskFull, message: fmt.Sprintf(
		"too little space for a copy at %s: %.1f MB are free on that disk, and it takes %.1f MB and leaves %.1f MB free",
		path, float64(free)/mega, float64(size)/mega, float64(reserve)/mega)}
}

// calling gives a file another name in an error about its content.
func calling(path, name string, err error) error {
	var own *fault
	if !errors.As(err, &own) {
		return err
	}
	return &fault{kind: own.kind, cause: own.cause, message: strings.ReplaceAll(own.message, path, name)}
}

// steadyWriter brings what is written to the disk every now and then, until its
// context ends.
type steadyWriter struct {
	ctx      context.Context
	file     *os.File
	unsynced int
}

func (w *steadyWriter) Write(p []byte) (n int, err error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if n, err = w.file.Write(p); err != nil {
		return n, err
	}
	if w.unsynced += n; w.unsynced >= copySync {
		w.unsynced = 0
		err = w.file.Sync()
	}
	return n, err
}

// copyError names an error about a file that is being made.
func copyError(path string, err error) error {
	err = aboutCopy(path, classify(path, err))
	if own := (*fault)(nil); errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("making %s: %w", path, err)
}

// aboutCopy says of a copy what is else said of the state file.
func aboutCopy(path string, err error) error {
	var own *fault
	if !errors.As(err, &own) {
		return err
	}
	switch {
	case errors.Is(own.kind, ErrHeld):
		return &fault{kind: ErrHeld, message: fmt.Sprintf("another process is making %s", path)}
	case own.cause == nil:
		return err
	case errors.Is(own.kind, ErrDiskFull):
		return &fault{kind: ErrDiskFull, cause: own.cause, message: fmt.Sprintf("no space left for %s (%v)", path, reason(own.cause))}
	case errors.Is(own.kind, ErrDirectory), errors.Is(own.kind, ErrReadOnly):
		return &fault{kind: own.kind, cause: own.cause, message: fmt.Sprintf("%s cannot be written (%v)", path, reason(own.cause))}
	}
	return err
}
