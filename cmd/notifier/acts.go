package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// What the audit log calls the acts.
const (
	auditRetry  = "delivery.retry"
	auditPurge  = "deadletters.purge"
	auditTest   = "destination.test"
	auditAccept = "account.accept"
	auditStart  = "job.start"
	auditCancel = "job.cancel"
	auditBackup = "state.backup"
)

// auditJob says who started or cancelled a job, from its rows before and after.
func auditJob(before, after []byte) []event.AuditEntry {
	var was, is jobs.Job
	if json.Unmarshal(after, &is) != nil || (before != nil && json.Unmarshal(before, &was) != nil) {
		return nil
	}
	switch {
	case before == nil:
		return []event.AuditEntry{{Time: is.Created, Actor: is.Actor, Action: auditStart, Subject: is.ID, Detail: is.Kind + " " + string(is.Params)}}
	case was.Status == jobs.Running && is.Status == jobs.Cancelled:
		return []event.AuditEntry{{Time: is.Ended, Actor: is.CancelledBy, Action: auditCancel, Subject: is.ID, Detail: is.Kind}}
	}
	return nil
}

// List implements admin.Records.
func (d *daemon) List(ctx context.Context, kind admin.Kind, q admin.Query) (any, string, error) {
	if kind != admin.Destinations {
		return d.ledger.List(ctx, kind, q)
	}
	from, err := readPlace(q.Before)
	if err != nil {
		return nil, "", err
	}
	r, err := d.report(ctx)
	if err != nil {
		return nil, "", err
	}
	all := r.Destinations
	first := min(int(from), len(all))
	last := min(first+q.Limit, len(all))
	if last < len(all) {
		return all[first:last], fmt.Sprint(last), nil
	}
	return all[first:last], "", nil
}

// RetryDelivery implements admin.Acts.
func (d *daemon) RetryDelivery(ctx context.Context, id string, ifStatus event.Status, actor string) (any, error) {
	now := time.Now().UTC()
	act := event.Act{At: now, Actor: actor, IfStatus: ifStatus, Audit: func(changed []event.Delivery) event.AuditEntry {
		return event.AuditEntry{Time: now, Actor: actor, Action: auditRetry, Subject: id, Detail: "to " + changed[0].Destination}
	}}
	if stored, found, err := d.store.Delivery(ctx, id); err == nil && found && !d.configured(stored.Destination) {
		return nil, fmt.Errorf("%w: the configuration does not name the destination %q; name it again, beside its new name if it was renamed, and what waits for it is sent", admin.ErrConflict, stored.Destination)
	}
	delivery, err := d.store.Retry(ctx, id, act)
	switch {
	case errors.Is(err, state.ErrNoDelivery):
		return nil, fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	case errors.Is(err, state.ErrChanged):
		return nil, fmt.Errorf("%s %w: it is %s", id, admin.ErrChanged, delivery.Status)
	case err != nil:
		return nil, err
	}
	d.log.Info("delivery is retried", "delivery", id, "destination", delivery.Destination, "actor", actor)
	_ = d.relay.Retry(delivery.Destination, id)
	items := []deliveryView{viewDelivery(&delivery)}
	_ = d.note(d.explain(ctx, items)) // it is due, whoever cannot say what else it waits for
	return items[0], nil
}

// purgeResult is what a purge did, or would do.
type purgeResult struct {
	DryRun     bool       `json:"dry_run,omitempty"`
	Before     time.Time  `json:"before,omitzero"` // of a dry run: what dies later is not meant
	WouldPurge *int       `json:"would_purge,omitempty"`
	Purged     *int       `json:"purged,omitempty"`
	By         []planLine `json:"destinations,omitempty"`

	Types map[string]int `json:"types,omitempty"` // dead letters by the type of their event
}

