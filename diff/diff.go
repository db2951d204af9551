// Package diff compares a look at a session with what was seen of it before and
// names the transitions.
//
// It is pure: no I/O, no clock, no memory but the snapshot it is handed and
// hands back. A look that is contradictory, or that shows an unconfirmed step
// back, changes nothing.
package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// Policy is how long an account's sessions are doubted and waited for.
type Policy struct {
	ConfirmAfter time.Duration // how long a step back must be seen before it is believed
	UnpaidFor    time.Duration // how long an unsettled session is watched
	WarmEvery    time.Duration // how often open sessions are looked at: the precision of an expiry
}

// Look says when a session was looked at.
type Look struct {
	At    time.Time // when it had arrived, by the server's clock
	Asked time.Time // when it was asked for, by the server's clock; zero: At
	Own   time.Time // when it had arrived, by our own clock; zero: At
	Pass  time.Time // when the pass began that the look belongs to
	// Early is by how much At and Asked may be too late, Late by how much too early:
	// answers disagree with what is known of the server's clock.
	Early, Late time.Duration
}

// asked is when the state that the look shows was true at the earliest.
func (l Look) asked() time.Time {
	if l.Asked.IsZero() {
		return l.At
	}
	return l.Asked
}

// own is when the look had arrived by our own clock.
func (l Look) own() time.Time {
	if l.Own.IsZero() {
		return l.At
	}
	return l.Own
}

// clocks returns the time of the look by the two clocks, the earlier one first:
// what is decided for good needs both to say so.
func (l Look) clocks() (earlier, later time.Time) {
	if own := l.own(); own.Before(l.At) {
		return own, l.At
	}
	return l.At, l.own()
}

// Transition is one thing that happened to a session.
type Transition struct {
	Type       string // one of event.Types
	Change     *event.Change
	Inferred   bool // not seen happening: the session was first seen in this state
	Unexpected bool
	Async      bool
	Reason     string
}

// Outcome is what a look comes to.
type Outcome struct {
	Snapshot    event.Snapshot // the new snapshot; Revision and Counts are the caller's to raise
	Transitions []Transition   // in the order of event.Types; empty when nothing happened
	Changes     []checkout.Change
	Store       bool      // the snapshot differs from the stored one
	Held        bool      // the look shows a step back, or a change soon after the first sight, that is not believed yet
	StepsBack   bool      // of one that is held: it shows a step back
	Existed     bool      // what the look shows existed before a first sight that was recorded silently: so is this
	Since       time.Time // the last look that still showed the state before, at the earliest; zero at first sight
}

// ErrContradictory is a look without a status, or without the payment_status
// that the session is known to have.
var ErrContradictory = errors.New("the answer lacks a status that the session must have")

// First is the outcome of the first look at a session. A session always has a
// status: a look without one is contradictory in itself.
func First(account string, s *checkout.Session, look Look, p Policy) (Outcome, error) {
	if s.Status == "" {
		return Outcome{}, fmt.Errorf("session %s: %w", s.ID, ErrContradictory)
	}
	next := event.Snapshot{Account: account, ID: s.ID, Created: s.Created, LookedAt: look.asked(), LookedOwn: look.ownAsked(), Watch: event.Watched}
	take(&next, s)
	if _, latest := look.clocks(); s.Created.Before(latest) {
		next.FirstSeen, next.FirstOwn = look.At, look.own()
	}
	if s.Status == checkout.StatusComplete {
		_, next.CompleteAt = look.clocks()
	}
	o := Outcome{Snapshot: next, Store: true}
	o.Transitions = append(o.Transitions, Transition{Type: event.Created, Change: change(checkout.FieldStatus, "", s.Status)})
	o.Transitions = append(o.Transitions, reached(nil, s, look, p)...)
	o.settle(nil, look, p)
	for i := range o.Transitions[1:] {
		o.Transitions[i+1].Inferred = true
	}
	return o, nil
}

// Next is the outcome of a later look. prev.LookedAt must be what LastLook returned.
func Next(prev *event.Snapshot, s *checkout.Session, look Look, p Policy) (Outcome, error) {
	if (prev.Status != "" && s.Status == "") || (prev.PaymentStatus != "" && s.PaymentStatus == "") {
		return Outcome{}, fmt.Errorf("session %s: %w", s.ID, ErrContradictory)
	}
	if err := s.Adopt(prev.Object); err != nil {
		return Outcome{}, err
	}
	changes, err := checkout.Changes(prev.Object, s.Object)
	if err != nil {
		return Outcome{}, err
	}
	held, stepsBack, err := hold(prev, s, changes, look, p)
	if err != nil {
		return Outcome{}, err
	}
	if !held.believed(look, p) {
		next := *prev
		next.Held = event.Held(held)
		if next.Left, err = leave(prev, nil, held, look, p); err != nil {
			return Outcome{}, err
		}
		next.LookedOwn = prev.LookedAt.Add(-look.ahead())
		back := prev.Watch.Is(event.Vanished)
		if back {
			next.Watch = event.Watched
		}
		return Outcome{Snapshot: next, Store: back || !held.same(prev.Held), Held: true, StepsBack: stepsBack}, nil
	}
	return believe(prev, s, changes, held, look, p)
}

