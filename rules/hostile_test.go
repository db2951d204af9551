package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

// The bounds of one evaluation as a whole: far above what they take here, on a
// busy machine under the race detector, too, and far below what the expressions
// would take without a budget.
const (
	timeBound   = 15 * time.Second
	memoryBound = 96 << 20
)

// bounded matches and fails the test if that took too long or too much memory.
func bounded(t testing.TB, when string, set *rules.Set, e *event.Event, previous []byte) rules.Result {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	result := set.Match(e, previous, now)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; took > timeBound || allocated > memoryBound {
		t.Errorf("%.200s: took %v and %d KiB", when, took, allocated>>10)
	}
	return result
}

func TestHostileExpressionsStop(t *testing.T) {
	const big = `let s = repeat("abcdefgh", 900000); `
	for name, when := range map[string]string{
		"cubic":              `let a = 1..1000; all(a, {all(a, {all(a, {# >= 0})})})`,
		"doubling text":      `reduce(1..24, {#acc + #acc}, "0123456789abcdef0123456789abcdef") != ""`,
		"doubling list":      `len(reduce(1..40, {concat(#acc, #acc)}, [1])) > 0`,
		"doubling graph":     `string(reduce(1..40, {[#acc, #acc]}, [1])) == ""`,
		"equal graphs":       `let g = reduce(1..40, {[#acc, #acc]}, [1]); let h = reduce(1..40, {[#acc, #acc]}, [1]); g == h`,
		"in a graph":         `let g = reduce(1..40, {[#acc, #acc]}, [1]); g in [g, g]`,
		"flatten graph":      `len(flatten(reduce(1..40, {[#acc, #acc]}, [1]))) > 0`,
		"max of graph":       `max(reduce(1..40, {[#acc, #acc]}, [1])) > 0`,
		"median of graph":    `median(reduce(1..40, {[#acc, #acc]}, [1])) > 0`,
		"json of graph":      `toJSON(reduce(1..40, {[#acc, #acc]}, ["x"])) != ""`,
		"deep list":          `toJSON(reduce(1..5000, {[#acc]}, [1])) != ""`,
		"mistaken type":      mistakenTypes(30) + ` == 1`,
		"sum of mistakes":    `let a = [[repeat("x", 9000000)], [1]]; any(1..9000, {+a[0][0] + a[0][0] == 1})`,
		"and of graphs":      `let g = reduce(1..40, {#acc == 0 ? 1 : [#acc, #acc]}, [1]); let h = reduce(1..40, {#acc == 0 ? 1 : [#acc, #acc]}, [1]); (true && g) == (true && h)`,
		"huge repeat":        `repeat("x", 900000000) != ""`,
		"repeated repeat":    `repeat(repeat(repeat("x", 9999), 9999), 9999) != ""`,
		"huge range":         `len(1..9000000000) > 0`,
		"overflowing range":  `len(-9000000000000000000..9000000000000000000) > 0`,
		"ranges in ranges":   `any(1..9000, {len(1..9000) == 0})`,
		"nested map":         `len(map(1..300, {map(1..300, {map(1..300, {#})})})) > 0`,
		"map of texts":       `len(map(1..9000, {upper(repeat("x", 9000))})) > 0`,
		"sum without body":   `sum(1..1500000) > 0`,
		"replace":            `replace(repeat("a", 60000), "a", repeat("b", 60000)) != ""`,
		"replace of nothing": `replace(repeat("a", 60000), "", repeat("b", 60000)) != ""`,
		"join":               `join(map(1..9000, {"x"}), repeat("b", 60000)) != ""`,
		"split":              `len(split(repeat("a", 9000000), "")) > 0`,
		"trim":               big + `trim(s, s) == ""`,
		"uniq":               `len(uniq(1..9000)) == 0`,
		"sort":               `len(sort(1..9000)) == 0 || any(1..9000, {len(sort(1..9000)) == 0})`,
		"sortBy of texts":    big + `let r = s + "x"; len(sortBy(1..9000, {# % 2 == 0 ? s : r})) == 0`,
		"groupBy of texts":   big + `len(groupBy(1..9000, {s})) == 0`,
		"comparing texts":    `let a = repeat("a", 4000000); let b = repeat("a", 4000000); any(1..9000, {a != b})`,
		"ordering texts":     `let a = repeat("a", 4000000); let b = repeat("a", 4000000); any(1..9000, {a < b})`,
		"starting texts":     `let a = repeat("a", 4000000); let b = repeat("a", 4000000); any(1..9000, {not (a startsWith b)})`,
		"searching texts":    big + `any(1..9000, {s contains "abcdefgi"})`,
		"text as a key":      big + `any(1..9000, {session.metadata[s] == "x"})`,
		"text in a map":      big + `any(1..9000, {s in session.metadata})`,
		"text in a set":      big + `any(1..9000, {s in ["x", "y"]})`,
		"text as a map key":  big + `any(1..9000, {len({(s): 1}) == 0})`,
		"length of texts":    big + `any(1..9000, {len(s) == 0})`,
		"list in a loop":     `let a = 1..9000; any(a, {-1 in a})`,
		"pattern":            big + `s matches "^(a|b|ab|(ab)*)*(c|cd|(cd)*)*x{0,300}$"`,
		"pattern in a loop":  `let s = repeat("ab", 200000); any(1..9000, {s matches "(a|b)*z"})`,
		"fromJSON":           `len(fromJSON("[" + repeat("{},", 2000000) + "1]")) == 0`,
		"base64":             `any(1..9000, {toBase64(repeat("x", 60000)) == ""})`,
		"pairs":              `any(1..9000, {len(fromPairs(map(1..9000, {[#, #]}))) == 0})`,
		"reverse":            `any(1..9000, {len(reverse(1..9000)) == 0})`,
		"large body":         `any(1..9000, {len([` + strings.Repeat("1,", 3000) + `1]) == 0})`,
		"large map":          `any(1..9000, {len({` + strings.Repeat(`"x": [1, 2, 3],`, 500) + `"y": 1}) == 0})`,
		"dates":              `any(1..9000, {date(repeat("1", 60000)) == now()})`,
		"whole sessions":     `all(1..9000, {session == session && toJSON(session) != ""})`,
		"raw in a loop":      `all(1..9000, {len(raw("metadata")) >= 0})`,
		"raw items":          `all(1..9000, {len(raw("big")) >= 0})`,
		"negative repeat":    `repeat("x", -1) == ""`,
		"concat of a range":  `len(concat(1..900000, 1..900000)) == 0`,
	} {
		t.Run(name, func(t *testing.T) {
			e, previous := paid(t, map[string]any{"big": make([]int, 200)})
			set, problems := rules.Compile([]rules.Rule{rule("hostile", when), rule("honest", `session.status == "complete"`)}, known)
			if set == nil {
				t.Fatal(describe(problems))
			}
			result := bounded(t, when, set, e, previous)
			if len(result.Errors) != 1 || result.Errors[0].Rule != "hostile" {
				t.Errorf("errors: %v", result.Errors)
			} else if msg := result.Errors[0].Error; strings.Contains(msg, "cannot be evaluated") || strings.Contains(msg, "wrong type") {
				t.Errorf("stopped for another reason: %s", msg)
			}
			if len(result.Targets) != 1 || len(result.Targets[0].Rules) != 1 || result.Targets[0].Rules[0] != "honest" {
				t.Errorf("the honest rule did not match: %v", result.Targets)
			}
		})
	}
}

