package rules_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// conditions are pieces of random expressions: what the index uses, what it
// must leave alone, and what fails.
var conditions = []string{
	`session.status == "complete"`, `"open" == session.status`, `session.payment_status in ["paid", "unpaid"]`,
	`session.currency == "USD"`, `session.currency in ["EUR"]`, `(session.currency == "EUR" or session.currency == "USD")`,
	`(session.currency == "EUR" or session.status == "open")`, `session.metadata["plan"] == "pro"`, `session.metadata.plan in ["", "pro"]`,
	`session.metadata["a.b"] == "x"`, `session.metadata.none == ""`, `session.customer == ""`, `session.customer != "cus_1"`,
	`not (session.currency == "USD")`, `session?.status == "complete"`, `event.type == "checkout.session.paid"`,
	`event.type in ["checkout.session.paid", "checkout.session.expired"]`, `event.account == "main"`, `"backup" == event.account`,
	`event.reason == ""`, `event.reason in ["timer", "manual"]`, `event.change.to == "paid"`, `event.change.field in ["status", "payment_status"]`,
	`session.amount_total > 1000`, `session.amount_total in 5..2000`, `int(session.metadata.plan) == 1`, `session.line_items.data[0].id == ""`,
	`any(1..200, {# == 150})`, `any(1..20000, {# < 0})`, `session.status == previous.status`, `has("customer")`, `changed("status")`,
	`session.status == raw("status")`, `(session.status == "complete" ? true : false)`, `(let s = session.status; s == "open")`,
}

func randomRule(t *rapid.T, i int) rules.Rule {
	types := []string{"paid", "expired", "c*", "*", "checkout.session.fulfillable"}
	r := rules.Rule{Name: fmt.Sprintf("r-%d", i), Enabled: rapid.IntRange(0, 9).Draw(t, "enabled") > 0}
	r.Events = rapid.SliceOfN(rapid.SampledFrom(types), 0, 2).Draw(t, "events")
	r.Accounts = rapid.SliceOfN(rapid.SampledFrom(known.Accounts), 0, 1).Draw(t, "accounts")
	r.To = rapid.SliceOfN(rapid.SampledFrom(known.Destinations), 1, 2).Draw(t, "to")
	parts := rapid.SliceOfN(rapid.SampledFrom(conditions), 0, 3).Draw(t, "when")
	r.When = strings.Join(parts, rapid.SampledFrom([]string{" && ", " and ", " || "}).Draw(t, "operator"))
	if rapid.IntRange(0, 9).Draw(t, "own") == 0 {
		r.Subject = "own"
	}
	return r
}

func randomEvent(t *rapid.T) *event.Event {
	word := func(name string, words ...any) any { return rapid.SampledFrom(words).Draw(t, name) }
	object, err := json.Marshal(map[string]any{
		"status": word("status", "open", "complete", "expired", "", nil, 7, map[string]any{"x": 1}), "payment_status": word("payment_status", "paid", "unpaid", nil),
		"currency": word("currency", "USD", "EUR", "", nil), "customer": word("customer", "cus_1", "", nil),
		"amount_total": word("amount", 5, 1500, "x", nil), "line_items": word("items", nil, map[string]any{"data": []any{map[string]any{"id": "x"}}}),
		"metadata": word("metadata", nil, map[string]any{"plan": "pro", "a.b": "x"}, map[string]any{"plan": 1}, map[string]any{"none": "y"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 19).Draw(t, "broken") == 0 {
		object = []byte("{")
	}
	e := &event.Event{
		Type:    rapid.SampledFrom(append(event.Types(), "checkout.session.later")).Draw(t, "type"),
		Account: rapid.SampledFrom([]string{"main", "backup", "other"}).Draw(t, "account"), Time: now, Revision: 2, Object: object,
		PreviousAttributes: json.RawMessage(`{"status":"open"}`), Reason: rapid.SampledFrom([]string{"", "timer"}).Draw(t, "reason"),
	}
	if rapid.Bool().Draw(t, "change") {
		e.Change = &event.Change{Field: "payment_status", From: json.RawMessage(`"unpaid"`), To: json.RawMessage(`"paid"`)}
	}
	return e
}

// The index may leave out a rule that would fail, because another condition of
// it is false; it changes nothing else.
func TestIndexAgreesWithFullScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []rules.Rule
		for i := range rapid.IntRange(1, 12).Draw(t, "rules") {
			list = append(list, randomRule(t, i))
		}
		set, problems := rules.Compile(list, known)
		if set == nil {
			t.Fatal(describe(problems))
		}
		for range 8 {
			e := randomEvent(t)
			got, want := set.Match(e, nil, now), set.MatchWithoutIndex(e, nil, now)
			if diff := cmp.Diff(want.Targets, got.Targets); diff != "" {
				t.Fatalf("targets (-full scan +index):\n%s", diff)
			}
			for _, err := range got.Errors {
				if !slices.Contains(want.Errors, err) {
					t.Fatalf("the index alone has the error %v", err)
				}
			}
			for _, err := range want.Errors {
				if !slices.Contains(got.Errors, err) && !mayBeSkipped(list, err.Rule) {
					t.Fatalf("the index lost the error %v", err)
				}
			}
		}
	})
}

// mayBeSkipped: only a rule of several conditions joined by `and` has a
// condition that can be false beside one that fails.
func mayBeSkipped(list []rules.Rule, name string) bool {
	i := slices.IndexFunc(list, func(r rules.Rule) bool { return r.Name == name })
	return strings.Contains(list[i].When, " && ") || strings.Contains(list[i].When, " and ")
}

func TestIndexIsSelective(t *testing.T) {
	var list []rules.Rule
	for i := range 1000 {
		list = append(list, rule(fmt.Sprintf("shop-%d", i),
			fmt.Sprintf(`session.status == "complete" && session.metadata["shop"] == "s%d" && session.amount_total > 5`, i)))
	}
	set := compile(t, list...)
	e, previous := paid(t, map[string]any{"metadata": map[string]any{"shop": "s7"}})
	if n := set.Candidates(e); n != 1 {
		t.Errorf("%d candidates of 1000, want 1", n)
	}
	if got := set.Match(e, previous, now); len(got.Targets) != 1 || !slices.Equal(got.Targets[0].Rules, []string{"shop-7"}) {
		t.Errorf("got %v", got)
	}
	e.Type = event.Expired
	if n := set.Candidates(e); n != 0 {
		t.Errorf("%d candidates for another type", n)
	}
}
