package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/personal"
	"checkout-notifier/publish"
)

// fewAttempts is how many attempts of one delivery are read for a list. A long
// outage's probes may have left any number; what the destination said last stands
// for them.
const fewAttempts = 50

// explain says of those of the deliveries that are pending what they wait for: a
// destination that the configuration does not name, or that is left alone; and
// how their last attempt failed.
func (l *ledger) explain(ctx context.Context, items []deliveryView) error {
	var stands map[string]publish.DestinationStatus
	for i := range items {
		d := &items[i]
		if d.Status != event.StatusPending {
			continue
		}
		if stands == nil {
			var err error
			if stands, err = l.stands(ctx); err != nil {
				return err
			}
		}
		s := stands[d.Destination]
		if d.Orphaned = !l.configured(d.Destination); !d.Orphaned {
			d.waitsFor(&s)
		}
		if err := errors.Join(l.addLastError(ctx, d, &s), l.addAhead(ctx, d, &s)); err != nil {
			return err
		}
	}
	return nil
}

// stands is how the destinations stand, by name.
func (l *ledger) stands(ctx context.Context) (map[string]publish.DestinationStatus, error) {
	states, err := l.store.Destinations(ctx)
	stands := make(map[string]publish.DestinationStatus, len(states))
	for _, s := range states {
		stands[s.Name] = publish.StoredStatus(s)
	}
	return stands, err
}

// waitsFor takes over that nothing is sent to the destination now.
func (d *deliveryView) waitsFor(s *publish.DestinationStatus) {
	switch {
	case s.State != "":
		d.DestinationState, d.DestinationSince, d.DestinationWhy, d.DestinationNextTry = string(s.State), s.Since, personal.Text(s.Why), s.NextProbe
	case !s.NextTry.IsZero():
		d.DestinationState, d.DestinationNextTry = string(publish.StateWaiting), s.NextTry
	}
}

func (l *ledger) addLastError(ctx context.Context, d *deliveryView, s *publish.DestinationStatus) error {
	switch {
	case d.AttemptsMade == 0:
		return nil
	case d.AttemptsMade > fewAttempts && s.State != publish.StatePaused: // then it says who paused it
		d.LastError = personal.Text(s.Why)
		return nil
	case d.AttemptsMade > fewAttempts:
		return nil
	}
	attempts, err := l.store.Attempts(ctx, d.ID)
	d.LastError = lastError(attempts)
	if l.underWay(&d.Delivery, attempts) {
		d.UnderWaySince = attempts[len(attempts)-1].Started
	}
	return err
}

// underWay says whether the last of a delivery's attempts has no result yet: the daemon
// has begun it since its own start, and will have one. Else its result is lost.
func (l *ledger) underWay(d *event.Delivery, attempts []event.Attempt) bool {
	if l.since.IsZero() || d.Status != event.StatusPending || len(attempts) == 0 {
		return false
	}
	last := &attempts[len(attempts)-1]
	return last.Outcome == event.OutcomeUnknown && !last.Started.Before(l.since)
}

// addAhead says what a delivery waits for that is parked, or held behind an earlier event
// for order_hold.
func (l *ledger) addAhead(ctx context.Context, d *deliveryView, s *publish.DestinationStatus) error {
	if d.Blocked() || (!d.Due.IsZero() && d.AttemptsMade > 0) {
		return nil
	}
	earlier, found, err := l.store.Ahead(ctx, d.ID)
	if err != nil || !found {
		return err
	}
	first := viewDelivery(&earlier)
	err = l.addLastError(ctx, &first, s)
	d.Behind = &ahead{Delivery: first.ID, Type: first.EventType, LastError: first.LastError}
	return err
}

// lastError says how the last of the attempts whose end is known failed, "" if it
// did not.
func lastError(attempts []event.Attempt) string {
	for i := len(attempts) - 1; i >= 0; i-- {
		switch a := &attempts[i]; a.Outcome {
		case event.OutcomeUnknown:
		case event.OutcomeAccepted:
			return ""
		default:
			return personal.Text(publish.Describe(a.Class, a.StatusCode, a.Error))
		}
	}
	return ""
}

func statusText(d *deliveryView) string {
	text := "pending, "
	if d.Behind != nil || d.Due.IsZero() {
		text += "behind an earlier event, "
	}
	switch {
	case d.Status != event.StatusPending:
		return string(d.Status)
	case d.Orphaned:
		return "pending, orphaned"
	case !d.UnderWaySince.IsZero():
		return "pending, attempt began " + ago(d.UnderWaySince) + ", no answer yet"
	case d.Blocked():
		return "pending, subject takes nothing"
	case d.DestinationState == string(publish.StatePaused):
		return text + "destination paused"
	case d.DestinationState == string(publish.StateFailing): // whatever a hold says
		return text + "destination failing, next probe " + in(d.DestinationNextTry)
	case d.DestinationNextTry.After(d.Due):
		return text + "destination waits until " + d.DestinationNextTry.UTC().Format(time.RFC3339)
	case d.DestinationState == string(publish.StateUnreachable) && !d.Due.After(time.Now()):
		return text + "destination unreachable, since " + ago(d.DestinationSince)
	case d.Due.IsZero():
		return strings.TrimSuffix(text, ", ")
	case d.Behind != nil:
		return text + "sent anyway " + in(d.Due)
	}
	return text + "due " + in(d.Due)
}
