package state

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"

	bolt "go.etcd.io/bbolt"

	"checkout-notifier/event"
)

// Account returns what is remembered of an account, and whether it is known.
func (s *Store) Account(ctx context.Context, name string) (account event.Account, found bool, err error) {
	err = s.view(ctx, "reading account "+name, func(tx *bolt.Tx) error {
		account, found, err = readAccount(tx, name)
		return err
	})
	return account, found && err == nil, err
}

func readAccount(tx *bolt.Tx, name string) (account event.Account, found bool, err error) {
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
	err = s.view(ctx, "reading the accounts", func(tx *bolt.Tx) error {
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
	doing := "saving account " + account.Name
	return s.write(ctx, doing, func(b *batch) error {
		if err := checkTexts("account", account.Name); err != nil {
			return err
		}
		stored, _, err := readAccount(b.tx, account.Name)
		if err != nil {
			return err
		}
		next := account
		if stored.ForgottenBefore.After(next.ForgottenBefore) {
			next.ForgottenBefore = stored.ForgottenBefore
		}
		return putAccount(b, &next)
	})
}

func putAccount(b *batch, account *event.Account) error {
	row, err := marshal(account)
	if err != nil {
		return invalid("account %s: %v", account.Name, err)
	}
	return b.put(bucketAccounts, []byte(account.Name), row)
}

// indexPage is how many rows Index reads in one transaction.
const indexPage = 2000

// Index yields the index rows of an account by id, without reading snapshots.
// No transaction is open while the caller works on a row, so that it may call
// any method; a row that changes meanwhile is seen in its old or its new form.
func (s *Store) Index(ctx context.Context, account string) iter.Seq2[event.Tracked, error] {
	return func(yield func(event.Tracked, error) bool) {
		prefix := appendText(nil, account)
		from := prefix
		for from != nil {
			var rows []event.Tracked
			err := s.view(ctx, "reading the index of account "+account, func(tx *bolt.Tx) error {
				var err error
				rows, from, err = indexRows(tx, prefix, from)
				return err
			})
			if err != nil {
				yield(event.Tracked{}, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// indexRows reads one page and returns where the next one begins, nil at the end.
func indexRows(tx *bolt.Tx, prefix, from []byte) (rows []event.Tracked, next []byte, err error) {
	c := tx.Bucket(bucketIndex).Cursor()
	for key, row := c.Seek(from); bytes.HasPrefix(key, prefix); key, row = c.Next() {
		if len(rows) == indexPage {
			return rows, bytes.Clone(key), nil
		}
		id := string(key[len(prefix):])
		t, err := decodeTracked(id, row)
		if err != nil {
			return nil, nil, inconsistent(tx.DB().Path(), "index row of session %s: %v", id, err)
		}
		rows = append(rows, t)
	}
	return rows, nil, nil
}

// Snapshots returns the snapshots of some sessions, by id; unknown ones are
// missing.
func (s *Store) Snapshots(ctx context.Context, account string, ids []string) (map[string]event.Snapshot, error) {
	snapshots := make(map[string]event.Snapshot, len(ids))
	err := s.view(ctx, "reading sessions of account "+account, func(tx *bolt.Tx) error {
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
	err := s.view(ctx, "reading the numbers of sessions", func(tx *bolt.Tx) error {
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
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// Destinations returns the state of every destination that ever had a delivery,
// by name, whether or not the configuration still names it.
func (s *Store) Destinations(ctx context.Context) (states []event.DestinationState, err error) {
	err = s.view(ctx, "reading the destinations", func(tx *bolt.Tx) error {
		return tx.Bucket(bucketDestinations).ForEach(func(name, row []byte) error {
			var state event.DestinationState
			if err := json.Unmarshal(row, &state); err != nil {
				return inconsistent(s.path, "state of destination %s: %v", name, err)
			}
			prefix := appendText(nil, state.Name)
			if key, created := tx.Bucket(bucketPending).Cursor().Seek(prefix); bytes.HasPrefix(key, prefix) {
				state.OldestPending, _ = readTime(created)
			}
			states = append(states, state)
			return nil
		})
	})
	return states, err
}
