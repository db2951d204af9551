package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"checkout-notifier/event"
)

// Identity tells a state file from others.
type Identity struct {
	ID       string          `json:"id,omitempty"` // see Store.ID
	Accounts []event.Account `json:"-"`
}

// Contents is what Check found in a sound file.
type Contents struct {
	Path string `json:"path"`
	Identity
	Bytes  int64 `json:"bytes"`
	Schema int   `json:"schema"`
	// Older: an earlier version wrote it. The first run with it migrates it; until
	// then its structure alone can be checked, and the numbers are not known.
	Older       bool      `json:"older,omitempty"`
	Sessions    int       `json:"sessions"`
	Events      int       `json:"events"`
	Deliveries  int       `json:"deliveries"`
	Pending     int       `json:"pending"`
	DeadLetters int       `json:"dead_letters"`
	LastEvent   time.Time `json:"last_event,omitzero"` // when its newest event was found
}

// Check verifies a file that is, or is to become, a state file: all that Verify
// checks of a store. It waits up to 2 seconds for a process that has the file.
// Errors: that of ctx, ErrMissing, ErrHeld, ErrForeign, ErrNewer, ErrDamaged, ErrDirectory.
func Check(ctx context.Context, path string) (Contents, error) {
	s, err := OpenReadOnly(ctx, Config{Path: path})
	if older := olderSchema(0); errors.As(err, &older) {
		info, err := os.Stat(path)
		if err != nil {
			return Contents{}, err
		}
		return Contents{Path: path, Bytes: info.Size(), Schema: int(older), Older: true}, nil
	}
	if err != nil {
		return Contents{}, aboutFile(path, err)
	}
	c, err := s.contents(ctx)
	if err == nil {
		err = s.Verify(ctx)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return Contents{}, aboutFile(path, err)
	}
	return c, nil
}

// olderSchema is the schema of a file that is to be migrated first.
type olderSchema uint64

func (o olderSchema) Error() string { return fmt.Sprintf("schema %d", uint64(o)) }

// aboutFile says of a file that need not be the state file what is wrong with it.
func aboutFile(path string, err error) error {
	var own *fault
	if !errors.As(err, &own) {
		return err
	}
	switch {
	case errors.Is(own.kind, ErrDamaged):
		return &fault{kind: ErrDamaged, cause: own.cause, message: fmt.Sprintf("%s is damaged: %v", path, own.cause)}
	case errors.Is(own.kind, ErrForeign):
		return &fault{kind: ErrForeign, message: path + " is a bbolt file of another program"}
	case errors.Is(own.kind, ErrDirectory):
		return &fault{kind: ErrDirectory, cause: own.cause, message: fmt.Sprintf("%s cannot be read: %v", path, reason(own.cause))}
	case errors.Is(own.kind, ErrMissing):
		return &fault{kind: ErrMissing, cause: own.cause, message: "there is no state file " + path}
	}
	return err
}

// Identify reads what tells the state file at a path from others, unless another process
// has it. Errors are those of OpenReadOnly.
func Identify(ctx context.Context, path string) (Identity, error) {
	s, err := open(ctx, path, os.O_RDONLY, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return Identity{}, err
	}
	found, err := s.identity(ctx)
	return found, errors.Join(err, s.Close())
}

func (s *Store) identity(ctx context.Context) (i Identity, err error) {
	if i.ID, err = s.ID(ctx); err != nil {
		return i, err
	}
	i.Accounts, err = s.Accounts(ctx)
	return i, err
}

func (s *Store) contents(ctx context.Context) (c Contents, err error) {
	c = Contents{Path: s.path, Schema: schema}
	if c.Bytes, err = s.Size(); err != nil {
		return c, err
	}
	err = s.view(ctx, "looking through "+s.path, func(tx *transaction) error {
		c.Sessions = tx.Bucket(bucketIndex).Stats().KeyN
		c.Events = tx.Bucket(bucketEventIDs).Stats().KeyN
		c.Deliveries = tx.Bucket(bucketDeliveryIDs).Stats().KeyN
		if key, row := tx.Bucket(bucketEvents).Cursor().Last(); key != nil {
			var e event.Event
			if err := decodeEvent(row, &e); err != nil {
				return inconsistent(s.path, "event %d: %v", lastSequence(key), err)
			}
			c.LastEvent = e.Time.UTC()
		}
		return nil
	})
	if err == nil {
		c.Identity, err = s.identity(ctx)
	}
	if err != nil {
		return c, err
	}
	destinations, err := s.Destinations(ctx)
	for _, d := range destinations {
		c.Pending += d.Pending
		c.DeadLetters += d.Dead
	}
	return c, err
}
