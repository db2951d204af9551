package state_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// indexes are the names that schema 2 had for the kinds of rows of a queue.
var indexes = map[byte]string{'d': "due", 'o': "order", 'p': "pending", 'r': "retries"}

// downgrade makes of a file what an earlier schema had of it.
func downgrade(t *testing.T, path string, to uint64) {
	t.Helper()
	edit(t, path, func(tx *bolt.Tx) (err error) {
		queues := tx.Bucket([]byte("queues"))
		for destination := range keys(queues) { // what is sent again was among what is new
			queue := queues.Bucket([]byte(destination))
			for _, key := range slices.Collect(keys(queue)) {
				if key[0] == 'a' {
					err = errors.Join(err, queue.Put([]byte("d"+key[1:]), queue.Get([]byte(key))), queue.Delete([]byte(key)))
				}
			}
		}
		err = errors.Join(err, tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, to)))
		if to == 3 {
			return err
		}
		for kind, name := range indexes {
			if kind == 'r' && to == 1 {
				continue // they were among the others
			}
			_, failed := tx.CreateBucket([]byte(name))
			err = errors.Join(err, failed)
		}
		for destination := range keys(queues) {
			queue := queues.Bucket([]byte(destination))
			for key := range keys(queue) {
				kind := key[0]
				if kind == 'r' && to == 1 {
					kind = 'd'
				}
				old := append(binary.BigEndian.AppendUint16(nil, uint16(len(destination))), destination+key[1:]...)
				err = errors.Join(err, tx.Bucket([]byte(indexes[kind])).Put(old, queue.Get([]byte(key))))
			}
		}
		err = errors.Join(err, tx.DeleteBucket([]byte("queues")))
		if to == 1 {
			err = errors.Join(err, tx.DeleteBucket([]byte("audit")), tx.DeleteBucket([]byte("conditions")))
		}
		return err
	})
}

// keys are those of a bucket.
func keys(b *bolt.Bucket) iter.Seq[string] {
	return func(yield func(string) bool) {
		c := b.Cursor()
		for key, _ := c.First(); key != nil && yield(string(key)); key, _ = c.Next() {
		}
	}
}

// TestAFileOfAnEarlierVersionIsMigrated, one that it wrote itself: some deliveries
// are due, parked, refused, dead and accepted.
func TestAFileOfAnEarlierVersionIsMigrated(t *testing.T) {
	packed, err := os.Open("testdata/schema2.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	cfg := state.Config{Path: filepath.Join(t.TempDir(), "notifier.db")}
	if err := os.WriteFile(cfg.Path, content, 0o600); err != nil {
		t.Fatal(err)
	}

	s := openStore(t, cfg)
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{"evt_a0000", "evt_a0001", "evt_a0002", "evt_a0003", "evt_first"}
	if diff := cmp.Diff(want, dueIDs(t, s, "shop", start)); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(want, "evt_refused"), dueIDs(t, s, "shop", start.Add(time.Hour))); diff != "" {
		t.Errorf("due in an hour (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:4], dueIDs(t, s, "bus", start)); diff != "" {
		t.Errorf("due for another (-want +got):\n%s", diff)
	}
	states, err := s.Destinations(t.Context())
	if err != nil || len(states) != 3 || states[2].Pending != 7 || !states[2].OldestPending.Equal(start) {
		t.Errorf("destinations: %v, %v", states, err)
	}
	// The parked one is woken by the one before it.
	first := due(t, s, "shop", start)[4].Delivery
	resolve(t, s, event.Verdict{Delivery: first, Accepted: true, At: start})
	if got := dueIDs(t, s, "shop", start); !slices.Contains(got, "evt_second") {
		t.Errorf("due after the first of a session: %v", got)
	}
	kept, err := os.ReadFile(cfg.Path + ".schema2")
	if err != nil || !bytes.Equal(kept, content) {
		t.Errorf("the file before the migration is not as it was: %v", err)
	}
}

func TestAFileOfSchema1IsMigrated(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	fresh, refused := queue(t, s, "1", "cs_1", "shop"), queue(t, s, "2", "cs_2", "shop")
	later := refused
	later.Slots = 1
	resolve(t, s, event.Verdict{Delivery: later, Retry: start.Add(time.Hour)})
	s.Close()
	downgrade(t, cfg.Path, 1)

	if _, err := state.OpenReadOnly(t.Context(), cfg); !errors.Is(err, state.ErrOlder) {
		t.Errorf("OpenReadOnly of schema 1: %v", err)
	}
	s = openStore(t, cfg)
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	jobs, _, err := s.Due(t.Context(), "shop", event.Look{Now: start.Add(2 * time.Hour), Again: 10})
	if err != nil || len(jobs) != 1 || jobs[0].Delivery.ID != refused.ID {
		t.Errorf("retries after the migration: %v, %v", jobs, err)
	}
	if diff := cmp.Diff([]string{fresh.EventID}, dueIDs(t, s, "shop", start)); diff != "" {
		t.Errorf("due after the migration (-want +got):\n%s", diff)
	}

	// The file as it was stays readable for the version that wrote it.
	kept := cfg.Path + ".schema1"
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file before the migration: %v, %v", info, err)
	}
	edit(t, kept, func(tx *bolt.Tx) error {
		if schema := tx.Bucket([]byte("meta")).Get([]byte("schema")); binary.BigEndian.Uint64(schema) != 1 {
			t.Errorf("the file before the migration has schema %x", schema)
		}
		return nil
	})
}
