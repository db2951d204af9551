package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// ledger looks up what happened: in a daemon, and in the file without one.
type ledger struct {
	store *state.Store
	cfg   *config.Config
	note  func(error) error // hears of every error of the store, and returns it
	// since is when the daemon that asks was started: an attempt without a result is under
	// way if it began later, and lost if it began earlier. Zero without a daemon.
	since time.Time
}

// storedLedger reads a file that no daemon has.
func storedLedger(store *state.Store, cfg *config.Config) *ledger {
	return &ledger{store: store, cfg: cfg, note: func(err error) error { return err }}
}

// List implements admin.Records, but for the destinations.
func (l *ledger) List(ctx context.Context, kind admin.Kind, q admin.Query) (items any, next string, err error) {
	if err := l.check(ctx, &q); err != nil {
		return nil, "", err
	}
	before, err := readPlace(q.Before)
	if err != nil {
		return nil, "", err
	}
	var place uint64
	switch kind {
	case admin.Deliveries, admin.DeadLetters:
		items, place, err = l.deliveries(ctx, kind, q, before)
	case admin.Events:
		items, place, err = l.events(ctx, q, before)
	case admin.Audit:
		items, place, err = l.audit(ctx, q, before)
	default:
		return nil, "", fmt.Errorf("there are no records of the kind %q", kind)
	}
	if err != nil {
		return nil, "", l.note(err)
	}
	if place > 0 {
		next = strconv.FormatUint(place, 10)
	}
	return items, next, nil
}

func readPlace(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	place, err := strconv.ParseUint(text, 10, 64)
	if err != nil || place == 0 {
		return 0, admin.ErrBadCursor
	}
	return place, nil
}

func (l *ledger) deliveries(ctx context.Context, kind admin.Kind, q admin.Query, before uint64) (any, uint64, error) {
	search := storeQuery(&q, before)
	if q.Orphaned {
		search.NotTo = destinationNames(*l.cfg)
	}
	if kind == admin.DeadLetters {
		search.Status, search.ByEnd = event.StatusDead, true
	}
	rows, next, err := l.store.SearchDeliveries(ctx, search)
	items := []deliveryView{}
	for i := range rows {
		items = append(items, viewDelivery(&rows[i].Delivery))
	}
	if err == nil {
		err = l.explain(ctx, items)
	}
	return items, next, err
}

func (l *ledger) events(ctx context.Context, q admin.Query, before uint64) (any, uint64, error) {
	rows, next, err := l.store.SearchEvents(ctx, storeQuery(&q, before))
	items := []eventView{}
	for i := range rows {
		items = append(items, viewEvent(&rows[i].Event))
	}
	return items, next, err
}

// auditAtOnce is how many entries are looked at for one page.
const auditAtOnce = 2000

func (l *ledger) audit(ctx context.Context, q admin.Query, before uint64) (any, uint64, error) {
	rows, err := l.store.Audit(ctx, before, auditAtOnce)
	items := []event.AuditEntry{}
	for i, row := range rows {
		e := row.Entry
		if (q.Actor == "" || e.Actor == q.Actor) && (q.Action == "" || e.Action == q.Action) &&
			(q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || !e.Time.After(q.Until)) {
			items = append(items, e)
		}
		if len(items) == q.Limit && i < len(rows)-1 {
			return items, row.Sequence, err
		}
	}
	if len(rows) < auditAtOnce {
		return items, 0, err
	}
	return items, rows[len(rows)-1].Sequence, err
}

func storeQuery(q *admin.Query, before uint64) state.Query {
	search := state.Query{
		Destination: q.Destination, Account: q.Account, Session: q.Session, Rule: q.Rule, Event: q.Event, Job: q.Job, Status: q.Status,
		Since: q.Since, Until: q.Until, Failed: q.Failed, Before: before, Limit: q.Limit,
	}
	if q.Type != "" {
		search.Types = strings.Split(q.Type, ",")
	}
	return search
}

