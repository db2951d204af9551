package rules_test

import (
	"regexp"
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// What raw returns for a missing path is nil, and nil is neither "" nor 0 nor false: a
// comparison with these takes or leaves out each order without the field. The default of
// the advice mends it.
func TestRawComparedWithNothing(t *testing.T) {
	called := regexp.MustCompile(`raw\("[^"]*"\)(\?\.tier)?`)
	for _, c := range []struct {
		when, advice, field string
		with                any  // a value of the field
		without             bool // what the advised condition is of orders without one
	}{
		{`raw("tax_id") != ""`, `raw("tax_id", "")`, "tax_id", "DE123", false},
		{`"" != raw("tax_id")`, `raw("tax_id", "")`, "tax_id", "DE123", false},
		{`not (raw("tax_id") == "")`, `raw("tax_id", "")`, "tax_id", "DE123", false},
		{`raw("tax_id") == ""`, `raw("tax_id", "")`, "tax_id", "DE123", true},
		{`raw("tax_id") in ["", "none"]`, `raw("tax_id", "")`, "tax_id", "DE123", true},
		{`raw("tax_id") not in ["none", ""]`, `raw("tax_id", "")`, "tax_id", "DE123", false},
		{`raw("tax_id") != "none" and raw("tax_id") != ""`, `raw("tax_id", "")`, "tax_id", "DE123", false},
		{`raw("gift") == false`, `raw("gift", false)`, "gift", true, true},
		{`raw("gift") != false`, `raw("gift", false)`, "gift", true, false},
		{`session.livemode and raw("points") != 0`, `raw("points", 0)`, "points", 5, false},
		{`0 == raw("points") and session.livemode`, `raw("points", 0)`, "points", 5, true},
		{`raw("points") == 0.0`, `raw("points", 0)`, "points", 5, true},
		{`raw("tags") != []`, `raw("tags", [])`, "tags", []any{"a"}, false},
		{`raw("loyalty")?.tier != ""`, `raw("loyalty.tier", "")`, "loyalty", map[string]any{"tier": "gold"}, false},
		{`raw("customer_email") != ""`, `session.customer_email`, "customer_email", "a@example.com", false},
		{`raw("amount_total") == 0`, `session.amount_total`, "amount_total", 500, true},
		{`raw("metadata.order") != ""`, `session.metadata.order`, "metadata", map[string]any{"order": "5"}, false},
		{`raw("metadata.a b") != ""`, `session.metadata["a b"]`, "metadata", map[string]any{"a b": "5"}, false},
		{`raw("shipping") != ""`, `raw("shipping", "")`, "shipping", map[string]any{"name": "Jane"}, false},
	} {
		problems := warningsOf(t, c.when, "paid")
		if len(problems) != 1 || problems[0].Code != rules.CodeMissing || problems[0].Suggestion != c.advice {
			t.Errorf("%s: want %s, got %s", c.when, c.advice, describe(problems))
			continue
		}
		replaced := called.ReplaceAllString(c.when, c.advice)
		if strings.Contains(replaced, `"none" and`) { // of two, one is told of
			replaced = `raw("tax_id") != "none" and raw("tax_id", "") != ""`
		}
		if more := warningsOf(t, replaced, "paid"); len(more) > 0 {
			t.Errorf("%s became %s:%s", c.when, replaced, describe(more))
		}
		for _, value := range []any{nil, c.with} {
			e, previous := paid(t, map[string]any{c.field: value})
			result := compile(t, rule("r", replaced)).Match(e, previous, now)
			if want := c.without == (value == nil); len(result.Errors) > 0 || len(result.Targets) > 0 != want {
				t.Errorf("%s of %v: %+v, want %t", replaced, value, result, want)
			}
		}
	}
	for when, want := range map[string]string{
		`raw("loyalty").tier != ""`: `raw("loyalty.tier", "")`, `raw("loyalty").points > 5`: `raw("loyalty.points", 0)`, `raw("loyalty").tier == "gold"`: `raw("loyalty.tier")`, `not raw("loyalty").vip`: `raw("loyalty.vip", false)`,
	} {
		if problems := warningsOf(t, when, "paid"); len(problems) != 1 || problems[0].Suggestion != want {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
	for _, when := range []string{
		`raw("tax_id") != nil`, `raw("tax_id") == nil`, `raw("tax_id") != nil and raw("tax_id") != ""`, `raw("tax_id") == "" or raw("tax_id") == nil`, `nil == raw("gift") or raw("gift") == false`,
		`raw("tax_id", "") != ""`, `(raw("tax_id") ?? "") != ""`, `raw("tax_id") != "DE"`, `raw("tax_id") == "DE"`, `raw("tax_id") in ["DE", "AT"]`, `raw("gift") == true`, `raw("gift") != true`,
		`raw("points") == 5`, `raw("points", 0) > 5`, `raw("tax_id") matches "."`, `raw("tags") == ["a"]`, `raw("tax_id") == nil ? session.livemode : raw("tax_id") != ""`,
	} {
		if problems := warningsOf(t, when, "paid"); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}

// The hint for an undocumented field fits into its place: it has a default where nil would
// be compared with a value that stands for a missing one, and metadata are read as texts.
func TestHintsForUndocumentedFieldsFitIn(t *testing.T) {
	for _, c := range []struct{ when, raw, metadata string }{
		{`session.tax_id != ""`, `raw("tax_id", "")`, `session.metadata.tax_id`},
		{`"" == session.tax_id`, `raw("tax_id", "")`, `session.metadata.tax_id`},
		{`session.tax_id == "DE"`, `raw("tax_id")`, `session.metadata.tax_id`},
		{`session.tax_id in ["", "DE"]`, `raw("tax_id", "")`, `session.metadata.tax_id`},
		{`session.tax_id not in ["DE"]`, `raw("tax_id")`, `session.metadata.tax_id`},
		{`lower(session.tax_id) != ""`, `raw("tax_id", "")`, `session.metadata.tax_id`},
		{`session.tax_id contains "DE"`, `raw("tax_id")`, `session.metadata.tax_id`},
		{`session.gift == false`, `raw("gift", false)`, `(session.metadata.gift == "true")`},
		{`session.gift != true`, `raw("gift")`, `(session.metadata.gift == "true")`},
		{`not session.gift`, `raw("gift", false)`, `(session.metadata.gift == "true")`},
		{`session.gift and session.livemode`, `raw("gift", false)`, `(session.metadata.gift == "true")`},
		{`session.seats == 0`, `raw("seats", 0)`, `int(session.metadata.seats ?? "0")`},
		{`session.seats in [5, 6]`, `raw("seats")`, `int(session.metadata.seats ?? "0")`},
		{`session.seats > 5`, `raw("seats", 0)`, `int(session.metadata.seats ?? "0")`},
		{`session.seats + 1 > 5`, `raw("seats", 0)`, `int(session.metadata.seats ?? "0")`},
		{`session.seats in 1..5`, `raw("seats")`, `int(session.metadata.seats ?? "0")`},
		{`"vip" in session.tags`, `raw("tags")`, ``},
		{`session.loyalty.tier != ""`, `raw("loyalty.tier", "")`, ``},
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", c.when)}, known)
		want := "an undocumented field is read with " + c.raw
		if c.metadata != "" {
			want += ", a key of the metadata with " + c.metadata
		}
		if len(problems) != 1 || !strings.HasSuffix(problems[0].Message, want) {
			t.Errorf("%s: want %s, got %s", c.when, want, describe(problems))
		}
		for _, hint := range []string{c.raw, c.metadata} {
			name := strings.TrimSuffix(strings.TrimPrefix(c.raw, `raw("`), `")`)
			name, _, _ = strings.Cut(name, `"`)
			if hint == "" {
				continue
			}
			pasted := strings.Replace(c.when, "session."+name, hint, 1)
			if more := warningsOf(t, pasted, "paid"); len(more) > 0 {
				t.Errorf("%s became %s:%s", c.when, pasted, describe(more))
			}
			e, previous := paid(t, nil)
			if result := compile(t, rule("r", pasted)).Match(e, previous, now); len(result.Errors) > 0 {
				t.Errorf("%s: %+v", pasted, result)
			}
		}
	}
}
