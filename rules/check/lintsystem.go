package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"checkout-notifier/event"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
)

// dataKinds are the kinds of all members that the data of the program's own events has: each
// is in the sample of its type.
var dataKinds = sync.OnceValue(func() map[string]string {
	kinds := make(map[string]string)
	for _, t := range event.SystemTypes() {
		var data map[string]any
		if json.Unmarshal(event.SampleEvent(t).System, &data) != nil {
			continue
		}
		for member, value := range data {
			switch value.(type) {
			case string:
				kinds[member] = aText
			case float64:
				kinds[member] = aNumber
			default:
				kinds[member] = aList
			}
		}
	}
	return kinds
})

// dataMembers are the names of these members, in alphabetical order.
var dataMembers = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(dataKinds())) })

// ofSystem is what a path of names means in a rule with on: system: a field of the event
// or a member of its data; "" where that is not known. inside is the node that the path
// stands in.
func ofSystem(path []string, inside ast.Node) string {
	for i, name := range path {
		switch {
		case slices.Contains(dataMembers(), name):
			return rawCall(append([]string{"event"}, path[i:]...), inside)
		case schema.HasField(schema.SystemType, name):
			return "event." + name
		}
	}
	return ""
}

// lintMember warns of a member that the data of the program's own events never has. Only
// the list of rules has anything inside.
func lintMember(n *ast.CallNode) []Fault {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != "raw" && callee.Value != "has" || len(n.Arguments) == 0 {
		return nil
	}
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return nil
	}
	path := strings.TrimPrefix(arg.Value, "data.")
	member, _, inside := strings.Cut(path, ".")
	if path == arg.Value && slices.Contains(dataMembers(), member) && (!inside || member == "rules") {
		return nil
	}
	f := Fault{At: arg.Location().From, Code: CodeMisleading, Suggestion: spelling.Closest(member, dataMembers()),
		Message: fmt.Sprintf("the data of the program's own events has no %q", arg.Value)}
	if f.Suggestion == "" {
		f.Message += "; there are " + strings.Join(dataMembers(), ", ")
	}
	return []Fault{f}
}

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
	member := callPath(value, "raw")
	words := c.dataWords(member)
	if len(words) == 0 || !slices.Contains([]string{"==", "!=", "in"}, operator) {
		return nil
	}
	for _, word := range textsOf(other) {
		if word.Value == "" || slices.Contains(words, word.Value) {
			continue
		}
		f := Fault{At: word.Location().From, Code: CodeNeverMatches, Suggestion: spelling.Closest(word.Value, words)}
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
