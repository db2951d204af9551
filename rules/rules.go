// Package rules compiles the operator's rules and says who hears of an event.
//
// A Set is compiled as a whole, with all problems reported at once, each with
// its place and a suggestion. Matching is deterministic, bounded in steps and
// memory whatever the expression is, and never panics: a rule that fails or
// exceeds its budget is reported as failed, counts as not matched and stops no
// other rule.
//
// The package does no I/O and reads no clock: the time comes as an argument.
// Errors of an evaluation never quote the session.
package rules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"checkout-notifier/event"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Set is a compiled list of rules. It is immutable and safe for concurrent use.
type Set struct {
	known      Known
	rules      []*compiled // with on: event
	index      *index
	system     []*compiled // with on: system
	identities map[string]string
	types      map[string][]string // by rule, of those too that are not enabled
	reach      map[string]Reach    // of the same
	id         string
}

// compiled is a rule with its names resolved.
type compiled struct {
	rule       Rule
	types      []string // whole; "" stands for types that this version does not know
	accounts   []string // [""]: all
	to         []string // without repetitions
	expression *expression
}

// Result is what the rules make of one event.
type Result struct {
	Targets []Target          // one per delivery, by destination, shared ones first
	Errors  []event.RuleError // rules that failed, in file order; they did not match

	rules     []*compiled
	evaluated []int32 // of rules, in file order
}

// Passed says whether a rule was evaluated on the event, whatever it said, and
// did not fail. One that the index left out was not evaluated.
func (r *Result) Passed(rule string) bool {
	named := func(i int32) bool { return r.rules[i].rule.Name == rule }
	failed := func(e event.RuleError) bool { return e.Rule == rule }
	return slices.ContainsFunc(r.evaluated, named) && !slices.ContainsFunc(r.Errors, failed)
}

// Target is one delivery: to a destination, for all rules that matched, or for
// the one rule that renders it in its own way.
type Target struct {
	Destination string
	OwnRule     string            // the rule that renders the delivery; "" for a shared one
	Rules       []string          // that matched, in file order
	Labels      map[string]string // of these rules, the first wins; never nil
}

// ID identifies the meaning of all rules: white space and comments in
// expressions, the order of names in lists and the spelling of event types do
// not count. It is the same after a restart.
func (s *Set) ID() string { return s.id }

// Types lists the types of events that a rule can match, whole names, whether or
// not it is enabled; none for a rule that is not in the set. Types that a later
// version may know are left out.
func (s *Set) Types(rule string) []string { return slices.Clone(s.types[rule]) }

// Reach is which sessions a rule can match.
type Reach struct {
	Accounts []string // empty: all
	Async    bool     // its condition takes only what was paid after the checkout
	OneMode  bool     // its condition takes live sessions alone, or test sessions alone
	Keys     []string // of the metadata, which its condition demands
}

// Reach says which sessions a rule can match, whether or not it is enabled. Nothing is
// known of that without a set.
func (s *Set) Reach(rule string) Reach {
	if s == nil {
		return Reach{}
	}
	return s.reach[rule]
}

func (r *compiled) reach() Reach {
	reach := Reach{Accounts: slices.DeleteFunc(slices.Clone(r.accounts), func(name string) bool { return name == "" })}
	if x := r.expression; x != nil {
		reach.OneMode, reach.Async, reach.Keys = x.oneMode, x.onlyAsync, x.keys
	}
	return reach
}

// Identity identifies the meaning of one rule as ID does that of all; "" if no
// such rule is enabled.
func (s *Set) Identity(rule string) string { return s.identities[rule] }

// Match says who hears of an event. Previous is the session before it, in the
// published schema, nil at first sight; now is what now() returns.
//
// A rule without an expression needs nothing of the session and matches even if
// that cannot be read. A rule with one fails on an event whose session, or a
// field that the expression names, cannot be read. The index may leave out a
// rule whose expression would fail, if one of its conditions is false anyway.
func (s *Set) Match(e *event.Event, previous json.RawMessage, now time.Time) Result {
	v := newView(e, previous, now)
	return evaluate(v, s.rules, s.index.candidates(v))
}

func evaluate(v *view, rules []*compiled, candidates []int32) Result {
	result := Result{rules: rules, evaluated: candidates}
	var matched []*compiled
	for _, i := range candidates {
		r := rules[i]
		ok, err := r.matches(v)
		switch {
		case err != nil:
			result.Errors = append(result.Errors, event.RuleError{Rule: r.rule.Name, Error: err.Error()})
		case ok:
			matched = append(matched, r)
		}
	}
	result.Targets = targets(matched)
	return result
}

// machines are reused: a machine keeps its stack between runs.
var machines = sync.Pool{New: func() any { return new(vm.VM) }}

func (r *compiled) matches(v *view) (bool, error) {
	ok, err := r.run(v)
	if err != nil {
		err = evaluationError(err)
	}
	return ok, err
}

// run evaluates the condition. Its error may quote the session, and is a *file.Error where
// the place is known.
func (r *compiled) run(v *view) (bool, error) {
	x := r.expression
	if x == nil {
		return true, nil
	}
	if err := v.prepare(&x.uses); err != nil {
		return false, err
	}
	v.state.budget = budget{}
	machine := machines.Get().(*vm.VM)
	machine.MemoryBudget = maxBytes / elementBytes
	out, err := machine.Run(x.program, v.scope())
	if err != nil {
		return false, err // the machine is dropped with all that a runaway expression put into it
	}
	clear(machine.Stack[:cap(machine.Stack)])
	clear(machine.Variables)
	machines.Put(machine)
	ok, isBool := out.(bool)
	if !isBool {
		return false, evalError("the result is neither true nor false")
	}
	return ok, nil
}

// evaluationError names the place in the expression, not what stood there.
func evaluationError(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return evalError(failure(err))
	}
	return evalError(fmt.Sprintf("%s, at %d:%d of when", failure(causeOf(at)), at.Line, at.Column+1))
}

func causeOf(at *file.Error) error {
	if at.Prev == nil {
		return errors.New(at.Message)
	}
	return at.Prev
}

// targets makes one delivery per destination of all rules that matched, and
// one more per destination of each rule that renders it in its own way.
func targets(matched []*compiled) []Target {
	shared := map[string]*Target{}
	var list []*Target
	for _, r := range matched {
		for _, destination := range r.to {
			t := shared[destination]
			if t == nil || r.rule.OwnRendering() {
				t = &Target{Destination: destination, Labels: map[string]string{}}
				list = append(list, t)
				if r.rule.OwnRendering() {
					t.OwnRule = r.rule.Name
				} else {
					shared[destination] = t
				}
			}
			t.add(r.rule)
		}
	}
	slices.SortStableFunc(list, func(a, b *Target) int {
		return cmp.Or(strings.Compare(a.Destination, b.Destination), a.order()-b.order())
	})
	var out []Target
	for _, t := range list {
		out = append(out, *t)
	}
	return out
}

func (t *Target) add(r Rule) {
	t.Rules = append(t.Rules, r.Name)
	for name, value := range r.Labels {
		if _, taken := t.Labels[name]; !taken {
			t.Labels[name] = value
		}
	}
}

// order puts the shared delivery of a destination before those of single rules.
func (t *Target) order() int {
	if t.OwnRule == "" {
		return 0
	}
	return 1
}
