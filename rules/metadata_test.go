package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// A key of the metadata that is missing is empty, however it is asked for, and
// whether there is metadata or not.
func TestMissingMetadataIsEmpty(t *testing.T) {
	withoutX := []any{nil, map[string]any{}, map[string]any{"x": nil}, map[string]any{"x": ""}}
	for when, want := range map[string]bool{ // with x: "1"
		`session.metadata?.x == "1"`:                                                                        true,
		`session.metadata?.["x"] != ""`:                                                                     true,
		`session?.metadata?.x in ["1", "2"]`:                                                                true,
		`len(session.metadata?.x) > 0`:                                                                      true,
		`lower(session.metadata?.x) == "1"`:                                                                 true,
		`(session.metadata?.x ?? "") == "1"`:                                                                true,
		`int(session.metadata?.x ?? "0") > 0`:                                                               true,
		`let m = session.metadata; m?.x == "1"`:                                                             true,
		`get(session.metadata, "x") == "1"`:                                                                 true,
		`session.metadata | get("x") != ""`:                                                                 true,
		`int(get(session.metadata, "x") ?? "0") > 0`:                                                        true,
		`not (session.metadata?.x == "1")`:                                                                  false,
		`not (get(session.metadata, "x") == "1")`:                                                           false,
		`(get(session.metadata, "x") ?? "no") == "no"`:                                                      false,
		`(session.metadata.y ?? session.metadata.x ?? "no") == "no"`:                                        false,
		`(get(session.metadata, "y") ?? get(session.metadata, "x") ?? raw("z") ?? "no") == "no"`:            false,
		`(session.metadata[session.customer] ?? "no") == "no"`:                                              false,
		`(get(session.metadata, session.customer) ?? "no") == "no"`:                                         false,
		`any(session.line_items.data, .price.metadata?.x == "1")`:                                           true,
		`any(session.line_items.data, get(.price.metadata, "x") == "1")`:                                    true,
		`len(session.line_items.data) > 0 and not any(session.line_items.data, .price?.metadata?.x == "1")`: false,
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
			continue
		}
		check := func(metadata any, want bool) {
			e, previous := paid(t, map[string]any{"metadata": metadata, "customer": "x",
				"line_items": map[string]any{"data": []any{map[string]any{"price": map[string]any{"metadata": metadata}}}}})
			got := set.Match(e, previous, now)
			if len(got.Errors) > 0 || len(got.Targets) > 0 != want {
				t.Errorf("%s with metadata %v: %v, %v, want %v", when, metadata, len(got.Targets) > 0, got.Errors, want)
			}
		}
		check(map[string]any{"x": "1"}, want)
		for _, metadata := range withoutX {
			check(metadata, !want)
		}
	}
}

// Nothing was before at first sight: the metadata of previous is empty then.
func TestMetadataOfPreviousIsEmptyAtFirstSight(t *testing.T) {
	set := compile(t, rule("r", `previous.metadata?.x == "" && get(previous.metadata, "x") == ""`))
	e, _ := paid(t, nil)
	e.Revision, e.PreviousAttributes = 1, nil
	if got := set.Match(e, nil, now); len(got.Targets) != 1 || len(got.Errors) > 0 {
		t.Errorf("%+v", got)
	}
}

// A value that is nil where a list is too short is compared only with a default, which
// the warning names; what is asked for by ?. and has one is not warned of.
func TestElementsThatMayBeMissing(t *testing.T) {
	for when, want := range map[string]string{
		`get(session.payment_method_types, 0) == "card"`:                                                   "write (get(…) ?? …)",
		`first(session.payment_method_types) == "card"`:                                                    "write (first(…) ?? …)",
		`session.metadata == nil`:                                                                          `not has("metadata")`,
		`session.livemode && session.payment_method_types != nil`:                                          `by has("payment_method_types")`,
		`(first(session.payment_method_types) ?? "") == "card"`:                                            "",
		`(get(session.payment_method_types, 0) ?? "") == "card"`:                                           "",
		`len(session.payment_method_types) > 0 && get(session.payment_method_types, 0) == "card"`:          "",
		`(first(session.line_items.data)?.price.metadata?.x ?? "no") == "no"`:                              "",
		`let item = first(session.line_items.data); (item?.price.id ?? "none") == "none"`:                  "",
		`raw("loyalty")?.tier == "gold"`:                                                                   "",
		`raw("loyalty") != nil && session.customer != ""`:                                                  "",
		`any(session.line_items.data, .price?.recurring?.interval == "month") && session.amount_total > 5`: "",
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if got := describe(problems); want == "" && got != "" || !strings.Contains(got, want) || len(problems) > 1 {
			t.Errorf("%s: want %q, got %s", when, want, got)
		}
	}
	for _, element := range []string{`(first(session.line_items.data)?.price.metadata?.x ?? "no")`, `(let item = first(session.line_items.data); item?.price.id ?? "no")`} {
		set := compile(t, rule("r", fmt.Sprintf(`%s == "no"`, element)))
		e, previous := paid(t, map[string]any{"line_items": nil})
		if got := set.Match(e, previous, now); len(got.Targets) != 1 || len(got.Errors) > 0 {
			t.Errorf("%s: %+v", element, got)
		}
	}
}
