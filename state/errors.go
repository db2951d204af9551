package state

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"checkout-notifier/filelock"
)

// Errors of Open and OpenReadOnly. The messages say what to do.
var (
	// ErrHeld: another process has the file, and kept it while we waited.
	ErrHeld = filelock.ErrHeld
	// ErrNewer: the file was written by a newer notifier.
	ErrNewer = errors.New("state file was written by a newer notifier")
	// ErrOlder: the file was written by an older notifier, and OpenReadOnly
	// migrates none.
	ErrOlder = errors.New("state file was written by an older notifier")
	// ErrForeign: the file is a sound bbolt file that is not notifier's.
	ErrForeign = errors.New("file is not a state file")
	// ErrDirectory: the directory of the file cannot be created or entered.
	ErrDirectory = errors.New("state directory cannot be used")
	// ErrMissing: OpenReadOnly found nothing to look at.
	ErrMissing = errors.New("no state file")
)

// Errors of Open and of the later calls.
var (
	// ErrDamaged: what is in the file is not what was written to it.
	ErrDamaged = errors.New("state file is damaged")
	// ErrReadOnly: the file, its directory or its file system cannot be written,
	// or the store was opened by OpenReadOnly.
	ErrReadOnly = errors.New("state file is read-only")
	// ErrDiskFull: the disk, a quota or a limit left no room for a write. It
	// changed nothing, and the store goes on when there is room again.
	ErrDiskFull = errors.New("no space left for the state file")
	// ErrUncertain: a commit failed at its very end, so that it may or may not be
	// there after a restart. Every later write is refused with this error.
	ErrUncertain = errors.New("outcome of a write is unknown")
	// ErrMoved: the file at the path is not, or no longer, the one that is open.
	ErrMoved = errors.New("state file was removed or replaced")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state file is closed")
)

// ErrInvalid: the argument of a call contradicts itself or the store; nothing was
// done.
var ErrInvalid = errors.New("invalid argument")

// ErrNoDelivery: a delivery is not in the store.
var ErrNoDelivery = errors.New("no such delivery")

// ErrChanged: a delivery has not the status that an act asks for.
var ErrChanged = errors.New("the delivery has another status")

// errNotPending: a delivery is not in the store, or accepted or dead already.
var errNotPending = errors.New("delivery is not pending")

// fault is an error that is one of our sentinels, with a message of its own.
type fault struct {
	kind    error
	cause   error // may be nil
	message string
}

func (f *fault) Error() string { return f.message }

func (f *fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

func damaged(path string, cause error) error {
	return &fault{kind: ErrDamaged, cause: cause, message: fmt.Sprintf(
		"state file %s is damaged (%v): stop notifier and restore the newest copy from state.backup.dir (notifier state restore FILE), which keeps the damaged file for examination; "+
			"without a copy, move the file away and set the accounts' start to where events may begin anew", path, cause)}
}

func readOnly(path string, cause error) error {
	return &fault{kind: ErrReadOnly, cause: cause, message: fmt.Sprintf(
		"state file %s cannot be written (%v): make the file and its directory writable for this user, or choose another state.path", path, reason(cause))}
}

func diskFull(path string, cause error) error {
	return &fault{kind: ErrDiskFull, cause: cause, message: fmt.Sprintf(
		"no space left for state file %s (%v): nothing was lost; make room on that disk: a running notifier goes on by itself, one that did not start is to be started again", path, reason(cause))}
}

// reason leaves out the path, which the message has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// classify names an error of bbolt or of the system; others pass unchanged.
func classify(path string, err error) error {
	var own *fault
	var crash *panicError
	switch {
	case err == nil, errors.As(err, &own):
		return err
	case errors.As(err, &crash):
		return damaged(path, err)
	case isAny(err, berrors.ErrDatabaseNotOpen, berrors.ErrTxClosed, fs.ErrClosed):
		return &fault{kind: ErrClosed, cause: err, message: fmt.Sprintf("state file %s is closed", path)}
	case isAny(err, berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch):
		return damaged(path, err)
	case isErrno(err, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG):
		return diskFull(path, err)
	case isAny(err, berrors.ErrDatabaseReadOnly, fs.ErrPermission) || isErrno(err, syscall.EROFS):
		return readOnly(path, err)
	}
	return err
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// isErrno also finds numbers of which bbolt kept only the text (when it cannot
// grow the file).
func isErrno(err error, numbers ...syscall.Errno) bool {
	for _, number := range numbers {
		if errors.Is(err, number) || strings.HasSuffix(err.Error(), ": "+number.Error()) {
			return true
		}
	}
	return false
}

func invalid(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, arguments...))
}

// inconsistent is damage that only we can see: bbolt's own structure is sound.
func inconsistent(path, format string, arguments ...any) error {
	return damaged(path, fmt.Errorf(format, arguments...))
}
