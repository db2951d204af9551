package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// The API may leave the line items out: what then holds of each order is told, unless the
// condition asks for an item beside it.
func TestWhatHoldsWithoutLineItems(t *testing.T) {
	const first = "len(session.line_items.data) > 0 and "
	for when, meant := range map[string]string{
		`all(session.line_items.data, .price.product == "ebook")`:                                       first + "all(…)",
		`none(session.line_items.data, .price.product == "ebook")`:                                      first + "none(…)",
		`not any(session.line_items.data, .price.product == "ebook")`:                                   first + "not any(…)",
		`session.line_items.data | all(.price.product == "ebook")`:                                      first + "all(…)",
		`all(map(session.line_items.data, .price.product), # in ["a", "b"])`:                            first + "all(…)",
		`session.livemode and all(session.line_items.data, .currency == "EUR")`:                         first + "all(…)",
		`session.livemode or all(session.line_items.data, .currency == "EUR")`:                          first + "all(…)",
		`len(session.line_items.data) > 0 or all(session.line_items.data, .currency == "EUR")`:          first + "all(…)",
		`len(session.line_items.data) < 5 and all(session.line_items.data, .currency == "EUR")`:         first + "all(…)",
		`len(session.line_items.data) >= 0 and all(session.line_items.data, .currency == "EUR")`:        first + "all(…)",
		`len(session.metadata) > 0 and all(session.line_items.data, .currency == "EUR")`:                first + "all(…)",
		`all(session.line_items.data, .currency == "EUR") and none(session.line_items.data, .id == "")`: first + "all(…)", // once
		`let items = session.line_items.data; all(items, .currency == "EUR")`:                           first + "all(…)",
		`session.livemode ? all(session.line_items.data, .currency == "EUR") : event.async`:             first + "all(…)",
		`not (event.async or any(session.line_items.data, .id == "x"))`:                                 "",
		`not (event.async and any(session.line_items.data, .id == "x"))`:                                "",
		`session.amount_total / len(session.line_items.data) > 50_00`:                                   first + "…",
		`50_00 < session.amount_total / len(session.line_items.data)`:                                   first + "…",
		`session.amount_total / 100 / len(session.line_items.data) > 50`:                                first + "…",
		`round(session.amount_total / len(session.line_items.data)) >= 50_00`:                           first + "…",
		`session.amount_total / sum(session.line_items.data, int(.quantity)) > 50_00`:                   first + "…",
		`session.amount_total / count(session.line_items.data, .amount_total > 0) > 50_00`:              first + "…",
		`let n = len(session.line_items.data); session.amount_total / n > 50_00`:                        first + "…",
		`not (session.amount_total / len(session.line_items.data) < 50_00)`:                             "",
		`session.amount_total / len(session.line_items.data) > session.amount_subtotal / 2`:             first + "…",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeMisleading || problems[0].Suggestion != meant || !strings.Contains(problems[0].Message, "session.line_items.data is empty") {
			t.Errorf("%s: want %s, got %s", when, meant, describe(problems))
		}
		holds := compile(t, rule("r", when))
		e, previous := paid(t, map[string]any{"metadata": map[string]any{"plan": "pro"}, "amount_subtotal": 5})
		if got := holds.Match(e, previous, now); len(got.Targets) == 0 && !strings.Contains(when, "event.async") {
			t.Errorf("%s does not hold without line items: %v", when, got.Errors)
		}
	}
}

// What is declared is read through, and no longer than a glance.
func TestDeclaredConditionsWithoutLineItems(t *testing.T) {
	when := `let ok = session.livemode and all(session.line_items.data, .id == "x"); ok`
	if problems := warningsOf(t, when); len(problems) != 1 || !strings.Contains(problems[0].Message, "session.line_items.data is empty") {
		t.Errorf("%s: %s", when, describe(problems))
	}
	var long strings.Builder
	long.WriteString("let n0 = len(session.line_items.data); ")
	for i := range 40 {
		fmt.Fprintf(&long, "let n%d = n%d + n%d; ", i+1, i, i)
	}
	long.WriteString("session.amount_total / n40 > 5")
	if problems := warningsOf(t, long.String()); len(problems) > 0 {
		t.Errorf("forty names: %s", describe(problems))
	}
}

func TestWhatAsksForALineItem(t *testing.T) {
	const all = `all(session.line_items.data, .currency == "EUR")`
	for _, when := range []string{
		`len(session.line_items.data) > 0 and ` + all,
		all + ` and len(session.line_items.data) >= 1`,
		`len(session.line_items.data) == 2 && ` + all,
		`len(session.line_items.data) != 0 && ` + all,
		`0 < len(session.line_items.data) and session.livemode and ` + all,
		`len(session.line_items.data) in 1..3 and ` + all,
		`not (len(session.line_items.data) == 0) and ` + all,
		`not (len(session.line_items.data) == 0 or not ` + all + `)`,
		`session.line_items.data != [] and ` + all,
		`has("line_items") and ` + all,
		`has("line_items.data") and none(session.line_items.data, .id == "x")`,
		`any(session.line_items.data, .id == "x") and ` + all,
		`one(session.line_items.data, .id == "x") and ` + all,
		`count(session.line_items.data, .id == "x") > 1 and ` + all,
		`len(filter(session.line_items.data, .id == "x")) > 0 and ` + all,
		`sum(session.line_items.data, .amount_total) > 10_00 and ` + all,
		`(max(map(session.line_items.data, .amount_total)) ?? 0) > 5 and ` + all,
		`"x" in map(session.line_items.data, .id) and ` + all,
		`session.line_items.has_more and ` + all,
		`(len(session.line_items.data) > 0 ? session.line_items.data[0].id == "x" : false) and ` + all,
		`len(session.line_items.data) == 1 and session.line_items.data[0].id == "x" and ` + all,
		`(first(session.line_items.data)?.id ?? "") == "x" and ` + all,
		// an order without items is meant to be taken
		`len(session.line_items.data) == 0 or ` + all,
		`not has("line_items") or ` + all,
		`len(session.line_items.data) > 0 ? ` + all + ` : event.async`,
		`let items = session.line_items.data; len(items) > 0 and all(items, .currency == "EUR")`,
		`let n = len(session.line_items.data); n > 0 and ` + all,
		// false without items
		`any(session.line_items.data, .currency == "EUR")`,
		`not all(session.line_items.data, .currency == "EUR")`,
		`not none(session.line_items.data, .currency == "EUR")`,
		`not (session.livemode and all(session.line_items.data, .currency == "EUR"))`,
		`session.amount_total / len(session.line_items.data) < 50_00`,
		`50_00 >= session.amount_total / len(session.line_items.data)`,
		`sum(session.line_items.data, .amount_total) / len(session.line_items.data) > 50_00`, // 0 / 0
		`len(session.line_items.data) > 0 and session.amount_total / len(session.line_items.data) > 50_00`,
		`session.amount_total / max(len(session.line_items.data), 1) > 50_00`,
		`len(session.line_items.data) / 2 > 1`,
		`mean(map(session.line_items.data, .amount_total)) > 50_00`,
		// of other lists
		`all(session.payment_method_types, # == "card")`,
		`any(session.line_items.data, all(.discounts, .coupon.valid))`,
		`all(split(session.metadata.tags, ","), # != "vip")`,
		`session.amount_total / len(session.metadata.code) > 50_00`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}
