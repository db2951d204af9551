package rules

import (
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
)

// narrow applies what the expression itself says of type and account, and warns
// if nothing is left.
func (c *checkers) narrow(r *compiled) {
	if r.expression == nil {
		return
	}
	told := c.excludeParts(r)
	for _, cond := range r.expression.conjuncts {
		switch cond.path {
		case pathType:
			left := slices.DeleteFunc(slices.Clone(r.types), func(t string) bool { return t != "" && !slices.Contains(cond.values, t) })
			if len(left) == 0 && !told {
				c.never(r.rule.When, cond.at, "the events of the rule and this condition exclude each other")
			}
			r.types = left
		case pathAccount:
			r.accounts = c.narrowAccounts(r, cond)
		}
	}
	c.excludeParts(r)
	c.exclude(r, r.expression.excluded)
	if at := r.expression.noReason; at >= 0 && r.rule.On != OnSystem && !c.neverMatches() {
		c.warnAt(r.rule.When, at, CodeMisleading, "event.reason is empty of every event but expired, so that this takes all but that; an expiry of which nobody knows why is asked for by `event.reason == \"unknown\"`")
	}
}

// excludeParts warns of each condition, joined to others by or, that holds for no type
// of event that the rule hears of, and says whether there is one.
func (c *checkers) excludeParts(r *compiled) (told bool) {
	for _, part := range r.expression.parts {
		told = c.exclude(r, part) || told
	}
	return told
}

// sentFor says of types what they are sent for, where their names do not.
var sentFor = map[string]string{
	event.Updated: "updated is sent for what has no type of its own, and a change of status or payment_status has one, unless the word is one that the API does not document; " +
		"name what happened: completed, expired, paid, no_payment_required or regressed",
	event.Unresolved: "unresolved is sent for a session that is complete and not paid, or still open, and event.change has the same value before and after",
	event.Regressed:  "regressed is sent for a step back: of status to open, or of payment_status to unpaid",
}

// exclude warns of a condition that holds for no type of event that the rule hears of,
// and says whether it is one.
func (c *checkers) exclude(r *compiled, excluded exclusions) bool {
	var why logic.Exclusion
	var shown []string // of each type
	named := slices.ContainsFunc(r.expression.conjuncts, func(c conjunct) bool { return c.path == pathType })
	for _, t := range r.types {
		x, never := excluded[t]
		if t == "" && named && len(r.types) > 1 {
			continue // a type of a later version is not named
		}
		if !never {
			return false
		}
		why = x
		if x.Shown != "" && !slices.Contains(shown, x.Shown) {
			shown = append(shown, x.Shown)
		}
	}
	shows := ""
	if only := r.known(); len(only) == 1 && (only[0] != event.Updated || why.Own) {
		shows = sentFor[only[0]]
	}
	message := "the events of the rule and this condition exclude each other"
	switch {
	case len(r.types) == 0 || r.rule.On == OnSystem:
		return false
	case why.Reason:
		message += ": expired has one of the reasons manual, timer and unknown, and no other type has any"
	case why.Previous:
		message += ": previous is empty in created, the first sight of a session"
	case shows != "":
		message += ": " + shows
	case why.Change:
		message = "the field that changed never has this value"
		if len(shown) > 0 {
			message += ": it is " + strings.Join(shown, "; or ")
		}
	}
	c.never(r.rule.When, why.At, message)
	return true
}

func (c *checkers) narrowAccounts(r *compiled, cond conjunct) []string {
	if slices.Equal(r.accounts, []string{""}) {
		return cond.values
	}
	left := slices.DeleteFunc(slices.Clone(r.accounts), func(name string) bool { return !slices.Contains(cond.values, name) })
	if len(left) == 0 && len(r.accounts) > 0 {
		c.never(r.rule.When, cond.at, "the accounts of the rule and this condition exclude each other")
	}
	return left
}
