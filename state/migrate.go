package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// migrate brings a file of an earlier schema up to date, in one transaction. The
// file as it was stays beside it, for the version that wrote it.
func (s *Store) migrate(from uint64) error {
	kept := fmt.Sprintf("%s.schema%d", s.path, from)
	if err := s.copyTo(kept); err != nil {
		return fmt.Errorf("copying state file %s before it is migrated: %w", s.path, s.classify(err))
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		return guard(func() error {
			for _, name := range buckets() {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			if from < 3 {
				if err := separateQueues(tx); err != nil {
					return err
				}
			}
			if err := separateKinds(tx); err != nil {
				return err
			}
			return tx.Bucket(bucketMeta).Put(keySchema, binary.BigEndian.AppendUint64(nil, schema))
		})
	})
	if err != nil {
		return fmt.Errorf("migrating state file %s: %w", s.path, s.classify(err))
	}
	s.log.Info("state file migrated", "path", s.path, "schema", schema, "before", kept)
	return nil
}

// copyTo writes a copy of the file, whole or not at all. Nobody may write to it
// meanwhile.
func (s *Store) copyTo(path string) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	// bbolt's own way to copy opens the file by our hook, which gives it the one
	// that it has, and closes that.
	_, err = io.Copy(file, io.NewSectionReader(s.db.file(), 0, math.MaxInt64))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return syncDirectory(filepath.Dir(path))
}

// separateQueues gives each destination a queue of its own: until schema 2 all
// shared an index of each kind, whose keys began with the destination.
func separateQueues(tx *bolt.Tx) error {
	b := newBatch(tx)
	for _, index := range []struct {
		name string
		kind byte
	}{{"due", kindDue}, {"order", kindOrder}, {"pending", kindPending}, {"retries", kindRetry}} { // in order, so that each row is put at the end
		rows := tx.Bucket([]byte(index.name))
		if rows == nil {
			continue // schema 1 had the retries among what is due
		}
		err := rows.ForEach(func(key, value []byte) error {
			destination, rest, ok := cutText(key)
			if !ok {
				return inconsistent(tx.DB().Path(), "an entry of index %s is unreadable", index.name)
			}
			return b.enqueue(destination, append([]byte{index.kind}, rest...), value)
		})
		if err != nil {
			return err
		}
		if err := tx.DeleteBucket([]byte(index.name)); err != nil {
			return err
		}
	}
	return nil
}

// separateKinds moves what was refused before, or is sent again, out of what is new: in
// schema 1 all stood together, and until schema 3 what is sent again and what is new.
func separateKinds(tx *bolt.Tx) error {
	deliveries := remembering(tx)
	return tx.Bucket(bucketQueues).ForEachBucket(func(destination []byte) error {
		queue := deliveries.queue(string(destination))
		moved := make(map[string]byte)
		err := queue.each([]byte{kindDue}, func(key, _ []byte) (bool, error) {
			r, err := readRecord(deliveries, lastSequence(key))
			if err == nil && r.kind != kindDue {
				moved[string(key)] = r.kind
			}
			return true, err
		})
		for key, kind := range moved {
			id := queue.Get([]byte(key))
			err = errors.Join(err, queue.Put(append([]byte{kind}, key[1:]...), id), queue.Delete([]byte(key)))
		}
		return err
	})
}
