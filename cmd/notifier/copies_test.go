package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/backup"
	"checkout-notifier/state"
)

func TestBackupsInTheStatus(t *testing.T) {
	ago, in := time.Now().Add(-3*time.Hour), time.Now().Add(21*time.Hour+time.Minute)
	for _, test := range []struct {
		status        backup.Status
		said, trouble string
	}{
		{backup.Status{Dir: "/b", Next: in}, "backup in /b: none yet; next in 21h00m", ""},
		{backup.Status{Dir: "/b", Copies: 1, Last: ago, Bytes: 12_300_000, Next: in}, "backup in /b: last 3h00m ago (12.3 MB, 1 copy); next in 21h00m", ""},
		{backup.Status{Dir: "/b", Copies: 7, Last: ago, Bytes: 1e6, Error: "disk full", Since: ago, Failures: 1},
			"backup in /b: last 3h00m ago (1.0 MB, 7 copies); FAILING for 3h00m: disk full", ""},
		{backup.Status{Dir: "/b", Error: "disk full", Since: ago, Failures: 2}, "backup in /b: none yet; FAILING for 3h00m: disk full",
			"backups have failed for 3h00m: disk full"},
	} {
		r := &backupReport{Status: test.status}
		if r.String() != test.said || r.trouble() != test.trouble {
			t.Errorf("it says %q and %q, want %q and %q", r, r.trouble(), test.said, test.trouble)
		}
	}
	if none := (*backupReport)(nil); none.trouble() != "" || none.gauges() != nil {
		t.Error("no backups are to be made, and yet something is wrong with them")
	}
}

// A file that cannot be put back before the end is saved elsewhere: where backups go, if
// that is possible.
func TestKeeperSavesElsewhereAtTheEnd(t *testing.T) {
	backups, temporary, missing := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "missing")
	for name, c := range map[string]struct{ backups, temporary, want string }{
		"both":               {backups, temporary, backups},
		"no backups":         {"", temporary, temporary},
		"no place for them":  {missing, temporary, temporary},
		"no temporary files": {backups, missing, backups},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := state.Config{Path: filepath.Join(t.TempDir(), "data", "notifier.db")}
			t.Setenv("TMPDIR", c.temporary)
			store, err := state.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			var log strings.Builder
			k := &keeper{
				inPlace: store.InPlace, putBack: store.PutBack, backup: store.Backup, path: store.Path(), backups: c.backups,
				log: slog.New(slog.NewTextHandler(io.Writer(&log), nil)),
			}
			if err := k.settle(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Dir(cfg.Path)
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // a file where the directory was
				t.Fatal(err)
			}
			if err := k.settle(t.Context(), time.Now()); !errors.Is(err, state.ErrDirectory) {
				t.Errorf("settle = %v", err)
			}
			saved, err := filepath.Glob(filepath.Join(c.want, "notifier-saved-*.db"))
			if err != nil || len(saved) != 1 || strings.Count(log.String(), "saved=") != 1 || !strings.Contains(log.String(), saved[0]) {
				t.Fatalf("saved %v, %v; the log says %s", saved, err, log.String())
			}
			if _, err := state.Check(t.Context(), saved[0]); err != nil {
				t.Error(err)
			}
			if err := os.Remove(saved[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

// One copy at a time; who waits for it may give up.
func TestCopierWaits(t *testing.T) {
	store, err := state.Open(t.Context(), state.Config{Path: filepath.Join(t.TempDir(), "notifier.db")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c := newCopier(store)
	c.busy <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := c.Backup(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup = %v", err)
	}
	<-c.busy
	if err := c.Backup(t.Context(), path); err != nil {
		t.Error(err)
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{dir: true, filepath.Join(dir, "to", "be", "made"): true, file: false, filepath.Join(file, "below"): false} {
		if err := writable(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// A directory that can be written to and has no room for a backup is said.
func TestABackupWantsRoom(t *testing.T) {
	if err := roomForCopies("/backup", 64<<20); err != nil {
		t.Error(err)
	}
	err := roomForCopies("/backup", 1<<20)
	if !errors.Is(err, errNoRoom) || !strings.Contains(err.Error(), "1.0 MB are free at /backup, and besides its own size a backup leaves 67.1 MB free") {
		t.Error(err)
	}
	if got := (&online{backups: err}).err(); exitCode(got) != exitFailure || !strings.Contains(got.Error(), "too little room") {
		t.Errorf("the check says %v", got)
	}
	if err := writable(t.TempDir()); err != nil {
		t.Error(err)
	}
}
