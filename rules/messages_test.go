package rules_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/rules"

	"github.com/google/go-cmp/cmp"
)

// The first mistake of an expression does not hide the next.
func TestAllMistakesOfAnExpression(t *testing.T) {
	for when, want := range map[string][]string{
		`session.statuss == "paid" && sesion.livemode and session.amount_totl > 5`: {
			`1:9 session has no field statuss (status)`, `1:30 unknown name sesion (session)`, `1:58 session has no field amount_totl (amount_total)`},
		`has("statuss") && session.amount_total == "5" && duration("7x") > duration("1h")`: {
			`1:5 the session has no documented field "statuss" (status)`, `1:40 invalid operation: == (mismatched types int and string); a number stands without quotes ()`,
			`1:59 "7x" is no duration: use units such as 30m, 1h30m or 7d ()`},
		`session.created > date("2026-13-01") || now() > date("1.2.2026", "02.01.2006")`: {
			`1:24 "2026-13-01" is no date: write it as 2026-01-31 or 2026-01-31T10:00:00Z ()`, `1:54 "1.2.2026" is no date in the layout "02.01.2006" ()`},
		`session.mode == "payments" && session.moode == "payment"`: {
			`1:17 session.mode is never "payments"; documented: payment, setup, subscription (payment)`, `1:39 session has no field moode (mode)`},
		`any(session.line_items.data, .prize.id == "x" && .amount > 5) || foo(1)`: {
			`1:31 line item has no field prize (price)`, `1:51 line item has no field amount (amount_total)`, `1:66 unknown name foo ()`},
		`session.amount_totl`:                             {`1:9 session has no field amount_totl (amount_total)`},
		`session.amount_totl + 5`:                         {`1:9 session has no field amount_totl (amount_total)`},
		`let a = session.foo; let b = session.statuss; a`: {`1:17 session has no field foo; an undocumented field is read with raw("foo"), a key of the metadata with session.metadata.foo ()`, `1:38 session has no field statuss (status)`},
		`has(session.nope) and session.nope2`:             {`1:13 the argument of has must be a constant text ()`, `1:31 session has no field nope2; an undocumented field is read with raw("nope2", false), a key of the metadata with (session.metadata.nope2 == "true") ()`},
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		var got []string
		for _, p := range problems {
			got = append(got, place(p)+" "+p.Message+" ("+p.Suggestion+")")
		}
		if diff := cmp.Diff(want, got); set != nil || diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
}

func place(p rules.Problem) string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// No suggestion is better than one that makes no sense.
func TestSuggestions(t *testing.T) {
	for when, want := range map[string]string{
		`session.amount > 100`:             "amount_total",
		`session.total > 100`:              "amount_total",
		`amount > 100`:                     "session.amount_total",
		`session.state == "open"`:          "status",
		`session.email == "a"`:             "customer_details.email",
		`livemod`:                          "session.livemode",
		`session.livemode == True`:         "true",
		`session.amount_total => 5`:        ">=",
		`session.status === "open"`:        "==",
		`session.status <> "open"`:         "!=",
		`session.status = "open"`:          "==",
		`session.livemode AND event.async`: "and",
		`session.livemode & event.async`:   "&&",
		`session.status == complete`:       `"complete"`,
		`complete == session.status`:       `"complete"`,
		`has("nope.nope")`:                 "",
		`has("money")`:                     "",
		`session.customer == null`:         "",
		`session.customer == None`:         "",
		`money > 5`:                        "",
		`nope`:                             "",
		`no`:                               "false",
		`yes`:                              "true",
		`session.metadata.order-id == "5"`: "",
		`session.line_items.data.size > 1`: "",
		`5 < session.created + nope`:       "",
		`now("Asia/Tokyo").Hour() > 8`:     "",
		`foo > 1`:                          "",
		`session.foo == 1`:                 "",
		`session.nope == 1`:                "",
		`event.money == 1`:                 "",
		`previous.nope == 1`:               "",
		`changed("nope.nope")`:             "",
		`has("customer_details.nope")`:     "",
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if set != nil || len(problems) != 1 || problems[0].Suggestion != want {
			t.Errorf("%s: want %q, got %s", when, want, describe(problems))
		}
	}
}

// A hint leads to a rule that works: with the whole path, and a default where
// the rule would fail without.
func TestHintsLeadToRulesThatWork(t *testing.T) {
	for when, want := range map[string]string{
		`session.loyalty == "gold"`:                     `raw("loyalty")`,
		`session.loyalty.points > 5`:                    `raw("loyalty.points", 0)`,
		`session.loyalty.tags[0].name == "x"`:           `raw("loyalty.tags.0.name")`,
		`session.loyalty.tier < "b"`:                    `raw("loyalty.tier", "")`,
		`session.loyalty && session.livemode`:           `raw("loyalty", false)`,
		`len(session.loyalty) > 1`:                      `raw("loyalty", [])`,
		`session.customer_details.loyal == "a"`:         `raw("customer_details.loyal")`,
		`session.payment_method_options.card.limit > 5`: `raw("payment_method_options.card.limit", 0)`,
		`session.created > "2026-01-01"`:                `date("2026-01-01")`,
		`session.expires_at < now() + "1h"`:             `duration("1h")`,
		`session.created > 1795341600`:                  `date("2026-11-22T10:00:00Z")`,
		`1795341600000 <= session.created`:              `date("2026-11-22T10:00:00Z")`,
		`session.created > session.amount_total`:        `session.created.Unix()`,
		`now() == 7`:                                    `.Unix()`,
		`session.created + 3600 < now()`:                `duration("30m")`,
		`session.expires_at - now() < "30m"`:            `duration("30m")`,
		`session.expires_at - now() < 30`:               `duration("30m")`,
		`session.livemode == "true"`:                    `without quotes`,
		`session.payment_method_types == "card"`:        `"card" in session.payment_method_types`,
		`"vip" in session.metadata.tags`:                `contains`,
		`contains(session.currency, "E")`:               `session.currency contains "E"`,
		`session.created.Hour > 8`:                      `.Hour()`,
		`session.created.In("Europe/Berlin") > now()`:   `timezone("Europe/Berlin")`,
		`session.payment_method_types contains "card"`:  `"card" in session.payment_method_types`,
		`session.amount_total == 1,000`:                 `100_000`,
		`changed(session.status)`:                       `"status"`,
		`session.line_items[0].quantity == "1"`:         `session.line_items.data`,
		`any(session.line_items, .quantity == "1")`:     `session.line_items.data`,
		`session.metadata.size > 5`:                     `int(session.metadata.size ?? "0")`,
		`any(session.line_items.data, .quantity > 5)`:   `int(.quantity)`,
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) != 1 || !strings.Contains(problems[0].Message+problems[0].Suggestion, want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
			continue
		}
		if !strings.Contains(when, "loyal") && !strings.Contains(when, "> 5") {
			continue // a part of the way
		}
		better := regexp.MustCompile(`^session\.[\w.\[\]]+|session\.loyalty|\.quantity`).ReplaceAllString(when, want)
		if set, problems := rules.Compile([]rules.Rule{rule("r", better)}, known); set == nil || len(problems) > 0 {
			t.Errorf("%s became %s: %s", when, better, describe(problems))
		}
	}
	for _, when := range []string{`previous.loyalty == 1`, `event.loyalty == 1`, `any(session.line_items.data, .loyalty == 1)`} {
		if _, problems := rules.Compile([]rules.Rule{rule("r", when)}, known); len(problems) != 1 || strings.Contains(problems[0].Message, "raw") {
			t.Errorf("%s: raw would read another value: %s", when, describe(problems))
		}
	}
}