// mistakenTypes doubles a text over and over in a list whose elements expr takes
// for integers.
func mistakenTypes(n int) string {
	text := `let a0 = [["0123456789abcdef"], [1]]; `
	for i := range n {
		text += fmt.Sprintf("let a%d = [[a%d[0][0] + a%d[0][0]], [1]]; ", i+1, i, i)
	}
	return text + fmt.Sprintf("a%d[0][0]", n)
}

// What reaches its limits exactly is no runaway.
func TestHonestExpressionsFitTheBudget(t *testing.T) {
	items := make([]any, 100)
	for i := range items {
		items[i] = map[string]any{"id": fmt.Sprint(i), "price": map[string]any{"product": "p"}}
	}
	e, previous := paid(t, map[string]any{"line_items": map[string]any{"data": items}})
	for _, when := range []string{
		`session != previous && any(session.line_items.data, {any(previous.line_items.data, {.id == "99"})})`,
		`count(1..9000, # > 0) == 9000`,
		`let a = 1..90; all(a, {all(a, {# > 0})})`,
		`len(repeat("x", 9000000)) > 0`,
		`len(toJSON(session)) > 0 && toJSON(session) == toJSON(session)`,
		`len(map(1..1000, {string(#)})) == 1000`,
	} {
		result := bounded(t, when, compile(t, rule("r", when)), e, previous)
		if len(result.Errors) > 0 || len(result.Targets) != 1 {
			t.Errorf("%s: %v", when, result)
		}
	}
}

