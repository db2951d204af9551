package check

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

// presence is the condition that a field has a value, "" for what is no field of a
// session.
func presence(n ast.Node) string {
	text := logic.Spell(n)
	path, ofSession := strings.CutPrefix(text, "session.")
	switch {
	case ofSession && documentedPath(path):
		return fmt.Sprintf("has(%q)", path)
	case text != "" && n.Nature().IsString():
		return text + ` != ""`
	}
	return ""
}

// absence is the condition that a field has no value, "" for what has does not know.
func absence(n ast.Node) string {
	if asked := presence(n); strings.HasPrefix(asked, "has(") {
		return "not " + asked
	}
	return ""
}

// isWhole says whether a node is an object, a list or a time, which is neither empty
// text, zero nor nil while it is missing.
func isWhole(n ast.Node) bool {
	if n.Type() == nil || isMetadata(n) {
		return false
	}
	t := n.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice
}

// presenceHint says how it is asked whether a field has a value that is compared with
// true or false, or with nothing, "" where something else is meant.
func presenceHint(b *ast.BinaryNode) string {
	for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
		value, other := side[0], side[1]
		truth, isBool := other.(*ast.BoolNode)
		isText := value.Nature().IsString() && !isMetadata(value)
		if f, _, _ := fieldOf(value); f.Tag.Get("words") != "" {
			continue
		}
		hint := ""
		switch {
		case !isWhole(value) && !isText:
		case isLogical(b), isBool && truth.Value == (b.Operator == "=="), isWhole(value) && isNothing(other) && slices.Contains([]string{"!=", ">", "<"}, b.Operator):
			hint = presence(value)
		case (isBool || isWhole(value) && isNothing(other)) && (b.Operator == "==" || b.Operator == "!="):
			hint = absence(value)
		}
		if hint != "" {
			return "; whether it has a value is asked by " + hint
		}
	}
	return ""
}

// isNothing says whether a node is what a missing value is in other languages.
func isNothing(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value == ""
	case *ast.IntegerNode:
		return n.Value == 0
	case *ast.NilNode:
		return true
	}
	return false
}

// asText says how a text is compared with a number.
func (c *Checker) asText(b *ast.BinaryNode, value, number ast.Node) string {
	text, operator := logic.Spell(value), b.Operator
	bounds, _ := number.(*ast.BinaryNode)
	isRange := bounds != nil && bounds.Operator == ".."
	if operator == "in" && !isRange {
		operator = "=="
	}
	switch {
	case text == "":
		return "; a text is made a number by int(…), a number a text by string(…)"
	case operator == "==" || operator == "!=":
		f, _, _ := fieldOf(value)
		words := append(strings.Fields(f.Tag.Get("words")), exampleOf[f.Tag.Get("kind")])
		if isNumberOrBool(number) {
			return fmt.Sprintf("; a text stands in quotes, as in %s %s %q", text, operator, cmp.Or(words[0], c.written(number)))
		}
		return fmt.Sprintf("; a number is made a text by string(…), as in %s %s string(%s)", text, operator, cmp.Or(logic.Spell(number), "…"))
	}
	whole := "int(" + orZero(value, text) + ")"
	if !isNumberOrBool(number) || !isRange && !strings.ContainsAny(operator, "<>") {
		return "; a text is made a number by " + whole
	}
	compared := fmt.Sprintf("%s %s %s", whole, operator, number)
	if value == b.Right {
		compared = fmt.Sprintf("%s %s %s", number, operator, whole)
	}
	if isMetadata(value) || strings.HasPrefix(text, ".") {
		return "; a text is made a number by int(…), as in " + compared
	}
	return fmt.Sprintf(`; a text is made a number by int(…), where it is one: %s matches "^[0-9]+$" and %s`, text, compared)
}

// exampleOf are values of the kinds of fields that are codes.
var exampleOf = map[string]string{"currency": "USD", "country": "DE"}

// lintZeroTime warns of the seconds of a time that are compared with zero: those of a
// missing one are far below it.
func lintZeroTime(operator string, value, other ast.Node) []Fault {
	method, call, of := methodCall(value)
	if of != timeType || method != "Unix" && method != "UnixMilli" || !isNothing(other) || operator != "==" && operator != "!=" {
		return nil
	}
	f := Fault{At: value.Location().From, Code: CodeNeverMatches, Message: "the seconds of a time are never 0, also those of a missing one"}
	field := call.Callee.(*ast.MemberNode).Node
	hint := presence(field)
	if operator == "==" {
		hint = absence(field)
	}
	if hint != "" {
		f.Message += ": whether it has a value is asked by " + hint
	}
	return []Fault{f}
}
