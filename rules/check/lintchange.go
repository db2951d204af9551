package check

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
)

// lintChange finds what event.change is compared with and never is.
func lintChange(root ast.Node) (faults []Fault) {
	transition := logic.CanBeTransition(root)
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryNode); ok && slices.Contains([]string{"==", "!=", "in"}, b.Operator) {
			for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
				faults = append(faults, lintChanged(side[0], side[1], transition)...)
			}
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

// lintChanged looks at one comparison. Transition says that the change may be one
// of status or payment_status.
func lintChanged(value, other ast.Node, transition bool) (faults []Fault) {
	f, of, ok := fieldOf(value)
	if !ok || of != schema.ChangeType {
		return nil
	}
	for _, word := range textsOf(other) {
		found := Fault{At: word.Location().From, Code: CodeNeverMatches, Warning: true}
		switch name := schema.FieldName(f); {
		case name == "field":
			found.Message, found.Suggestion = neverChanges(word.Value)
		case transition:
			found.Message, found.Suggestion = misspeltWord(name, word.Value)
		}
		if found.Message != "" {
			faults = append(faults, found)
		}
	}
	return faults
}

// neverChanges says why no change is about a field of a name, "" if one can be:
// fields that are not documented change as well.
func neverChanges(name string) (message, suggestion string) {
	documented := checkout.Fields()
	top, member, inside := strings.Cut(name, ".")
	unknown, _ := refusePath(0, "changed", name)
	switch near := spelling.Closest(top, documented); {
	case name == checkout.FieldURL:
		return "event.change.field is never \"url\": a rotating url is not a change", ""
	case !inside && strings.Contains(unknown.Suggestion, "."): // a member of an object
		top, _, _ = strings.Cut(unknown.Suggestion, ".")
		return fmt.Sprintf("%s: whether that of %s changed is asked by changed(%q)", unknown.Message, top, unknown.Suggestion), top
	case !inside:
		return unknown.Message, unknown.Suggestion
	case slices.Contains(documented, top):
		return fmt.Sprintf("event.change.field is a whole top-level field, never %q: whether a member changed is asked by changed(%q)", name, name), top
	case near != "":
		return fmt.Sprintf("event.change.field is a whole top-level field, never %q: whether a member changed is asked by changed(%q)", name, near+"."+member), near
	}
	return fmt.Sprintf("event.change.field is a whole top-level field, never %q", name), top
}

// misspeltWord says which word of status or payment_status was meant, "" for a
// text that another field may well become.
func misspeltWord(name, word string) (message, suggestion string) {
	words := logic.TransitionWords()
	near := spelling.Closest(word, words)
	if near == "" || slices.Contains(words, word) {
		return "", ""
	}
	return fmt.Sprintf("event.change.%s is never %q; documented: %s", name, word, strings.Join(words, ", ")), near
}
