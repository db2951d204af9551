package rules_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// A condition that leaves out orders for the way in which they came about is warned of.
func TestConditionsThatLeaveOrdersOut(t *testing.T) {
	const firstSight, free, later, before, due, open, sight = "is empty when a session is first seen", "without anything to pay, which", "paid after the checkout", "before the checkout is complete", "completed comes once", "while the checkout is open", "created comes once, when a session is first seen"
	const neither, change = ", and updated never for a change of status or payment_status", "leaves out each order when it is paid: updated never comes for a change of status or payment_status; "
	const alone = "updated never comes for a change of status or payment_status, so that this takes created alone, of each session when it is first seen; "
	for _, c := range []struct{ events, when, want string }{
		{"fulfillable", `previous.payment_status == "unpaid"`, firstSight},
		{"fulfillable", `"unpaid" == previous.payment_status and session.livemode`, firstSight},
		{"fulfillable", `session.livemode and (previous.payment_status in ["unpaid"] or previous.status == "open")`, firstSight},
		{"fulfillable", `event.change.from == "unpaid"`, firstSight},
		{"fulfillable", `previous.amount_total > 100_00`, firstSight},
		{"fulfillable", `previous.metadata.plan == "pro"`, firstSight},
		{"paid fulfillable", `event.change.from == "unpaid"`, firstSight},
		{"fulfillable", `event.revision > 1`, "event.revision, which is 1 when a session is first seen, and leaves out each order that is created and paid"},
		{"fulfillable", `session.livemode and event.revision >= 2`, "add `not event.inferred` if"},
		{"fulfillable", `event.revision > 1 and previous.customer == "cus_1"`, "event.revision, which is 1"},
		{"paid expired", `event.revision != 1`, "event.revision, which is 1"},
		{"", `event.type == "checkout.session.completed" and not (event.revision == 1)`, "event.revision, which is 1"},
		{"paid", `event.change.field == "payment_status" && event.change.from == "unpaid" && event.change.to == "paid"`, firstSight},
		{"completed", `previous.status == "open"`, firstSight},
		{"created completed", `previous.status == "open"`, firstSight},
		{"expired", `event.change.from == "open"`, firstSight},
		{"no_payment_required", `not (previous.payment_status != "unpaid")`, firstSight},
		{"completed updated", `session.status == "complete" && previous.status == "open"`, firstSight},
		{"*", `event.change.from == "unpaid" && event.change.to == "paid"`, firstSight},
		{"", `event.type == "checkout.session.paid" and previous.payment_status == "unpaid"`, firstSight},
		{"fulfillable", `session.payment_status == "paid"`, free},
		{"fulfillable", `event.change.to == "paid" and session.currency == "USD"`, free},
		{"fulfillable", `session.payment_status != "no_payment_required"`, free},
		{"fulfillable", `changed("status")`, later},
		{"paid", `changed("status") and session.livemode`, later},
		{"fulfillable", `changed("payment_status")`, before},
		{"fulfillable", `previous.payment_status != session.payment_status`, before},
		{"fulfillable", `session.livemode and not (session.status == previous.status)`, later},
		{"fulfillable", `event.revision == 1`, "each session that was seen before"},
		{"expired", `event.revision < 2 and session.livemode`, "or write `event.inferred` if that is meant"},
		{"completed", `session.payment_status == "paid"`, due},
		{"completed expired", `session.payment_status != "unpaid"`, due},
		{"completed", `changed("payment_status")`, due},
		{"completed", `session.mode == "subscription" and session.payment_status == "paid"`, due},
		{"completed", `session.mode in ["setup", "payment"] and session.payment_status in ["", "paid"]`, due},
		{"paid no_payment_required", `session.status == "complete"`, "order that is paid, or has nothing to pay, while the checkout is open, and is completed later"},
		{"paid", `session.status == "complete" and session.amount_total > 100_00`, open},
		{"paid expired", `session.status != "open"`, open},
		{"no_payment_required", `session.status in ["complete"]`, open},
		{"", `event.type == "checkout.session.paid" and session.status == "complete"`, open},
		{"created", `session.payment_status == "paid"`, sight + "; write `events: [fulfillable]` instead"},
		{"created", `session.status == "complete" and session.payment_status == "paid"`, "write `events: [fulfillable]` instead, which come also for a session that is first seen so"},
		{"created", `session.status == "complete"`, "write `events: [completed]`"},
		{"created", `session.livemode and session.status in ["complete"] and session.payment_status == "unpaid"`, "write `events: [completed]`"},
		{"created", `session.mode == "setup" and session.status == "complete" and session.payment_status != "unpaid"`, "write `events: [completed]`"},
		{"created", `session.status == "expired"`, "write `events: [expired]`"},
		{"created", `session.status in ["complete", "expired"]`, "write `events: [completed, expired]`"},
		{"created", `session.status != "open"`, "write `events: [completed, expired]`"},
		{"created updated", `session.status == "complete"`, sight + neither + "; write `events: [completed]` instead"},
		{"created updated", `session.payment_status == "paid"`, sight + neither + "; write `events: [fulfillable]` instead"},
		{"created updated", `session.status == "complete" and session.payment_status != "unpaid" and session.metadata.plan == "pro"`, "write `events: [fulfillable]` instead"},
		{"created updated", `session.status == "expired"`, "write `events: [expired]` instead"},
		{"created updated", `session.status != "open" and session.livemode`, "write `events: [completed, expired]` instead"},
		{"created updated", `changed("status") and session.status == "complete"`, "write `events: [completed]` instead"},
		{"created updated expired", `session.payment_status == "paid" and session.status == "complete"`, "write `events: [fulfillable]` instead"},
		{"", `event.type in ["checkout.session.created", "checkout.session.updated"] and session.payment_status == "paid"`, "write the `events` that are meant instead"},
		{"created updated", `changed("status")`, alone + "write `events: [completed, expired]` instead"},
		{"created updated", `previous.payment_status != session.payment_status and session.livemode`, alone + "write `events: [no_payment_required, paid]` instead"},
		{"created updated", `changed("status") or changed("payment_status")`, alone + "write `events: [expired, fulfillable]` instead"},
		{"updated", `session.payment_status == "paid"`, change + "write `events: [fulfillable]` instead"},
		{"updated", `session.status == "complete" and session.payment_status in ["paid", "no_payment_required"] and session.amount_total > 100_00`, change},
		{"updated regressed", `session.payment_status != "unpaid" and session.livemode`, change},
		{"created", `session.payment_status in ["paid", "no_payment_required"]`, sight},
		{"created", `session.payment_status != "unpaid"`, sight},
		{"created", `event.change.to == "complete"`, sight},
		{"created", `event.change.field == "status" and event.change.to != "open"`, sight},
		{"", `event.type == "checkout.session.created" and session.payment_status == "paid"`, sight},
	} {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1 || problems[0].Code != rules.CodeMissesOrders || !problems[0].Warning || problems[0].Snippet == "" || !strings.Contains(problems[0].Message, c.want) {
			t.Errorf("%s of %s: want %q:%s", c.when, c.events, c.want, describe(problems))
		}
	}
	for _, c := range []struct{ events, when string }{
		{"fulfillable", `previous.payment_status in ["", "unpaid"] or event.inferred`},
		{"fulfillable", `not event.inferred and previous.customer == "cus_1"`},
		{"fulfillable", `event.inferred and event.revision == 1`},
		{"created", `event.revision == 1`},
		{"", `event.revision == 1`},
		{"fulfillable paid", `event.revision == 1 or event.async`},
		{"completed", `previous.status != session.status and previous.amount_total == session.amount_total`},
		{"fulfillable", `event.revision > 1 and not event.inferred`},
		{"fulfillable", `event.revision > 1 or session.amount_total > 100_00`},
		{"paid", `event.async and event.revision > 1`},
		{"paid", `event.revision > 1 and previous.status != ""`},
		{"updated", `event.revision > 1`},
		{"regressed unresolved", `event.revision > 1`},
		{"", `event.revision > 1`},
		{"*", `event.revision > 1 and session.amount_total > 100_00`},
		{"fulfillable", `event.async and previous.payment_status == "unpaid"`},
		{"paid", `previous.payment_status != ""`},
		{"paid", `previous.payment_status == "unpaid" and event.change.from != ""`},
		{"paid", `event.async and session.livemode`},
		{"fulfillable", `session.payment_status == "paid" and session.amount_total > 0`},
		{"fulfillable", `session.amount_total > 1000_00 and event.change.to == "paid"`},
		{"fulfillable", `session.payment_status == "no_payment_required"`},
		{"fulfillable", `session.payment_status in ["paid", "no_payment_required"]`},
		{"paid", `session.payment_status == "paid"`},
		{"fulfillable", `changed("status") and not event.async`},
		{"completed", `changed("status")`},
		{"completed", `session.payment_status == "unpaid"`},
		{"completed", `session.mode == "setup" and session.payment_status == ""`}, // fulfillable never comes for these
		{"completed", `session.payment_status == "" and session.livemode`},
		{"completed", `session.mode == "setup" and session.payment_status != "unpaid"`},
		{"completed expired", `session.mode in ["setup"] and session.payment_status in ["", "no_payment_required"]`},
		{"completed", `session.mode == "setup" and changed("payment_status")`},
		{"created", `changed("status")`},
		{"updated", `previous.amount_total > 0 and changed("amount_total")`},
		{"updated", `previous.status == "open"`},
		{"", `previous.amount_total > 0 and changed("amount_total")`},
		{"regressed", `previous.payment_status == "paid" or event.change.from == "complete"`},
		{"*", `changed("status")`},
		{"completed", `previous.status == "expired"`},
		{"completed", `event.change.from == "expired"`},
		{"completed", `previous.payment_status == "paid"`},
		{"paid", `previous.status == "complete"`},
		{"fulfillable", `previous.status == "complete" and session.livemode`},
		{"fulfillable", `previous.payment_status == "paid"`},
		{"fulfillable", `event.change.from == "paid"`},
		{"expired", `previous.status == "complete"`},
		{"paid", `session.status == "complete" and event.async`},
		{"paid", `session.status == "complete" and previous.status == "complete"`},
		{"paid", `session.status in ["open", "complete"]`},
		{"paid", `session.status == "open"`},
		{"paid updated", `session.status == "complete"`},
		{"created", `session.status == "open"`},
		{"created", `session.payment_status == "unpaid"`},
		{"created", `session.payment_status == "no_payment_required"`}, // often from the beginning
		{"created", `session.status != "expired"`},
		{"created", `session.status == "open" or session.payment_status == "paid"`},
		{"created", `session.amount_total > 100_00 and session.livemode`},
		{"created", `event.change.to == "open"`},
		{"created fulfillable", `session.payment_status == "paid" and session.currency == "EUR" or session.livemode`},
		{"created updated", `session.status == "open"`},
		{"created updated", `changed("status") or changed("metadata")`},
		{"created updated", `event.change.field == "status"`},
		{"created updated expired", `changed("status")`},
		{"created updated", `session.payment_status == "unpaid" and session.livemode`},
		{"created updated", `session.payment_status == "no_payment_required"`},
		{"created updated", `session.amount_total > 100_00 and session.metadata.plan == "pro"`},
		{"created updated", `session.status == "open" or changed("metadata")`},
		{"created updated completed", `session.status == "complete"`},
		{"created updated fulfillable", `session.payment_status == "paid" and session.amount_total > 0`},
		{"updated", `session.status == "complete"`}, // what changes later
		{"updated", `session.status == "complete" and session.payment_status == "unpaid"`},
		{"updated", `session.payment_status == "paid" and changed("shipping")`},
		{"updated", `session.payment_status == "paid" and session.metadata.shipped == "true"`}, // which is set later
		{"updated", `session.payment_status == "paid" and has("shipping.tracking_number")`},
		{"updated", `session.payment_status == "paid" and event.change.field == "metadata"`},
		{"updated", `session.payment_status == "paid" and previous.amount_total > 0`},
		{"paid updated", `session.payment_status == "paid"`},
		{"*", `session.status == "complete"`},
	} {
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
}

// What the warnings say is so: the conditions do not match these orders, as the events
// of diff show them.
func TestOrdersThatAreLeftOutDoNotMatch(t *testing.T) {
	for _, c := range []struct {
		looks  [][2]string // at status and payment_status
		events string
		when   []string
	}{
		{[][2]string{{"complete", "paid"}}, event.Fulfillable, []string{`previous.payment_status == "unpaid"`, `previous.status == "open"`, `event.change.from == "unpaid"`, `event.revision > 1`}},
		{[][2]string{{"open", "unpaid"}, {"complete", "no_payment_required"}}, event.Fulfillable, []string{`session.payment_status == "paid"`, `event.change.to == "paid"`, `event.revision == 1`}},
		{[][2]string{{"open", "no_payment_required"}, {"complete", "no_payment_required"}}, event.Fulfillable, []string{`changed("payment_status")`, `event.change.from == "unpaid"`, `previous.payment_status != session.payment_status`}},
		{[][2]string{{"complete", "unpaid"}, {"complete", "paid"}}, event.Fulfillable, []string{`changed("status")`, `previous.status == "open"`}},
		{[][2]string{{"open", "unpaid"}, {"open", "paid"}}, event.Paid, []string{`session.status == "complete"`}},
		{[][2]string{{"open", "unpaid"}}, event.Created, []string{`session.payment_status == "paid"`, `session.status == "complete"`, `session.status != "open"`, `event.change.to == "complete"`}},
		{[][2]string{{"open", "unpaid"}, {"complete", "unpaid"}}, event.Completed, []string{`session.payment_status == "paid"`, `changed("payment_status")`}},
	} {
		list := []rules.Rule{{Name: "all", Events: []string{c.events}, To: []string{"bus"}, Enabled: true}}
		for i, when := range c.when {
			list = append(list, rules.Rule{Name: fmt.Sprintf("r%d", i), Events: []string{c.events}, When: when, To: []string{"bus"}, Enabled: true})
		}
		shown, previous := eventsOf(t, c.looks)
		at := slices.IndexFunc(shown, func(e *event.Event) bool { return e.Type == c.events })
		if at < 0 {
			t.Fatal(c.looks, c.events)
		}
		if got := matched(compile(t, list...).Match(shown[at], previous, now)); got != "all" {
			t.Errorf("%v: matched %s", c.looks, got)
		}
	}
}

// eventsOf are the events of the last of some looks, each at a status and a
// payment_status, and the session at the look before.
func eventsOf(t *testing.T, looks [][2]string) (list []*event.Event, previous json.RawMessage) {
	t.Helper()
	state := func(look [2]string) *checkout.Session {
		s, err := checkout.Parse(session(t, map[string]any{"status": look[0], "payment_status": look[1]}))
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	policy := diff.Policy{ConfirmAfter: time.Minute, UnpaidFor: time.Hour, WarmEvery: time.Minute}
	last := state(looks[0])
	outcome, err := diff.First("main", last, diff.Look{At: now}, policy)
	for i, look := range looks[1:] {
		previous, last = last.Object, state(look)
		snapshot := outcome.Snapshot
		outcome, err = diff.Next(&snapshot, last, diff.Look{At: now.Add(time.Duration(i+1) * time.Hour / 2)}, policy)
	}
	attributes, attributesErr := checkout.PreviousAttributes(outcome.Changes)
	if err != nil || attributesErr != nil {
		t.Fatal(looks, err, attributesErr)
	}
	for _, is := range outcome.Transitions {
		list = append(list, &event.Event{ID: "evt_1", Type: is.Type, Account: "main", Session: last.ID, Time: now, Revision: len(looks), Object: last.Object,
			PreviousAttributes: attributes, Change: is.Change, Async: is.Async, Inferred: is.Inferred})
	}
	return list, previous
}

// A rule for created and updated hears of no order that is seen open first, and what it is
// told to be instead hears once of each.
func TestCreatedAndUpdatedMissOrders(t *testing.T) {
	advised := regexp.MustCompile("write `events: \\[([a-z_, ]+)\\]`")
	for _, when := range []string{`session.status == "complete"`, `session.payment_status == "paid"`, `session.status == "complete" and session.payment_status == "paid"`, `session.status != "open"`, `changed("status")`, `changed("payment_status")`} {
		problems := warningsOf(t, when, "created", "updated")
		if len(problems) != 1 || advised.FindStringSubmatch(problems[0].Message) == nil {
			t.Errorf("%s:%s", when, describe(problems))
			continue
		}
		list := []rules.Rule{
			{Name: "miss", Events: []string{"created", "updated"}, When: when, To: []string{"bus"}, Enabled: true},
			{Name: "hear", Events: strings.Split(advised.FindStringSubmatch(problems[0].Message)[1], ", "), To: []string{"bus"}, Enabled: true},
		}
		set := compile(t, list...)
		for _, way := range [][][2]string{
			{{"open", "unpaid"}, {"complete", "paid"}}, {{"open", "unpaid"}, {"complete", "unpaid"}, {"complete", "paid"}}, {{"open", "unpaid"}, {"open", "paid"}, {"complete", "paid"}},
		} {
			heard := ""
			for i := range way[1:] {
				events, previous := eventsOf(t, way[:i+2])
				for _, e := range events {
					heard += matched(set.Match(e, previous, now))
				}
			}
			if heard != "hear" {
				t.Errorf("%s of %v: %q", when, way, heard)
			}
		}
	}
}
