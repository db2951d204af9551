package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/filelock"
)

// InPlace returns ErrMoved if the file that the store writes to is no longer the
// one at its path.
func (s *Store) InPlace() error {
	same, err := s.isAt(s.path)
	switch {
	case err == nil && same:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for state file %s: %w", s.path, err)
	}
	if beside := s.beside.Load(); beside != nil && s.at(*beside) {
		text := fmt.Sprintf("state file %s was replaced by another file while it is in use: everything is stored in %s instead; "+
			"move the other file away, and notifier puts its own back there", s.path, *beside)
		if rival := s.rival.Load(); rival != nil {
			text += "; " + *rival
		}
		return &fault{kind: ErrMoved, message: text}
	}
	return &fault{kind: ErrMoved, cause: err, message: fmt.Sprintf(
		"state file %s was removed or replaced while it is in use: what is stored is lost if notifier is killed now", s.path)}
}

// isAt says whether the store's file is the one at a path.
func (s *Store) isAt(path string) (same bool, err error) {
	err = s.db.with(func(o *opened) error {
		same, err = filelock.IsAt(o.file, path)
		return err
	})
	return same, err
}

// PutBack saves the store's content to its path again if the file there was
// removed, and goes on with the new file: what was committed before is in it, and
// so is all that is committed later. If something else stands at the path, that
// is left alone, but locked, so that nobody begins with it: the content is saved beside
// it, in a file named with the time now, until the path is free again. Writers wait
// meanwhile, readers do not.
// moved is where the content is from now on; it is empty if nothing was to be
// done. One goroutine may call it at a time, and none after Close.
func (s *Store) PutBack(ctx context.Context, now time.Time) (moved string, err error) {
	if s.at(s.path) {
		s.beside.Store(nil)
		_ = s.other.Close() // as in keepOut
		s.other = nil
		s.rival.Store(nil)
		return "", nil
	}
	s.keepOut(ctx)
	target, err := vacant(s.path)
	taken := errors.Is(err, fs.ErrExist)
	beside := s.beside.Load()
	saved := beside != nil && s.at(*beside)
	switch {
	case taken && saved:
		return "", nil
	case taken:
		target = fmt.Sprintf("%s%s%s", s.path, suffixSaved, now.UTC().Format(stampFormat))
		err = s.moveTo(ctx, target)
	case err == nil && saved:
		err = errors.Join(giveName(*beside, target), syncDirectory(filepath.Dir(target)))
	case err == nil:
		err = s.moveTo(ctx, target)
	}
	if err != nil {
		return "", fmt.Errorf("saving the content of state file %s, which was removed or replaced: %w", s.path, s.classify(err))
	}
	if taken {
		s.beside.Store(&target)
		return target, nil
	}
	s.beside.Store(nil)
	s.note = filelock.WriteNote(s.path)
	return s.path, nil
}

// keepOut locks the file that somebody has put at the path in the place of ours, so that no
// other process can start with it while this one runs: it would deliver everything once more.
func (s *Store) keepOut(ctx context.Context) {
	if same, _ := filelock.IsAt(s.other, s.path); same || !filelock.Works {
		return
	}
	_ = s.other.Close() // perhaps there is none; nothing was written to it
	var err error
	if s.other, err = openLocked(ctx, s.path, os.O_RDWR, time.Now(), nil); !errors.Is(err, ErrHeld) {
		s.rival.Store(nil)
		return
	}
	twice := err.Error() + "; while both run, everything is delivered twice"
	if s.rival.Swap(&twice) == nil {
		s.log.Error("another file was put in the place of the state file, and another process opened it before this one could lock it", "error", twice)
	}
}

// stampFormat is how a time is part of a file's name, and stampEnd what that ends with.
const stampFormat, stampEnd = "20060102T150405Z", "Z"

func (s *Store) at(path string) bool {
	same, err := s.isAt(path)
	return err == nil && same
}

// vacant returns where a file is to be made so that it is found at the path,
// which may be a link to what is not there. Its directory is made. The error is
// fs.ErrExist if there is something already.
func vacant(path string) (target string, err error) {
	if target, err = follow(path); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", directory(filepath.Dir(target), err)
	}
	_, err = os.Lstat(target)
	switch {
	case err == nil:
		return target, fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		return target, nil
	}
	return "", err
}

