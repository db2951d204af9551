package state_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
	"checkout-notifier/filelock"
	"checkout-notifier/state"
)

func open(ctx context.Context, cfg state.Config) error {
	s, err := state.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return s.Close()
}

// wants checks an error's kind and what its message tells the operator.
func wants(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error = %v, want %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestOpenMakesFileAndDirectory(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	for path, want := range map[string]os.FileMode{cfg.Path: 0o600, filepath.Dir(cfg.Path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	size, err := s.Size()
	if err != nil || size <= 0 || s.Path() != cfg.Path {
		t.Errorf("Size = %d, %v; Path = %s", size, err, s.Path())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(cfg.Path))
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestOpenFollowsALinkToWhatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(filepath.Join(dir, "real.db"), link); err != nil {
		t.Fatal(err)
	}
	openStore(t, state.Config{Path: link})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "real.db")); err != nil {
		t.Error(err)
	}
}

// TestLargeRows: nodes of several pages are checked to their end.
func TestLargeRows(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	for i := range 5 {
		tx := realistic(page(fmt.Sprint(i), 40, start, "shop"))
		tx.Snapshots[7].Object = []byte(`"` + strings.Repeat("y", 100_000) + `"`)
		commit(t, s, tx)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, cfg)
	if got := due(t, s, "shop", start); len(got) != 200 {
		t.Errorf("%d are due", len(got))
	}
}

func TestOpenAfterADeathDuringCreation(t *testing.T) {
	cfg := config(t)
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path+".new", []byte("half a page"), 0o600); err != nil {
		t.Fatal(err)
	}
	openStore(t, cfg).Close()
	onlyFiles(t, filepath.Dir(cfg.Path), "notifier.db")
}

// Of several processes that find no file one makes it, and the others use that.
func TestOpenAtOnce(t *testing.T) {
	for range 20 {
		cfg := config(t)
		var made atomic.Int32
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				s, err := state.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Error(err)
					return
				}
				if s.Created() {
					made.Add(1)
				}
				if err := errors.Join(s.Commit(t.Context(), page(fmt.Sprint(i), 1, start, "shop")), s.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := counted(t, cfg.Path); n != 4 || made.Load() != 1 {
			t.Errorf("%d files were made, the last one has %d events of 4", made.Load(), n)
		}
		onlyFiles(t, filepath.Dir(cfg.Path), "notifier.db")
	}
}

// What is left of a file that was there is never taken for a first start, not even
// if that is nothing. A copy can be put in its place.
func TestFileThatLostItsContent(t *testing.T) {
	for _, left := range []int64{0, 1, 79, 80, 4095, 4096, 8191, 8192} {
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			cfg, backup := backedUp(t)
			if err := os.Truncate(cfg.Path, left); err != nil {
				t.Fatal(err)
			}
			_, readOnly := state.OpenReadOnly(t.Context(), cfg)
			for _, err := range []error{open(t.Context(), cfg), readOnly} {
				wants(t, err, state.ErrDamaged, cfg.Path, "notifier state restore", "move the file away")
			}
			if info, err := os.Stat(cfg.Path); err != nil || info.Size() != left {
				t.Errorf("the file has %d bytes, %v", info.Size(), err)
			}
			if _, err := state.Restore(t.Context(), cfg, backup, start, agree); err != nil {
				t.Fatal(err)
			}
			if n := counted(t, cfg.Path); n != 10 {
				t.Errorf("the restored file has %d events, want 10", n)
			}
		})
	}
}

