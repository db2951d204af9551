package rules_test

import (
	"slices"
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// proposal is a condition that is told how it is written, and the condition that is
// proposed: without a mistake, without a warning and without a failure, true of a
// session with the value and false of one without (or the other way round).
type proposal struct {
	when, proposed string
	field          string
	value          any
	without        bool // it asks for what is missing
}

var proposals = []proposal{
	{`session.client_reference_id == 4711`, `session.client_reference_id == "4711"`, "client_reference_id", "4711", false},
	{`4711 != session.client_reference_id`, `session.client_reference_id != "4711"`, "client_reference_id", "4711", true},
	{`session.client_reference_id == session.amount_total`, `session.client_reference_id == string(session.amount_total)`, "client_reference_id", "123400", false},
	{`session.client_reference_id > 4710`, `session.client_reference_id matches "^[0-9]+$" and int(session.client_reference_id) > 4710`, "client_reference_id", "4711", false},
	{`4710 < session.client_reference_id`, `session.client_reference_id matches "^[0-9]+$" and 4710 < int(session.client_reference_id)`, "client_reference_id", "4711", false},
	{`session.metadata.size == 5`, `session.metadata.size == "5"`, "metadata", map[string]any{"size": 5}, false},
	{`session.metadata.size > 4`, `int(session.metadata.size ?? "0") > 4`, "metadata", map[string]any{"size": 5}, false},
	{`session.currency == 978`, `session.currency == "USD"`, "currency", "USD", false},
	{`session.customer_details.address.country == 49`, `session.customer_details.address.country == "DE"`, "customer_details", map[string]any{"address": map[string]any{"country": "DE"}}, false},
	{`session.status == 5`, `session.status == "open"`, "status", "open", false},
	{`session.id == 5`, `session.id == "5"`, "id", "5", false},
	{`session.customer_details.phone == 4930`, `session.customer_details.phone == "4930"`, "customer_details", map[string]any{"phone": "4930"}, false},
	{`session.customer_details.address.postal_code == 10115`, `session.customer_details.address.postal_code == "10115"`, "customer_details", map[string]any{"address": map[string]any{"postal_code": "10115"}}, false},
	{`session.customer_details.address.postal_code == 01067`, `session.customer_details.address.postal_code == "01067"`, "customer_details", map[string]any{"address": map[string]any{"postal_code": "01067"}}, false},
	{`00_7 != session.metadata.order`, `session.metadata.order != "007"`, "metadata", map[string]any{"order": "007"}, true},
	{`session.customer_details.address.postal_code in 10000..19999`, `session.customer_details.address.postal_code matches "^[0-9]+$" and int(session.customer_details.address.postal_code) in 10000..19999`,
		"customer_details", map[string]any{"address": map[string]any{"postal_code": "10115"}}, false},
	{`session.expires_at == 0`, `not has("expires_at")`, "expires_at", now.Unix(), true},
	{`session.expires_at == ""`, `not has("expires_at")`, "expires_at", now.Unix(), true},
	{`"" != session.expires_at`, `has("expires_at")`, "expires_at", now.Unix(), false},
	{`session.expires_at > 0`, `has("expires_at")`, "expires_at", now.Unix(), false},
	{`0 < session.expires_at`, `has("expires_at")`, "expires_at", now.Unix(), false},
	{`session.expires_at == nil`, `not has("expires_at")`, "expires_at", now.Unix(), true},
	{`session.expires_at.Unix() == 0`, `not has("expires_at")`, "expires_at", now.Unix(), true},
	{`0 != session.expires_at.UnixMilli()`, `has("expires_at")`, "expires_at", now.Unix(), false},
	{`session.expires_at`, `has("expires_at")`, "expires_at", now.Unix(), false},
	{`session.shipping != nil`, `has("shipping")`, "shipping", map[string]any{"name": "Jane"}, false},
	{`session.shipping == nil`, `not has("shipping")`, "shipping", map[string]any{"name": "Jane"}, true},
	{`session.shipping`, `has("shipping")`, "shipping", map[string]any{"name": "Jane"}, false},
	{`not session.shipping`, `not has("shipping")`, "shipping", map[string]any{"name": "Jane"}, true},
	{`not session.client_reference_id`, `session.client_reference_id == ""`, "client_reference_id", "4711", true},
	{`not session.metadata.gift`, `session.metadata.gift != "true"`, "metadata", map[string]any{"gift": true}, true},
	{`session.shipping and session.livemode`, `has("shipping")`, "shipping", map[string]any{"name": "Jane"}, false},
	{`session.shipping == true`, `has("shipping")`, "shipping", map[string]any{"name": "Jane"}, false},
	{`session.shipping == ""`, `not has("shipping")`, "shipping", map[string]any{"name": "Jane"}, true},
	{`session.shipping != true`, `not has("shipping")`, "shipping", map[string]any{"name": "Jane"}, true},
	{`session.payment_method_types`, `has("payment_method_types")`, "payment_method_types", []any{"card"}, false},
	{`session.payment_method_types == true`, `has("payment_method_types")`, "payment_method_types", []any{"card"}, false},
	{`session.livemode or session.payment_method_types`, `has("payment_method_types")`, "payment_method_types", []any{"card"}, false},
	{`session.metadata`, `has("metadata")`, "metadata", map[string]any{"a": "b"}, false},
	{`session.payment_link == true`, `has("payment_link")`, "payment_link", "plink_1", false},
	{`session.payment_link == false`, `not has("payment_link")`, "payment_link", "plink_1", true},
	{`session.customer == true`, `has("customer")`, "customer", "cus_1", false},
	{`session.customer and session.livemode`, `has("customer")`, "customer", "cus_1", false},
	{`session.status == true`, `session.status == "open"`, "status", "open", false},
	{`session.metadata.gift == true`, `session.metadata.gift == "true"`, "metadata", map[string]any{"gift": true}, false},
	{`sum(session.line_items.data, .quantity) > 3`, `sum(session.line_items.data, int(.quantity)) > 3`, "line_items", items("2", "2"), false},
	{`3 < sum(session.line_items.data, .quantity)`, `3 < sum(session.line_items.data, int(.quantity))`, "line_items", items("2", "2"), false},
	{`sum(session.line_items.data, .quantity) == 4`, `sum(session.line_items.data, int(.quantity)) == 4`, "line_items", items("2", "2"), false},
	{`sum(session.line_items.data, .quantity) in 4..8`, `sum(session.line_items.data, int(.quantity)) in 4..8`, "line_items", items("2", "2"), false},
	{`sum(map(session.line_items.data, .quantity)) > 3`, `sum(map(session.line_items.data, int(.quantity))) > 3`, "line_items", items("2", "2"), false},
	{`sum(session.line_items.data, .price.metadata.points) > 3`, `sum(session.line_items.data, int(.price.metadata.points ?? "0")) > 3`, "line_items",
		map[string]any{"data": []any{map[string]any{"price": map[string]any{"metadata": map[string]any{"points": 5}}}, map[string]any{"id": "li_1"}}}, false},
	{`int(session.client_reference_id) == 4711`, `session.client_reference_id matches "^[0-9]+$" and int(session.client_reference_id) == 4711`, "client_reference_id", "4711", false},
}

func items(quantities ...string) map[string]any {
	var list []any
	for _, quantity := range quantities {
		list = append(list, map[string]any{"quantity": quantity})
	}
	return map[string]any{"data": list}
}

// proposes says whether a message ends with a condition, and with nothing else of one.
func proposes(message, condition string) bool {
	message, _, _ = strings.Cut(message, ", or ")
	before, found := strings.CutSuffix(message, condition)
	return found && slices.ContainsFunc([]string{" as in ", " asked by ", " where it is one: ", " ask before: ", " compare it: "}, func(lead string) bool { return strings.HasSuffix(before, lead) })
}

func TestEveryProposedConditionWorks(t *testing.T) {
	for _, p := range proposals {
		_, problems := rules.Compile([]rules.Rule{rule("r", p.when)}, known)
		said := p.proposed
		if strings.HasPrefix(p.when, "int(") {
			said = `… matches "^[0-9]+$" and int(…)` // of which the place is known, not the field
		}
		if len(problems) != 1 || !proposes(problems[0].Message, said) {
			t.Errorf("%s: want %s, got %s", p.when, said, describe(problems))
		}
		often := func(p rules.Problem) bool { return p.Code == rules.CodeRepeats } // which is another matter
		if warned := slices.DeleteFunc(warningsOf(t, p.proposed), often); len(warned) > 0 {
			t.Errorf("%s became %s: %s", p.when, p.proposed, describe(warned))
		}
		set := compile(t, rule("r", p.proposed))
		values := []any{p.value, nil, ""}
		if p.field == "id" {
			values = values[:1] // it is never missing
		}
		for _, value := range values {
			e, previous := paid(t, map[string]any{p.field: value})
			result := set.Match(e, previous, now)
			if want := (value != nil && value != "") != p.without; len(result.Errors) > 0 || len(result.Targets) > 0 != want {
				t.Errorf("%s became %s: of %v it is %+v, want %t", p.when, p.proposed, value, result, want)
			}
		}
	}
}

// Where no condition can be proposed that is the same for every session, the hint says
// what is known, and proposes nothing else.
func TestHintsWithoutAWholeCondition(t *testing.T) {
	for when, says := range map[string]string{
		`previous.customer == true`:                          `asked by previous.customer != ""`,
		`previous.customer == false`:                         `asked by previous.customer == ""`,
		`any(session.line_items.data, .description != true)`: `asked by .description == ""`,
		`previous.shipping == nil`:                           `never nil: what is missing is "", 0 or false`,
		`session.customer != nil`:                            `never nil: what is missing is "", 0 or false`,
		`lower(session.customer) == 5`:                       `; a text is made a number by int(…), a number a text by string(…)`,
		`5 < lower(session.customer)`:                        `; a text is made a number by int(…), a number a text by string(…)`,
		`session.client_reference_id > session.amount_total`: `; a text is made a number by int(session.client_reference_id)`,
		`session.client_reference_id * 5 == 10`:              `; a text is made a number by int(session.client_reference_id)`,
		`sum(session.payment_method_types) > 3`:              `; a text is made a number by int(…), a number a text by string(…)`,
		`int(map(session.line_items.data, .quantity)) > 3`:   `invalid argument for int (type list); each element is made a number, as in map(session.line_items.data, int(.quantity))`,
		`sum(session.line_items.data, int(#)) > 3`:           `invalid argument for int (type line item); a member of it begins with a dot, as in int(.quantity)`,
		`any(session.line_items.data, .quantity > 1)`:        `; a text is made a number by int(…), as in int(.quantity) > 1`,
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) != 1 || !strings.HasSuffix(problems[0].Message, says) {
			t.Errorf("%s: want %s, got %s", when, says, describe(problems))
		}
	}
}

