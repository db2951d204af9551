package state

import (
	"bytes"
	"context"

	"checkout-notifier/event"
)

// SaveJob stores the row of a job under its id, in place of an earlier one.
// What a row says is its owner's; here it only has to be JSON.
func (s *Store) SaveJob(ctx context.Context, id string, row []byte) error {
	return s.RecordJob(ctx, id, row, nil)
}

// RecordJob stores the row of a job and, in the same transaction, what audit says
// of the change; before is nil for a new job. audit may be nil, may return nil,
// and may be called more than once.
func (s *Store) RecordJob(ctx context.Context, id string, row []byte, audit func(before []byte) []event.AuditEntry) error {
	return s.write(ctx, "storing job "+id, func(b *batch) error {
		if err := checkTexts("job", id); err != nil {
			return err
		}
		// A file of an earlier version does not have the bucket.
		jobs, err := b.tx.CreateBucketIfNotExists(bucketJobs)
		if err != nil {
			return err
		}
		if audit != nil {
			if err := writeAudit(b, audit(bytes.Clone(jobs.Get([]byte(id))))...); err != nil {
				return err
			}
		}
		return jobs.Put([]byte(id), row)
	})
}

// Job returns the row of a job, and whether there is one.
func (s *Store) Job(ctx context.Context, id string) (row []byte, found bool, err error) {
	err = s.view(ctx, "reading job "+id, func(tx *transaction) error {
		if jobs := tx.Bucket(bucketJobs); jobs != nil && id != "" {
			row = bytes.Clone(jobs.Get([]byte(id)))
		}
		return nil
	})
	return row, row != nil && err == nil, err
}

// Jobs returns at most limit rows, greatest id first, of those whose id is less
// than before; "" begins at the greatest.
func (s *Store) Jobs(ctx context.Context, before string, limit int) (rows [][]byte, err error) {
	err = s.view(ctx, "reading jobs", func(tx *transaction) error {
		jobs := tx.Bucket(bucketJobs)
		if jobs == nil {
			return nil
		}
		c := jobs.Cursor()
		key, row := c.Last()
		if before != "" {
			if key, _ = c.Seek([]byte(before)); key == nil {
				key, row = c.Last()
			} else {
				key, row = c.Prev()
			}
		}
		for ; key != nil && len(rows) < limit; key, row = c.Prev() {
			rows = append(rows, bytes.Clone(row))
		}
		return nil
	})
	return rows, err
}

// DeleteJobs removes jobs; those that are not there are no error.
func (s *Store) DeleteJobs(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, "removing jobs", func(b *batch) error {
		jobs := b.tx.Bucket(bucketJobs)
		if jobs == nil {
			return nil
		}
		for _, id := range ids {
			if err := jobs.Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
}
