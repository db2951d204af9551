package rules

import (
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/event"
)

// subjects are what the program's own events are about, by their types: the store, where there is none here.
var subjects = map[string]string{
	event.DeliveryDead: "a destination", event.DestinationFailing: "a destination", event.DestinationRecovered: "a destination", event.DestinationPaused: "a destination",
	event.AccountFailing: "an account", event.AccountRecovered: "an account", event.RuleFailing: "a rule",
}

// subject warns of a condition that demands a name which nothing has that the events of
// the rule are about.
func (c *checkers) subject(r *compiled) {
	named := r.expression != nil && slices.ContainsFunc(r.expression.conjuncts, func(c conjunct) bool { return c.path == pathType })
	if r.expression == nil || r.rule.On != OnSystem || slices.Contains(r.types, "") && !named || c.neverMatches() {
		return
	}
	all := map[string][]string{"a destination": c.known.Destinations, "an account": c.known.Accounts, "a rule": c.rules, "": {event.SubjectStore}}
	var kinds, possible []string
	for _, t := range r.known() {
		kind := strconv.Quote(event.SubjectStore)
		if of := subjects[t]; of != "" {
			kind = "the name of " + of
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
			possible = append(possible, all[subjects[t]]...)
		}
	}
	is := func(name string) bool { return slices.Contains(possible, name) }
	if names := r.expression.subjects; len(kinds) > 0 && len(names) > 0 && !slices.ContainsFunc(names, is) {
		c.never(r.rule.When, r.expression.subjectAt, "the events of the rule and this condition exclude each other: event.subject is then "+strings.Join(kinds, " or "))
	}
}