// The first part of a text that is split is always there.
func TestTheFirstPartOfATextIsThere(t *testing.T) {
	for when, warned := range map[string]bool{
		`split(session.client_reference_id, "-")[0] == "EU"`:            false,
		`(session.client_reference_id | split("-"))[0] == "EU"`:         false,
		`lower(first(split(session.client_reference_id, "-"))) == "eu"`: false,
		`split(session.client_reference_id, "-", 2)[0] == "EU"`:         false,
		`split(session.client_reference_id, "-")[1] == "EU"`:            true,
		`split(session.client_reference_id, "")[0] == "E"`:              true,
		`split(session.client_reference_id, "-", 0)[0] == "EU"`:         true,
	} {
		problems := warningsOf(t, when)
		if len(problems) > 0 != warned {
			t.Errorf("%s: %s", when, describe(problems))
		}
		if warned {
			continue
		}
		for _, value := range []any{"EU-1", "", nil} {
			e, previous := paid(t, map[string]any{"client_reference_id": value})
			if result := compile(t, rule("r", when)).Match(e, previous, now); len(result.Errors) > 0 {
				t.Errorf("%s of %v: %+v", when, value, result.Errors)
			}
		}
	}
}

// A sum of texts fails on each session with an element: how it is written is told, whatever
// is made of the sum.
func TestSumsOfTexts(t *testing.T) {
	for when, want := range map[string]string{
		`int(sum(session.line_items.data, .quantity)) > 3`:                  "sum(session.line_items.data, int(.quantity))",
		`float(sum(map(session.line_items.data, .quantity))) > 3.5`:         "sum(map(session.line_items.data, int(.quantity)))",
		`string(sum(session.line_items.data, .quantity)) == "3"`:            "sum(session.line_items.data, int(.quantity))",
		`sum(session.line_items.data, .quantity) == "3"`:                    "sum(session.line_items.data, int(.quantity))",
		`int(sum(session.line_items.data, .price.metadata.points)) > 3`:     `sum(session.line_items.data, int(.price.metadata.points ?? "0"))`,
		`(max(map(session.line_items.data, .quantity)) ?? 0) > 3`:           "max(map(session.line_items.data, int(.quantity)))",
		`mean(map(session.line_items.data, .quantity)) > 3`:                 "mean(map(session.line_items.data, int(.quantity)))",
		`sum(session.line_items.data, int(.quantity)) > 3`:                  "",
		`sum(session.line_items.data, .amount_total) > 3`:                   "",
		`sum(session.line_items.data, int(.quantity) * .amount_total) > 3`:  "",
		`(max(map(session.line_items.data, .amount_total)) ?? 0) > 3`:       "",
		`sum(session.line_items.data, len(.description)) > 3`:               "",
		`sum([1, 2]) < session.amount_total`:                                "",
		`(max(1, session.amount_total) ?? 0) > 3`:                           "",
		`sum(split(session.metadata.sizes ?? "0", ","), int(# ?? "0")) > 3`: "",
	} {
		problems := warningsOf(t, when, "paid")
		if want == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %s", when, describe(problems))
			}
			continue
		}
		if len(problems) != 1 || problems[0].Code != rules.CodeMisleading || problems[0].Suggestion != want || !strings.Contains(problems[0].Message, "adds") && !strings.Contains(problems[0].Message, "compares") {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
}
