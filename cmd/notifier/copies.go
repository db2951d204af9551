package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/backup"
	"checkout-notifier/event"
	"checkout-notifier/state"
)

// failedBackups in a row are a reason to send no heartbeat.
const failedBackups = 2

// copier makes copies of the daemon's store, one at a time.
type copier struct {
	store *state.Store
	busy  chan struct{} // has room while no copy is being made
}

func newCopier(store *state.Store) *copier {
	return &copier{store: store, busy: make(chan struct{}, 1)}
}

// Backup implements backup.Maker.
func (c *copier) Backup(ctx context.Context, path string) error {
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.busy }()
	_, err := c.store.Backup(ctx, path)
	return err
}

// RemoveUnfinished implements backup.Maker.
func (c *copier) RemoveUnfinished(ctx context.Context, path string) error {
	return state.RemoveUnfinished(ctx, path)
}

// wireBackups plans the copies, if there are to be any.
func (d *daemon) wireBackups() {
	d.copier = newCopier(d.store.Store)
	cfg := d.cfg.State.Backup
	if cfg.Dir == "" {
		return
	}
	ready := func() bool { return d.Ready() == "" }
	d.backups = backup.New(backup.Config{Dir: cfg.Dir, Every: cfg.Every, Keep: cfg.Keep, ID: d.id}, d.copier, ready, d.log)
}

// download is a copy that is sent to somebody, and removed then.
type download struct{ *os.File }

// Close implements io.Closer.
func (d download) Close() error { return errors.Join(d.File.Close(), os.Remove(d.Name())) }

// Backup implements admin.Backups. The copy is made in a file beside the state
// file first: a slow reader must not hold on to what it reads.
func (d *daemon) Backup(ctx context.Context, actor string) (content io.ReadCloser, name string, size int64, err error) {
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	select {
	case d.copier.busy <- struct{}{}:
		defer func() { <-d.copier.busy }()
	default:
		return nil, "", 0, fmt.Errorf("%w: a backup is being made, try again", admin.ErrConflict)
	}
	now := time.Now().UTC()
	path := d.store.DownloadPath(now)
	contents, err := d.store.Backup(ctx, path)
	if err != nil {
		return nil, "", 0, whyEnded(ctx, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, "", 0, errors.Join(fmt.Errorf("opening the copy: %w", err), os.Remove(path))
	}
	entry := event.AuditEntry{Time: now, Actor: actor, Action: auditBackup, Subject: backup.Name(d.id, now), Detail: fmt.Sprintf("%d bytes", contents.Bytes)}
	if err := d.store.Commit(ctx, &event.Tx{Audit: []event.AuditEntry{entry}}); err != nil {
		return nil, "", 0, errors.Join(err, download{file}.Close())
	}
	d.log.Info("a copy of the state file was made for an operator, as a backup or to verify it", "bytes", contents.Bytes, "actor", actor)
	return download{file}, entry.Subject, contents.Bytes, nil
}

// backupReport is what the status says of the copies.
type backupReport struct {
	backup.Status
	Duration event.Seconds `json:"duration_seconds,omitempty"` // to make and verify the last one, if this process did
}

// backupReport returns nil if no copies are to be made.
func (d *daemon) backupReport() *backupReport {
	if d.backups == nil {
		return nil
	}
	s := d.backups.Status()
	return &backupReport{Status: s, Duration: event.Seconds(s.Took)}
}

// storedBackups is what the directory of the copies tells without a daemon.
func storedBackups(ctx context.Context, store *state.Store, cfg state.Backup) (*backupReport, error) {
	if cfg.Dir == "" {
		return nil, nil
	}
	id, err := store.ID(ctx)
	if err != nil {
		return nil, err
	}
	r := &backupReport{Status: backup.Status{Dir: cfg.Dir}}
	copies, failed := backup.List(cfg.Dir, id)
	if failed != nil {
		r.Error = failed.Error() // the rest of the status is worth having
	}
	if r.Copies = len(copies); r.Copies > 0 {
		last := copies[r.Copies-1]
		r.Last, r.File, r.Bytes = last.Made, last.Path, last.Bytes
	}
	return r, nil
}

func (r *backupReport) String() string {
	text := fmt.Sprintf("backup in %s: none yet", r.Dir)
	if !r.Last.IsZero() {
		text = fmt.Sprintf("backup in %s: last %s (%s, %s)", r.Dir, ago(r.Last), sizeText(r.Bytes), count(r.Copies, "copy"))
	}
	if r.Error != "" {
		text += "; FAILING"
		if !r.Since.IsZero() {
			text += " for " + lasting(r.Since)
		}
		text += ": " + r.Error
	}
	if !r.Next.IsZero() {
		text += "; next " + in(r.Next)
	}
	return text
}

// trouble says why the heartbeat is not to be sent for the copies' sake.
func (r *backupReport) trouble() string {
	if r == nil || r.Failures < failedBackups {
		return ""
	}
	return fmt.Sprintf("backups have failed for %s: %s", lasting(r.Since), r.Error)
}

// gauges is what the metrics tell of the copies.
func (r *backupReport) gauges() *admin.BackupGauges {
	if r == nil {
		return nil
	}
	return &admin.BackupGauges{Last: r.Last, Took: r.Took, Bytes: r.Bytes, Copies: r.Copies, Made: r.Made, Failed: r.Failed}
}

// writable says why no file can be made in a directory, or in the nearest one above
// it that exists: the daemon makes what is missing.
func writable(dir string) error {
	for {
		_, err := os.Stat(dir)
		above := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || above == dir {
			break
		}
		dir = above
	}
	file, err := os.CreateTemp(dir, "notifier-check-")
	if err != nil {
		return err
	}
	if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
		return err
	}
	if free, err := state.FreeSpace(dir); err == nil {
		return roomForCopies(dir, free)
	}
	return nil // where the system does not tell
}

var errNoRoom = errors.New("too little room for a backup")

// roomForCopies says whether so much free space is enough for the smallest backup.
func roomForCopies(dir string, free int64) error {
	if free >= state.CopyReserve {
		return nil
	}
	return fmt.Errorf("%w: %s are free at %s, and besides its own size a backup leaves %s free", errNoRoom, sizeText(free), dir, sizeText(state.CopyReserve))
}
