package state

import (
	"bytes"
	"slices"
	"time"

	"checkout-notifier/event"
)

// sessionPruner walks the sessions of each account from the oldest on.
type sessionPruner struct {
	created, looked time.Time
	reach           time.Duration
	borders         map[string]time.Time    // by account, as the transaction at hand shows it
	holes           map[string][]event.Hole // by account, likewise
}

// border returns the time before which a session of an account must have been
// created: zero for an account of which no chain was ever complete, or that was
// never saved, so that nothing could remember that its sessions are forgotten.
func (p *sessionPruner) border(tx *transaction, name string) (time.Time, error) {
	if border, known := p.borders[name]; known {
		return border, nil
	}
	account, _, err := readAccount(tx, name)
	if err != nil {
		return time.Time{}, err
	}
	border := p.created
	if account.Low.IsZero() {
		border = time.Time{}
	} else if reached := account.Low.Add(-p.reach); reached.Before(border) {
		border = reached
	}
	p.borders[name], p.holes[name] = border, account.Holes
	return border, nil
}

// find leaves an account at the first session that is too young.
func (p *sessionPruner) find(tx *transaction, from []byte) (keys [][]byte, next []byte, err error) {
	p.borders, p.holes = make(map[string]time.Time), make(map[string][]event.Hole)
	var past []byte // prefix of an account of which only young sessions are left
	keys, next, err = scan(tx.Bucket(bucketSessions), from, func(key, _ []byte) (bool, bool, error) {
		take, young, err := p.old(tx, key)
		if young {
			name, _, _ := cutText(key)
			past = appendText(nil, name)
		}
		return take, !young, err
	})
	if past != nil && err == nil {
		next = behind(past)
	}
	return keys, next, err
}

// behind returns the first key that does not begin with a prefix and sorts
// after those that do.
func behind(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

// inHole says whether a session lies where the API could not show others: were it
// pruned, nobody could tell later which of them are new.
func (p *sessionPruner) inHole(account string, created time.Time) bool {
	return slices.ContainsFunc(p.holes[account], func(h event.Hole) bool { return h.Covers(created) })
}

// old says whether a session may go, and whether it is so young that all behind
// it in its account are too.
func (p *sessionPruner) old(tx *transaction, key []byte) (old, young bool, err error) {
	account, rest, ok := cutText(key)
	created, id, ok2 := cutSessionKey(rest)
	if !ok || !ok2 {
		return false, false, inconsistent(tx.DB().Path(), "a key of sessions is unreadable")
	}
	border, err := p.border(tx, account)
	if err != nil || !created.Before(border) {
		return false, err == nil, err
	}
	t, err := decodeTracked(id, tx.Bucket(bucketIndex).Get(indexKey(account, id)))
	if err != nil {
		return false, false, inconsistent(tx.DB().Path(), "index row of session %s: %v", id, err)
	}
	done := t.Watch.Is(event.Settled) || t.Watch.Is(event.GivenUp) || t.Watch.Is(event.Vanished)
	return done && !t.Held && !p.inHole(account, t.Created) && t.Created.Before(border) && t.LookedAt.Before(p.looked), false, nil
}

func (p *sessionPruner) remove(b *batch, keys [][]byte, pruned *Pruned) error {
	p.borders, p.holes = make(map[string]time.Time), make(map[string][]event.Hole)
	newest := make(map[string]time.Time) // created, by account
	for _, key := range keys {
		if b.get(bucketSessions, key) == nil {
			continue
		}
		old, _, err := p.old(b.tx, key)
		if err != nil {
			return err
		}
		if !old {
			continue // looked at again since it was found
		}
		account, rest, _ := cutText(key)
		_, id, _ := cutSessionKey(rest)
		t, err := decodeTracked(id, b.get(bucketIndex, indexKey(account, id)))
		if err != nil {
			return inconsistent(b.tx.DB().Path(), "index row of session %s: %v", id, err)
		}
		b.count(account, t.Watch, -1)
		if err := b.remove(bucketIndex, indexKey(account, id)); err != nil {
			return err
		}
		if err := b.remove(bucketSessions, key); err != nil {
			return err
		}
		if t.Created.After(newest[account]) {
			newest[account] = t.Created
		}
		pruned.Sessions++
	}
	return forget(b, newest)
}

// forget raises the border below which an account's sessions are not known.
func forget(b *batch, newest map[string]time.Time) error {
	for name, created := range newest {
		account, _, err := readAccount(b.tx, name)
		if err != nil {
			return err
		}
		border := created.Add(time.Millisecond)
		if !border.After(account.ForgottenBefore) {
			continue
		}
		account.ForgottenBefore = border
		if err := putAccount(b, &account); err != nil {
			return err
		}
	}
	return nil
}
