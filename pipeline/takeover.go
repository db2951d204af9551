package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// Memory is the store as TakeOver needs it.
type Memory interface {
	Store
	Accounts(ctx context.Context) ([]event.Account, error)
	// SaveAccounts stores all of them or none.
	SaveAccounts(ctx context.Context, accounts ...event.Account) error
	// Tracked calls each with every session of an account; it may not use the store.
	Tracked(ctx context.Context, account string, each func(*event.Tracked) error) error
}

// TakeOver lets each account that was renamed go on where it stopped: it gets what is
// stored under the former names of its key, so that nothing is announced again under
// other ids, and nothing that happened since is left out. All is stored when it returns;
// if it fails or is killed the next call does the rest. It must be called before the
// accounts are polled. The former names keep what they have.
func TakeOver(ctx context.Context, store Memory, configured []poller.Account, log *slog.Logger) error {
	stored, err := store.Accounts(ctx)
	if err != nil {
		return err
	}
	changed := make(map[string]event.Account)
	for i := range configured {
		cfg := &configured[i]
		own := event.Account{Name: cfg.Name}
		own.Host, own.Mode = cfg.Binding()
		if at := slices.IndexFunc(stored, func(a event.Account) bool { return a.Name == cfg.Name }); at >= 0 {
			own = stored[at]
		}
		formers, elsewhere := formersOf(&own, cfg, stored, configured)
		switch {
		case len(formers) > 0:
			if own, err = takeOver(ctx, store, cfg, own, formers, log); err != nil {
				return fmt.Errorf("account %s takes over what is stored under another name: %w", cfg.Name, err)
			}
		case elsewhere != "" && !begun(&own):
			log.Warn("the account has the key of one that is stored under another name and for another API: nothing tells whether both show the same sessions, so it starts now, whatever its `start` says, and what was created before is recorded silently",
				"account", cfg.Name, "stored", elsewhere)
			own.StartOver(time.Now())
		case own.TakenOverBy != "" && hasKey(&own, cfg): // nothing has its key any more
			if err := takeBack(ctx, store, &own); err != nil {
				return fmt.Errorf("account %s takes back what %s went on with: %w", cfg.Name, own.TakenOverBy, err)
			}
			own.TakenOverBy = ""
		case begun(&own) && !hasKey(&own, cfg):
			if err := meet(ctx, store, cfg, stored, configured); err != nil {
				return fmt.Errorf("account %s takes up what is stored under the other names of its key: %w", cfg.Name, err)
			}
			continue
		default:
			continue
		}
		changed[own.Name] = own
		for _, former := range formers {
			if !isPolled(&former, configured) {
				former.TakenOverBy = cfg.Name // or several: an account may be split
				changed[former.Name] = former
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return store.SaveAccounts(ctx, slices.Collect(maps.Values(changed))...)
}

// hasKey says whether an account was last polled with the key that the configuration
// gives to an account.
func hasKey(a *event.Account, cfg *poller.Account) bool {
	return a.KeyHash == event.KeyHash(a.Host, cfg.SecretKey.Reveal())
}

// begun says whether an account has a start, or is to get one at the next answer.
func begun(a *event.Account) bool { return a.StartFixed || a.Restart || !a.Start.IsZero() }

// isPolled says whether the configuration names an account, with the key that it was last
// polled with.
func isPolled(a *event.Account, configured []poller.Account) bool {
	return slices.ContainsFunc(configured, func(cfg poller.Account) bool { return cfg.Name == a.Name && hasKey(a, &cfg) })
}

// formersOf returns the stored accounts that an account takes over, the last polled one at
// the end: those that were last polled with its key, and that the configuration does not
// poll with that key any more. An account that has a start already takes over only its own
// successors: an account that took it over before, even if that is still polled, or one that
// an earlier version started anew when this one had stopped. elsewhere is the name of one
// that has the key, but on another host.
func formersOf(own *event.Account, cfg *poller.Account, stored []event.Account, configured []poller.Account) (formers []event.Account, elsewhere string) {
	host, _ := cfg.Binding()
	for i := range stored {
		a := &stored[i]
		returns := own.TakenOverBy != "" && own.KeyHash == a.KeyHash
		switch {
		case a.TakenOverBy != "" || !begun(a) || !hasKey(a, cfg) || isPolled(a, configured) && !returns:
		case a.Host != host:
			elsewhere = a.Name
		case !begun(own) || returns || own.KeyHash == a.KeyHash && beganAfter(a, own):
			formers = append(formers, *a)
		}
	}
	slices.SortStableFunc(formers, func(a, b event.Account) int { return a.Low.Compare(b.Low) })
	return formers, elsewhere
}

// beganAfter says whether an account began by itself when another one had stopped.
func beganAfter(a, other *event.Account) bool { return a.ByClock && !a.Start.Before(other.Low) }

// takeOver stores the sessions that an account takes over, and returns its record.
func takeOver(ctx context.Context, store Memory, cfg *poller.Account, own event.Account, formers []event.Account, log *slog.Logger) (event.Account, error) {
	last := formers[len(formers)-1]
	log.Warn("the account has the key of one that is stored under another name: it goes on where that one stopped, whatever its `start` says; what that one announced is not announced again, and what happened since is announced",
		"account", cfg.Name, "stored", last.Name, "read_until", last.Low)
	next, resumes := own, !begun(&own) || own.TakenOverBy != ""
	if resumes { // the former ones know all that it knows itself
		next = joined(formers)
		next.Name = cfg.Name
		if start, err := time.Parse(time.RFC3339, cfg.Start); err == nil && !begun(&own) && start.After(next.Start) {
			next.Start = start.UTC()
		}
	}
	for i := range formers {
		err := copySessions(ctx, store, formers[i].Name, cfg.Name, func(s, known *event.Snapshot) bool {
			// Of one that was recorded silently nothing was ever announced: it tells less than
			// what is stored, and else it is left to the start of an account that has one.
			return !s.Silent || s.Revision > 1 || known == nil && resumes
		})
		if err != nil {
			return own, err
		}
		if border := formers[i].ForgottenBefore; border.After(next.ForgottenBefore) {
			next.ForgottenBefore = border
		}
	}
	return next, nil
}

// joined is the record of accounts that become one: it has missed what any of them has missed.
func joined(formers []event.Account) event.Account {
	next := formers[len(formers)-1]
	next.Low = formers[0].Low
	for _, a := range formers[:len(formers)-1] {
		if a.Start.Before(next.Start) {
			next.Start, next.StartFixed, next.ByClock, next.StartShown, next.Polled = a.Start, a.StartFixed, a.ByClock, a.StartShown, a.Polled
		}
		if !a.Reread.IsZero() && (next.Reread.IsZero() || a.Reread.Before(next.Reread)) {
			next.Reread = a.Reread
		}
		next.Holes = poller.JoinHoles(next.Holes, a.Holes)
		for _, row := range a.Unreadable {
			if !slices.ContainsFunc(next.Unreadable, func(u event.Unreadable) bool { return u.Key() == row.Key() }) {
				next.Unreadable = append(slices.Clip(next.Unreadable), row)
			}
		}
	}
	return next
}

// takeBack copies back to an account the sessions that were announced under the name that had
// taken it over. That name was accepted with another key since, so that it stores these
// sessions as given up (Vanished).
func takeBack(ctx context.Context, store Memory, own *event.Account) error {
	return copySessions(ctx, store, own.TakenOverBy, own.Name, func(s, known *event.Snapshot) bool {
		given := s.Watch.Is(event.Vanished)
		if known != nil {
			s.Watch = known.Watch
		}
		return given
	})
}

// meet is for an account that stops because its name had another key before, so that its key
// shows other sessions than the stored ones. It copies to it, as given up, the sessions that
// were polled with its present key under names that are gone. When the account is accepted,
// the poller finds these in the list, and knows from when on nothing was announced.
func meet(ctx context.Context, store Memory, cfg *poller.Account, stored []event.Account, configured []poller.Account) error {
	formers, _ := formersOf(&event.Account{}, cfg, stored, configured)
	for i := range formers {
		err := copySessions(ctx, store, formers[i].Name, cfg.Name, func(s, known *event.Snapshot) bool {
			s.Watch = event.Vanished
			return known == nil || known.Watch.Is(event.Vanished)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sessionsAtOnce bounds a transaction.
const sessionsAtOnce = 500

// copySessions stores the sessions of an account under another name, those that take
// says yes to and may change; known is what is stored there, nil if nothing is.
func copySessions(ctx context.Context, store Memory, from, to string, take func(s, known *event.Snapshot) bool) error {
	var ids []string
	err := store.Tracked(ctx, from, func(row *event.Tracked) error {
		ids = append(ids, row.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, sessionsAtOnce) {
		theirs, err := store.Snapshots(ctx, from, chunk)
		if err != nil {
			return err
		}
		ours, err := store.Snapshots(ctx, to, chunk)
		if err != nil {
			return err
		}
		tx := &event.Tx{Account: to}
		for _, id := range chunk {
			s, known := theirs[id], (*event.Snapshot)(nil)
			if own, found := ours[id]; found {
				known = &own
				revision, counts := max(s.Revision, own.Revision), most(s.Counts, own.Counts)
				if saysMore(&own, &s) {
					s = own
				}
				s.Revision, s.Counts = revision, counts
			}
			s.Account = to
			if take(&s, known) && (known == nil || !reflect.DeepEqual(s, *known)) {
				tx.Snapshots = append(tx.Snapshots, s)
			}
		}
		if err := store.Commit(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// saysMore says whether one of two looks at a session was later and saw no fewer changes:
// an account with a filter may have stopped looking at it, and one clock may have been ahead.
func saysMore(a, b *event.Snapshot) bool {
	return a.LookedAt.After(b.LookedAt) && a.Revision >= b.Revision
}

// most takes of each number the higher one, so that no event gets the id of another.
func most(a, b map[string]int) map[string]int {
	if a = maps.Clone(a); a == nil {
		return b
	}
	for key, n := range b {
		a[key] = max(a[key], n)
	}
	return a
}