// maxLinks is how many links may lead to each other.
const maxLinks = 40

// follow returns where a path leads if it is a link, also to what is not there.
func follow(path string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Mode()&fs.ModeSymlink == 0) {
			return path, nil
		}
		if err != nil {
			return "", directory(filepath.Dir(path), err)
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s is a link to itself", path)
}

// giveName gives a complete file its name, unless there is one by that name.
func giveName(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// Perhaps the file system has no hard links.
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

// moveTo copies the store to a new file and goes on with that one. The lock of
// the new file is held before it is found at its path.
func (s *Store) moveTo(ctx context.Context, target string) error {
	old := s.db.current.Load()
	tx, err := old.db.Begin(true) // keeps writers out
	if err != nil {
		return err
	}
	fresh, err := s.copyToNew(ctx, old.file, target)
	if err == nil {
		s.db.current.Store(fresh)
	}
	err = errors.Join(err, guard(tx.Rollback)) // nothing was written; writers begin again, on the new file
	if fresh != nil {
		// Waits for the readers that are still at it. Its own errors are about a
		// file that nobody needs any more.
		_ = old.db.Close()
	}
	return err
}

// copyToNew makes a file from the content of another one, which nobody writes to.
func (s *Store) copyToNew(ctx context.Context, from *os.File, target string) (fresh *opened, err error) {
	temporary := target + suffixSaving
	file, err := makeLocked(ctx, temporary, time.Now())
	if err != nil {
		return nil, err
	}
	var db *bolt.DB
	defer func() {
		if err == nil {
			return
		}
		if db != nil {
			_ = db.Close() // the first error counts
		}
		_ = file.Close()         // closed already if bbolt had it
		_ = os.Remove(temporary) // it may have its name already
	}()
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := io.Copy(file, io.NewSectionReader(from, 0, math.MaxInt64)); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	if err := checkFile(file); err != nil {
		return nil, damaged(temporary, err)
	}
	if db, err = openBolt(temporary, file, false); err != nil {
		return nil, err
	}
	if err := giveName(temporary, target); err != nil {
		return nil, err
	}
	if err := syncDirectory(filepath.Dir(target)); err != nil {
		return nil, errors.Join(err, os.Remove(target))
	}
	return &opened{db, file}, nil
}

const (
	suffixSaved  = ".saved-" // and the time: what PutBack saved while something else stood at the path
	suffixSaving = ".saving" // what it has not finished
)

// Saved says what earlier notifiers saved beside the file while another one stood in its
// place, and nobody has put back or moved away since; "" if there is nothing.
func (s *Store) Saved() string {
	saved := slices.DeleteFunc(besides(s.path, suffixSaved, stampEnd), s.at)
	if len(saved) == 0 {
		return ""
	}
	return fmt.Sprintf("beside the state file lies what an earlier notifier saved while another file stood in its place (%s): "+
		"if it is what you want to go on with, stop notifier and put it back (notifier state restore FILE); if not, move it away", strings.Join(saved, ", "))
}

// besides lists the files whose names begin with that of the file at path and a suffix,
// and have an end. What cannot be listed is not there.
func besides(path, suffix, end string) (found []string) {
	dir, _ := filepath.Abs(filepath.Dir(path)) // whoever reads it may be in another directory
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(path)+suffix) && strings.HasSuffix(entry.Name(), end) {
			found = append(found, filepath.Join(dir, entry.Name()))
		}
	}
	return found
}

// lookBeside removes what a process that was killed left unfinished, and says
// what an earlier one saved beside the file.
func (s *Store) lookBeside() {
	target, err := follow(s.path)
	if err != nil {
		return
	}
	left := append(besides(s.path, suffixDownload, ""), besides(s.path, suffixSaved, suffixSaving)...)
	for _, suffix := range []string{suffixUnfinished, suffixSaving, suffixRestoring, suffixCompacting} {
		left = append(left, target+suffix) // there is none, as a rule
	}
	for _, name := range left {
		_ = os.Remove(name) // whoever it was for has gone
	}
	if saved := s.Saved(); saved != "" {
		s.log.Warn(saved, "path", s.path)
	}
}
