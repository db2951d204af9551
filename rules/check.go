package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"checkout-notifier/rules/check"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"
)

// Known is what rules may name.
type Known struct {
	Destinations []string
	Accounts     []string
	UnpaidFor    map[string]time.Duration // of accounts: how long a session is watched; may be nil
}

// Problem is something wrong with a rule, or, as a Warning, probably not meant.
type Problem struct {
	Rule         int    // index into the list given to Compile
	Key          string // of the configuration: name, to, when …
	Index        int    // element of a list, -1 otherwise
	Line, Column int    // inside the text of `when`, from 1; 0 for other keys
	Message      string // one line; quotes rules, never sessions
	Suggestion   string // what was probably meant, or ""
	Snippet      string // of `when`: the line, and below it a caret under the column
	Warning      bool
	Code         string // one of the Code constants, for tests and filters
}

// Codes of problems. The last eight are always warnings.
const (
	CodeName               = "name"
	CodeDuplicate          = "duplicate"
	CodeNoDestination      = "no-destination"
	CodeUnknownDestination = "unknown-destination"
	CodeUnknownAccount     = "unknown-account"
	CodeUnknownEvent       = "unknown-event"
	CodeOn                 = "on"
	CodeConflict           = "conflict"
	CodeExpression         = check.CodeExpression
	CodeUnfinished         = check.CodeUnfinished // an expression that ends too early
	CodeNotBoolean         = check.CodeNotBoolean
	CodeBudget             = check.CodeBudget
	CodeRendering          = "rendering"
	CodeMatchesEverything  = "matches-everything"
	CodeRepeats            = "repeats"       // matches a session again and again
	CodeMissesOrders       = "misses-orders" // leaves out orders for the way in which they came about
	CodeNeverMatches       = check.CodeNeverMatches
	CodeNoEffect           = "no-effect"
	CodeFraction           = check.CodeFraction   // an amount compared with a fraction
	CodeMissing            = check.CodeMissing    // fails where a value is missing
	CodeMisleading         = check.CodeMisleading // means something else than it seems to
)

// Compile checks and compiles rules and returns all problems at once, in the
// order of the rules. The Set is nil only if a problem is no warning. Rules that
// are not enabled are checked like the others and never match.
func Compile(rules []Rule, known Known) (*Set, []Problem) {
	all, problems := compileAll(rules, known)
	if slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning }) {
		return nil, problems
	}
	set := &Set{known: Known{Destinations: slices.Clone(known.Destinations), Accounts: slices.Clone(known.Accounts)}, types: make(map[string][]string, len(all)), reach: make(map[string]Reach, len(all)), identities: make(map[string]string)}
	hash := newIdentity()
	for i, r := range all {
		hash.add(r)
		set.types[r.rule.Name] = r.known()
		set.reach[r.rule.Name] = r.reach()
		if !rules[i].Enabled {
			continue
		}
		own := newIdentity()
		own.add(r)
		set.identities[r.rule.Name] = own.sum()
		if r.rule.On == OnSystem {
			set.system = append(set.system, r)
		} else {
			set.rules = append(set.rules, r)
		}
	}
	set.index = newIndex(set.rules)
	set.id = hash.sum()
	return set, problems
}

// Types lists for each of some rules, which need not compile, the types of events
// that it can match, as far as its keys can be read.
func Types(rules []Rule, known Known) [][]string {
	all, _ := compileAll(rules, known)
	types := make([][]string, len(all))
	for i, r := range all {
		types[i] = r.known()
	}
	return types
}

func compileAll(rules []Rule, known Known) ([]*compiled, []Problem) {
	names := check.Names{Destinations: known.Destinations, Accounts: known.Accounts}
	for _, rule := range rules {
		names.Rules = append(names.Rules, rule.Name)
	}
	c := checkers{known: known, rules: names.Rules, scopes: newScopes(names), first: map[string]int{}, samples: make(map[string][]sample)}
	all := make([]*compiled, len(rules))
	for i, rule := range rules {
		c.at = i
		all[i] = c.compile(rule)
	}
	return all, c.problems
}

