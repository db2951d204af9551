package state_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

func TestBackupIsWholeAndVerified(t *testing.T) {
	s := newStore(t)
	commit(t, s, page("before", 10, start, "shop", "bus"))
	path := filepath.Join(t.TempDir(), "copy.db")
	c, err := s.Backup(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, page("after", 10, start, "shop"))
	if c.Sessions != 10 || c.Events != 10 || c.Deliveries != 20 || c.Pending != 20 || c.DeadLetters != 0 || !c.LastEvent.Equal(start) || c.Path != path {
		t.Errorf("contents %+v", c)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != c.Bytes {
		t.Errorf("%v, %v, want %d bytes", info, err, c.Bytes)
	}
	if n := counted(t, path); n != 10 {
		t.Errorf("the copy has %d events, want 10", n)
	}
	if _, err := s.Backup(t.Context(), path); err != nil { // in place of the first
		t.Fatal(err)
	}
	if n := counted(t, path); n != 20 {
		t.Errorf("the second copy has %d events, want 20", n)
	}
	onlyFiles(t, filepath.Dir(path), "copy.db")
}

// onlyFiles fails if a directory has other files.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("%s has %v, want %v", dir, names, want)
	}
}

func TestBackupRefusesTheStateFileItself(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(cfg.Path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{cfg.Path, link} {
		if _, err := s.Backup(t.Context(), path); !errors.Is(err, state.ErrInvalid) {
			t.Errorf("Backup(%s) = %v, want ErrInvalid", path, err)
		}
	}
}

// A copy that fails leaves what was there, and nothing half made.
func TestBackupThatFailsLeavesTheOldOne(t *testing.T) {
	s := newStore(t)
	commit(t, s, page("before", 10, start, "shop"))
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	if _, err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	spoilt := func(w io.Writer) error { _, err := w.Write(make([]byte, 1<<16)); return err }
	broken := errors.New("the daemon went away")
	ended, end := context.WithCancel(t.Context())
	end()
	for name, tc := range map[string]struct {
		ctx  context.Context
		size int64
		fill func(io.Writer) error
		want error
	}{
		"cut off":       {t.Context(), 0, func(w io.Writer) error { return errors.Join(spoilt(w), broken) }, broken},
		"not a store":   {t.Context(), 0, spoilt, state.ErrDamaged},
		"empty":         {t.Context(), 0, func(io.Writer) error { return nil }, state.ErrDamaged},
		"stopped":       {ended, 0, spoilt, context.Canceled},
		"no space left": {t.Context(), 1 << 60, spoilt, state.ErrDiskFull},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := state.WriteCopy(tc.ctx, path, tc.size, tc.fill); !errors.Is(err, tc.want) {
				t.Errorf("WriteCopy = %v, want %v", err, tc.want)
			}
			if n := counted(t, path); n != 10 {
				t.Errorf("the old copy has %d events", n)
			}
			onlyFiles(t, dir, "copy.db")
		})
	}
	_, err := s.Backup(t.Context(), filepath.Join(dir, "missing", "copy.db"))
	wants(t, err, state.ErrDirectory, "missing")
}

