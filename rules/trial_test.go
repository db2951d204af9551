package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// What fails on every event is an error, and what fails on some is warned of.
func TestConditionsThatFailAreFoundAtLoad(t *testing.T) {
	for when, want := range map[string]string{
		`count(session.line_items.data) > 1`:                                                                         "len(…)",
		`count(session.payment_method_types) > 1 && session.livemode`:                                                "len(…)",
		`date(session.created) > now()`:                                                                              "a time already",
		`max(session.payment_method_types) == "x"`:                                                                   "list of numbers",
		`session.amount_total > 99999 && mean(session.payment_method_types) > 0`:                                     "list of numbers",
		`reduce(session.line_items.data, #acc + #.amount_total) > 100`:                                               "initial value",
		`find(session.line_items.data, .price.id == "p1").amount_total > 100`:                                        "any(…)",
		`len(session.line_items.data) > 0 && find(session.line_items.data, .price.id == "zz").amount_total > 100`:    "any(…)",
		`len(session.line_items.data) > 0 && filter(session.line_items.data, .price.id == "zz")[0].amount_total > 1`: "every documented field",
		`session.line_items.data[len(session.line_items.data)-1].amount_total > 5`:                                   "no line items",
		`session.amount_total % len(session.line_items.data) == 0`:                                                   "no line items",
		`first(session.payment_method_types) == "card"`:                                                              "",
		`int(split(session.client_reference_id, "-")[1]) > 5`:                                                        "",
		`fromJSON(session.metadata.cart ?? "{}").total > 5`:                                                          "",
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: want one problem with %q, got %s", when, want, describe(problems))
		} else {
			t.Log(when, describe(problems))
		}
	}
	for _, when := range []string{
		`count(session.line_items.data, .amount_total > 5) > 1`, `count([session.livemode, event.async]) > 1`, `date(session.metadata.day ?? "2026-01-31") > now()`,
		`(max(map(session.line_items.data, .amount_total)) ?? 0) > 1`, `reduce(session.line_items.data, #acc + #.amount_total, 0) > 100`,
		`find(session.line_items.data, .price.id == "p1") != nil && find(session.line_items.data, .price.id == "p1").amount_total > 100`,
		`any(session.line_items.data, .price.id == "p1") && find(session.line_items.data, .price.id == "p1").amount_total > 100`,
		`len(session.line_items.data) > 0 && session.line_items.data[len(session.line_items.data)-1].amount_total > 5`,
		`not event.inferred && changed("customer_details") && previous.customer_details.email != session.customer_details.email`, `event.change.from == "" || event.revision > 3`,
		`any(session.line_items.data, .price.recurring.interval == "month" && int(.quantity) > 2)`,
	} {
		if _, problems := rules.Compile([]rules.Rule{rule("r", when)}, known); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}