func TestReadersShareAndKeepWritersOut(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	commit(t, s, page("a", 2, start, "shop"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var readers []*state.Store
	for range 2 {
		r, err := state.OpenReadOnly(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		readers = append(readers, r)
	}
	if got := dueIDs(t, readers[1], "shop", start); len(got) != 2 {
		t.Errorf("due %v", got)
	}
	wants(t, readers[0].Commit(t.Context(), page("b", 1, start)), state.ErrReadOnly)
	if err := readers[0].Verify(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := open(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a writer beside readers: %v", err)
	}
}

func TestOpenReadOnlyMakesNothing(t *testing.T) {
	cfg := config(t)
	_, err := state.OpenReadOnly(t.Context(), cfg)
	wants(t, err, state.ErrMissing, cfg.Path, "start notifier first")
	if _, err := os.Stat(filepath.Dir(cfg.Path)); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}

// edit changes a file of ours behind its back.
func edit(t *testing.T, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatAreNotOurs(t *testing.T) {
	ctx := t.Context()
	cfg := config(t)
	openStore(t, cfg).Close()
	edit(t, cfg.Path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 7))
	})
	wants(t, open(ctx, cfg), state.ErrNewer, "schema 7, this one reads 4", "upgrade")

	foreign := filepath.Join(t.TempDir(), "other.db")
	edit(t, foreign, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	wants(t, open(ctx, state.Config{Path: foreign}), state.ErrForeign, foreign, "choose another state.path")

	dir := t.TempDir()
	wants(t, open(ctx, state.Config{Path: dir}), state.ErrDirectory, dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, open(ctx, state.Config{Path: filepath.Join(file, "notifier.db")}), state.ErrDirectory, file, "choose another state.path")
	wants(t, open(ctx, state.Config{}), state.ErrInvalid)
}

// sample is a closed file with something in it, and its content.
func sample(t *testing.T) (path string, content []byte) {
	t.Helper()
	cfg := config(t)
	s := openStore(t, cfg)
	for i := range 6 {
		commit(t, s, page(fmt.Sprint(i), 60, start, "shop", "bus"))
	}
	acceptAll(t, s, due(t, s, "bus", start)[:200])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Path, content
}

// acceptAll accepts deliveries in one transaction.
func acceptAll(t *testing.T, s *state.Store, jobs []event.Job) {
	t.Helper()
	var step event.Step
	for _, job := range jobs {
		step.Resolved = append(step.Resolved, event.Verdict{Delivery: job.Delivery, Attempt: &event.Attempt{DeliveryID: job.Delivery.ID, N: 1}, Accepted: true, At: start})
	}
	if _, err := s.Take(t.Context(), step); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFiles(t *testing.T) {
	path, content := sample(t)
	for name, spoil := range map[string]func([]byte) []byte{
		"text":          func([]byte) []byte { return []byte("this is no database\n") },
		"large text":    func(b []byte) []byte { return []byte(strings.Repeat("this is no database\n", 5000)) },
		"zeros":         func(b []byte) []byte { return make([]byte, len(b)) },
		"cut in half":   func(b []byte) []byte { return b[:len(b)/2] },
		"cut to a page": func(b []byte) []byte { return b[:4096] },
		"cut to a byte": func(b []byte) []byte { return b[:1] },
		"no metas":      func(b []byte) []byte { clear(b[:8192]); return b },
		"no pages":      func(b []byte) []byte { clear(b[8192:]); return b },
		"random pages": func(b []byte) []byte {
			r := rand.New(rand.NewPCG(1, 2))
			for i := 8192; i < len(b); i++ {
				b[i] = byte(r.Uint32())
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, spoil([]byte(string(content))), 0o600); err != nil {
				t.Fatal(err)
			}
			wants(t, open(t.Context(), state.Config{Path: path}), state.ErrDamaged, path, "state.backup.dir")
			_, err := state.OpenReadOnly(t.Context(), state.Config{Path: path})
			wants(t, err, state.ErrDamaged, path)
		})
	}
}

// TestRandomDamage spoils bytes of the file: whatever they are, the process
// lives and either says that the file is damaged or finds it sound.
func TestRandomDamage(t *testing.T) {
	t.Parallel() // it waits for the disk
	path, content := sample(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	rounds, refused := 100, 0
	if testing.Short() || raceEnabled {
		rounds = 50
	}
	for range rounds {
		spoilt := []byte(string(content))
		for range 1 + r.IntN(8) {
			at := r.IntN(len(spoilt))
			if r.IntN(2) == 0 {
				at = at/4096*4096 + r.IntN(64) // where the structure is
			}
			spoilt[at] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
		if err == nil {
			err = s.Verify(t.Context())
			// Neither may the daily work end the process.
			s.Commit(t.Context(), page("x", 3, start, "shop"))
			s.Due(t.Context(), "shop", event.Look{Now: start, First: 1000, Again: 1000})
			s.Prune(t.Context(), state.PrunePolicy{Before: start.Add(time.Hour), CreatedBefore: start, LookedBefore: start})
			s.Close()
		}
		if err != nil {
			refused++
			if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrForeign) && !errors.Is(err, state.ErrNewer) {
				t.Errorf("error = %v", err)
			}
		}
	}
	if refused < rounds/10 {
		t.Errorf("%d of %d were refused: the test tests little", refused, rounds)
	}
}

// firstDue returns the first due entry of shop, and its queue.
func firstDue(tx *bolt.Tx) (queue *bolt.Bucket, key []byte) {
	queue = tx.Bucket([]byte("queues")).Bucket([]byte("shop"))
	key, _ = queue.Cursor().Seek([]byte("d"))
	return queue, bytes.Clone(key)
}

func TestVerifySeesWhatBboltCannot(t *testing.T) {
	_, content := sample(t)
	for name, spoil := range map[string]func(*bolt.Tx) error{
		"a due entry of nobody": func(tx *bolt.Tx) error {
			queue, key := firstDue(tx)
			key[len(key)-1] ^= 0x80
			return queue.Put(key, []byte("dlv_x"))
		},
		"a due entry lost": func(tx *bolt.Tx) error {
			queue, key := firstDue(tx)
			return queue.Delete(key)
		},
		"a due entry of another": func(tx *bolt.Tx) error {
			queue, key := firstDue(tx)
			return queue.Put(key, []byte("dlv_x"))
		},
		"a queue of nobody": func(tx *bolt.Tx) error {
			queue, err := tx.Bucket([]byte("queues")).CreateBucket([]byte("stranger"))
			return errors.Join(err, queue.Put([]byte("p12345678"), []byte("x")))
		},
		"a queue lost": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("queues")).DeleteBucket([]byte("shop"))
		},
		"a row among the queues": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("queues")).Put([]byte("row"), []byte("x"))
		},
		"an index row changed": func(tx *bolt.Tx) error {
			key, row := tx.Bucket([]byte("session_index")).Cursor().First()
			row = append([]byte(nil), row...)
			row[5] ^= 1
			return tx.Bucket([]byte("session_index")).Put(append([]byte(nil), key...), row)
		},
		"a counter off": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("destinations")).Put([]byte("shop"), []byte(`{"name":"shop","pending":1}`))
		},
		"an event lost": func(tx *bolt.Tx) error {
			key, _ := tx.Bucket([]byte("events")).Cursor().First()
			return tx.Bucket([]byte("events")).Delete(append([]byte(nil), key...))
		},
		"a row unreadable": func(tx *bolt.Tx) error {
			key, _ := tx.Bucket([]byte("deliveries")).Cursor().First()
			return tx.Bucket([]byte("deliveries")).Put(append([]byte(nil), key...), []byte("12345678{"))
		},
		"an account unreadable": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("accounts")).Put([]byte("main"), []byte("{"))
		},
		"an account under another's name": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("accounts")).Put([]byte("other"), []byte(`{"name":"main"}`))
		},
		"a sequence that is given out twice": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("events")).SetSequence(1)
		},
		"an attempt lost": func(tx *bolt.Tx) error {
			key, _ := tx.Bucket([]byte("attempts")).Cursor().First()
			return tx.Bucket([]byte("attempts")).Delete(append([]byte(nil), key...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "notifier.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			edit(t, path, spoil)
			s, err := state.Open(t.Context(), state.Config{Path: path}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			wants(t, s.Verify(t.Context()), state.ErrDamaged, path)
		})
	}
}

// Whoever starts a second daemon is told at once what it waits for, also when it is
// stopped while it waits.
func TestAHeldFileIsNamedWhileItIsWaitedFor(t *testing.T) {
	if !filelock.Works {
		t.Skip("no file can be locked here")
	}
	cfg := config(t)
	openStore(t, cfg)
	holder := fmt.Sprintf("another notifier (pid %d) holds", os.Getpid())
	synctest.Test(t, func(t *testing.T) {
		for stopped, logged := range map[time.Duration]bool{500 * time.Millisecond: false, 2 * time.Second: true, time.Hour: true} {
			var said bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), stopped)
			_, err := state.Open(ctx, cfg, slog.New(slog.NewTextHandler(&said, nil)))
			cancel()
			wants(t, err, state.ErrHeld, holder, cfg.Path)
			want := holder + " the state file: it is waited for up to 10s"
			if lines := strings.Count(said.String(), "\n"); strings.Contains(said.String(), want) != logged || lines > 1 {
				t.Errorf("stopped after %v: logged %q", stopped, &said)
			}
		}
	})
}
