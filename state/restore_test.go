package state_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"checkout-notifier/state"
)

func agree(state.Contents) error { return nil }

// backedUp is a store that went on after a copy of it was made: 10 events are in
// the copy, 20 in the file, which nobody has open.
func backedUp(t *testing.T) (cfg state.Config, backup string) {
	t.Helper()
	cfg = config(t)
	s := openStore(t, cfg)
	commit(t, s, page("before", 10, start, "shop"))
	backup = filepath.Join(t.TempDir(), "copy.db")
	if _, err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	commit(t, s, page("after", 10, start, "shop"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg, backup
}

func TestRestore(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(path string) error
		kept    bool
	}{
		"over a sound file":   {nil, true},
		"over a damaged file": {func(path string) error { return os.WriteFile(path, []byte("damaged"), 0o600) }, true},
		"over an empty file":  {func(path string) error { return os.WriteFile(path, nil, 0o600) }, false},
		"without a file":      {os.Remove, false},
		"without a directory": {func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, false},
		"over the target of a link": {func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(filepath.Base(path)+".real", path))
		}, true},
		"over a link to nothing": {func(path string) error { return errors.Join(os.Remove(path), os.Symlink("real.db", path)) }, false},
		"after one that was killed": {func(path string) error {
			return os.WriteFile(path+".restoring", []byte("half"), 0o600)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, backup := backedUp(t)
			if tc.prepare != nil {
				if err := tc.prepare(cfg.Path); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := os.ReadFile(cfg.Path)
			link, _ := os.Readlink(cfg.Path)
			done, err := state.Restore(t.Context(), cfg, backup, start, agree)
			if err != nil || done.Events != 10 {
				t.Fatalf("%+v, %v", done, err)
			}
			if is, _ := os.Readlink(cfg.Path); is != link {
				t.Errorf("the link leads to %q, and led to %q", is, link)
			}
			if n := counted(t, cfg.Path); n != 10 {
				t.Errorf("the restored file has %d events, want 10", n)
			}
			if info, err := os.Stat(cfg.Path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			if (done.Kept != "") != tc.kept {
				t.Errorf("kept %q", done.Kept)
			}
			if kept, _ := os.ReadFile(done.Kept); tc.kept && (string(kept) != string(before) || !strings.HasSuffix(done.Kept, ".replaced-20261122T100000Z")) {
				t.Errorf("%s has %d bytes, the file had %d", done.Kept, len(kept), len(before))
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(cfg.Path), "*.restoring")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			s := openStore(t, cfg)
			commit(t, s, page("again", 5, start, "shop"))
		})
	}
}

// Each file that was replaced is kept, also of two in one second.
func TestRestoreTwiceInASecond(t *testing.T) {
	cfg, backup := backedUp(t)
	var kept []string
	for range 3 {
		done, err := state.Restore(t.Context(), cfg, backup, start, agree)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, filepath.Base(done.Kept))
	}
	onlyFiles(t, filepath.Dir(cfg.Path), append([]string{"notifier.db"}, kept...)...)
	if n := counted(t, filepath.Join(filepath.Dir(cfg.Path), kept[0])); n != 20 {
		t.Errorf("the first that was kept has %d events, want 20", n)
	}
}

// What cannot be restored changes nothing.
func TestRestoreRefuses(t *testing.T) {
	no := errors.New("no")
	for name, tc := range map[string]struct {
		from  func(cfg state.Config, backup string) string
		agree func(state.Contents) error
		want  error
	}{
		"the state file itself": {func(cfg state.Config, _ string) string { return cfg.Path }, agree, state.ErrInvalid},
		"nothing":               {func(_ state.Config, backup string) string { return backup + ".no" }, agree, state.ErrMissing},
		"damage": {func(_ state.Config, backup string) string {
			_ = os.Truncate(backup, 20_000)
			return backup
		}, agree, state.ErrDamaged},
		"what is no copy": {func(_ state.Config, backup string) string {
			_ = os.WriteFile(backup, []byte("damaged"), 0o600)
			return backup
		}, agree, state.ErrDamaged},
		"an empty file": {func(_ state.Config, backup string) string {
			_ = os.Truncate(backup, 0)
			return backup
		}, agree, state.ErrDamaged},
		"without a yes": {func(_ state.Config, backup string) string { return backup }, func(state.Contents) error { return no }, no},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, backup := backedUp(t)
			_, err := state.Restore(t.Context(), cfg, tc.from(cfg, backup), start, tc.agree)
			if !errors.Is(err, tc.want) || strings.Contains(err.Error(), ".restoring") {
				t.Errorf("Restore = %v, want %v", err, tc.want)
			}
			if !errors.Is(tc.want, no) && !errors.Is(tc.want, state.ErrInvalid) && !strings.Contains(err.Error(), backup) {
				t.Errorf("the error does not name the file: %v", err)
			}
			if n := counted(t, cfg.Path); n != 20 {
				t.Errorf("the file has %d events, want 20", n)
			}
			onlyFiles(t, filepath.Dir(cfg.Path), "notifier.db")
		})
	}
}