// Record implements admin.Records.
func (l *ledger) Record(ctx context.Context, kind admin.Kind, id string) (any, error) {
	if kind == admin.Events {
		e, found, err := l.store.Event(ctx, id)
		if err != nil || !found {
			return nil, l.notFound(kind, id, err)
		}
		deliveries, err := l.store.EventDeliveries(ctx, id)
		view := viewWhole(&e, deliveries)
		if err == nil {
			err = l.explain(ctx, view.Deliveries)
		}
		return view, l.note(err)
	}
	d, found, err := l.store.Delivery(ctx, id)
	if err != nil || !found || (kind == admin.DeadLetters && d.Status != event.StatusDead) {
		return nil, l.notFound(kind, id, err)
	}
	attempts, err := l.store.Attempts(ctx, id)
	if err != nil {
		return nil, l.note(err)
	}
	view := viewDelivery(&d)
	view.Attempts = []attemptView{}
	for i := range attempts {
		view.Attempts = append(view.Attempts, viewAttempt(&attempts[i]))
	}
	items := []deliveryView{view}
	err = l.explain(ctx, items)
	if d := &items[0]; l.underWay(&d.Delivery, attempts) {
		last := &d.Attempts[len(d.Attempts)-1]
		last.UnderWay, d.UnderWaySince = true, last.Started
	}
	return items[0], l.note(err)
}

func (l *ledger) notFound(kind admin.Kind, id string, err error) error {
	if err != nil {
		return l.note(err)
	}
	return fmt.Errorf("%w: there is no %q among the %s", admin.ErrNotFound, id, kind)
}

// check refuses names that nothing has, here or in the store: a misspelt one must
// not look like an empty list.
func (l *ledger) check(ctx context.Context, q *admin.Query) error {
	if q.Event != "" {
		if _, found, err := l.store.Event(ctx, q.Event); err != nil || !found {
			return l.unknown("event", q.Event, err)
		}
	}
	if q.Job != "" {
		if _, found, err := l.store.Job(ctx, q.Job); err != nil || !found {
			return l.unknown("job", q.Job, err)
		}
	}
	if err := l.checkSession(ctx, q.Session); err != nil {
		return err
	}
	if err := l.checkDestination(ctx, q.Destination); err != nil {
		return err
	}
	if err := l.checkAccount(ctx, q.Account); err != nil {
		return err
	}
	return l.checkRule(q.Rule)
}

func (l *ledger) unknown(kind, name string, err error, known ...string) error {
	if err != nil {
		return l.note(err)
	}
	return &admin.UnknownError{Kind: kind, Name: name, Known: known}
}

// mostPages bounds the pages of events, a few thousand each, among which the events
// of a session are looked for that is not stored itself.
const mostPages = 200

// checkSession knows sessions that are stored, and those that a stored event is
// about: events may outlive their session. After mostPages it gives up
// looking, and takes the session for known.
func (l *ledger) checkSession(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	accounts, err := l.store.Accounts(ctx)
	if err != nil {
		return l.note(err)
	}
	for _, account := range accounts {
		if found, err := l.store.Snapshots(ctx, account.Name, []string{id}); err != nil || len(found) > 0 {
			return l.note(err)
		}
	}
	q := state.Query{Session: id, Limit: 1}
	for range mostPages {
		rows, next, err := l.store.SearchEvents(ctx, q)
		switch {
		case err != nil:
			return l.note(err)
		case len(rows) > 0:
			return nil
		case next == 0:
			return l.unknown("session", id, nil)
		}
		q.Before = next
	}
	return nil
}

func (l *ledger) checkDestination(ctx context.Context, name string) error {
	if name == "" || l.configured(name) {
		return nil
	}
	states, err := l.store.Destinations(ctx)
	if err == nil && slices.ContainsFunc(states, func(s event.DestinationState) bool { return s.Name == name }) {
		return nil
	}
	return l.unknown("destination", name, err, l.destinations()...)
}

// destinations are the names of those that the configuration has.
func (l *ledger) destinations() []string {
	return names(l.cfg.Destinations, func(d publish.Destination) string { return d.Name })
}

func (l *ledger) accounts() []string {
	return names(l.cfg.Accounts, func(a poller.Account) string { return a.Name })
}

// configured says whether the configuration names a destination.
func (l *ledger) configured(name string) bool {
	return slices.Contains(l.destinations(), name)
}

func (l *ledger) checkAccount(ctx context.Context, name string) error {
	if name == "" || slices.Contains(l.accounts(), name) {
		return nil
	}
	_, known, err := l.store.Account(ctx, name)
	if err == nil && known {
		return nil
	}
	return l.unknown("account", name, err, l.accounts()...)
}

func (l *ledger) checkRule(name string) error {
	known := names(l.cfg.Rules, func(r rules.Rule) string { return r.Name })
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	return l.unknown("rule", name, nil, known...)
}
