package rules_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// A rule that asks for a state is matched by each event that shows it: an order
// that is shipped by it is shipped several times.
func TestRulesThatMatchASessionRepeatedly(t *testing.T) {
	const ship = `session.status == "complete" && session.payment_status == "paid"`
	for _, tt := range []struct {
		when    string
		events  []string
		message string // "" for no warning
	}{
		{ship, nil, "matches each event of a session that is complete and paid: completed, paid, fulfillable and every later change, each of them is delivered; " +
			"add `events: [fulfillable]` to act once an order, or `events: ['*']` if all are meant"},
		{`session.livemode && session.payment_status in ["paid", "no_payment_required"]`, nil,
			"is paid or no_payment_required: completed, expired, no_payment_required, paid, fulfillable and every later change, each of them is delivered; add `events: [fulfillable]` to act once an order"},
		{`event.account == "main" && session.status == "complete" && session.amount_total > 100`, nil, "add `events: [completed]` to"},
		{`session.status in ["complete", "expired"]`, nil, "is complete or expired: completed, expired, no_payment_required, paid, fulfillable and every later change, each of them is delivered; add `events: [completed, expired]` to"},
		{`session.status == "open"`, nil, "is open: created, no_payment_required, paid and every later change, each of them is delivered; add `events: [created]` to"},
		{`session.payment_status == "unpaid"`, nil, "add the `events` that are meant, or `events: ['*']`"},
		{`session.payment_status != "unpaid" && session.livemode`, nil, "is paid or no_payment_required"},
		{`session.payment_status == "paid" || session.payment_status == "no_payment_required"`, nil, "is paid or no_payment_required"},

		{`session.status != "open"`, nil, "is complete or expired: completed, expired, no_payment_required, paid, fulfillable and every later change, each of them is delivered; add `events: [completed, expired]` to"},
		{`not (session.status == "open") and session.livemode`, nil, "is complete or expired"},
		{`session.status not in ["open"] and session.status != "expired"`, nil, "is complete: completed, no_payment_required, paid, fulfillable and every later change, each of them is delivered; add `events: [completed]` to"},

		{ship, []string{"*"}, ""},
		{`session.status != "open"`, []string{"*"}, ""},
		{`session.status != "expired"`, nil, ""},
		{`session.status == "complete" && session.payment_status in ["paid", "no_payment_required"]`, []string{"fulfillable"}, ""},
		{`session.status == "complete" && event.type == "checkout.session.fulfillable"`, nil, ""},
		{`session.status == "expired" && session.payment_status == "unpaid"`, nil, ""},
		{`session.status == "complete" || session.livemode`, nil, ""},
		{`session.currency == "EUR"`, nil, ""},
	} {
		problems := warningsOf(t, tt.when, tt.events...)
		switch {
		case tt.message == "" && len(problems) > 0:
			t.Errorf("%s of %q: %s", tt.when, tt.events, describe(problems))
		case tt.message == "":
		case len(problems) != 1 || problems[0].Code != rules.CodeRepeats || problems[0].Key != "when" || !strings.Contains(problems[0].Message, tt.message):
			t.Errorf("%s: %s\nwant %s", tt.when, describe(problems), tt.message)
		}
	}
}