// known lists the types of a rule that this version knows.
func (r *compiled) known() []string {
	return slices.DeleteFunc(slices.Clone(r.types), func(t string) bool { return t == "" })
}

// checkers collects the problems of all rules.
type checkers struct {
	known    Known
	rules    []string            // names
	scopes   map[bool]*scope     // by whether it is that of on: system
	first    map[string]int      // by name
	samples  map[string][]sample // by type of event
	at       int
	problems []Problem
}

func (c *checkers) add(p Problem) {
	p.Rule = c.at
	c.problems = append(c.problems, p)
}

func (c *checkers) compile(rule Rule) *compiled {
	rule.Labels = maps.Clone(rule.Labels)
	r := &compiled{rule: rule, to: slices.Clone(rule.To)}
	c.name(rule)
	c.on(rule)
	s := c.scopes[rule.On == OnSystem]
	r.accounts = c.accounts(rule)
	r.types = c.events(rule, s.types)
	matchesAll := rule.On != OnSystem && len(r.types) == len(allTypes)
	c.destinations(rule)
	slices.Sort(r.to)
	r.to = slices.Compact(r.to)
	c.rendering(rule)
	if strings.TrimSpace(rule.When) != "" {
		r.expression = c.when(s, rule.When)
	}
	c.constant(r, matchesAll)
	c.repeats(r)
	c.narrow(r)
	c.subject(r)
	c.aged(r)
	c.missed(r)
	c.try(r)
	return r
}

// constant warns of a rule that chooses nothing, or everything. A list of events
// that takes in all says that this is meant.
func (c *checkers) constant(r *compiled, allTypes bool) {
	when := strings.TrimSpace(r.rule.When)
	constant := r.expression != nil && r.expression.constant
	ofWhen := func(p Problem) bool { return p.Rule == c.at && p.Key == "when" } // which says why it holds
	message := ""
	switch {
	case constant && !r.expression.holds:
		c.never(r.rule.When, strings.Index(r.rule.When, when), "the condition is never true: enabled: false switches a rule off")
	case constant && when != "true" && (!allTypes || len(r.rule.Events) > 0):
		c.add(Problem{Key: "when", Index: -1, Warning: true, Code: CodeMisleading, Message: "the condition always holds, so that the rule matches each of its events: leave it out, or the constant in it"})
	case !allTypes || len(r.rule.Events) > 0:
	case when == "":
		message = "rule %q has neither events nor when: it matches every event; events: ['*'] says that this is meant"
	case constant, r.expression != nil && r.expression.always && !slices.ContainsFunc(c.problems, ofWhen):
		message = "rule %q matches every event, for its condition always holds; events: ['*'] says that this is meant"
	}
	if message != "" {
		c.add(Problem{Key: "name", Index: -1, Warning: true, Code: CodeMatchesEverything, Message: fmt.Sprintf(message, r.rule.Name)})
	}
}

var namePattern = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (c *checkers) name(rule Rule) {
	if !namePattern.MatchString(rule.Name) {
		c.add(Problem{Key: "name", Index: -1, Code: CodeName, Suggestion: properName(rule.Name),
			Message: fmt.Sprintf("%q is no name: use 1 to 64 of a-z, 0-9 and -", rule.Name)})
		return
	}
	if first, taken := c.first[rule.Name]; taken {
		c.add(Problem{Key: "name", Index: -1, Code: CodeDuplicate,
			Message: fmt.Sprintf("the name %q is taken by rules[%d]", rule.Name, first)})
		return
	}
	c.first[rule.Name] = c.at
}

// properName is the nearest proper name, or "".
func properName(name string) string {
	name = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-")
	name = strings.Trim(name, "-")
	return name[:min(len(name), 64)]
}

