package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"checkout-notifier/event"
	"checkout-notifier/personal"
	"checkout-notifier/publish"
)

// deliveryView is a delivery as it is shown: its attempts, as a list, only where
// it is shown alone.
type deliveryView struct {
	event.Delivery
	Attempts     []attemptView `json:"attempts,omitzero"`
	AttemptsMade int           `json:"attempts_made"`
	HeldAt       *struct{}     `json:"held_at,omitempty"` // hides the field of Delivery: a reading of the destination's own clock

	// Of a pending delivery. DestinationState is paused, failing, unreachable or waiting
	// while its destination takes nothing. DestinationNextTry is the end of the pause that a
	// waiting destination asked for, or the time of the next probe of a failing one.
	Orphaned           bool      `json:"orphaned,omitempty"` // it waits until the configuration names its destination again
	DestinationState   string    `json:"destination_state,omitempty"`
	DestinationSince   time.Time `json:"destination_since,omitzero"`
	DestinationWhy     string    `json:"destination_why,omitempty"`
	DestinationNextTry time.Time `json:"destination_next_try,omitzero"`
	LastError          string    `json:"last_error,omitempty"` // of its last attempt
	Behind             *ahead    `json:"behind,omitempty"`     // what it waits for of its session
	UnderWaySince      time.Time `json:"attempt_under_way_since,omitzero"`
}

// ahead is an earlier delivery of the session that is not accepted yet.
type ahead struct {
	Delivery  string `json:"delivery"`
	Type      string `json:"type"`
	LastError string `json:"last_error,omitempty"`
}

// String says what somebody may do who does not want to wait for order_hold.
func (a *ahead) String() string {
	switch {
	case a == nil:
		return ""
	case a.LastError == "":
		return fmt.Sprintf("waits for %s (%s)", a.Delivery, shortType(a.Type))
	}
	return fmt.Sprintf("waits for %s (%s, %s): mend what refuses it and retry that one, or retry this one to send it first", a.Delivery, shortType(a.Type), a.LastError)
}

// why is the reason of one that ended, and the last error of one that may not have.
// The reason of a pending one is that of an earlier end.
func (d *deliveryView) why() string {
	if d.Status == event.StatusPending {
		return cmp.Or(d.LastError, d.Behind.String(), publish.WhyLeftAlone(d.AttemptsMade, publish.State(d.DestinationState), d.DestinationSince, d.DestinationWhy), d.Reason)
	}
	return cmp.Or(d.Reason, d.LastError)
}

// attemptView is an attempt as it is shown, or what came of a test.
type attemptView struct {
	N           int               `json:"n,omitempty"`
	Started     time.Time         `json:"started"`
	Duration    event.Seconds     `json:"duration_seconds"`
	Outcome     event.Outcome     `json:"outcome"`
	StatusCode  int               `json:"status_code,omitempty"`
	Class       string            `json:"class,omitempty"`
	Error       string            `json:"error,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Answer      string            `json:"answer,omitempty"`
	AnswerBytes []byte            `json:"answer_base64,omitempty"` // in its place, if it is no text
	Note        string            `json:"note,omitempty"`
	Actor       string            `json:"actor,omitempty"`
	Probe       bool              `json:"probe,omitempty"`
	UnderWay    bool              `json:"under_way,omitempty"` // unknown is not its end
}

// eventView is an event as it is shown: without the session in lists.
type eventView struct {
	event.Event
	Object             json.RawMessage `json:"object,omitempty"`
	PreviousAttributes json.RawMessage `json:"previous_attributes,omitempty"`
	Change             *event.Change   `json:"change"`
	System             json.RawMessage `json:"system,omitempty"`
	Status             string          `json:"status,omitempty"` // of what tells of an incident: firing or resolved
	Sequence           string          `json:"sequence"`
	Rules              []string        `json:"rules,omitzero"` // that matched, of an event that is shown alone
	Deliveries         []deliveryView  `json:"deliveries,omitzero"`
}

func viewDelivery(d *event.Delivery) deliveryView {
	view := deliveryView{Delivery: *d, AttemptsMade: d.Attempts}
	view.Reason, view.BlockedSubject = personal.Text(d.Reason), publish.ShownSubject(d.BlockedSubject)
	return view
}

func viewAttempt(a *event.Attempt) attemptView {
	view := attemptView{
		N: a.N, Started: a.Started, Duration: event.Seconds(a.Duration), Outcome: a.Outcome, StatusCode: a.StatusCode,
		Class: a.Class, Error: personal.Text(a.Error), Note: a.Note, Actor: a.Actor, Probe: a.Probe,
	}
	if utf8.Valid(a.Answer) {
		view.Answer = personal.Text(string(a.Answer))
	} else {
		view.AnswerBytes = a.Answer
	}
	for name, value := range a.Headers {
		if view.Headers == nil {
			view.Headers = make(map[string]string)
		}
		view.Headers[name] = personal.Text(value)
	}
	return view
}

func viewEvent(e *event.Event) eventView {
	return eventView{Event: *e, Change: personal.Change(e.Change), Sequence: e.Sequence(), Status: incidentStatus(e)}
}

// incidentStatus is whether one of the program's own events opens an incident or
// closes it; "" if it tells of none.
func incidentStatus(e *event.Event) string {
	var data struct{ Status string }
	if e.Type != event.DeliveryDead || json.Unmarshal(e.System, &data) != nil {
		return ""
	}
	return data.Status
}

// viewWhole is an event with its session and its deliveries.
func viewWhole(e *event.Event, deliveries []event.Delivery) eventView {
	view := viewEvent(e)
	view.Object, view.PreviousAttributes = personal.Session(e.Object), personal.Session(e.PreviousAttributes)
	view.System = personal.Session(e.System)
	view.Deliveries = []deliveryView{}
	matched := []string{}
	for i := range deliveries {
		view.Deliveries = append(view.Deliveries, viewDelivery(&deliveries[i]))
		matched = append(matched, deliveries[i].Rules...)
	}
	view.Rules = append([]string{}, distinct(matched)...)
	return view
}
