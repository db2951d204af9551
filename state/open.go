package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/filelock"
)

// How long the file's lock is waited for. Commands that only look hold it for a
// moment; a daemon that starts outwaits them.
const (
	waitToWrite = 10 * time.Second
	waitToRead  = 2 * time.Second
)

// Open opens the state file for reading and writing and makes it, and its
// directory, if they are missing. One that is empty is damaged: Open makes none. It waits up to 10 seconds for another process
// to let go of the file, and logs after a second which one it is. Errors: ErrHeld (with that of ctx when ctx ended meanwhile), ErrNewer, ErrForeign, ErrDirectory,
// ErrDamaged, ErrReadOnly, ErrDiskFull, or that of ctx.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	if cfg.Path == "" {
		return nil, invalid("state.path is empty")
	}
	dir := filepath.Dir(cfg.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, directory(dir, err)
	}
	return open(ctx, cfg.Path, os.O_RDWR, waitToWrite, log)
}

// OpenReadOnly opens the state file to look at it while no daemon runs. It
// waits up to 2 seconds for a writer to let go of the file and keeps writers
// out until Close, so it is to be held for a moment only. Errors: ErrMissing
// and those of Open.
func OpenReadOnly(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, invalid("state.path is empty")
	}
	return open(ctx, cfg.Path, os.O_RDONLY, waitToRead, slog.New(slog.DiscardHandler))
}

func open(ctx context.Context, path string, flags int, wait time.Duration, log *slog.Logger) (*Store, error) {
	s := &Store{path: path, log: log, commit: (*bolt.Tx).Commit, offers: newOffers(), places: newPlaces()}
	deadline, toRead := time.Now().Add(wait), flags == os.O_RDONLY
	waits := func(holder string) {
		log.Warn(fmt.Sprintf("another notifier%s holds the state file: it is waited for up to %s", holder, wait), slog.String("state", path))
	}
	var file *os.File
	for {
		var err error
		file, err = openLocked(ctx, path, flags, deadline, waits)
		if err == nil {
			break
		}
		if toRead || !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := s.create(ctx, deadline); err != nil {
			return nil, err
		}
	}
	if err := s.inspect(file); err != nil {
		_ = file.Close() // only read
		return nil, err
	}
	// From here on the file belongs to bbolt, which closes it when opening fails.
	db, err := openBolt(path, file, toRead)
	if err != nil {
		_ = file.Close() // closed already unless bbolt panicked
		return nil, s.openError(err)
	}
	s.db.current.Store(&opened{db, file})
	if err := s.checkSchema(ctx); err != nil {
		_ = s.db.Close() // the first error counts
		return nil, err
	}
	if !toRead {
		s.note = filelock.WriteNote(path)
		s.lookBeside()
	}
	return s, nil
}

// orMoveAway is what to do while another notifier has the file.
const orMoveAway = "stop it or choose another state.path"

// makeLocked is openLocked for an unfinished file of ours, which is made if there is
// none.
func makeLocked(ctx context.Context, path string, deadline time.Time) (*os.File, error) {
	return openLocked(ctx, path, os.O_RDWR|os.O_CREATE, deadline, nil)
}

// openLocked opens the file and takes its lock. For waits see filelock.Open.
func openLocked(ctx context.Context, path string, flags int, deadline time.Time, waits func(holder string)) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe could block
		return nil, directory(path, errors.New("it is a directory, a pipe or a device, and a file is expected"))
	}
	file, holder, err := filelock.Open(ctx, path, flags, deadline, waits)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, ErrHeld):
		return nil, &fault{kind: ErrHeld, cause: ctx.Err(), message: fmt.Sprintf("another notifier%s holds %s: %s", holder, path, orMoveAway)}
	}
	return nil, fileError(path, flags == os.O_RDONLY, err)
}

func fileError(path string, toRead bool, err error) error {
	switch {
	case toRead && errors.Is(err, fs.ErrNotExist):
		return &fault{kind: ErrMissing, cause: err, message: fmt.Sprintf(
			"there is no state file %s yet: start notifier first, or check state.path (a relative one is under $STATE_DIRECTORY, which systemd sets for a service and not for a shell)", path)}
	case errors.Is(err, fs.ErrPermission) && toRead:
		return fmt.Errorf("opening state file: %w", err)
	case errors.Is(err, fs.ErrPermission) || isErrno(err, errReadOnlySystem):
		return readOnly(path, err)
	case isErrno(err, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG):
		return directory(path, err)
	}
	return fmt.Errorf("opening state file: %w", classify(path, err))
}