func (c *checkers) accounts(rule Rule) []string {
	if rule.On == OnSystem {
		if len(rule.Accounts) > 0 {
			c.add(Problem{Key: "accounts", Index: -1, Code: CodeConflict, Message: "accounts has no effect with on: system: " +
				`the program's own events belong to no account; choose by what they are about, as in when: event.subject == "main"`})
		}
		return []string{""}
	}
	for i, name := range rule.Accounts {
		if !slices.Contains(c.known.Accounts, name) {
			c.add(Problem{Key: "accounts", Index: i, Code: CodeUnknownAccount, Suggestion: spelling.Closest(name, c.known.Accounts),
				Message: fmt.Sprintf("there is no account %q", name)})
		}
	}
	if len(rule.Accounts) == 0 {
		return []string{""}
	}
	list := slices.Clone(rule.Accounts)
	slices.Sort(list)
	return slices.Compact(list)
}

func (c *checkers) destinations(rule Rule) {
	if len(rule.To) == 0 {
		c.add(Problem{Key: "to", Index: -1, Code: CodeNoDestination,
			Message: fmt.Sprintf("rule %q names no destination", rule.Name)})
	}
	for i, name := range rule.To {
		if !slices.Contains(c.known.Destinations, name) {
			c.add(Problem{Key: "to", Index: i, Code: CodeUnknownDestination, Suggestion: spelling.Closest(name, c.known.Destinations),
				Message: fmt.Sprintf("there is no destination %q", name)})
		}
	}
}

// SuggestField proposes a field of a session, by its path, for a name that it
// does not have; "" if none is near.
func SuggestField(name string) string { return schema.SuggestField(schema.SessionType, name) }

var formats = []string{"cloudevents", "stripe", "slack", "pagerduty", "template"}

func (c *checkers) rendering(rule Rule) {
	add := func(key, message string) {
		c.add(Problem{Key: key, Index: -1, Code: CodeRendering, Message: message})
	}
	switch {
	case rule.Format != "" && !slices.Contains(formats, rule.Format):
		c.add(Problem{Key: "format", Index: -1, Code: CodeRendering, Suggestion: spelling.Closest(rule.Format, formats),
			Message: fmt.Sprintf("there is no format %q", rule.Format)})
	case rule.Template != "" && rule.Format != "" && rule.Format != "template":
		add("format", fmt.Sprintf("format %q does not use the template", rule.Format))
	case rule.Format == "template" && rule.Template == "":
		add("format", "format template needs a template")
	}
	if rule.ContentType != "" && rule.Template == "" {
		c.add(Problem{Key: "content_type", Index: -1, Code: CodeNoEffect, Warning: true,
			Message: "content_type has no effect without a template"})
	}
}

func (c *checkers) when(s *scope, text string) *expression {
	x, faults := compileExpression(s, text)
	for _, f := range faults {
		p := Problem{Key: "when", Index: -1, Message: f.Message, Suggestion: f.Suggestion, Warning: f.Warning, Code: f.Code}
		p.Line, p.Column, p.Snippet = locate(text, f.At)
		c.add(p)
	}
	return x
}

// locate turns an offset in runes into a place, and shows it.
func locate(text string, at int) (line, column int, snippet string) {
	runes := []rune(text)
	at = min(at, len(runes))
	start := at
	for start > 0 && runes[start-1] != '\n' {
		start--
	}
	end := at
	for end < len(runes) && runes[end] != '\n' {
		end++
	}
	caret := []rune(strings.Repeat(" ", at-start))
	for i, r := range runes[start:at] {
		if r == '\t' {
			caret[i] = '\t'
		}
	}
	line = 1 + strings.Count(string(runes[:start]), "\n")
	return line, at - start + 1, strings.TrimSuffix(string(runes[start:end]), "\r") + "\n" + string(caret) + "^"
}

func (c *checkers) never(when string, at int, message string) {
	c.warnAt(when, at, CodeNeverMatches, message)
}

// warnAt warns of a place in a condition, once with each code.
func (c *checkers) warnAt(when string, at int, code, message string) {
	p := Problem{Key: "when", Index: -1, Warning: true, Code: code, Message: message}
	p.Line, p.Column, p.Snippet = locate(when, at)
	said := func(q Problem) bool {
		return q.Rule == c.at && q.Code == p.Code && q.Line == p.Line && q.Column == p.Column
	}
	if !slices.ContainsFunc(c.problems, said) {
		c.add(p)
	}
}
