package rules_test

import (
	"fmt"
	"testing"

	"checkout-notifier/rules"
)

const fourTerms = `event.type == "checkout.session.paid" && session.currency in ["EUR", "USD"] && session.amount_total >= %d && session.metadata["shop"] startsWith "s"`

func BenchmarkOneRule(b *testing.B) {
	e, previous := paid(b, map[string]any{"metadata": map[string]any{"shop": "s7"}})
	for name, amount := range map[string]int{"true": 5, "false": 900_000} {
		b.Run(name, func(b *testing.B) {
			set := compile(b, rule("r", fmt.Sprintf(fourTerms, amount)))
			b.ReportAllocs()
			for b.Loop() {
				set.Match(e, previous, now)
			}
		})
	}
}

func shops(n int) (list []rules.Rule) {
	for i := range n {
		list = append(list, rule(fmt.Sprintf("r-%d", i), fmt.Sprintf(`session.metadata["shop"] == "s%d" && session.amount_total >= 1000`, i)))
	}
	return list
}

func BenchmarkRules(b *testing.B) {
	e, previous := paid(b, map[string]any{"metadata": map[string]any{"shop": "s7"}})
	for _, n := range []int{10, 100, 1_000, 10_000} {
		set := compile(b, shops(n)...)
		b.Run(fmt.Sprintf("%d/indexed", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Match(e, previous, now)
			}
		})
		b.Run(fmt.Sprintf("%d/scan", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.MatchWithoutIndex(e, previous, now)
			}
		})
	}
}

func BenchmarkCompile1000(b *testing.B) {
	var list []rules.Rule
	for i := range 1000 {
		list = append(list, rule(fmt.Sprintf("r-%d", i), fmt.Sprintf(fourTerms, i)))
	}
	for b.Loop() {
		if set, problems := rules.Compile(list, known); set == nil {
			b.Fatal(describe(problems))
		}
	}
}
