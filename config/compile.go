package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"checkout-notifier/rules"
)

// compile compiles the rules and reports what is wrong with them at the place
// in the file. Names and `on` are left out: the loader has looked at them already.
func (l *loader) compile() *rules.Set {
	known := rules.Known{UnpaidFor: make(map[string]time.Duration)}
	for _, d := range l.config.Destinations {
		known.Destinations = append(known.Destinations, d.Name)
	}
	for _, account := range l.config.Accounts {
		known.Accounts = append(known.Accounts, account.Name)
		known.UnpaidFor[account.Name] = account.Poll.UnpaidFor
	}
	set, problems := rules.Compile(l.config.Rules, known)
	l.compiled = set
	if set == nil {
		l.types = rules.Types(l.config.Rules, known)
	} else {
		for _, rule := range l.config.Rules {
			l.types = append(l.types, set.Types(rule.Name))
		}
	}
	for _, p := range problems {
		if p.Code == rules.CodeName || p.Code == rules.CodeDuplicate || p.Code == rules.CodeOn {
			continue
		}
		rule := index(rulesKey, p.Rule)
		if slices.Contains([]string{rules.CodeMatchesEverything, rules.CodeRepeats, rules.CodeMissesOrders}, p.Code) && l.misread(p.Rule) {
			continue // what would narrow it was refused
		}
		path := join(rule, p.Key)
		if p.Index >= 0 {
			path = index(path, p.Index)
		}
		found := Problem{
			Severity: SeverityError, Code: "rules/" + p.Code, Message: scrub(p.Message),
			Suggestion: scrub(p.Suggestion), Snippet: scrubSnippet(p.Snippet),
		}
		if p.Warning {
			found.Severity = SeverityWarning
		}
		if p.Code == rules.CodeUnfinished {
			found.Message += l.cutOff(path)
		}
		l.reportInside(path, found, p.Line, p.Column)
	}
	return set
}

// misread says whether a key of a rule was refused, or says that the rule is of another
// kind: which events it is meant for is not known then.
func (l *loader) misread(i int) bool {
	refused := slices.AppendSeq(slices.Collect(maps.Keys(l.failed)), maps.Keys(l.missing))
	ofRule := func(path string) bool { return strings.HasPrefix(path+".", index(rulesKey, i)+".") }
	return slices.ContainsFunc(refused, ofRule) || !slices.Contains([]string{"", rules.OnEvent, rules.OnSystem}, l.config.Rules[i].On)
}

// reportInside reports a problem with a place inside a text.
func (l *loader) reportInside(path string, p Problem, line, column int) {
	if l.untouchable(path) {
		return
	}
	at := l.near(path, false)
	p.File, p.Line, p.Column = at.File, at.Line, at.Column
	if place, ok := l.places[path]; ok && line > 0 {
		if l, c, ok := place.inside(line, column); ok {
			p.Line, p.Column = l, c
		}
	}
	l.add(p)
}
