package state_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/filelock"
	"checkout-notifier/state"
)

// counted is how many events a file holds, which no store has open.
func counted(t *testing.T, path string) int {
	t.Helper()
	s, err := state.OpenReadOnly(t.Context(), state.Config{Path: path})
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	defer s.Close()
	if err := s.Verify(t.Context()); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	events, err := s.Events(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// stolen are the ways in which a file disappears under its store. prepare, if any,
// runs before the store is opened.
var stolen = map[string]struct {
	prepare func(path string) error
	take    func(path string) error
}{
	"removed":               {nil, os.Remove},
	"moved":                 {nil, func(path string) error { return os.Rename(path, path+".old") }},
	"its directory removed": {nil, func(path string) error { return os.RemoveAll(filepath.Dir(path)) }},
	"its directory made again": {nil, func(path string) error {
		return errors.Join(os.RemoveAll(filepath.Dir(path)), os.Mkdir(filepath.Dir(path), 0o700))
	}},
	"its directory moved": {nil, func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") }},
	"the target of a link removed": {
		func(path string) error { return os.Symlink("real.db", path) },
		func(path string) error { return os.Remove(filepath.Join(filepath.Dir(path), "real.db")) },
	},
	"a link removed": {func(path string) error { return os.Symlink("real.db", path) }, os.Remove},
}

func TestARemovedFileIsPutBack(t *testing.T) {
	for name, tc := range stolen {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for a held file
			cfg := config(t)
			if tc.prepare != nil {
				if err := errors.Join(os.Mkdir(filepath.Dir(cfg.Path), 0o700), tc.prepare(cfg.Path)); err != nil {
					t.Fatal(err)
				}
			}
			was, _ := os.Readlink(cfg.Path)
			s := openStore(t, cfg)
			commit(t, s, page("before", 10, start, "shop"))
			if err := tc.take(cfg.Path); err != nil {
				t.Fatal(err)
			}
			commit(t, s, page("meanwhile", 10, start, "shop"))
			if err := s.InPlace(); !errors.Is(err, state.ErrMoved) {
				t.Errorf("InPlace = %v, want ErrMoved", err)
			}
			if moved, err := s.PutBack(t.Context(), start); err != nil || moved != cfg.Path {
				t.Fatalf("PutBack = %q, %v", moved, err)
			}
			if err := s.InPlace(); err != nil {
				t.Error(err)
			}
			if moved, err := s.PutBack(t.Context(), start); err != nil || moved != "" {
				t.Errorf("a second PutBack = %q, %v", moved, err)
			}
			commit(t, s, page("after", 10, start, "shop"))
			if is, _ := os.Readlink(cfg.Path); tc.prepare != nil && name != "a link removed" && is != was {
				t.Errorf("the link leads to %q, and led to %q", is, was)
			}
			if info, err := os.Stat(cfg.Path); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			_, err := state.OpenReadOnly(t.Context(), cfg)
			wants(t, err, state.ErrHeld)
			// What a kill leaves is what is in the file now.
			killed := copyOf(t, cfg.Path)
			if n := counted(t, killed); n != 30 {
				t.Errorf("%d events are in the file, want 30", n)
			}
			if left, _ := filepath.Glob(cfg.Path + ".sav*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// copyOf copies a file as it is on disk.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestAReplacedFileIsLeftAloneAndTheContentSavedBeside(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("before", 10, start, "shop"))
	other := []byte("not ours")
	if err := errors.Join(os.Remove(cfg.Path), os.WriteFile(cfg.Path, other, 0o644)); err != nil {
		t.Fatal(err)
	}
	beside, err := s.PutBack(t.Context(), start)
	if err != nil || beside == cfg.Path || filepath.Dir(beside) != filepath.Dir(cfg.Path) || !strings.Contains(beside, "20261122T100000Z") {
		t.Fatalf("PutBack = %q, %v", beside, err)
	}
	wants(t, s.InPlace(), state.ErrMoved, beside, cfg.Path)
	if moved, err := s.PutBack(t.Context(), start.Add(time.Hour)); err != nil || moved != "" {
		t.Errorf("a second PutBack = %q, %v", moved, err)
	}
	commit(t, s, page("after", 10, start, "shop"))
	if saved := s.Saved(); saved != "" {
		t.Errorf("its own file counts as one that an earlier notifier saved: %s", saved)
	}
	if n := counted(t, copyOf(t, beside)); n != 20 {
		t.Errorf("%d events are saved, want 20", n)
	}
	if content, err := os.ReadFile(cfg.Path); err != nil || string(content) != string(other) {
		t.Errorf("the other file holds %q, %v", content, err)
	}
	// Once the place is free, the file goes back to it.
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.PutBack(t.Context(), start); err != nil || moved != cfg.Path {
		t.Errorf("after the other file was removed: %q, %v", moved, err)
	}
	if _, err := os.Lstat(beside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the saved file is still there: %v", err)
	}
	if err := s.InPlace(); err != nil {
		t.Error(err)
	}
	if n := counted(t, copyOf(t, cfg.Path)); n != 20 {
		t.Errorf("%d events are in the file, want 20", n)
	}
}

// Whoever begins with the other file while this notifier lives delivers everything
// twice: it is refused, also to what only reads, until the file is moved away.
func TestTheOtherFileIsHeld(t *testing.T) {
	t.Parallel() // it waits for a held file
	if !filelock.Works {
		t.Skip("no file can be locked here")
	}
	cfg, older := backedUp(t)
	s := openStore(t, cfg)
	now := start
	for range 2 { // another one, in the place of the first
		if err := os.Rename(copyOf(t, older), cfg.Path); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.PutBack(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
		held := fmt.Sprintf("another notifier (pid %d) holds %s", os.Getpid(), cfg.Path)
		_, err := state.OpenReadOnly(t.Context(), cfg)
		wants(t, err, state.ErrHeld, held)
		_, err = state.Restore(t.Context(), cfg, older, now, agree)
		wants(t, err, state.ErrHeld, held)
		now = now.Add(time.Second)
	}
	away := cfg.Path + ".away"
	if err := os.Rename(cfg.Path, away); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.PutBack(t.Context(), now); err != nil || moved != cfg.Path {
		t.Fatalf("PutBack = %q, %v", moved, err)
	}
	if n := counted(t, away); n != 10 {
		t.Errorf("the other file has %d events, want 10", n)
	}
	if err := errors.Join(os.Rename(away, cfg.Path), s.InPlace()); !errors.Is(err, state.ErrMoved) {
		t.Fatal(err)
	}
	if _, err := s.PutBack(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := counted(t, cfg.Path); n != 10 {
		t.Errorf("after Close the other file has %d events, want 10", n)
	}
}

// Who was faster, before the other file was noticed, cannot be kept out any more: it
// is said until it ends.
func TestAnotherNotifierThatWorksWithTheOtherFileIsToldOf(t *testing.T) {
	t.Parallel() // it waits for a held file
	if !filelock.Works {
		t.Skip("no file can be locked here")
	}
	cfg, older := backedUp(t)
	var log strings.Builder
	s, err := state.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Rename(older, cfg.Path); err != nil {
		t.Fatal(err)
	}
	rival := openStore(t, cfg)
	const twice = "everything is delivered twice"
	for range 2 {
		if _, err := s.PutBack(t.Context(), start); err != nil {
			t.Fatal(err)
		}
		wants(t, s.InPlace(), state.ErrMoved, twice)
	}
	if n := strings.Count(log.String(), twice); n != 1 {
		t.Errorf("it is said %d times: %s", n, log.String())
	}
	if err := rival.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBack(t.Context(), start); err != nil || strings.Contains(s.InPlace().Error(), twice) {
		t.Errorf("after it ended: %v, %v", err, s.InPlace())
	}
	_, err = state.OpenReadOnly(t.Context(), cfg)
	wants(t, err, state.ErrHeld)
}

// A saved file that was taken away, too, is saved once more.
func TestASavedFileIsWatchedToo(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("before", 10, start, "shop"))
	if err := errors.Join(os.Remove(cfg.Path), os.WriteFile(cfg.Path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	first, err := s.PutBack(t.Context(), start)
	if err := errors.Join(err, os.Remove(first)); err != nil {
		t.Fatal(err)
	}
	second, err := s.PutBack(t.Context(), start.Add(time.Second))
	if err != nil || second == "" || second == first {
		t.Fatalf("PutBack = %q, %v", second, err)
	}
	if n := counted(t, copyOf(t, second)); n != 10 {
		t.Errorf("%d events are saved, want 10", n)
	}
}

func TestPutBackThatFailsLeavesTheStoreAtWork(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	dir := filepath.Dir(cfg.Path)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // a file where the directory was
		t.Fatal(err)
	}
	moved, err := s.PutBack(t.Context(), start)
	if err == nil || moved != "" {
		t.Fatalf("PutBack = %q, %v", moved, err)
	}
	wants(t, err, state.ErrDirectory, dir)
	commit(t, s, page("meanwhile", 10, start, "shop"))
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if moved, err := s.PutBack(t.Context(), start); err != nil || moved != cfg.Path {
		t.Fatalf("PutBack = %q, %v", moved, err)
	}
	if n := counted(t, copyOf(t, cfg.Path)); n != 10 {
		t.Errorf("%d events are in the file, want 10", n)
	}
}

// TestPutBackUnderLoad takes the file away again and again while it is read and
// written: no call fails, and every commit is there in the end.
func TestPutBackUnderLoad(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var workers sync.WaitGroup
	written := make([]int, 4)
	for w := range written {
		workers.Go(func() {
			for ; ctx.Err() == nil; written[w]++ {
				if err := s.Commit(context.Background(), page(fmt.Sprintf("w%d-%d-", w, written[w]), 2, start, "shop")); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
			}
		})
		workers.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Destinations(context.Background()); err != nil {
					t.Errorf("read: %v", err)
					return
				}
				if _, _, err := s.Space(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("space: %v", err)
					return
				}
			}
		})
	}
	for i := range 20 {
		var err error
		if i%2 == 0 {
			err = os.Remove(cfg.Path)
		} else {
			err = os.RemoveAll(filepath.Dir(cfg.Path))
		}
		if err != nil {
			t.Fatal(err)
		}
		if moved, err := s.PutBack(t.Context(), start); err != nil || moved != cfg.Path {
			t.Fatalf("PutBack = %q, %v", moved, err)
		}
	}
	stop()
	workers.Wait()
	total := 0
	for _, n := range written {
		total += 2 * n
	}
	if n := counted(t, copyOf(t, cfg.Path)); n != total || total == 0 {
		t.Errorf("%d events are in the file, %d were committed", n, total)
	}
}

// A read that is under way when the file is replaced finishes, and holds up
// neither writers nor other readers.
func TestPutBackWaitsForNoReader(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("before", 10, start, "shop"))
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	seen, moving := 0, make(chan error, 1)
	err := s.Tracked(t.Context(), "main", func(*event.Tracked) error {
		if seen++; seen > 1 {
			return nil
		}
		go func() {
			_, err := s.PutBack(context.Background(), start)
			moving <- err
		}()
		for s.InPlace() != nil { // it has the new file, and waits for us to close the old one
			runtime.Gosched()
		}
		commit(t, s, page("meanwhile", 10, start, "shop"))
		_, err := s.Destinations(t.Context())
		return err
	})
	if err := errors.Join(err, <-moving); err != nil || seen != 10 {
		t.Errorf("%d sessions were read, %v", seen, err)
	}
	if n := counted(t, copyOf(t, cfg.Path)); n != 20 {
		t.Errorf("%d events are in the file, want 20", n)
	}
}

// What is saved beside the file is said until it is put back or moved away.
func TestWhatWasSavedBesideIsSaidUntilItIsPutBack(t *testing.T) {
	cfg, backup := backedUp(t)
	saved := cfg.Path + ".saved-20261122T100000Z"
	if err := os.Rename(copyOf(t, backup), saved); err != nil {
		t.Fatal(err)
	}
	unfinished := []string{cfg.Path + ".saving", cfg.Path + ".saved-20261122T110000Z.saving"}
	for _, name := range unfinished {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := func() (logged, found string) {
		t.Helper()
		var log strings.Builder
		s, err := state.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return log.String(), s.Saved()
	}
	if log, found := said(); !strings.Contains(log, saved) || !strings.Contains(found, "("+saved+")") {
		t.Errorf("it says %s and finds %s", log, found)
	}
	for _, name := range unfinished {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was left unfinished is still there: %v", err)
		}
	}
	if done, err := state.Restore(t.Context(), cfg, backup, start, agree); err != nil || done.Renamed != "" {
		t.Errorf("another copy: %+v, %v", done, err)
	}
	want := cfg.Path + ".restored-20261122T100000Z"
	if done, err := state.Restore(t.Context(), cfg, saved, start, agree); err != nil || done.Renamed != want {
		t.Fatalf("%+v, %v", done, err)
	}
	if n := counted(t, want); n != 10 {
		t.Errorf("%s has %d events, want 10", want, n)
	}
	if log, found := said(); strings.Contains(log, "saved") || found != "" {
		t.Errorf("after it was put back: it says %s and finds %s", log, found)
	}
}