// Purge implements admin.Acts. What died since it was planned stays.
func (d *daemon) Purge(ctx context.Context, chosen admin.Selection, dryRun bool, actor string) (any, error) {
	f, err := d.chosen(ctx, &chosen)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	if dryRun {
		plan, err := d.countLetters(ctx, f)
		return purgeResult{DryRun: true, Before: plan.Before, WouldPurge: &plan.Deliveries, By: plan.By, Types: plan.Types}, whyEnded(ctx, err)
	}
	purged, begun := 0, time.Now().UTC()
	act := event.Act{At: begun, Actor: actor, Before: f.Before, Audit: func(changed []event.Delivery) event.AuditEntry {
		return event.AuditEntry{Time: begun, Actor: actor, Action: auditPurge, Subject: count(len(changed), "dead letter"), Detail: f.text()}
	}}
	var told []event.Notice
	act.Tell = func(changed []event.Delivery) []event.Notice {
		told = d.tellOfPurge(changed, begun)
		return told
	}
	err = d.eachLetter(ctx, f, jobs.MostAtOnce, func(letters []event.Delivery, _ int) error {
		told = nil
		done, err := d.store.Purge(ctx, names(letters, func(x event.Delivery) string { return x.ID }), act)
		if err != nil {
			return err
		}
		purged += len(done)
		for i := range told {
			d.Told(told[i])
		}
		return nil
	})
	d.log.Info("dead letters purged", "purged", purged, "filter", f.text(), "actor", actor)
	return purgeResult{Purged: &purged}, whyEnded(ctx, err)
}

// tellOfPurge says who keeps an incident open for dead letters that are given up.
func (d *daemon) tellOfPurge(purged []event.Delivery, now time.Time) (notices []event.Notice) {
	for i := range purged {
		if event.IsSystemType(purged[i].EventType) {
			continue
		}
		e, err := event.NewPurged(&purged[i], now)
		if err != nil { // of data that has no JSON, which ours has
			d.log.Error("an event about notifier itself could not be made", "error", err)
			continue
		}
		if n := d.announce(e); n.Event.ID != "" {
			notices = append(notices, n)
		}
	}
	return notices
}

// testView is what came of a test.
type testView struct {
	Destination string `json:"destination"`
	Type        string `json:"type"`
	Delivery    string `json:"delivery"` // the id that it went out with
	attemptView
}

// TestDestination implements admin.Acts. It goes past the outbox: nothing of it
// is kept but who did it, and neither a pause nor a breaker holds it up.
func (d *daemon) TestDestination(ctx context.Context, name, eventType, actor string) (any, error) {
	i := slices.IndexFunc(d.lanes, func(l publish.Lane) bool { return l.Destination.Name == name })
	if i < 0 {
		return nil, d.unknown("destination", name, nil, d.destinations()...)
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	a := event.Attempt{Started: time.Now().UTC(), Actor: actor}
	eventType = cmp.Or(eventType, publish.TestType(d.lanes[i].Destination))
	m := publish.TestMessage(name, eventType, a.Started)
	r := d.lanes[i].Publisher.Publish(ctx, m)
	a.Duration = time.Since(a.Started)
	a.Outcome, a.StatusCode, a.Class, a.Error, a.Answer, a.Note = r.Outcome, r.StatusCode, r.Class, r.Error, r.Answer, r.Note
	a.Headers = r.Headers
	if r.Outcome == event.OutcomeAccepted && a.Note == "" {
		a.Note = publish.TestNote(d.lanes[i].Destination, eventType)
	}
	entry := event.AuditEntry{Time: a.Started, Actor: actor, Action: auditTest, Subject: name, Detail: event.Short(eventType) + ": " + string(r.Outcome)}
	if err := d.store.Commit(context.WithoutCancel(ctx), &event.Tx{Audit: []event.AuditEntry{entry}}); err != nil {
		return nil, err
	}
	return testView{Destination: name, Type: eventType, Delivery: m.Delivery.ID, attemptView: viewAttempt(&a)}, nil
}