// What a killed process left is written over, what another one is making is not.
func TestUnfinishedCopies(t *testing.T) {
	s := newStore(t)
	commit(t, s, page("before", 10, start, "shop"))
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path+".new", []byte(strings.Repeat("half", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	_, err := state.WriteCopy(t.Context(), path, 0, func(io.Writer) error {
		_, err := s.Backup(t.Context(), path)
		wants(t, err, state.ErrHeld, "another process", path)
		wants(t, state.RemoveUnfinished(t.Context(), path), state.ErrHeld)
		return errors.New("enough")
	})
	if err == nil {
		t.Error("no error")
	}
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := state.RemoveUnfinished(t.Context(), path); err != nil {
		t.Error(err)
	}
	onlyFiles(t, filepath.Dir(path), "copy.db")
}

// TestALongReadHoldsUpNoWriter: bbolt maps a file anew that outgrows its map, for
// which it would wait until the copy is made.
func TestALongReadHoldsUpNoWriter(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("there are too few addresses to map more than the file has")
	}
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("before", 2, start, "shop"))
	path := filepath.Join(t.TempDir(), "copy.db")
	reading := make(chan struct{})
	grown := make(chan error, 1)
	go func() {
		<-reading
		var err error
		for i := 0; err == nil; i++ {
			if size, _ := s.Size(); size > 4<<20 {
				break
			}
			err = s.Commit(context.Background(), page(fmt.Sprintf("during%d-", i), 200, start, "shop"))
		}
		grown <- err
	}()
	seen := false
	err := s.Tracked(t.Context(), "main", func(*event.Tracked) error {
		if seen {
			return nil
		}
		seen = true
		close(reading)
		select {
		case err := <-grown:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("writers wait for a reader")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	is, err := s.Size()
	if _, failed := s.Backup(t.Context(), path); errors.Join(err, failed) != nil || is < 4<<20 {
		t.Errorf("grown to %d, %v, %v", is, err, failed)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	path, content := sample(t)
	c, err := state.Check(t.Context(), path)
	if err != nil || c.Events == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	dir := t.TempDir()
	at := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bolt.Open(foreign, 0o600, nil)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	lost := at("lost.db", content)
	edit(t, lost, func(tx *bolt.Tx) error {
		key, _ := tx.Bucket([]byte("events")).Cursor().First()
		return tx.Bucket([]byte("events")).Delete(append([]byte(nil), key...))
	})
	newer := at("newer.db", content)
	edit(t, newer, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{0, 0, 0, 0, 0, 0, 1, 0})
	})
	for _, tc := range []struct {
		path string
		want error
		word string
	}{
		{filepath.Join(dir, "nothing.db"), state.ErrMissing, "there is no"},
		{at("empty.db", nil), state.ErrDamaged, "empty"},
		{at("text.db", []byte("hello")), state.ErrDamaged, "is damaged"},
		{at("cut.db", content[:len(content)/2]), state.ErrDamaged, "cut off"},
		{lost, state.ErrDamaged, "is damaged"},
		{foreign, state.ErrForeign, "another program"},
		{newer, state.ErrNewer, "upgrade"},
		{dir, state.ErrDirectory, "directory"},
	} {
		_, err := state.Check(t.Context(), tc.path)
		wants(t, err, tc.want, tc.word, tc.path)
		if strings.Contains(err.Error(), "state.path") || strings.Contains(err.Error(), "state.backup") {
			t.Errorf("of a file that is not the state file it says %q", err)
		}
	}
}

func TestCheckOfAnEarlierVersion(t *testing.T) {
	path, _ := sample(t)
	downgrade(t, path, 1)
	c, err := state.Check(t.Context(), path)
	if err != nil || !c.Older || c.Schema != 1 || c.Bytes == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := os.Stat(path + ".schema1"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it was migrated")
	}
}

// TestCheckSeesWhatVerifySees spoils a file at random: what is damage to a store
// that is at work is damage to a check of the file.
func TestCheckSeesWhatVerifySees(t *testing.T) {
	t.Parallel() // it waits for the disk
	rounds := 60
	if raceEnabled {
		rounds = 20
	}
	path, content := sample(t)
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	damaged := 0
	for range rounds {
		spoilt := []byte(string(content))
		at := r.IntN(len(spoilt))
		if r.IntN(2) == 0 {
			at = at/4096*4096 + r.IntN(64) // where the structure is
		}
		change := byte(1 + r.IntN(255))
		spoilt[at] ^= change
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		_, found := state.Check(t.Context(), path)
		s, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
		if err == nil {
			err = errors.Join(s.Verify(t.Context()), s.Close())
		}
		if errors.Is(err, state.ErrDamaged) {
			damaged++
		}
		if (err == nil) != (found == nil) {
			t.Errorf("byte %d changed by %#x: Verify says %v, Check %v", at, change, err, found)
		}
	}
	if damaged < rounds/12 {
		t.Errorf("only %d of %d were damaged: the test tests little", damaged, rounds)
	}
}