// goWords are what only this program's source knows.
var goWords = regexp.MustCompile(`\*|rules\.|interface ?\{|map\[|time\.[A-Z]|\[\]|func\(|u?int(8|16|32|64)|float(32|64)|reflect|struct|\bnil pointer|Fields\b|unknown\[|Operator\(|Identifier\(|token`)

func TestMessagesAreInTheWordsOfTheReference(t *testing.T) {
	for _, when := range []string{
		`session > 5`, `session == event`, `session.metadata > 5`, `session.metadata == 5`, `session.line_items.data > 1`, `session.created > 5`,
		`session.created - now() > 5`, `session.created.Weekday() == 1`, `session.created.Month() == "May"`, `session.line_items.data.id == "x"`,
		`session.line_items.data["a"]`, `session.metadata[5] == ""`, `session.payment_method_types.card`, `session.status.foo == 1`, `session.created.foo == 1`,
		`session.foo() == 1`, `session.status()`, `session()`, `any(session.status, # == 1)`, `any(session.line_items.data, .amount_total)`,
		`any(session.line_items.data, 5)`, `filter(session, true) == []`, `len(5) > 1`, `int(session) > 1`, `float(session.metadata) > 1`, `abs("x") > 1`,
		`lower(5) == ""`, `split(5, ",") == []`, `has(5)`, `has()`, `has("status", 1)`, `raw()`, `raw("a", 1, 2) == 1`, `changed(true)`, `duration(5) > 1`, `now(5) == 1`,
		`session.amount_total in 5`, `session in [1]`, `5 in session`, `session.status in session`, `session.amount_total + "x" == ""`, `not session.amount_total`,
		`-session.status == 1`, `session.amount_total ? true : false`, `session.amount_total && true`, `session.status contains 5`, `session.amount_total matches "x"`,
		`session.line_items.data[0:"a"] == []`, `session.amount_total[1:2] == 5`, `date(5) == now()`, `date(session, 5) == now()`, `.foo == 1`, `# == 1`,
		`let len = 5; true`, `let session = 5; true`, `sort(5) == []`, `first(5) == 1`, `keys(5) == []`, `toPairs(5) == []`, `fromPairs(5) == {}`, `concat(5) == []`,
		`sum(session.status) == 1`, `max(session) == 1`, `mean("x") == 1`, `session.line_items.data == session.metadata`, `session.customer_details == session.shipping`,
		`event.change == "x"`, `previous.line_items.data[0].price.tiers > 5`, `session.line_items.data[0].discounts[0].coupon == 5`, `groupBy(5, #) == {}`,
		`reduce(session.status, #acc) == 1`, `nil.foo == 1`, `nil + 1 == 2`, `{"a": session > 1}`, `[session > 1]`, `map(session.line_items.data, # > 1)`,
		`session.status =`, `session.status == `, `= 5`, `session..status`, `session.status == "a`, `session.status == 'a' 'b'`, `(session.livemode`, `session.livemode)`,
		`1 +`, `session.amount_total > 5 5`, `@`, `session.status == "\q"`, `a ? b`, `if session.livemode { true }`, `b"x" == b"x"`, `0x`, `1.2.3 > 1`, `/* x`, `{1}`, `"a" "b"`,
		`session.created.Local() == now()`, `session.created.Format(session.id) == ""`, `session.created.Add(5) == now()`, `session.created.AddDate(1) == now()`,
		`session.created.Sub(5) == 1`, `session.created.Before("x")`, `session.created.In("Europe/Berlin") == now()`, `session.line_items`, `session.metadata`, `now()`,
		`session.created`, `session.payment_method_types`, `session.customer_details`, `duration("1h")`, `event`, `nil`, `[]`, `{}`, `map(session.line_items.data, .id)`,
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if set != nil {
			continue // fails at most when it is evaluated
		}
		for _, p := range problems {
			if found := goWords.FindString(p.Message + p.Suggestion); found != "" || p.Message == "" || strings.HasSuffix(p.Message, "compiled") {
				t.Errorf("%s: %q in: %s", when, found, p.Message)
			}
		}
	}
}
