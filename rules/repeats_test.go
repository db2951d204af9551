package rules_test

import (
	"strings"
	"testing"

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

		{ship, []string{"*"}, ""},
		{`session.status == "complete" && session.payment_status in ["paid", "no_payment_required"]`, []string{"fulfillable"}, ""},
		{ship, []string{"paid", "completed"}, ""},
		{ship + ` && changed("status")`, nil, ""},
		{ship + ` && previous.status != ""`, nil, ""},
		{ship + ` && event.revision > 1`, nil, ""},
		{ship + ` && event.type == "checkout.session.paid"`, nil, ""},
		{`session.status == "expired" && session.payment_status == "unpaid"`, nil, ""},
		{`session.status == "complete" || session.livemode`, nil, ""},
		{`session.status != "open"`, nil, ""},
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
