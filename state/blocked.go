package state

import (
	"bytes"
	"context"

	"checkout-notifier/event"
)

// What a NATS destination takes nothing for waits under its subject, out of the way
// of everything else: however much that is, only what is unblocked is ever read.

func subjectPrefix(subject string) []byte { return appendText([]byte{kindBlocked}, subject) }

func blockedKey(subject string, sequence uint64) []byte {
	return appendSequence(subjectPrefix(subject), sequence)
}

// unblock makes the first deliveries due that wait for a subject, and returns
// their ids.
func unblock(b *batch, u *event.Unblock) (ids []string, err error) {
	var sequences []uint64
	err = b.tx.queue(u.Destination).each(subjectPrefix(u.Subject), func(key, _ []byte) (bool, error) {
		sequences = append(sequences, lastSequence(key))
		return len(sequences) < u.Limit, nil
	})
	for _, sequence := range sequences {
		if err != nil {
			return nil, err
		}
		var r record
		if r, err = readRecord(b.tx, sequence); err != nil {
			return nil, err
		}
		err = b.makeDue(&r, u.Due)
		ids = append(ids, r.ID)
	}
	return ids, err
}

// BlockedSubjects returns at most limit of the subjects for which deliveries of a
// destination wait, each once, beginning behind after; "" begins with the first.
// Their order is fixed and means nothing.
func (s *Store) BlockedSubjects(ctx context.Context, destination, after string, limit int) (subjects []string, err error) {
	err = s.view(ctx, "reading the blocked subjects of "+destination, func(tx *transaction) error {
		subjects = nil
		queue := tx.queue(destination)
		if queue == nil {
			return nil
		}
		c := queue.Cursor()
		from := []byte{kindBlocked}
		if after != "" {
			from = behindSubject(after)
		}
		for key, _ := c.Seek(from); len(subjects) < limit && bytes.HasPrefix(key, []byte{kindBlocked}); {
			subject, _, ok := cutText(key[1:])
			if !ok {
				return inconsistent(s.path, "an entry of what is blocked for %s is unreadable", destination)
			}
			subjects = append(subjects, subject)
			key, _ = c.Seek(behindSubject(subject))
		}
		return nil
	})
	return subjects, err
}

// behindSubject is the key behind all that wait for a subject.
func behindSubject(subject string) []byte { return append(blockedKey(subject, ^uint64(0)), 0) }