func directory(dir string, err error) error {
	if isErrno(err, syscall.ENOSPC, syscall.EDQUOT) {
		return diskFull(dir, err)
	}
	return &fault{kind: ErrDirectory, cause: err, message: fmt.Sprintf(
		"state directory %s cannot be used (%v): create it for this user, or choose another state.path", dir, reason(err))}
}

// inspect looks at a locked file before bbolt does, because a damaged one can
// end the process there, and an empty one would be made a new store.
func (s *Store) inspect(file *os.File) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return s.openError(err)
	case info.Size() == 0:
		return damaged(s.path, errors.New("it is empty"))
	case filelock.Works: // otherwise a writer may be at work: only bbolt knows how to lock a file, which it does later
		if err := checkFile(file); err != nil {
			return damaged(s.path, err)
		}
	}
	return nil
}

func (s *Store) openError(err error) error {
	return fmt.Errorf("opening state file: %w", s.classify(err))
}

// create makes a complete new store beside the path and gives it its name, unless
// there is a file by now. A process that dies in between leaves none at the path, and
// never an empty one. Whoever makes a file there holds the lock of the unfinished one.
func (s *Store) create(ctx context.Context, deadline time.Time) error {
	target, err := follow(s.path)
	if err != nil {
		return err
	}
	unfinished := target + suffixUnfinished
	file, err := makeLocked(ctx, unfinished, deadline)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return directory(s.path, err)
	case err != nil:
		return err
	}
	db, err := newStore(unfinished, file)
	if err == nil {
		err = giveName(unfinished, target)
		s.created = err == nil
		err = errors.Join(err, db.Close())
	}
	_ = file.Close() // closed already unless bbolt never had it
	if err != nil {
		_ = os.Remove(unfinished) // the first error counts
		if _, statErr := os.Lstat(target); statErr == nil && !s.created {
			return nil // somebody else was faster
		}
		return s.openError(err)
	}
	return syncDirectory(filepath.Dir(target))
}

// newStore makes a store in an open file, whatever was in it.
func newStore(path string, file *os.File) (*bolt.DB, error) {
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	db, err := openBolt(path, file, false)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets() {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keySchema, binary.BigEndian.AppendUint64(nil, schema))
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openBolt opens a bbolt file, by an open file of ours if there is one, whose
// lock bbolt then shares.
func openBolt(path string, file *os.File, toRead bool) (db *bolt.DB, err error) {
	options := &bolt.Options{
		Timeout:        time.Second,
		ReadOnly:       toRead,
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true,
	}
	if !toRead && roomy {
		options.InitialMmapSize = leastMap
		if file != nil {
			if info, err := file.Stat(); err == nil {
				options.InitialMmapSize = int(max(leastMap, 2*info.Size()))
			}
		}
	}
	if file != nil {
		options.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return file, nil }
	}
	err = guard(func() error {
		db, err = bolt.Open(path, 0o600, options)
		return err
	})
	if err == nil {
		db.AllocSize = growBy
	}
	return db, err
}

// A file that outgrows what is mapped of it is mapped anew, for which bbolt waits
// until nobody reads: behind a copy that takes long, everybody would stand. So more
// addresses are taken than the file will need, where there are enough of them. The
// file itself grows in small steps, which bbolt's default for that case is not.
const (
	leastMap = 1 << 30
	growBy   = 512 << 10
	roomy    = strconv.IntSize == 64 && runtime.GOOS != "windows" // where the file is made as long as its map
)

// checkSchema makes sure that the file is ours and that we can read it.
func (s *Store) checkSchema(ctx context.Context) error {
	missing := false
	var found uint64
	err := s.view(ctx, "opening state file", func(tx *transaction) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || len(meta.Get(keySchema)) != 8 {
			return &fault{kind: ErrForeign, message: fmt.Sprintf(
				"%s is a bbolt file of another program: choose another state.path", s.path)}
		}
		switch found = binary.BigEndian.Uint64(meta.Get(keySchema)); {
		case found > schema:
			return &fault{kind: ErrNewer, message: fmt.Sprintf(
				"state file %s was written by a newer notifier (schema %d, this one reads %d): upgrade", s.path, found, schema)}
		case found == 0:
			return inconsistent(s.path, "schema %d never existed", found)
		case found < schema && s.db.IsReadOnly():
			return &fault{kind: ErrOlder, cause: olderSchema(found), message: fmt.Sprintf(
				"state file %s was written by an older notifier (schema %d, this one reads %d): run this one, which migrates it", s.path, found, schema)}
		case found < schema:
			return nil
		}
		for _, name := range buckets() {
			missing = missing || tx.Bucket(name) == nil
		}
		return nil
	})
	if err == nil && found < schema {
		return s.migrate(found)
	}
	if err == nil && missing {
		err = inconsistent(s.path, "a part of it is missing")
	}
	return err
}