// believe makes the look the session's new state.
func believe(prev *event.Snapshot, s *checkout.Session, changes []checkout.Change, shown held, look Look, p Policy) (Outcome, error) {
	next := *prev
	next.Held = nil
	next.LookedAt, next.LookedOwn = look.asked(), look.ownAsked()
	o := Outcome{Changes: changes, Since: prev.LookedAt.Add(-look.Early), Store: len(prev.Held) > 0 || prev.Watch.Is(event.Vanished)}
	if prev.Watch.Is(event.Vanished) {
		next.Watch = event.Watched
	}
	next.Hash = s.Hash // the content is the same, or taken below
	if o.Store || len(changes) > 0 {
		var err error
		if next.Left, err = leave(prev, changes, shown, look, p); err != nil {
			return Outcome{}, err
		}
	}
	if len(changes) > 0 {
		fell := regressed(prev, s)
		next.Regressed = prev.Regressed || fell != nil
		take(&next, s)
		completed := prev.Status != s.Status && s.Status == checkout.StatusComplete
		if completed || fell != nil || !prev.Watch.Is(event.Watched) || overdue(prev, look, p) {
			_, next.CompleteAt = look.clocks()
		}
		next.Watch = event.Watched
		o.Store, o.Existed = true, existed(prev, s)
		o.Transitions = reached(prev, s, look, p)
		if fell != nil {
			o.Transitions = append(o.Transitions, *fell)
		}
		if len(o.Transitions) == 0 {
			o.Transitions = append(o.Transitions, updated(changes))
		}
		if prev.Regressed {
			for i := range o.Transitions {
				if o.Transitions[i].Type != event.Updated {
					o.Transitions[i].Unexpected = true
				}
			}
		}
	}
	o.Snapshot = next
	o.settle(prev, look, p)
	return o, nil
}

// existed says whether a look shows for the first time the payment_status of a session
// whose first sight, recorded silently, lacked it. One that completed only afterwards
// was not paid before.
func existed(prev *event.Snapshot, s *checkout.Session) bool {
	if !prev.Silent || prev.PaymentStatus != "" || s.PaymentStatus == "" || prev.Status != s.Status {
		return false
	}
	return s.Status != checkout.StatusComplete || prev.CompleteAt.Equal(prev.FirstSeen) || prev.CompleteAt.Equal(prev.FirstOwn)
}

// take copies the looked-at state into a snapshot.
func take(next *event.Snapshot, s *checkout.Session) {
	next.Status, next.PaymentStatus, next.Mode = s.Status, s.PaymentStatus, s.Mode
	next.ExpiresAt = s.ExpiresAt
	next.Object, next.Hash = s.Object, s.Hash
}

// settle decides whether the session is still watched, and says so when it is
// given up.
func (o *Outcome) settle(prev *event.Snapshot, look Look, p Policy) {
	next := &o.Snapshot
	switch {
	case settled(next):
		o.Store = o.Store || !next.Watch.Is(event.Settled)
		next.Watch = event.Settled
	case next.Watch.Is(event.Watched):
		now, latest := look.clocks()
		if next.CompleteAt.After(latest.Add(clockTolerance)) { // no clock has come there yet: one was wrong then
			next.CompleteAt = latest
			o.Store = true
		}
		row := next.Track()
		if now.Before(row.GiveUpAt(p.UnpaidFor)) {
			return
		}
		next.Watch = event.GivenUp
		o.Store = true
		if overdue(next, look, p) {
			return
		}
		// updated is for a revision that has no other event.
		o.Transitions = slices.DeleteFunc(o.Transitions, func(t Transition) bool { return t.Type == event.Updated })
		field, value := checkout.FieldStatus, next.Status
		if next.Status == checkout.StatusComplete {
			field, value = checkout.FieldPaymentStatus, next.PaymentStatus
		}
		o.Transitions = append(o.Transitions, Transition{
			Type: event.Unresolved, Change: change(field, value, value), Unexpected: prev != nil && prev.Regressed,
		})
	}
}

// overdue says whether a session whose first sight was recorded silently was past
// being watched even then, although one of the clocks told otherwise: then it is given
// up silently too. A first sight of the future was told by a clock that was wrong.
func overdue(s *event.Snapshot, look Look, p Policy) bool {
	row := s.Track()
	until := row.GiveUpAt(p.UnpaidFor)
	past := func(first, now time.Time) bool { return !first.Before(until) && !first.After(now) }
	return s.Silent && (past(s.FirstSeen, look.At) || past(s.FirstOwn, look.own()))
}

// settled says whether nothing more is expected of a session.
func settled(s *event.Snapshot) bool {
	switch s.Status {
	case checkout.StatusExpired:
		return true
	case checkout.StatusComplete:
		return s.Mode == checkout.ModeSetup || paid(s.PaymentStatus)
	}
	return false
}

// paid says whether a payment_status settles what is owed.
func paid(status string) bool {
	return status == checkout.PaymentPaid || status == checkout.PaymentNotRequired
}

// change is a change of a field that holds a string; "" is null.
func change(field, from, to string) *event.Change {
	return &event.Change{Field: field, From: text(from), To: text(to)}
}

func text(s string) json.RawMessage {
	if s == "" {
		return json.RawMessage("null")
	}
	quoted, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return json.RawMessage("null")
	}
	return quoted
}

// unquote is the text of a JSON string, "" for anything else.
func unquote(value json.RawMessage) string {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return ""
	}
	return s
}
