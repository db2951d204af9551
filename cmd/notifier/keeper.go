package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"checkout-notifier/backup"
	"checkout-notifier/state"
)

const (
	keeperEvery   = time.Second // how often the keeper looks
	keeperPatient = time.Minute // the longest pause between two attempts that fail
)

// putBackReport is how often the state file was taken away from a running daemon.
type putBackReport struct {
	Times int       `json:"times"`
	Last  time.Time `json:"last"`
	To    string    `json:"to"` // where the content was saved the last time
}

// keeper sees to it that what is stored can be found at the path of the state
// file. One goroutine runs it; report may be called from any.
type keeper struct {
	inPlace func() error
	putBack func(ctx context.Context, now time.Time) (moved string, err error)
	backup  func(ctx context.Context, path string) (state.Contents, error)
	path    string
	backups string // the directory for them, "" if there is none
	log     *slog.Logger

	failures int  // in a row
	beside   bool // the content is beside the path for the time being
	next     time.Time

	mu    sync.Mutex // guards saved
	saved putBackReport
}

// Run looks until the context ends.
func (k *keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(keeperEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if now := time.Now(); !now.Before(k.next) {
				_ = k.look(ctx, now) // it was logged, and is tried again
			}
		}
	}
}

// look puts a file back that was removed or replaced. A failure is tried again
// after a pause that grows.
func (k *keeper) look(ctx context.Context, now time.Time) error {
	moved, err := k.putBack(ctx, now)
	if err != nil {
		pause := min(keeperEvery<<min(k.failures, 10), keeperPatient)
		k.failures, k.next = k.failures+1, now.Add(pause)
		k.log.Error("the state file was removed or replaced while it is in use, and could not be put back: all that is stored is lost if this process is killed before it can; it is tried again", "state", k.path, "error", err, "in", pause.String())
		return err
	}
	k.failures = 0
	if moved == "" {
		k.beside = k.beside && k.inPlace() != nil
		return nil
	}
	if k.beside && moved == k.path {
		k.beside = false
		k.log.Info("the other file is gone, and the state file is at its path again", "state", k.path)
		return nil
	}
	k.beside = moved != k.path
	k.mu.Lock()
	k.saved = putBackReport{Times: k.saved.Times + 1, Last: now.UTC(), To: moved}
	k.mu.Unlock()
	if moved == k.path {
		k.log.Error("the state file was removed while it is in use; its content was saved to its path again and nothing is lost: find out what removes it", "state", k.path)
	} else {
		k.log.Error("another file was put in the place of the state file while that is in use; what is stored is saved beside it and goes on there: "+
			"move the other file away, and notifier puts its own back", "state", k.path, "saved", moved)
	}
	return nil
}

// settle puts the file back before it is let go of for good. Where that fails, what
// it holds is saved where backups go, which outlives a container, or among the
// temporary files.
func (k *keeper) settle(ctx context.Context, now time.Time) error {
	err := k.look(ctx, now)
	if err == nil {
		return nil
	}
	for _, dir := range []string{k.backups, os.TempDir()} {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, backup.Name("saved", now))
		_, failed := k.backup(ctx, path)
		if failed == nil {
			k.log.Error("what is stored was saved elsewhere, because the state file was taken away and could not be put back: "+
				"bring it back before the next start (notifier state restore FILE)", "saved", path, "state", k.path)
			break
		}
		err = errors.Join(err, failed)
	}
	return err
}

// report returns nil if the file was never taken away.
func (k *keeper) report() *putBackReport {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.saved.Times == 0 {
		return nil
	}
	saved := k.saved
	return &saved
}
