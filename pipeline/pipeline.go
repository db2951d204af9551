// Package pipeline is the order of the stages: what a page of looks becomes on
// its way into the store.
//
// It is the only writer of snapshots. A page's snapshots, its events and the
// deliveries that follow from them are committed in one transaction, so that a
// crash loses none of them and repeats none of them. It never talks to the API
// or to a destination.
package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/rules"
)

// Store is the memory that a page is compared with and committed to.
type Store interface {
	Account(ctx context.Context, name string) (event.Account, bool, error)
	Snapshots(ctx context.Context, account string, ids []string) (map[string]event.Snapshot, error)
	Commit(ctx context.Context, tx *event.Tx) error
}

// Matcher says who must hear of an event.
type Matcher interface {
	Match(e *event.Event, previous json.RawMessage, now time.Time) rules.Result
	ID() string
}

// Observer is told what was committed, after it was. It must not block.
type Observer interface {
	Committed(events []event.Event, deliveries []event.Delivery)
}

// Pipeline takes pages through diff and rules and commits the outcome. Handle
// may be called for several accounts at once, never twice at once for one.
type Pipeline struct {
	store    Store
	matcher  Matcher
	ordered  func(destination string) bool
	observer Observer
	watch    *RuleWatch // may be nil
	log      *slog.Logger
}

// New returns a pipeline. ordered says which destinations keep the order of a
// session's events.
func New(store Store, matcher Matcher, ordered func(destination string) bool, observer Observer, log *slog.Logger) *Pipeline {
	return &Pipeline{store: store, matcher: matcher, ordered: ordered, observer: observer, log: log}
}

// WatchRules has failures of rules counted. It comes before the first Handle.
func (p *Pipeline) WatchRules(w *RuleWatch) { p.watch = w }

// draft is a transaction in the making.
type draft struct {
	event.Tx
	verdicts []Verdict // those that concern the rule watch
}

// Handle commits what a page of looks shows that is new, and returns the index
// row of every session that the page shows, whether or not it changed. An item
// that contradicts itself is left as it was; it has no row and is reported in
// the result. An error means that nothing of the page was committed.
func (p *Pipeline) Handle(ctx context.Context, page poller.Batch) (poller.Handled, error) {
	tx, handled, err := p.plan(ctx, &page)
	if err != nil || tx.Empty() {
		return handled, err
	}
	if err := p.commit(ctx, tx); err != nil {
		return poller.Handled{}, err
	}
	return handled, nil
}

// commit stores a page with what it changes for the rules, and tells of it.
func (p *Pipeline) commit(ctx context.Context, tx *draft) error {
	done := func(bool) {}
	if len(tx.verdicts) > 0 {
		done = p.watch.Count(tx.verdicts, &tx.Tx)
	}
	err := p.store.Commit(ctx, &tx.Tx)
	done(err == nil)
	if err != nil {
		return err
	}
	events, deliveries := tx.Events, tx.Deliveries
	for _, n := range tx.Notices {
		events, deliveries = append(events, n.Event), append(deliveries, n.Deliveries...)
	}
	p.observer.Committed(events, deliveries)
	return nil
}

// Preview says what Handle would make of a page, and commits nothing.
func (p *Pipeline) Preview(ctx context.Context, page poller.Batch) (poller.Handled, error) {
	_, handled, err := p.plan(ctx, &page)
	return handled, err
}

// plan takes a page through the stages.
func (p *Pipeline) plan(ctx context.Context, page *poller.Batch) (*draft, poller.Handled, error) {
	ids := make([]string, len(page.Looks))
	for i := range page.Looks {
		ids[i] = page.Looks[i].Session.ID
	}
	snapshots, err := p.store.Snapshots(ctx, page.Account.Name, ids)
	if err != nil {
		return nil, poller.Handled{}, fmt.Errorf("reading snapshots of account %s: %w", page.Account.Name, err)
	}
	if len(snapshots) < len(ids) {
		if err := p.remember(ctx, page); err != nil {
			return nil, poller.Handled{}, err
		}
	}
	tx := &draft{Tx: event.Tx{Account: page.Account.Name}}
	var handled poller.Handled
	for i := range page.Looks {
		row, err := p.stages(page, &page.Looks[i], snapshots, tx)
		if err != nil {
			handled.Ignored = append(handled.Ignored, poller.Ignored{ID: ids[i], Err: err})
			continue
		}
		handled.Rows = append(handled.Rows, row)
	}
	handled.Events = len(tx.Events)
	return tx, handled, nil
}

// stages takes one look through the stages and adds what follows from it to the
// transaction.
func (p *Pipeline) stages(page *poller.Batch, look *poller.Look, snapshots map[string]event.Snapshot, tx *draft) (poller.Row, error) {
	if stored, known := snapshots[look.Session.ID]; known && page.Releases(&stored) {
		return p.release(page, look, &stored, tx)
	}
	outcome, err := p.compare(page, look, snapshots)
	if err != nil {
		return poller.Row{}, err
	}
	outcome.Snapshot.Shown(&look.Session)
	row := poller.Row{Held: outcome.Held, StepsBack: outcome.StepsBack, New: outcome.Snapshot.Revision == 0, Changed: len(outcome.Transitions) > 0}
	row.Silent = (row.New && page.Silent(outcome.Snapshot.Created)) || outcome.Existed
	for _, t := range outcome.Transitions {
		row.Types = append(row.Types, t.Type)
	}
	if outcome.Store {
		if err := p.record(page, look, &outcome, tx); err != nil {
			return poller.Row{}, err
		}
	}
	row.Tracked = outcome.Snapshot.Track()
	return row, nil
}

