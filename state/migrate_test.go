package state_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// downgrade makes of a file what schema 1 had of it.
func downgrade(t *testing.T, path string) {
	t.Helper()
	edit(t, path, func(tx *bolt.Tx) error {
		var moved error
		err := tx.Bucket([]byte("retries")).ForEach(func(key, id []byte) error {
			moved = errors.Join(moved, tx.Bucket([]byte("due")).Put(bytes.Clone(key), bytes.Clone(id)))
			return nil
		})
		for _, name := range []string{"retries", "audit", "conditions"} {
			err = errors.Join(err, tx.DeleteBucket([]byte(name)))
		}
		return errors.Join(err, moved, tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 1)))
	})
}

func TestAFileOfSchema1IsMigrated(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	fresh, refused := queue(t, s, "1", "cs_1", "shop"), queue(t, s, "2", "cs_2", "shop")
	later := refused
	later.Slots = 1
	resolve(t, s, event.Verdict{Delivery: later, Retry: start.Add(time.Hour)})
	s.Close()
	downgrade(t, cfg.Path)

	if _, err := state.OpenReadOnly(t.Context(), cfg); !errors.Is(err, state.ErrOlder) {
		t.Errorf("OpenReadOnly of schema 1: %v", err)
	}
	s = openStore(t, cfg)
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	jobs, _, err := s.Due(t.Context(), "shop", start.Add(2*time.Hour), 0, 10, nil)
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
