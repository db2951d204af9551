package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
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

// Unresolved comes at the end of unpaid_for: a rule for it on a greater age never matches,
// or matches by how long the checkout took.
func TestUnresolvedOlderThanUnpaidFor(t *testing.T) {
	const day = 24 * time.Hour
	watched := known
	watched.UnpaidFor = map[string]time.Duration{"main": 14 * day, "backup": 36 * time.Hour}
	for _, c := range []struct {
		account, when string
		want          string // "" for no warning
	}{
		{"", `now() - session.created > duration("30d")`, "14d (`poll.unpaid_for`) after the checkout"},
		{"", `session.payment_status == "unpaid" and now() - session.created > duration("20d")`, "leave this out, or make `poll.unpaid_for` longer"},
		{"main", `session.created < now() - duration("21d")`, "14d"},
		{"main", `(now() - session.created).Hours() / 24 > 14.5`, "14d"}, // by chance
		{"main", `session.expires_at < now() - duration("15d")`, "14d"},
		{"backup", `now() - session.created > duration("3d")`, "36h (`poll.unpaid_for`)"},
		{"", `event.account == "backup" and now() - session.created > duration("3d")`, "36h"},
		{"", `now() - session.created > duration("3d")`, ""}, // of one account
		{"main", `now() - session.created > duration("14d")`, ""},
		{"main", `session.status == "open" and now() - session.created > duration("30m")`, ""},
		{"main", `now() - session.created > duration("30d") or session.amount_total > 100_00`, ""},
		{"main", `now() - session.created < duration("30d")`, ""},
	} {
		r := rules.Rule{Name: "r", Events: []string{"unresolved"}, When: c.when, To: []string{"bus"}, Enabled: true}
		if c.account != "" {
			r.Accounts = []string{c.account}
		}
		_, problems := rules.Compile([]rules.Rule{r}, watched)
		told := len(problems) == 1 && problems[0].Code == rules.CodeNeverMatches && problems[0].Snippet != "" && strings.Contains(problems[0].Message, c.want)
		if c.want == "" && len(problems) > 0 || c.want != "" && !told {
			t.Errorf("%s of %q: want %q:%s", c.when, c.account, c.want, describe(problems))
		}
		r.Events = []string{"unresolved", "expired"}
		if _, problems := rules.Compile([]rules.Rule{r}, watched); len(problems) > 0 {
			t.Errorf("%s of several types:%s", c.when, describe(problems))
		}
	}
}

// The age at which unresolved comes is as the warning says, whenever the checkout ended.
func TestTheAgeOfWhatIsUnresolved(t *testing.T) {
	const unpaidFor, checkoutMost, look = 14 * 24 * time.Hour, 24 * time.Hour, 15 * time.Minute
	policy := diff.Policy{ConfirmAfter: time.Minute, UnpaidFor: unpaidFor, WarmEvery: time.Minute}
	for _, completed := range []time.Duration{0, time.Minute, 5 * time.Hour, checkoutMost, 1000 * time.Hour} { // the last: never
		fields := map[string]any{"status": "open", "payment_status": "unpaid", "created": now.Unix(), "expires_at": now.Add(checkoutMost).Unix()}
		parse := func() *checkout.Session {
			s, err := checkout.Parse(session(t, fields))
			if err != nil {
				t.Fatal(err)
			}
			return &s
		}
		outcome, err := diff.First("main", parse(), diff.Look{At: now}, policy)
		age := time.Duration(0)
		for unresolved := false; !unresolved && age < 2*unpaidFor && err == nil; {
			age += look
			if age > completed {
				fields["status"] = "complete"
			}
			seen := outcome.Snapshot
			outcome, err = diff.Next(&seen, parse(), diff.Look{At: now.Add(age)}, policy)
			unresolved = slices.ContainsFunc(outcome.Transitions, func(is diff.Transition) bool { return is.Type == event.Unresolved })
		}
		if err != nil || age < unpaidFor || age > unpaidFor+checkoutMost+2*look {
			t.Errorf("completed after %s: unresolved at the age of %s, %v", completed, age, err)
		}
	}
}