func TestRestoreThatFailsMakesNoFile(t *testing.T) {
	cfg, backup := backedUp(t)
	if err := errors.Join(os.Remove(cfg.Path), os.Truncate(backup, 20_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Restore(t.Context(), cfg, backup, start, agree); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("Restore = %v", err)
	}
	onlyFiles(t, filepath.Dir(cfg.Path))
}

func TestRestoreWaitsForNobodyToHaveTheFile(t *testing.T) {
	t.Parallel() // it waits for a held file
	cfg, backup := backedUp(t)
	s := openStore(t, cfg)
	_, err := state.Restore(t.Context(), cfg, backup, start, agree)
	wants(t, err, state.ErrHeld, cfg.Path, "stop it first")
	commit(t, s, page("more", 5, start, "shop"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// While somebody thinks about it, no daemon starts; one that waits gets the
	// restored file.
	opening := make(chan error, 1)
	_, err = state.Restore(t.Context(), cfg, backup, start, func(state.Contents) error {
		_, err := state.OpenReadOnly(t.Context(), cfg)
		wants(t, err, state.ErrHeld)
		go func() {
			s, err := state.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				var events []state.Sequenced
				if events, err = s.Events(context.Background(), 0, 100); err == nil && len(events) != 10 {
					err = errors.New("the daemon that waited got the old file")
				}
				err = errors.Join(err, s.Close())
			}
			opening <- err
		}()
		time.Sleep(100 * time.Millisecond) // that it waits already makes the test stricter, not true
		return nil
	})
	if err := errors.Join(err, <-opening); err != nil {
		t.Error(err)
	}
}

func TestRestoreOfAnEarlierVersion(t *testing.T) {
	cfg, backup := backedUp(t)
	downgrade(t, backup, 1)
	done, err := state.Restore(t.Context(), cfg, backup, start, agree)
	if err != nil || !done.Older || done.Schema != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	events, err := openStore(t, cfg).Events(t.Context(), 0, 100)
	if err != nil || len(events) != 10 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestCompact(t *testing.T) {
	t.Parallel() // it waits for the disk
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("some", 40, start, "shop", "bus"))
	for i := range 20 {
		commit(t, s, page(string(rune('a'+i)), 100, start, "gone"))
	}
	acceptAll(t, s, due(t, s, "gone", start))
	policy := state.PrunePolicy{Before: start.Add(time.Hour), CreatedBefore: start, LookedBefore: start}
	for {
		pruned, err := s.Prune(t.Context(), policy)
		if err != nil {
			t.Fatal(err)
		}
		if pruned.Deliveries == 0 {
			break
		}
	}
	_, _, err := state.Compact(t.Context(), cfg, start)
	wants(t, err, state.ErrHeld)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	was, err := state.Check(t.Context(), cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, err := state.Compact(t.Context(), cfg, start)
	if err != nil || before != was.Bytes || after >= before/2 {
		t.Errorf("from %d to %d bytes, %v", before, after, err)
	}
	is, err := state.Check(t.Context(), cfg.Path)
	was.Bytes = is.Bytes
	if diff := cmp.Diff(was, is); diff != "" || err != nil || is.Bytes != after {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	onlyFiles(t, filepath.Dir(cfg.Path), "notifier.db")
	if _, again, err := state.Compact(t.Context(), cfg, start); err != nil || again > after {
		t.Errorf("a second one made %d of %d bytes, %v", again, after, err)
	}
	commit(t, openStore(t, cfg), page("again", 5, start, "shop"))
}

// A file that has nothing to give back does not grow.
func TestCompactOfASmallFile(t *testing.T) {
	cfg, backup := backedUp(t)
	if _, err := state.Restore(t.Context(), cfg, backup, start, agree); err != nil {
		t.Fatal(err)
	}
	if before, after, err := state.Compact(t.Context(), cfg, start); err != nil || after > before {
		t.Errorf("from %d to %d bytes, %v", before, after, err)
	}
}

func TestCompactChangesNothingThatIsNotSound(t *testing.T) {
	path, content := sample(t)
	cfg := state.Config{Path: path}
	edit(t, path, func(tx *bolt.Tx) error {
		key, _ := tx.Bucket([]byte("events")).Cursor().First()
		return tx.Bucket([]byte("events")).Delete(append([]byte(nil), key...))
	})
	if _, _, err := state.Compact(t.Context(), cfg, start); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("Compact = %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < int64(len(content)) {
		t.Errorf("%v, %v", info, err)
	}
	onlyFiles(t, filepath.Dir(path), "notifier.db")
	missing := state.Config{Path: path + ".no"}
	if _, _, err := state.Compact(t.Context(), missing, start); !errors.Is(err, state.ErrMissing) {
		t.Errorf("Compact of nothing = %v", err)
	}
	onlyFiles(t, filepath.Dir(path), "notifier.db")
}