// Compiling ends quickly too, whatever the text is.
func TestHostileTextsAreRefused(t *testing.T) {
	nest := func(open, middle, close string, n int) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(close, n)
	}
	for name, when := range map[string]string{
		"brackets":         nest("(", "1", ")", 30_000),
		"lists":            nest("[", "", "]", 30_000),
		"negations":        strings.Repeat("!", 60_000) + "true",
		"signs":            strings.Repeat("- ", 30_000) + "1 == 1",
		"overloads":        nest("sort(", "[1]", ")", 60) + " == [1]",
		"joins":            nest("join([", `"a"`, "])", 60) + ` == "a"`,
		"comparisons":      nest("0 < int(string(", "1", ")) < 9 ? 1 : 0", 60) + " == 1",
		"too long":         strings.Repeat(" ", 70_000) + "true",
		"too many nodes":   strings.Repeat("1 == 1 && ", 6_000) + "true",
		"large pattern":    `session.id matches "((a{100}){100}){100}"`,
		"wide pattern":     `session.id matches "` + strings.Repeat("(abcdefghij|klmnop){999}", 50) + `"`,
		"pattern at work":  `session.id matches session.metadata.pattern`,
		"dynamic raw":      `raw(session.id) == 1`,
		"environment":      `$env != nil`,
		"environment key":  `$env["session"].status == "open"`,
		"environment let":  `let $env = 1; true`,
		"environment get":  `get($env, "session") != nil`,
		"state":            `__state != nil`,
		"bound function":   `__tick(__state, 1) == nil`,
		"local time":       `session.created.Local().Hour() == 1`,
		"local zone":       `session.created.In(timezone("Local")).Hour() == 1`,
		"method by detour": `let f = session.created.Local; f() == now()`,
		"original now":     `::now() > session.created`,
		"layout":           `session.created.Format(repeat("2006", 9)) == ""`,
		"bytes":            `b"x" == b"x"`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
			if took := time.Since(start); took > timeBound {
				t.Errorf("took %v", took)
			}
			if name == "original now" { // it is ours all the same
				return
			}
			if set != nil || len(problems) == 0 || problems[0].Warning {
				t.Errorf("was accepted: %s", describe(problems))
			}
		})
	}
}

// Compiling costs about as much as the text is long, whatever is warned of: the bound
// is far above that, and far below what a square of the length takes.
func TestLongExpressionsCompileSoon(t *testing.T) {
	if raceEnabled {
		t.Skip("the work of one goroutine, which the race detector makes ten times as long: make full does it")
	}
	for _, part := range []string{
		`raw("x") > 1 and `, `session.status == "open" or `, `session.amount_total > 5 and `, `int(session.metadata.a) > 5 or `, `session.currency == "usd" and `,
		`(session.livemode or raw("a") == "b") and `, `now().Hour() > 5 and `, `lower(session.metadata.a) == "b" or `, `raw("metadata.a") == 3 or `,
		`session.mode == "setup" or session.mode == "payment" and `, `session.metadata.a > "5" or `,
	} {
		allocated := func(n int) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			rules.Compile([]rules.Rule{rule("r", strings.Repeat(part, n)+"true")}, known)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		allocated(50)
		short, long := allocated(50), allocated(300)
		t.Logf("%s: %d bytes for 50, %d for 300", part, short, long)
		if long > 12*short {
			t.Errorf("%s: %d bytes for 50, %d for 300", part, short, long)
		}
	}
}
