package rules

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"checkout-notifier/rules/check"
	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/vm/runtime"
)

// stateName is how rewritten calls name the state. No rule can.
const stateName = check.Reserved + "state"

// filledName is the call that ?? on a text becomes.
const filledName = "filled"

// operators are the functions that rewritten operators and environment
// functions become.
var operators = map[string]call{
	"tick":     tick,
	"each":     each,
	"look":     look,
	"within":   within,
	filledName: filled,
	"add":      add,
	"range":    makeRange,
	"equal":    equal,
	"in":       in,
	"contains": contains,
	"matches":  matches,
	"now":      func(s *state, _ []any) (any, error) { return s.view.now, nil },
	"has":      func(s *state, args []any) (any, error) { return s.view.has(args[0].([]string)), nil },
	"changed":  func(s *state, args []any) (any, error) { return s.view.changed(args[0].([]string)) },
	"raw":      raw,
}

// newConfig is the configuration that expressions over an env are parsed and
// checked with. It caches types while it is used and is therefore for one goroutine.
func newConfig(env any) *conf.Config {
	c := conf.New(env)
	for _, name := range []string{"now", "duration"} { // "::now" would reach the original
		c.Disabled[name] = true
		delete(c.Builtins, name)
	}
	declare(c, "now", time.Now)
	declare(c, "duration", func(string) time.Duration { return 0 })
	declare(c, "has", func(string) bool { return false })
	declare(c, "changed", func(string) bool { return false })
	declare(c, "raw", func(string, ...any) any { return nil })
	for name, f := range operators {
		bind(c, name, f)
	}
	for name, f := range guarded {
		bind(c, name, f)
	}
	return c
}

// tick counts one iteration of a predicate.
func tick(s *state, args []any) (any, error) { return nil, s.step(args[0].(int)) }

// each counts the iterations of a loop without a predicate.
func each(s *state, args []any) (any, error) { return args[0], s.step(length(args[0])) }

// look counts the cost of using a value as an operand that is read whole.
func look(s *state, args []any) (any, error) {
	if text, ok := args[0].(string); ok {
		return text, s.read(text)
	}
	_, err := s.walk(args[0])
	return args[0], err
}

func within(_ *state, args []any) (any, error) {
	return runtime.MoreOrEqual(args[0], args[1]) && runtime.LessOrEqual(args[0], args[2]), nil
}

// filled says whether there is a text that is not empty.
func filled(_ *state, args []any) (any, error) { return args[0] != nil && args[0] != "", nil }

func add(s *state, args []any) (any, error) {
	a, ok := args[0].(string)
	b, also := args[1].(string)
	if !ok || !also {
		return runtime.Add(args[0], args[1]), nil
	}
	if err := s.allocate(len(a) + len(b)); err != nil {
		return nil, err
	}
	return a + b, nil
}

func makeRange(s *state, args []any) (any, error) {
	from, to := runtime.ToInt(args[0]), runtime.ToInt(args[1])
	if to < from {
		return []int{}, nil
	}
	n := to - from + 1 // negative when the difference overflows
	if err := s.allocateN(n, 8); err != nil {
		return nil, err
	}
	return runtime.MakeRange(from, to), nil
}

func equal(s *state, args []any) (any, error) {
	if err := walkAll(s, args); err != nil {
		return nil, err
	}
	return runtime.Equal(args[0], args[1]), nil
}

func in(s *state, args []any) (any, error) {
	if err := walkAll(s, args); err != nil {
		return nil, err
	}
	return runtime.In(args[0], args[1]), nil
}

// contains is false for nil, as expr's operator is.
func contains(s *state, args []any) (any, error) {
	if runtime.IsNil(args[0]) || runtime.IsNil(args[1]) {
		return false, nil
	}
	if err := readAll(s, args); err != nil {
		return nil, err
	}
	return strings.Contains(args[0].(string), args[1].(string)), nil
}

// pattern is a constant regular expression with the number of its instructions:
// matching costs their product with the length of the text.
type pattern struct {
	re   *regexp.Regexp
	size int
}

func matches(s *state, args []any) (any, error) {
	p := args[0].(*pattern)
	if runtime.IsNil(args[1]) {
		return false, nil
	}
	text := args[1].(string)
	if err := s.step((len(text) + 1) * p.size / bytesPerStep); err != nil {
		return nil, err
	}
	return p.re.MatchString(text), nil
}

// raw is the default where the path is missing or null.
func raw(s *state, args []any) (any, error) {
	v := s.view.at(args[0].([]string))
	if v == nil && len(args) > 1 {
		return args[1], nil
	}
	if _, err := s.walk(v); err != nil {
		return nil, err
	}
	return rawValue(s, v)
}

// bind makes a call known to the machine under a name that no operator can
// write. Its first argument is the state.
func bind(c *conf.Config, name string, f call) {
	name = check.Reserved + name
	c.Functions[name] = &builtin.Function{Name: name, Func: func(params ...any) (any, error) {
		return f(params[0].(*state), params[1:])
	}}
}

// declare makes a function known to the checker; rewriting replaces its calls.
func declare(c *conf.Config, name string, signature any) {
	c.Functions[name] = &builtin.Function{Name: name, Types: []reflect.Type{reflect.TypeOf(signature)}}
}

// Builtins lists the functions of expr that an expression can call, by name.
func Builtins() []string {
	config := newConfig(env{})
	var names []string
	for name := range config.Builtins {
		if !config.Disabled[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func compilePattern(text string) *pattern {
	size, err := logic.PatternSize(text)
	if err != nil {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	return &pattern{re: re, size: 1 + size}
}