// remember brings up to date what the page's account has forgotten: sessions are
// pruned while the poller runs, and one that turns up again is not new. It comes
// after the snapshots were read, so that none can be pruned in between unnoticed.
func (p *Pipeline) remember(ctx context.Context, page *poller.Batch) error {
	stored, _, err := p.store.Account(ctx, page.Account.Name)
	if err != nil {
		return err
	}
	if stored.ForgottenBefore.After(page.Account.ForgottenBefore) {
		page.Account.ForgottenBefore = stored.ForgottenBefore
	}
	return nil
}

// Vanish records that the API no longer shows sessions, and when it did last. A
// later look revives them.
func (p *Pipeline) Vanish(ctx context.Context, account string, gone []poller.Gone) error {
	for chunk := range slices.Chunk(gone, vanishAtOnce) {
		ids := make([]string, len(chunk))
		for i, g := range chunk {
			ids[i] = g.ID
		}
		snapshots, err := p.store.Snapshots(ctx, account, ids)
		if err != nil {
			return fmt.Errorf("reading snapshots of account %s: %w", account, err)
		}
		tx := &event.Tx{Account: account}
		for _, g := range chunk {
			if s, known := snapshots[g.ID]; known {
				s.Watch = event.Vanished
				if later := g.Looked.Sub(s.LookedAt); later > 0 {
					s.LookedAt = g.Looked
					if !s.LookedOwn.IsZero() {
						s.LookedOwn = s.LookedOwn.Add(later)
					}
				}
				tx.Snapshots = append(tx.Snapshots, s)
			}
		}
		if err := p.store.Commit(ctx, tx); err != nil {
			return fmt.Errorf("committing vanished sessions of account %s: %w", account, err)
		}
	}
	return nil
}

// vanishAtOnce bounds a transaction.
const vanishAtOnce = 500

// terms are what diff must know of a look besides the session.
func terms(page *poller.Batch, look *poller.Look) (diff.Look, diff.Policy) {
	at := diff.Look{At: look.At, Asked: look.Asked, Own: look.Own, Pass: page.Pass, Early: look.Early, Late: look.Late}
	return at, diff.Policy{
		ConfirmAfter: page.Poll.Tuning.ConfirmAfter,
		UnpaidFor:    page.Poll.UnpaidFor,
		WarmEvery:    page.Poll.Tuning.WarmEvery,
	}
}

// compare is the first stage: what the look means for the session.
func (p *Pipeline) compare(page *poller.Batch, look *poller.Look, snapshots map[string]event.Snapshot) (diff.Outcome, error) {
	at, policy := terms(page, look)
	prev, known := snapshots[look.Session.ID]
	if !known {
		return diff.First(page.Account.Name, &look.Session, at, policy)
	}
	stored := prev.LookedAt
	prev.LookedAt = at.LastLook(&prev, look.LastLooked)
	o, err := diff.Next(&prev, &look.Session, at, policy)
	// The reason of an expiry depends on the last look before it, which must
	// outlive this process.
	border := prev.ExpiresAt.Add(-policy.WarmEvery)
	if err == nil && !o.Held && o.Snapshot.Status == checkout.StatusOpen && stored.Before(border) && !o.Snapshot.LookedAt.Before(border) {
		o.Store = true
	}
	return o, err
}

// record raises what a transition raises and adds the session's part to the
// transaction: its snapshot, its events, and who must hear of them.
func (p *Pipeline) record(page *poller.Batch, look *poller.Look, o *diff.Outcome, tx *draft) error {
	events, err := p.name(page, look, o)
	if err != nil {
		return err
	}
	s := &o.Snapshot
	first := s.Revision == 1 && page.Silent(s.Created)
	if first || o.Existed {
		s.Silent = true
		if (first && page.Withholds(s.Created)) || (o.Existed && len(s.Withheld) > 0) {
			s.Withheld = withheld(s.Withheld, events)
		}
		tx.Snapshots = append(tx.Snapshots, *s)
		return nil
	}
	return p.add(tx, s, events)
}

// withheld adds the types of events to a list, of which it makes a new one.
func withheld(types []string, events []event.Event) []string {
	types = slices.Clone(types)
	for i := range events {
		types = append(types, events[i].Type)
	}
	return types
}

// release announces what was withheld of a session at its first sight, with the ids
// that it would have had then. What else the look shows is left to the next one.
func (p *Pipeline) release(page *poller.Batch, look *poller.Look, stored *event.Snapshot, tx *draft) (poller.Row, error) {
	at, policy := terms(page, look)
	o, err := diff.Withheld(stored, at, policy)
	if err != nil {
		return poller.Row{}, err
	}
	events, err := p.name(page, look, &o)
	if err != nil {
		return poller.Row{}, err
	}
	s := *stored
	s.Silent, s.Withheld = false, nil
	if err := p.add(tx, &s, events); err != nil {
		return poller.Row{}, err
	}
	return poller.Row{Tracked: s.Track(), Changed: true, Types: withheld(nil, events)}, nil
}

// add adds to the transaction a snapshot, its events, and who must hear of them.
func (p *Pipeline) add(tx *draft, s *event.Snapshot, events []event.Event) error {
	deliveries, verdicts, err := p.address(events)
	if err != nil {
		return err
	}
	// Only now: a snapshot without its events would hide the change for ever.
	tx.Snapshots = append(tx.Snapshots, *s)
	tx.Events = append(tx.Events, events...)
	tx.Deliveries = append(tx.Deliveries, deliveries...)
	tx.verdicts = append(tx.verdicts, verdicts...)
	return nil
}
