package rules_test

import (
	"testing"

	"checkout-notifier/rules"
)

// FuzzExpression: whatever the text is, compiling and matching neither panic
// nor exceed the bounds.
func FuzzExpression(f *testing.F) {
	for _, when := range conditions {
		f.Add(when)
	}
	for _, when := range []string{
		`let a = 1..1000; all(a, {all(a, {all(a, {# >= 0})})})`, `reduce(1..24, {#acc + #acc}, "0123456789")  == ""`,
		`sortBy(1..9000, {repeat("x", #)})[0] == 1`, `toJSON(map(1..99, {[#, session]})) matches "(a|b)*c"`,
		`len(fromJSON(repeat("[", 99) + repeat("]", 99))) == 1`, `groupBy(1..99, {# % 3})[1][0] > 0`,
		`any(toPairs(session.metadata), {#[0] == "plan"})`, `uniq(concat(1..99, flatten([[1..9], [2]]))) | sort("desc") | first() == 99`,
		`median(1..99) ?? 1 > 0 ? true : false`, `date("2026-01-02", "2006-01-02", "Europe/Berlin").Unix() > 0`,
		`if session.status == "open" { true } else { raw("a.0.b") in [1, "x", nil] }`, `1 < 2 < 3 && "a" < "b" <= "c"`,
		`get(session.metadata, "plan") | upper() | split("") | reverse() | join("-") endsWith "P"`, `session.created.Weekday().String() in ["Monday"]`,
		`[1, 2, 3][1:2] == [2] && "abc"[1:] == "bc"`, `all([], true) and none([1], # == 2) and one([1], # == 1) and find([1], true) == 1`,
	} {
		f.Add(when)
	}
	f.Add(`event.subject == "shop" && raw("rules.0") == "ship" && has("class") && event.time < now()`)
	e, previous := paid(f, map[string]any{"a": []any{map[string]any{"b": 1}}})
	f.Fuzz(func(t *testing.T, when string) {
		set, problems := rules.Compile([]rules.Rule{rule("fuzzed", when)}, known)
		for _, p := range problems {
			if p.Message == "" || p.Line < 1 || p.Column < 1 || p.Snippet == "" {
				t.Errorf("problem without a place: %s", describe(problems))
			}
		}
		if set, _ := rules.Compile([]rules.Rule{system("fuzzed", when)}, known); set != nil {
			set.MatchSystem(dead(t), now) // must not panic
		}
		if set == nil {
			return
		}
		result := bounded(t, when, set, e, previous)
		if len(result.Errors)+len(result.Targets) > 1 {
			t.Errorf("both matched and failed: %v", result)
		}
	})
}
