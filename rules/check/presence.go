package check

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// presence writes the condition that a value is there: has("customer") for a field of the
// session, previous.customer != "" for any other text, "" if there is no such condition.
func presence(n ast.Node) string {
	text := logic.Spell(n)
	path, ofSession := strings.CutPrefix(text, "session.")
	switch {
	case ofSession && schema.DocumentedPath(path):
		return fmt.Sprintf("has(%q)", path)
	case text != "" && n.Nature().IsString():
		return text + ` != ""`
	}
	return ""
}

// absence writes the opposite condition, "" where presence is.
func absence(n ast.Node) string {
	asked := presence(n)
	if text, isText := strings.CutSuffix(asked, ` != ""`); isText {
		return text + ` == ""`
	}
	if asked == "" {
		return ""
	}
	return "not " + asked
}

// isWhole says whether a node is an object, a list or a time. What is missing of these
// is neither "" nor 0 nor nil, so that it is asked for by has alone.
func isWhole(n ast.Node) bool {
	return n.Type() != nil && (n.Type().Kind() == reflect.Struct || n.Type().Kind() == reflect.Slice)
}

// presenceHint is for what is written in other languages to ask whether there is a value,
// such as session.customer == true or session.shipping != nil: it says how that is asked
// here. For anything else it is "".
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

// isNothing says whether a node is a constant that stands for a missing value in other
// languages: "", 0 or nil.
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

// asText says how a comparison of a text with a number is to be written: with the number
// in quotes, or with a number made of the text. b is the comparison of the two others.
func (c *Checker) asText(b *ast.BinaryNode, value, number ast.Node) string {
	text, operator := logic.Spell(value), b.Operator
	bounds, _ := number.(*ast.BinaryNode)
	isRange := bounds != nil && bounds.Operator == ".."
	if operator == "in" && !isRange {
		operator = "=="
	}
	sum, _ := asNumbers(value)
	switch {
	case partOf[b.Operator] != nil && isNumberOrBool(number) && value == b.Left:
		return fmt.Sprintf("; a text stands in quotes, as in %s %s %q", cmp.Or(text, "…"), b.Operator, c.written(number))
	case sum != "" && isNumberOrBool(number):
		return "; a text is made a number by int(…), as in " + comparedWith(b, value, sum, operator, number)
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
	compared := comparedWith(b, value, whole, operator, number)
	if isMetadata(value) || strings.HasPrefix(text, ".") {
		return "; a text is made a number by int(…), as in " + compared
	}
	return fmt.Sprintf(`; a text is made a number by int(…), where it is one: %s matches "^[0-9]+$" and %s`, text, compared)
}

// comparedWith writes a comparison of which one side, the value, is written in another way.
func comparedWith(b *ast.BinaryNode, value ast.Node, written, operator string, number ast.Node) string {
	if value == b.Right {
		return fmt.Sprintf("%s %s %s", number, operator, written)
	}
	return fmt.Sprintf("%s %s %s", written, operator, number)
}

// exampleOf is a value to show for a field that holds a code, by the kind of field.
var exampleOf = map[string]string{"currency": "USD", "country": "DE"}

// lintZeroTime warns of session.expires_at.Unix() == 0, which is meant to find a missing
// time: that is one of the year 1, and its seconds are far below zero.
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
