package rules_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules"
)

var (
	now   = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	known = rules.Known{Destinations: []string{"fulfilment", "bus", "ops-slack"}, Accounts: []string{"main", "backup"}}
)

// session is a session of the published schema, as checkout.Parse makes it.
func session(t testing.TB, fields map[string]any) json.RawMessage {
	t.Helper()
	members := map[string]any{
		"id": "cs_2031282752732528640", "object": "checkout.session", "created": now.Add(-time.Hour).Unix(),
		"expires_at": now.Add(time.Hour).Unix(), "status": "complete", "payment_status": "paid", "mode": "payment",
		"currency": "USD", "amount_total": 123400, "customer": "cus_1", "customer_email": "jane@example.com", "livemode": true,
		"metadata": map[string]any{"plan": "pro", "seats": 3, "trial": false},
	}
	for name, value := range fields {
		members[name] = value
	}
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	s, err := checkout.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s.Object
}

// paid is an event of a session that was unpaid before, and that session.
func paid(t testing.TB, fields map[string]any) (*event.Event, json.RawMessage) {
	t.Helper()
	object := session(t, fields)
	before := map[string]any{"payment_status": "unpaid"}
	for name, value := range fields {
		if _, set := before[name]; !set {
			before[name] = value
		}
	}
	previous := session(t, before)
	changes, err := checkout.Changes(previous, object)
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := checkout.PreviousAttributes(changes)
	if err != nil {
		t.Fatal(err)
	}
	return &event.Event{
		ID: "evt_1", Type: event.Paid, Account: "main", Session: "cs_2031282752732528640", Time: now, Revision: 3, Position: 1,
		Object: object, PreviousAttributes: attributes, Async: true,
		Change: &event.Change{Field: "payment_status", From: json.RawMessage(`"unpaid"`), To: json.RawMessage(`"paid"`)},
	}, previous
}

func rule(name, when string) rules.Rule {
	return rules.Rule{Name: name, When: when, To: []string{"bus"}, Enabled: true, Events: []string{"paid"}}
}

// compile fails the test on any problem but warnings.
func compile(t testing.TB, list ...rules.Rule) *rules.Set {
	t.Helper()
	set, problems := rules.Compile(list, known)
	if set == nil {
		t.Fatalf("compiling: %s", describe(problems))
	}
	return set
}

func describe(problems []rules.Problem) (text string) {
	for _, p := range problems {
		text += fmt.Sprintf("\nrule %d %s[%d] %d:%d %s %s (did you mean %q)\n%s", p.Rule, p.Key, p.Index, p.Line, p.Column, p.Code, p.Message, p.Suggestion, p.Snippet)
	}
	return text
}
