// Package backup keeps verified copies of a store in a directory, made on a
// schedule that survives restarts: when the next one is due follows from the
// names of those that are there.
//
// Only files named as Name does for the same store are ever read or removed, so
// that several notifiers, and people, may use one directory.
package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

const (
	stampFormat = "20060102T150405Z"
	unfinished  = ".new" // what whoever makes a copy puts behind its name until it is whole
)

var pattern = regexp.MustCompile(`^notifier-([0-9a-f]+)-([0-9]{8}T[0-9]{6}Z)\.db(\.new)?$`)

// Name is the name of a copy of the store with an id, made at a time.
func Name(id string, at time.Time) string {
	return fmt.Sprintf("notifier-%s-%s.db", id, at.UTC().Format(stampFormat))
}

// Copy is a copy that is whole.
type Copy struct {
	Path  string
	Made  time.Time
	Bytes int64
}

// List returns the copies of the store with an id, oldest first. A directory that
// does not exist has none.
func List(dir, id string) (copies []Copy, err error) {
	copies, _, err = list(dir, id)
	return copies, err
}

// Latest returns the last copy in a directory of the store with an id. Without an id
// it is of whichever store, and none is found where several have copies there.
func Latest(dir, id string, now time.Time) (last Copy, found bool, err error) {
	copies, _, err := list(dir, id)
	for _, c := range copies {
		if id == "" && storeOf(c.Path) != storeOf(copies[0].Path) {
			return Copy{}, false, err
		}
	}
	last, found = newest(copies, now)
	return last, found, err
}

// storeOf is the id of the store that a copy is of.
func storeOf(path string) string { return pattern.FindStringSubmatch(filepath.Base(path))[1] }

// list takes the copies of all stores without an id. It also returns the names, but for their end, of those that are not whole.
func list(dir, id string) (copies []Copy, partial []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing the backups: %w", err)
	}
	for _, entry := range entries {
		parts := pattern.FindStringSubmatch(entry.Name())
		if parts == nil || id != "" && parts[1] != id || !entry.Type().IsRegular() {
			continue
		}
		made, err := time.Parse(stampFormat, parts[2])
		if err != nil {
			continue // a name like ours, and not ours
		}
		path := filepath.Join(dir, entry.Name())
		if parts[3] != "" {
			partial = append(partial, path[:len(path)-len(unfinished)])
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since it was listed
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listing the backups: %w", err)
		}
		copies = append(copies, Copy{Path: path, Made: made, Bytes: info.Size()})
	}
	slices.SortFunc(copies, func(a, b Copy) int { return a.Made.Compare(b.Made) })
	return copies, partial, nil
}

// newest is the last copy that was made before now: what a clock that ran ahead
// named puts nothing off.
func newest(copies []Copy, now time.Time) (last Copy, found bool) {
	for _, c := range copies {
		if !c.Made.After(now) {
			last, found = c, true
		}
	}
	return last, found
}

// surplus are the copies beyond the newest ones that are to be kept. Those that
// a clock which ran ahead named count as the oldest.
func surplus(copies []Copy, keep int, now time.Time) []Copy {
	ranked := slices.Clone(copies)
	slices.SortStableFunc(ranked, func(a, b Copy) int {
		switch future := a.Made.After(now); {
		case future == b.Made.After(now):
			return a.Made.Compare(b.Made)
		case future:
			return -1
		}
		return 1
	})
	return ranked[:max(0, len(ranked)-keep)]
}
