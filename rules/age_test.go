package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// No event comes when a session reaches an age: a rule for created never sees one of half
// an hour, and no advice leads to such a rule.
func TestRulesOnTheAgeOfASession(t *testing.T) {
	const open, half = `session.status == "open" && `, `now() - session.created > duration("30m")`
	const noAge, expired = "no event comes when a session reaches an age: a rule on that is `on: session`, which is not supported yet", "`events: [expired]` tells of carts that were not paid"
	never := []struct{ events, when string }{
		{"created", open + half},
		{"created", half},
		{"created", `session.created < now() - duration("1h")`},
		{"created", `now() - duration("1h") >= session.created and session.livemode`},
		{"created", `session.created + duration("1h") < now()`},
		{"created", `now() > session.created + 2 * duration("1h")`},
		{"created", `event.time - session.created > duration("30m")`},
		{"created", `now().Sub(session.created) > duration("30m")`},
		{"created", `(now() - session.created).Minutes() > 30`},
		{"created", `1.5 <= (now() - session.created).Hours()`},
		{"created", `now().Unix() - session.created.Unix() > 1800`},
		{"created", `(now().Unix() - session.created.Unix()) / 60 >= 30`},
		{"created", `now().UnixMilli() - session.created.UnixMilli() > 1_800_000`},
		{"created", `not (now() - session.created < duration("30m"))`},
		{"created", open + `session.expires_at < now()`},
		{"", `event.type == "checkout.session.created" and ` + half},
	}
	for _, c := range never {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || problems[0].Snippet == "" ||
			!strings.Contains(problems[0].Message, "created comes when a session is first seen") || !strings.Contains(problems[0].Message, noAge) || !strings.Contains(problems[0].Message, expired) {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
	const noAgeUnpaid = "no event comes when a session reaches an age: a rule on that is `on: session`, which is not supported yet; `events: [unresolved]` tells of orders that are still unpaid after `poll.unpaid_for`"
	for _, when := range []string{
		`session.status == "complete" && session.payment_status != "paid" && now() - session.created > duration("48h")`,
		`session.payment_status == "unpaid" && now() - session.created >= duration("24h")`,
		`session.expires_at < now() - duration("1h")`,
	} {
		problems := warningsOf(t, when, "completed")
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || !strings.Contains(problems[0].Message, "completed comes at the end of the checkout, at most 24 hours after the session was made, and "+noAgeUnpaid) {
			t.Errorf("%s of completed:%s", when, describe(problems))
		}
	}
	for when, want := range map[string]string{
		`session.status == "complete" && session.payment_status != "paid" && now() - session.created > duration("48h")`:   "no_payment_required, fulfillable and every later change, each of them is delivered, but " + noAgeUnpaid,
		`session.status == "complete" && session.payment_status == "unpaid" && now() - session.created > duration("48h")`: "unpaid: unresolved and every later change, each of them is delivered, but " + noAgeUnpaid,
		`session.status == "complete" && session.payment_status == "unpaid"`:                                              "complete and unpaid: completed, unresolved and every later change, each of them is delivered; add `events: [completed]` to act once an order",
		open + half: "matches each event of a session that is open: no_payment_required, paid and every later change, each of them is delivered, but " + noAge + "; " + expired + ". Add the `events` that are meant, or `events: ['*']` if all are",
		open + `session.created < now() - duration("1h")`:                                       expired,
		open + `session.expires_at - now() < duration("1h")`:                                    expired,
		`session.payment_status == "unpaid" && ` + half:                                         expired,
		`session.status == "complete" && ` + half:                                               "add `events: [completed]` to act once an order",
		open + `now() - session.created < duration("30m")`:                                      "created, no_payment_required, paid and every later change, each of them is delivered; add `events: [created]`",
		open + `(now() - session.created > duration("30m") or session.amount_total > 1_000_00)`: "add `events: [created]`",
		open + `session.created > date("2026-01-01")`:                                           "add `events: [created]`",
		open + `session.expires_at - session.created > duration("12h")`:                         "add `events: [created]`",
		`session.status == "complete" && session.payment_status == "paid" && ` + half:           "add `events: [fulfillable]`",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeRepeats || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
		if len(problems) > 0 && strings.Contains(problems[0].Message, "[created]") && strings.Contains(problems[0].Message, noAge) {
			t.Errorf("%s: leads to a rule that never matches: %s", when, problems[0].Message)
		}
	}
	for _, c := range []struct{ events, when string }{
		{"created", `now() - session.created < duration("30m")`},
		{"created", `now() - session.created >= duration("0s")`},
		{"created", `now() - session.created > duration("10s")`}, // seen late
		{"created", `session.created > now() - duration("30m")`},
		{"created", `session.amount_total > 100_00 or ` + half},
		{"created", `session.expires_at - now() < duration("1h")`}, // a short one
		{"created", `session.expires_at - session.created > duration("30m")`},
		{"created", `now().Unix() - int(session.metadata.since ?? "0") > 1800`},
		{"created", `now().Hour() > 8`},
		{"created expired", half},
		{"created updated", open + half},
		{"expired", half},
		{"completed", half},
		{"unresolved", open + half},
		{"updated", open + half},
		{"*", open + half},
		{"", half},
	} {
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
}
