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
	"strings"
	"time"

	"checkout-notifier/filelock"
)

const (
	suffixReplaced  = ".replaced-" // and the time: the file that was there before a Restore
	suffixRestored  = ".restored-" // and the time: what PutBack saved, and a Restore put back
	suffixRestoring = ".restoring" // what it has not finished

	waitToRestore = time.Second // for the file's lock

	// restoreReserve is what a Restore leaves free on the disk, for the first writes of
	// the next start. It is small: a full disk is a reason to restore.
	restoreReserve = 1 << 20
)

// Restored is what a Restore did.
type Restored struct {
	Contents
	Kept    string `json:"kept,omitempty"`    // where the file is that was there before; "" if there was none
	Renamed string `json:"renamed,omitempty"` // where the copy is now, if it was one that PutBack saved
}

// Restore puts the content of a file in the place of the state file, which nobody
// may have open. The content is copied and the copy verified first; then agree is
// asked, while the lock of the state file is held. The file that was there before,
// sound or not, stays beside it, under a name with the time now. A process that is
// killed meanwhile leaves the old file at the path, or the new one. The new file
// belongs to whom the old one, or else the directory, belongs to: root restores what a
// service of another user opens. A copy that PutBack saved beside the state file gets
// another name then: nobody is to go back to it once more. Errors: that of agree, those
// of WriteCopy, ErrHeld, and ErrInvalid if both are one file.
func Restore(ctx context.Context, cfg Config, from string, now time.Time, agree func(Contents) error) (done Restored, err error) {
	source, err := os.Open(from)
	if err != nil {
		return Restored{}, aboutFile(from, fileError(from, true, err))
	}
	defer source.Close() // only read
	if same, err := filelock.IsAt(source, cfg.Path); err == nil && same {
		return Restored{}, invalid("%s is the state file itself", from)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return Restored{}, directory(filepath.Dir(cfg.Path), err)
	}
	target, err := follow(cfg.Path)
	if err != nil {
		return Restored{}, err
	}
	until, unfinished := time.Now().Add(waitToRestore), ""
	locked, err := openLocked(ctx, target, os.O_RDWR, until, nil)
	if errors.Is(err, fs.ErrNotExist) { // then the lock of whoever makes a file there
		unfinished = target + suffixUnfinished
		locked, err = makeLocked(ctx, unfinished, until)
	}
	if errors.Is(err, ErrHeld) {
		return Restored{}, &fault{kind: ErrHeld, message: strings.Replace(err.Error(), orMoveAway, "stop it first", 1)} // the copy belongs at this path
	}
	if err != nil {
		return Restored{}, err
	}
	defer func() { _ = locked.Close() }() // nothing was written to it
	present := locked
	if unfinished != "" {
		defer func() { _ = os.Remove(unfinished) }() // it was made for its lock
		present = nil
	}
	if done, err = restore(ctx, source, present, target, now, agree); err != nil {
		return done, err
	}
	for _, saved := range besides(cfg.Path, suffixSaved, stampEnd) {
		if same, err := filelock.IsAt(source, saved); err == nil && same {
			done.Renamed = filepath.Join(filepath.Dir(saved), strings.Replace(filepath.Base(saved), suffixSaved, suffixRestored, 1))
			return done, errors.Join(source.Close(), os.Rename(saved, done.Renamed), syncDirectory(filepath.Dir(saved)))
		}
	}
	return done, nil
}

// restore works under the lock of the present file, or, where there is none, of the one
// by which a file is made.
func restore(ctx context.Context, source, present *os.File, target string, now time.Time, agree func(Contents) error) (Restored, error) {
	info, err := source.Stat()
	if err != nil {
		return Restored{}, err
	}
	unfinished := target + suffixRestoring
	contents, err := writeUnfinished(ctx, unfinished, naming{place: target, content: source.Name()}, info.Size(), restoreReserve, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(source, 0, math.MaxInt64))
		return err
	})
	if err != nil {
		return Restored{}, err
	}
	done := Restored{Contents: contents}
	done.Path = target
	err = agree(contents)
	if err == nil {
		err = giveOwner(unfinished, present, filepath.Dir(target))
	}
	if err == nil && present != nil {
		done.Kept, err = keep(present, target, now)
	}
	if err == nil {
		err = os.Rename(unfinished, target)
	}
	if err != nil {
		return Restored{}, errors.Join(err, os.Remove(unfinished))
	}
	if err := syncDirectory(filepath.Dir(target)); err != nil {
		return done, copyError(target, err)
	}
	return done, nil
}

// keep gives the present file a second name, so that there is always a file at
// its path. An empty one is not worth it.
func keep(present *os.File, path string, now time.Time) (kept string, err error) {
	info, err := present.Stat()
	if err != nil || info.Size() == 0 {
		return "", err
	}
	name := path + suffixReplaced + now.UTC().Format(stampFormat)
	kept, err = name, fs.ErrExist
	for n := 2; errors.Is(err, fs.ErrExist); n++ { // another one in this second
		err = os.Link(path, kept)
		if err != nil && !errors.Is(err, fs.ErrExist) { // perhaps the file system has no hard links
			err = copyAside(present, kept)
		}
		if errors.Is(err, fs.ErrExist) {
			kept = fmt.Sprintf("%s-%d", name, n)
		}
	}
	if err != nil {
		return "", copyError(kept, err)
	}
	return kept, syncDirectory(filepath.Dir(kept))
}

func copyAside(from *os.File, to string) error {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, io.NewSectionReader(from, 0, math.MaxInt64))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}