// The events of one look share session, previous and changed(): a rule that asks by
// these whether an order came about is matched by each of them.
func TestRulesThatMatchSeveralEventsOfALook(t *testing.T) {
	const ship, meant = `session.status == "complete" && session.payment_status == "paid"`, ", or `events: ['*']` if all are meant"
	const once, share = "write `events: [fulfillable]` in place of what asks for the state, to act once an order", "; they share session, previous and changed(), and each of them is delivered; "
	const every, change = "created, completed, expired, no_payment_required, paid, fulfillable", " in place of what asks for the change, to act once an order"
	for _, c := range []struct{ events, when, types, remedy string }{
		{"", `changed("payment_status") && session.payment_status == "paid"`, "created, completed, paid, fulfillable", once + meant},
		{"", `session.status == "complete" and previous.status != "complete" and session.payment_status in ["paid", "no_payment_required"]`,
			"created, completed, no_payment_required, paid, fulfillable", once + meant},
		{"", `changed("payment_status") && (session.status == "complete" || session.status == "expired")`, every, once + meant},
		{"", `changed("payment_status") && session.payment_status != "unpaid"`, "created, completed, no_payment_required, paid, fulfillable", once + meant},
		{"", `changed("status") && session.status == "complete"`, "created, completed, no_payment_required, paid, fulfillable",
			"write `events: [completed]` in place of what asks for the state, to act once an order" + meant},
		{"", ship + ` && changed("status")`, "created, completed, paid, fulfillable", once},
		{"", ship + ` && previous.status != ""`, "completed, paid, fulfillable", once},
		{"", ship + ` && event.revision > 1`, "completed, paid, fulfillable", once},
		{"", ship + ` && not event.inferred && event.account == "main"`, "completed, paid, fulfillable", once},
		{"", `event.change.field == "payment_status" && event.change.to == "paid"`, "paid, fulfillable", once},
		{"", `previous.status == "complete" && session.payment_status == "paid" && changed("payment_status")`, "paid, fulfillable", once},
		{"", ship + ` && event.type in ["checkout.session.paid", "checkout.session.completed"]`, "completed, paid", once},
		{"", `changed("status")`, every, "write `events: [completed, expired]`" + change + meant},
		{"", `previous.status != session.status`, every, "write `events: [completed, expired]`" + change + meant},
		{"", `session.livemode and not (session.status == previous.status)`, every, "write `events: [completed, expired]`" + change + meant},
		{"", `changed("payment_status")`, every, "write `events: [no_payment_required, paid]`" + change + meant},
		{"", `event.change.field == "payment_status"`, "no_payment_required, paid, fulfillable", "write `events: [no_payment_required, paid]`" + change + meant},
		{"", `changed("status") or changed("payment_status")`, every, "write `events: [expired, fulfillable]`" + change + meant},
		{"", `changed("status") and session.status != "open"`, every, "write `events: [completed, expired]` in place of what asks for the state, to act once an order" + meant},
		{"", `changed("status") and session.status == "expired"`, "created, expired", "write `events: [expired]` in place of what asks for the state, to act once an order" + meant},
		{"", `previous.status != "expired" and session.status == "expired"`, "created, expired", "write `events: [expired]` in place of what asks for the state, to act once an order" + meant},
		{"", `changed("status") and session.status == "complete" and session.payment_status == "unpaid"`, "created, completed", "write `events: [completed]` in place"},
		{"", `event.async`, "paid, fulfillable", "add `events: [fulfillable]` to act once an order" + meant},
		{"", `event.async == true and session.livemode`, "paid, fulfillable", "add `events: [fulfillable]` to"},
		{"completed paid", `changed("payment_status")`, "completed, paid", "write `events: [fulfillable]` in place of what asks for the change, to act once an order, or a rule for each if all are meant"},
		{"completed paid", ship, "completed, paid", once + ", or a rule for each if all are meant"},
		{"completed paid", `session.payment_status == "paid" && session.amount_total > 100_00`, "completed, paid", once},
		{"paid fulfillable expired", `session.status == "complete"`, "paid, fulfillable", once},
		{"created paid", `session.payment_status == "paid"`, "created, paid", once + ", or a rule for each if all are meant"},
		{"created fulfillable", `session.payment_status in ["paid", "no_payment_required"] and session.livemode`, "created, fulfillable", once},
		{"created fulfillable", `session.payment_status == "paid" and session.amount_total > 0`, "created, fulfillable", once},
		{"created completed", `session.status == "complete"`, "created, completed", "write `events: [completed]` in place of what asks for the state, to act once"},
		{"created expired", `session.status == "expired" and session.livemode`, "created, expired", "write `events: [expired]` in place of what asks for the state"},
		{"created completed expired", `session.status != "open"`, "created, completed, expired", "write `events: [completed, expired]` in place of what asks for the state"},
	} {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1 || problems[0].Code != rules.CodeRepeats || problems[0].Snippet == "" || !strings.Contains(problems[0].Message, ": "+c.types+share+c.remedy) {
			t.Errorf("%s of %s: %s\nwant %s%s%s", c.when, c.events, describe(problems), c.types, share, c.remedy)
		}
	}
	for _, c := range []struct{ events, when string }{
		{"*", `changed("payment_status") && session.payment_status == "paid"`},
		{"completed paid", `session.livemode`},
		{"completed paid", `session.amount_total > 100_00 && session.currency == "EUR"`},
		{"completed paid expired", `event.async || session.amount_total > 100_00`},
		{"created completed expired unresolved", `session.payment_status == "unpaid"`},
		{"", ship + ` && event.change.field == "status"`},
		{"", ship + ` && event.type matches "fulfillable$"`},
		{"", ship + ` && not (changed("status") or changed("payment_status"))`},
		{"", ship + ` && previous.status == "complete" && previous.payment_status == "paid" && changed("shipping")`},
		{"", `session.status == "open" && changed("payment_status")`},
		{"", `session.status == "expired" && changed("status") && previous.status != ""`},
		{"", `session.status == "expired" && event.change.field == "status"`},
		{"", `event.type in ["checkout.session.created", "checkout.session.expired"] && changed("status") && session.status == "expired"`},
		{"created fulfillable", `session.livemode`},
		{"created completed", `session.status in ["open", "complete"]`},
		{"created updated completed", `session.status == "complete"`},
		{"", `not changed("status") and session.livemode`},
		{"", `changed("metadata")`},
		{"", `event.change.field == "status"`},
		{"", `not event.async`},
		{"*", `changed("status")`},
		{"*", `event.async`},
		{"paid fulfillable", `event.async`},
		{"paid", `event.async`},
		{"fulfillable", `event.async and changed("payment_status")`},
		{"created completed expired", `changed("status")`},
		{"", `changed("amount_total") && previous.amount_total > 0`},
		{"paid", `session.payment_status == "paid"`},
		{"completed", `changed("status") && session.status == "complete"`},
	} {
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
}

// What the warnings name is what matches, as the events of diff show it.
func TestEventsOfALookThatMatchTogether(t *testing.T) {
	names := regexp.MustCompile(`of one look: (.*?);`)
	for _, when := range []string{
		`changed("payment_status") && session.payment_status == "paid"`, `changed("status") && session.status == "complete"`,
		`session.status == "complete" and previous.status != "complete" and session.payment_status in ["paid", "no_payment_required"]`,
		`session.payment_status == "paid" && event.revision > 1`, `session.payment_status == "paid" && event.inferred`, `session.payment_status == "paid" && not event.inferred`,
		`event.change.to == "paid" && event.change.from == "unpaid"`, `session.status == "complete" && previous.status == ""`, `session.status == "complete" && event.change.field == "payment_status"`,
		`session.payment_status == "paid" && (event.async || event.type == "checkout.session.completed")`,
		`changed("status")`, `changed("payment_status")`, `previous.status != session.status`, `changed("status") or changed("payment_status")`, `event.change.field == "payment_status"`, `event.async`,
		`changed("status") && session.status != "open"`, `changed("status") && session.status == "expired"`, `changed("status") && session.status == "complete" && session.payment_status == "unpaid"`,
	} {
		set := compile(t, rules.Rule{Name: "r", When: when, To: []string{"bus"}, Enabled: true})
		var together []string
		show := func(looks ...[2]string) {
			var matches []string
			list, previous := eventsOf(t, looks)
			for _, e := range list {
				if matched(set.Match(e, previous, now)) == "r" {
					matches = append(matches, event.Short(e.Type))
				}
			}
			if len(matches) > 1 {
				together = append(together, matches...)
			}
		}
		open, due, lapsed := [2]string{"open", "unpaid"}, [2]string{"complete", "unpaid"}, [2]string{"expired", "unpaid"}
		for _, payment := range []string{"paid", "no_payment_required"} {
			order := [2]string{"complete", payment}
			show(order)
			show(open, order)
			show([2]string{"open", payment}, order)
			show(due, order)
		}
		for _, other := range [][2]string{open, due, lapsed} {
			show(other)
			show(open, other)
		}
		var want []string
		for _, name := range event.Types() {
			if slices.Contains(together, event.Short(name)) {
				want = append(want, event.Short(name))
			}
		}
		problems := warningsOf(t, when)
		if len(problems) == 0 {
			t.Errorf("%s: no warning, want %s", when, want)
			continue
		}
		if got := names.FindStringSubmatch(problems[0].Message); got == nil || got[1] != strings.Join(want, ", ") {
			t.Errorf("%s: want %s%s", when, want, describe(problems))
		}
	}
}

// Following the advice of each warning acts once in a session's life, as diff shows it:
// when it becomes so, whichever way the session goes.
func TestTheAdviceOfRepeatsActsOnce(t *testing.T) {
	advised := regexp.MustCompile("`events: \\[([a-z_, ]+)\\]`")
	ways := [][][2]string{
		{{"complete", "paid"}}, {{"expired", "unpaid"}}, {{"complete", "no_payment_required"}}, {{"open", "unpaid"}, {"complete", "paid"}}, {{"open", "unpaid"}, {"expired", "unpaid"}},
		{{"open", "unpaid"}, {"complete", "unpaid"}, {"complete", "paid"}}, {{"open", "unpaid"}, {"open", "paid"}, {"complete", "paid"}}, {{"open", "no_payment_required"}, {"complete", "no_payment_required"}},
	}
	last := func(way [][2]string) [2]string { return way[len(way)-1] }
	all := func([][2]string) bool { return true }
	order := func(way [][2]string) bool { return last(way)[0] == "complete" }
	lapse := func(way [][2]string) bool { return last(way)[0] == "expired" }
	late := func(way [][2]string) bool { return len(way) == 3 && way[1][0] == "complete" }
	for _, c := range []struct {
		when string
		acts func(way [][2]string) bool // on a session that goes this way
		kept bool                       // the advice is to add events, not to replace the condition
	}{
		{`changed("status")`, all, false}, {`previous.status != session.status`, all, false}, {`session.status != "open"`, all, true},
		{`changed("payment_status")`, order, false}, {`event.change.field == "payment_status"`, order, false}, {`changed("status") or changed("payment_status")`, all, false},
		{`changed("status") and session.status == "expired"`, lapse, false}, {`changed("status") and session.status == "complete"`, order, false},
		{`changed("status") and session.status != "open"`, all, false}, {`event.async`, late, true}, {`changed("payment_status") and session.payment_status != "unpaid"`, order, false},
	} {
		problems := warningsOf(t, c.when)
		if len(problems) != 1 {
			t.Errorf("%s:%s", c.when, describe(problems))
			continue
		}
		found := advised.FindStringSubmatch(problems[0].Message)
		if found == nil {
			t.Errorf("%s leads nowhere:%s", c.when, describe(problems))
			continue
		}
		followed := rules.Rule{Name: "r", Events: strings.Split(found[1], ", "), To: []string{"bus"}, Enabled: true}
		if c.kept {
			followed.When = c.when
		}
		set, more := rules.Compile([]rules.Rule{followed}, known)
		if len(more) > 0 {
			t.Errorf("%s: the advice is warned of:%s", c.when, describe(more))
		}
		for _, way := range ways {
			matches, want := 0, 0
			if c.acts(way) {
				want = 1
			}
			for i := range way {
				list, previous := eventsOf(t, way[:i+1])
				for _, e := range list {
					matches += strings.Count(matched(set.Match(e, previous, now)), "r")
				}
			}
			if matches != want {
				t.Errorf("%s, followed by %s, acts %d times on %v, want %d", c.when, found[0], matches, way, want)
			}
		}
	}
}

// Created beside a type that tells of an order is heard twice of one that is made and paid
// between two looks. Following each advice of check, diff shows each order once, and no
// unpaid cart.
func TestCreatedBesideAnOrder(t *testing.T) {
	advised := regexp.MustCompile("write `events: \\[([a-z_, ]+)\\]`")
	made := [][2]string{{"complete", "paid"}}
	for _, c := range []struct{ events, when string }{
		{"created fulfillable", `session.payment_status == "paid"`}, {"created paid", `session.payment_status == "paid"`}, {"created paid", `session.status == "complete" and session.payment_status == "paid"`},
		{"created fulfillable", `session.payment_status != "unpaid" and session.status == "complete"`}, {"completed fulfillable", `session.payment_status == "paid"`},
		{"created completed paid", `session.payment_status == "paid"`},
	} {
		set := compile(t, rules.Rule{Name: "r", Events: strings.Fields(c.events), When: c.when, To: []string{"bus"}, Enabled: true})
		twice := 0
		list, previous := eventsOf(t, made)
		for _, e := range list {
			twice += len(matched(set.Match(e, previous, now)))
		}
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if twice < 2 || len(problems) == 0 {
			t.Errorf("%s of %s: %d times%s", c.when, c.events, twice, describe(problems))
		}
		for _, p := range problems {
			found := advised.FindStringSubmatch(p.Message)
			if found == nil || strings.Contains(p.Message, "remove the condition") || strings.Contains(p.Message, "amount_total") {
				t.Errorf("%s of %s:%s", c.when, c.events, describe([]rules.Problem{p}))
				continue
			}
			followed := compile(t, rules.Rule{Name: "r", Events: strings.Split(found[1], ", "), To: []string{"bus"}, Enabled: true})
			for _, way := range [][][2]string{
				made, {{"complete", "no_payment_required"}}, {{"open", "unpaid"}, {"complete", "paid"}}, {{"open", "unpaid"}, {"complete", "unpaid"}, {"complete", "paid"}},
				{{"open", "unpaid"}, {"expired", "unpaid"}}, {{"complete", "unpaid"}}, {{"open", "unpaid"}},
			} {
				heard, want := "", ""
				for i := range way {
					list, previous := eventsOf(t, way[:i+1])
					for _, e := range list {
						heard += matched(followed.Match(e, previous, now))
					}
				}
				if last := way[len(way)-1]; last[0] == "complete" && last[1] != "unpaid" {
					want = "r"
				}
				if heard != want {
					t.Errorf("%s of %v: %q, want %q", found[0], way, heard, want)
				}
			}
		}
	}
}
