package logic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// The types of what the data of the program's own events has, as they are told.
const AText, ANumber, AList = "a text", "a number", "a list"

// DefaultOf is the default of a call of raw, as it is written; "" without one.
func DefaultOf(raw ast.Node) string {
	if call, ok := raw.(*ast.CallNode); ok && len(call.Arguments) > 1 {
		return call.Arguments[1].String()
	}
	return ""
}

// Retyped writes the comparison of a call of raw, which gives a value of a type, with
// constants of another type as one with constants of its type; "" where it is not known
// what is meant.
func Retyped(b *ast.BinaryNode, raw ast.Node, constants []ast.Node, of string) string {
	ordered := strings.ContainsAny(b.Operator, "<>")
	_, isText := constants[0].(*ast.StringNode)
	switch {
	case of == AList && isText && b.Operator == "!=":
		return fmt.Sprintf("%s not in %s", constants[0], raw)
	case of == AList && isText && (b.Operator == "==" || b.Operator == "contains"):
		return fmt.Sprintf("%s in %s", constants[0], raw)
	case of != ANumber:
		return "" // what the text says is not known
	case !ordered && !slices.Contains([]string{"==", "!=", "in"}, b.Operator):
		return fmt.Sprintf("string(%s) %s %s", raw, b.Operator, constants[0])
	}
	var list []string
	for _, n := range constants {
		text, isText := n.(*ast.StringNode)
		_, isWhole := n.(*ast.IntegerNode)
		switch {
		case isWhole:
			list = append(list, n.String())
		case isText && wholeNumber.MatchString(text.Value):
			list = append(list, text.Value)
		default:
			return ""
		}
	}
	left, right := raw.String(), strings.Join(list, ", ")
	if b.Operator == "in" {
		right = "[" + right + "]"
	}
	if ordered && DefaultOf(raw) == "" {
		left = strings.TrimSuffix(left, ")") + ", 0)"
	}
	if raw == b.Right {
		left, right = right, left
	}
	return fmt.Sprintf("%s %s %s", left, b.Operator, right)
}
