package state

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"checkout-notifier/event"
)

func TestTrackedRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := func(what string) time.Time {
			if rapid.Bool().Draw(t, what+" is zero") {
				return time.Time{}
			}
			return time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, what), rapid.Int64Range(0, 1e9-1).Draw(t, what+" ns")).UTC()
		}
		s := event.Snapshot{
			ID: rapid.String().Draw(t, "id"), Created: moment("created"), ExpiresAt: moment("expires"),
			CompleteAt: moment("complete"), LookedAt: moment("looked"), ScanHash: rapid.Uint64().Draw(t, "hash"),
			Status: rapid.String().Draw(t, "status"), PaymentStatus: rapid.String().Draw(t, "payment"),
			Watch: event.Watch(rapid.String().Draw(t, "watch")),
		}
		if rapid.Bool().Draw(t, "held") {
			s.Held = event.Held{"status": {Hash: 1}}
		}
		want := s.Track()
		got, err := decodeTracked(want.ID, encodeTracked(want))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func FuzzDecodeTracked(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeTracked(event.Tracked{}))
	f.Add(encodeTracked(event.Tracked{Created: time.Unix(1e9, 5), Status: "open", Held: true, ScanHash: 1 << 60}))
	f.Fuzz(func(t *testing.T, row []byte) {
		tracked, err := decodeTracked("cs_1", row)
		if err != nil {
			return
		}
		again, err := decodeTracked("cs_1", encodeTracked(tracked))
		if diff := cmp.Diff(tracked, again); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// TestRowsOfFormat1AreRead, and what they say of a hash is not believed: it was
// the content's.
func TestRowsOfFormat1AreRead(t *testing.T) {
	ctx := t.Context()
	s := internalStore(t)
	snapshot := event.Snapshot{Account: "main", ID: "cs_1", Created: time.Unix(1e9, 0).UTC(), Status: "open", Hash: 7}
	if err := s.Commit(ctx, &event.Tx{Account: "main", Snapshots: []event.Snapshot{snapshot}}); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		row := encodeTracked(snapshot.Track())
		row[0], row[9] = 1, 7
		return tx.Bucket(bucketIndex).Put(indexKey("main", "cs_1"), row)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Tracked(ctx, "main", func(got *event.Tracked) error {
		if diff := cmp.Diff(snapshot.Track(), *got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
}

func TestKeysSortAsTheirTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := func(what string) time.Time {
			return time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, what), rapid.Int64Range(0, 1e9-1).Draw(t, what+" ns")).UTC()
		}
		a, b := moment("a"), moment("b")
		keyA, keyB := string(appendTime(nil, a)), string(appendTime(nil, b))
		if a.Before(b) != (keyA < keyB) || a.Equal(b) != (keyA == keyB) {
			t.Errorf("%v and %v have keys %x and %x", a, b, keyA, keyB)
		}
		if back, ok := readTime([]byte(keyA)); !ok || !back.Equal(a) {
			t.Errorf("%v comes back as %v, %t", a, back, ok)
		}
	})
}

func internalStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "notifier.db")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var errDisk = errors.New("the disk says no")

// TestACommitOfUnknownOutcomeEndsWriting: the last page is in the file, and the
// disk did not confirm it.
func TestACommitOfUnknownOutcomeEndsWriting(t *testing.T) {
	ctx := t.Context()
	s := internalStore(t)
	s.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), errDisk) }
	err := s.SaveAccount(ctx, event.Account{Name: "main"})
	if !errors.Is(err, ErrUncertain) || !errors.Is(err, errDisk) {
		t.Fatalf("error = %v", err)
	}
	s.commit = (*bolt.Tx).Commit
	if err := s.SaveAccount(ctx, event.Account{Name: "second"}); !errors.Is(err, ErrUncertain) {
		t.Errorf("afterwards: %v", err)
	}
	if accounts, err := s.Accounts(ctx); err != nil || len(accounts) != 1 {
		t.Errorf("reading: %v, %v", accounts, err)
	}
}

// TestACommitThatFailedWithoutATrace, or that panicked, leaves a store that
// goes on.
func TestACommitThatFailedWithoutATrace(t *testing.T) {
	ctx := t.Context()
	s := internalStore(t)
	s.commit = func(tx *bolt.Tx) error { return errors.Join(tx.Rollback(), errDisk) }
	if err := s.SaveAccount(ctx, event.Account{Name: "main"}); !errors.Is(err, errDisk) || errors.Is(err, ErrUncertain) {
		t.Fatalf("error = %v", err)
	}
	s.commit = func(*bolt.Tx) error { panic("a page is not what it should be") }
	if err := s.SaveAccount(ctx, event.Account{Name: "main"}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("error = %v", err)
	}
	s.commit = (*bolt.Tx).Commit
	if accounts, err := s.Accounts(ctx); err != nil || len(accounts) != 0 {
		t.Errorf("left: %v, %v", accounts, err)
	}
	if err := s.SaveAccount(ctx, event.Account{Name: "main"}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := s.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// TestWritersThatWaitAreCommittedTogether holds the first commit until many
// wait, and counts the transactions.
func TestWritersThatWaitAreCommittedTogether(t *testing.T) {
	ctx := t.Context()
	s := internalStore(t)
	commits, started, waiting := 0, make(chan struct{}), make(chan struct{})
	s.commit = func(tx *bolt.Tx) error {
		if commits++; commits == 1 {
			close(started)
			<-waiting
		}
		return tx.Commit()
	}
	const writers = 32
	done := make(chan error, writers+2)
	save := func(name string) { done <- s.SaveAccount(ctx, event.Account{Name: name}) }
	queued := func(n int) {
		for {
			s.mu.Lock()
			reached := len(s.queue) >= n
			s.mu.Unlock()
			if reached {
				return
			}
			runtime.Gosched()
		}
	}
	go save("first")
	<-started
	for i := range writers {
		go save(string(rune('a' + i)))
	}
	queued(writers)
	cancelled, cancel := context.WithCancel(ctx)
	withdrawn := make(chan error, 1)
	go func() { withdrawn <- s.SaveAccount(cancelled, event.Account{Name: "withdrawn"}) }()
	queued(writers + 1)
	cancel()
	close(waiting)
	for range writers + 1 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := <-withdrawn; !errors.Is(err, context.Canceled) {
		t.Errorf("a writer whose context ended: %v", err)
	}
	accounts, err := s.Accounts(ctx)
	if err != nil || len(accounts) != writers+1 || commits != 2 {
		t.Errorf("%d accounts in %d transactions, %v", len(accounts), commits, err)
	}
}
