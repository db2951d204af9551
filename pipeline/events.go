package pipeline

import (
	"fmt"
	"maps"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/rules"
)

// name turns transitions into events with their ids, raising the snapshot's
// revision and counts. It does so for silent looks too: what is recorded
// silently counts as announced.
func (p *Pipeline) name(page *poller.Batch, look *poller.Look, o *diff.Outcome) ([]event.Event, error) {
	if len(o.Transitions) == 0 {
		return nil, nil
	}
	previous, err := checkout.PreviousAttributes(o.Changes)
	if err != nil {
		return nil, err
	}
	since, at := o.Since, look.At
	values, err := newValues(o.Changes)
	if err != nil {
		return nil, err
	}
	s := &o.Snapshot
	if since.After(at) { // the server's clock was set back; it was seen since it was created, more is not known
		since = earlier(s.Created, at)
	}
	s.Revision++
	counts := maps.Clone(s.Counts)
	if counts == nil {
		counts = make(map[string]int)
	}
	events := make([]event.Event, len(o.Transitions))
	for i, t := range o.Transitions {
		counts[t.Type]++
		var told []string
		if t.Type == event.Updated || t.Type == event.Regressed {
			told = values
		}
		events[i] = event.Event{
			ID:   event.ID(s.Account, s.ID, t.Type, counts[t.Type], told...),
			Type: t.Type, Account: s.Account, Session: s.ID, Livemode: page.Livemode,
			Time: at, Revision: s.Revision, Position: i + 1,
			Object: s.Object, PreviousAttributes: previous, Change: t.Change,
			Inferred: t.Inferred, Unexpected: t.Unexpected, Async: t.Async, Reason: t.Reason,
			OccurredAfter: since, OccurredBefore: at.Add(look.Late),
		}
	}
	s.Counts = counts
	return events, nil
}

// newValues are the values that tell two events of one type and number apart,
// for the types that a rebuilt store may number differently. They are the content,
// however it was written.
func newValues(changes []checkout.Change) ([]string, error) {
	values := make([]string, len(changes))
	for i, c := range changes {
		text, err := checkout.ContentText(c.Field, c.To)
		if err != nil {
			return nil, err
		}
		values[i] = c.Field + "=" + text
	}
	return values, nil
}

// address makes the deliveries that the rules want of the events of one look, which all have
// the same previous state. It also returns what the rules met, for the watch over rules that
// fail.
func (p *Pipeline) address(events []event.Event) (deliveries []event.Delivery, verdicts []Verdict, err error) {
	if len(events) == 0 {
		return nil, nil, nil
	}
	before, err := events[0].PreviousObject()
	if err != nil {
		return nil, nil, fmt.Errorf("rebuilding the state before event %s: %w", events[0].ID, err)
	}
	for i := range events {
		result := p.matcher.Match(&events[i], before, events[i].Time)
		if p.watch != nil && p.watch.Concerns(&result) {
			verdicts = append(verdicts, Verdict{Event: events[i].ID, About: events[i].Session, Result: result})
		}
		deliveries = append(deliveries, p.deliveries(&events[i], &result)...)
	}
	return deliveries, verdicts, nil
}

// deliveries makes those that the rules ask for.
func (p *Pipeline) deliveries(e *event.Event, result *rules.Result) []event.Delivery {
	e.RuleSet, e.RuleErrors = p.matcher.ID(), result.Errors
	now := time.Now()
	deliveries := make([]event.Delivery, len(result.Targets))
	for i, target := range result.Targets {
		deliveries[i] = event.Delivery{
			ID: event.DeliveryID(e.ID, target.Destination, target.OwnRule), EventID: e.ID, EventType: e.Type,
			Account: e.Account, Session: e.Session, Destination: target.Destination,
			Rules: target.Rules, Labels: target.Labels, OwnRule: target.OwnRule,
			Ordered: p.ordered(target.Destination), Created: now,
			Status: event.StatusPending, Due: now,
		}
	}
	return deliveries
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
