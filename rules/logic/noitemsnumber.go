package logic

import (
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// number is what a number is without line items, and whether that is known.
func (r *reader) number(n ast.Node) (float64, verdict) {
	n = r.orDefault(n)
	if list, ok := constantsOf(n); ok {
		if number, isNumber := first(list).(float64); isNumber {
			return number, yes
		}
		return 0, unknown
	}
	switch n := n.(type) {
	case *ast.UnaryNode:
		number, known := r.number(n.Node)
		if n.Operator == "-" {
			number = -number
		}
		return number, known
	case *ast.BinaryNode:
		return r.computed(n)
	case *ast.BuiltinNode:
		if len(n.Arguments) == 0 {
			break
		}
		switch n.Name {
		case "len", "count", "sum", "mean", "median":
			return 0, map[bool]verdict{true: yes}[r.isEmpty(n.Arguments[0])]
		case "float", "round", "floor", "ceil":
			return r.number(n.Arguments[0])
		}
	}
	return 0, unknown
}

// computed is number for an operator: what is not known is taken for more than 0, and less
// than what is divided by 0.
func (r *reader) computed(n *ast.BinaryNode) (float64, verdict) {
	left, known := r.number(n.Left)
	right, also := r.number(n.Right)
	switch endless := math.IsInf(left, 0); {
	case known == yes && also == yes:
		switch n.Operator {
		case "+":
			return left + right, yes
		case "-":
			return left - right, yes
		case "*":
			return left * right, yes
		case "/":
			return left / right, yes
		}
	case n.Operator == "/" && also == yes && right == 0:
		return math.Inf(1), yes
	case endless && slices.Contains([]string{"+", "-", "*", "/"}, n.Operator):
		return left, yes
	case math.IsInf(right, 0) && (n.Operator == "+" || n.Operator == "*"):
		return right, yes
	}
	return 0, unknown
}

// comparedNumbers is truth for a comparison of numbers.
func (r *reader) comparedNumbers(n *ast.BinaryNode) verdict {
	left, known := r.number(n.Left)
	if n.Operator == "in" && known == yes {
		return isIn(left, n.Right)
	}
	right, also := r.number(n.Right)
	if r.apart && (!finite(left) || !finite(right)) {
		return unknown
	}
	switch {
	case known == yes && also == yes:
	case known == yes && !finite(left), also == yes && !finite(right): // and the other is finite
	default:
		return unknown
	}
	switch n.Operator {
	case "==":
		return verdictOf(left == right)
	case "!=":
		return verdictOf(left != right)
	case "<":
		return verdictOf(left < right)
	case "<=":
		return verdictOf(left <= right)
	case ">":
		return verdictOf(left > right)
	case ">=":
		return verdictOf(left >= right)
	}
	return unknown
}

// isIn says whether a number is in a constant range or list.
func isIn(number float64, list ast.Node) verdict {
	if bounds, ok := list.(*ast.BinaryNode); ok && bounds.Operator == ".." {
		left, _ := constantsOf(bounds.Left)
		right, _ := constantsOf(bounds.Right)
		least, ok := first(left).(float64)
		most, also := first(right).(float64)
		if ok && also {
			return verdictOf(least <= number && number <= most)
		}
		return unknown
	}
	if constants, ok := constantsOf(list); ok {
		return verdictOf(slices.Contains(constants, any(number)))
	}
	return unknown
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }
