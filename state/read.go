package state

import (
	"context"
	"encoding/json"

	"checkout-notifier/event"
)

// Account returns what is remembered of an account, and whether it is known.
func (s *Store) Account(ctx context.Context, name string) (account event.Account, found bool, err error) {
	err = s.view(ctx, "reading account "+name, func(tx *transaction) error {
		account, found, err = readAccount(tx, name)
		return err
	})
	return account, found && err == nil, err
}

func readAccount(tx *transaction, name string) (account event.Account, found bool, err error) {
	row := tx.Bucket(bucketAccounts).Get([]byte(name))
	if row == nil {
		return account, false, nil
	}
	if err := json.Unmarshal(row, &account); err != nil {
		return event.Account{}, false, inconsistent(tx.DB().Path(), "account %s: %v", name, err)
	}
	return account, true, nil
}

// Accounts returns all accounts by name, those that the configuration no longer
// names too.
func (s *Store) Accounts(ctx context.Context) (accounts []event.Account, err error) {
	err = s.view(ctx, "reading the accounts", func(tx *transaction) error {
		return tx.Bucket(bucketAccounts).ForEach(func(name, _ []byte) error {
			account, _, err := readAccount(tx, string(name))
			accounts = append(accounts, account)
			return err
		})
	})
	return accounts, err
}

// SaveAccount stores an account. Its ForgottenBefore never goes back: a caller
// that read the account before sessions were pruned does not undo that.
func (s *Store) SaveAccount(ctx context.Context, account event.Account) error {
	return s.SaveAccounts(ctx, account)
}

// SaveAccounts stores several accounts as SaveAccount does, all or none of them.
func (s *Store) SaveAccounts(ctx context.Context, accounts ...event.Account) error {
	return s.write(ctx, "saving accounts", func(b *batch) error {
		for _, next := range accounts {
			if err := checkTexts("account", next.Name); err != nil {
				return err
			}
			stored, _, err := readAccount(b.tx, next.Name)
			if err != nil {
				return err
			}
			if stored.ForgottenBefore.After(next.ForgottenBefore) {
				next.ForgottenBefore = stored.ForgottenBefore
			}
			if err := putAccount(b, &next); err != nil {
				return err
			}
		}
		return nil
	})
}

func putAccount(b *batch, account *event.Account) error {
	row, err := event.Marshal(account)
	if err != nil {
		return invalid("account %s: %v", account.Name, err)
	}
	return b.put(bucketAccounts, []byte(account.Name), row)
}

// rowsPerCheck is how many rows Tracked reads before it looks at its context.
const rowsPerCheck = 1000

// Tracked calls each with the index rows of an account, by id, without reading
// snapshots. The row is valid during the call only, its strings may be kept. All
// is read in one transaction, for which a writer may have to wait: each must be
// quick and call no method of the store. Its error ends the reading.
func (s *Store) Tracked(ctx context.Context, account string, each func(*event.Tracked) error) error {
	prefix := appendText(nil, account)
	return s.view(ctx, "reading the index of account "+account, func(tx *transaction) error {
		d := trackedDecoder{known: make(map[string]string)}
		var row event.Tracked
		n := 0
		return tx.table(bucketIndex).each(prefix, func(key, value []byte) (bool, error) {
			if n++; n%rowsPerCheck == 0 && ctx.Err() != nil {
				return false, ctx.Err()
			}
			id := string(key[len(prefix):])
			if err := d.decode(&row, id, value); err != nil {
				return false, inconsistent(tx.DB().Path(), "index row of session %s: %v", id, err)
			}
			return true, each(&row)
		})
	})
}

// Snapshots returns the snapshots of some sessions, by id; unknown ones are
// missing.
func (s *Store) Snapshots(ctx context.Context, account string, ids []string) (map[string]event.Snapshot, error) {
	snapshots := make(map[string]event.Snapshot, len(ids))
	err := s.view(ctx, "reading sessions of account "+account, func(tx *transaction) error {
		for _, id := range ids {
			row := tx.Bucket(bucketIndex).Get(indexKey(account, id))
			if row == nil {
				continue
			}
			t, err := decodeTracked(id, row)
			if err != nil {
				return inconsistent(s.path, "index row of session %s: %v", id, err)
			}
			var snapshot event.Snapshot
			if err := json.Unmarshal(tx.Bucket(bucketSessions).Get(sessionKey(account, t.Created, id)), &snapshot); err != nil {
				return inconsistent(s.path, "session %s: %v", id, err)
			}
			snapshots[id] = snapshot
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return snapshots, nil
}

// SessionCounts returns how many sessions each account has in each watch state.
func (s *Store) SessionCounts(ctx context.Context) (map[string]map[event.Watch]int, error) {
	counts := make(map[string]map[event.Watch]int)
	err := s.view(ctx, "reading the numbers of sessions", func(tx *transaction) error {
		return tx.Bucket(bucketCounts).ForEach(func(key, row []byte) error {
			account, watch, ok := cutText(key)
			if !ok || len(row) != 8 {
				return inconsistent(s.path, "the numbers of sessions are unreadable")
			}
			if counts[account] == nil {
				counts[account] = make(map[event.Watch]int)
			}
			if n := readCount(row); n != 0 {
				counts[account][event.Watch(watch)] = n
			}
			return nil
		})
	})
	return counts, err
}

// refused fills in the deliveries to a destination that it refused before. It looks at
// the first of those that wait for another try, among which are some that were not refused
// but whose NATS subject took nothing.
func refused(tx *transaction, to *event.DestinationState) error {
	left := event.MostRefused
	return tx.queue(to.Name).each([]byte{kindRetry}, func(key, _ []byte) (bool, error) {
		d, err := readRecord(tx, lastSequence(key))
		to.Refused += min(1, d.Slots)
		if d.Slots > 0 && d.Attempts >= event.OftenRefused && d.HeldAt != nil && !event.IsSystemType(d.EventType) {
			var r event.Refusal
			r, err = refusals(tx, &d)
			to.Refusals = append(to.Refusals, r)
		}
		left--
		return left > 0, err
	})
}

// refusals says when a delivery was refused since it waits.
func refusals(tx *transaction, d *record) (r event.Refusal, err error) {
	a, err := lastTry(tx, d)
	r = event.Refusal{Up: *d.HeldAt, Last: a.RefusedAt()}
	for n := 1; n <= d.Attempts && err == nil && r.First.Before(d.Since()); n++ {
		a, err = readAttempt(tx, d, n)
		r.First = a.RefusedAt()
	}
	return r, err
}

// Destinations returns the state of every destination that ever had a delivery,
// by name, whether or not the configuration still names it.
func (s *Store) Destinations(ctx context.Context) (states []event.DestinationState, err error) {
	err = s.view(ctx, "reading the destinations", func(tx *transaction) error {
		return tx.Bucket(bucketDestinations).ForEach(func(name, row []byte) error {
			var state event.DestinationState
			if err := json.Unmarshal(row, &state); err != nil {
				return inconsistent(s.path, "state of destination %s: %v", name, err)
			}
			_, since := tx.queue(state.Name).seek([]byte{kindPending}, []byte{kindPending})
			state.OldestPending, _ = readTime(since)
			again, _ := tx.queue(state.Name).seek([]byte{kindRetry}, []byte{kindRetry})
			state.NextRetry, _ = readDue(again)
			err := refused(tx, &state)
			states = append(states, state)
			return err
		})
	})
	return states, err
}
