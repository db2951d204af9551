package check

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// dataWords are all that a member of the data of the program's own events can be, or
// have in it; none for one that takes any text.
func (c *Checker) dataWords(member string) []string {
	switch member {
	case "event_type":
		return slices.Concat(event.Types(), event.SystemTypes())
	case "status":
		return []string{event.StatusFiring, event.StatusResolved}
	case "destination":
		return c.names.Destinations
	case "account":
		return c.names.Accounts
	case "rule", "rules":
		return c.names.Rules
	}
	return nil
}

// lintData warns of what a member of the data of the program's own events never is.
func (c *Checker) lintData(operator string, value, other ast.Node) (faults []Fault) {
	member := rawPath(value)
	words := c.dataWords(member)
	if !c.system || len(words) == 0 || !slices.Contains([]string{"==", "!=", "in"}, operator) {
		return nil
	}
	for _, word := range textsOf(other) {
		if word.Value == "" || slices.Contains(words, word.Value) {
			continue
		}
		f := Fault{At: word.Location().From, Code: CodeNeverMatches, Suggestion: Closest(word.Value, words)}
		if member == "event_type" {
			f.Message = fmt.Sprintf("raw(%q) is never %q: it is the whole type, such as %s", member, word.Value, event.Fulfillable)
			if whole := event.Qualify(word.Value); slices.Contains(words, whole) {
				f.Suggestion = whole
			}
		} else {
			f.Message = fmt.Sprintf("raw(%q) is never %q; there are %s", member, word.Value, strings.Join(words, ", "))
		}
		faults = append(faults, f)
	}
	return faults
}
