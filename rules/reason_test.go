package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// Only expired has a reason, and always one: a rule that asks for an empty one hears of
// everything else.
func TestReasonsThatNoEventHas(t *testing.T) {
	const never, empty = "expired has one of the reasons manual, timer and unknown, and no other type has any", "event.reason is empty of every event but expired"
	for _, c := range []struct{ events, when, code, want string }{
		{"expired", `event.reason == ""`, rules.CodeNeverMatches, never},
		{"expired", `session.livemode and not (event.reason != "")`, rules.CodeNeverMatches, never},
		{"expired", `event.reason not in ["manual", "timer", "unknown"]`, rules.CodeNeverMatches, never},
		{"paid", `event.reason == "manual"`, rules.CodeNeverMatches, never},
		{"completed paid", `event.reason != ""`, rules.CodeNeverMatches, never},
		{"", `event.reason == ""`, rules.CodeMisleading, empty},
		{"", `session.livemode and event.reason in [""]`, rules.CodeMisleading, empty},
		{"", `event.reason not in ["manual", "timer", "unknown"]`, rules.CodeMisleading, empty},
		{"*", `event.reason == ""`, rules.CodeMisleading, empty},
		{"expired paid", `event.reason == "" and session.amount_total > 100_00`, rules.CodeMisleading, empty},
		{"paid", `event.reason == ""`, rules.CodeMisleading, empty},
	} {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1 || problems[0].Code != c.code || problems[0].Snippet == "" || !strings.Contains(problems[0].Message, c.want) {
			t.Errorf("%s of %s: want %q:%s", c.when, c.events, c.want, describe(problems))
		}
		if len(problems) == 1 && c.code == rules.CodeMisleading && !strings.Contains(problems[0].Message, "`event.reason == \"unknown\"`") {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
	for _, c := range []struct{ events, when string }{
		{"", `event.reason != ""`}, {"", `event.reason == "unknown"`}, {"expired", `event.reason == "unknown"`}, {"expired", `event.reason != "manual"`},
		{"expired", `event.reason in ["manual", "timer"]`}, {"expired paid", `event.reason in ["", "manual"]`}, {"", `event.reason == "" or event.reason == "manual"`},
		{"expired", `event.reason != "" and session.livemode`}, {"", `event.reason != "timer" and session.livemode`}, {"expired", `session.livemode or event.reason == "timer"`},
	} {
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 {
			t.Errorf("%s of %s:%s", c.when, c.events, describe(problems))
		}
	}
}

// Of all that diff makes of three looks, each expired has a reason, and nothing else has.
func TestReasonsOfEvents(t *testing.T) {
	lives(t, func(e *event.Event, _ []byte) {
		if (e.Type == event.Expired) != (e.Reason != "") {
			t.Fatalf("the reason of %s is %q", e.Type, e.Reason)
		}
	})
}
