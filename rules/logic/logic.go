// Package logic finds conditions that exclude each other, or always hold, in the
// tree of an expression. It takes no part in evaluating one.
package logic

import (
	"math"
	"slices"
	"strings"

	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// Separator stands between the names of a path: metadata keys may have dots.
const Separator = "\x00"

// demand is what one condition of a chain of `and` leaves of a value: one of
// some, none of some, or a range of whole numbers.
type demand struct {
	path        string // of names, with Separators
	some        []any  // texts, numbers and booleans; nil: any
	not         []any
	least, most float64
	at          int // in the text, in runes
}

// newDemand is told at a node, or at the first element of a list.
func newDemand(path string, at ast.Node) demand {
	if list, ok := at.(*ast.ArrayNode); ok && len(list.Nodes) > 0 {
		at = list.Nodes[0]
	}
	return demand{path: path, least: math.Inf(-1), most: math.Inf(1), at: at.Location().From}
}

func demandOf(n ast.Node, negated bool) (demand, bool) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return demandOf(n.Node, !negated)
		}
	case *ast.BinaryNode:
		if d, ok := comparedWithBefore(n, negated); ok {
			return d, true
		}
		if d, ok := partOfType(n, negated); ok {
			return d, true
		}
		if d, ok := compared(n.Left, n.Operator, n.Right, negated); ok {
			return d, true
		}
		if mirrored := mirror[n.Operator]; mirrored != "" {
			return compared(n.Right, mirrored, n.Left, negated)
		}
	case *ast.MemberNode, *ast.ChainNode, *ast.CallNode, *ast.BuiltinNode:
		if path := valuePath(n); path != "" && n.Nature().IsBool() {
			d := newDemand(path, n)
			d.some = []any{!negated}
			return d, true
		}
	}
	return demand{}, false
}

var (
	mirror = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
	denied = map[string]string{"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "not in"}
)

// Mirrored is the operator that says the same of the two sides exchanged, "" if
// there is none.
func Mirrored(operator string) string { return mirror[operator] }

// compared reads a comparison of a value with constants.
func compared(value ast.Node, operator string, other ast.Node, negated bool) (demand, bool) {
	if negated {
		operator = denied[operator]
	}
	constants, ok := constantsOf(other)
	if _, isRange := other.(*ast.BinaryNode); !ok && !isRange {
		return demand{}, false
	}
	path := valuePath(value)
	if path == "" {
		return demand{}, false
	}
	d := newDemand(path, other)
	switch operator {
	case "==", "in":
		if bounds, isRange := other.(*ast.BinaryNode); isRange && operator == "in" && bounds.Operator == ".." {
			left, _ := constantsOf(bounds.Left)
			right, _ := constantsOf(bounds.Right)
			least, ok := first(left).(float64)
			most, also := first(right).(float64)
			if ok && also {
				d.least, d.most = least, most
			}
			return d, ok && also && least <= most // nothing is in it otherwise, which is told for itself
		}
		d.some = constants
		return d, ok && (operator == "in") == isList(other)
	case "!=", "not in":
		d.not = constants
		return d, ok && (operator == "not in") == isList(other)
	}
	return d.bound(operator, value, constants)
}

func isList(n ast.Node) bool {
	_, ok := n.(*ast.ArrayNode)
	return ok
}

// bound makes a range of a comparison of an integer.
func (d demand) bound(operator string, value ast.Node, constants []any) (demand, bool) {
	if len(constants) != 1 || !value.Nature().IsInteger && !value.Nature().IsDuration() {
		return d, false
	}
	number, ok := constants[0].(float64)
	switch operator {
	case "<":
		d.most = math.Ceil(number) - 1
	case "<=":
		d.most = math.Floor(number)
	case ">":
		d.least = math.Floor(number) + 1
	case ">=":
		d.least = math.Ceil(number)
	default:
		return d, false
	}
	return d, ok
}

// Hole is the name of the function that stands in the place of a mistake.
const Hole = "__hole"

// mostNodes is how large a value may be that is known by its text.
const mostNodes = 30

// valuePath is what a value is known by: its path, or else its text, for within
// one event all that an expression calls returns the same each time. It is "" for
// a constant, a single name, and what is not known for a mistake in it.
func valuePath(n ast.Node) string {
	if path := PathOf(n); path != nil {
		if len(path) < 2 {
			return ""
		}
		return strings.Join(path, Separator)
	}
	if _, constant := constantsOf(n); constant || size(n, mostNodes) > mostNodes {
		return ""
	}
	if text := n.String(); !strings.Contains(text, Hole) {
		return text
	}
	return ""
}

// size counts the nodes of a tree, and no more than one over most.
func size(n ast.Node, most int) int {
	count := 1
	for _, child := range Children(n) {
		if count > most {
			break
		}
		count += size(*child, most-count)
	}
	return count
}

// constantsOf reads a constant, or a list of them.
func constantsOf(n ast.Node) ([]any, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return []any{n.Value}, true
	case *ast.IntegerNode:
		return []any{float64(n.Value)}, true
	case *ast.FloatNode:
		return []any{n.Value}, true
	case *ast.BoolNode:
		return []any{n.Value}, true
	case *ast.CallNode:
		return spanOf(n)
	case *ast.UnaryNode:
		list, ok := constantsOf(n.Node)
		if number, isNumber := first(list).(float64); ok && isNumber && n.Operator == "-" {
			return []any{-number}, true
		}
	case *ast.ArrayNode:
		var list []any
		for _, element := range n.Nodes {
			constants, ok := constantsOf(element)
			if !ok || isList(element) {
				return nil, false
			}
			list = append(list, constants...)
		}
		return list, list != nil
	}
	return nil, false
}

// spanOf reads a constant span, in nanoseconds.
func spanOf(n *ast.CallNode) ([]any, bool) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != "duration" || len(n.Arguments) != 1 {
		return nil, false
	}
	text, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return nil, false
	}
	d, err := schema.ParseDuration(text.Value)
	return []any{float64(d)}, err == nil
}

func first(list []any) any {
	if len(list) != 1 {
		return nil
	}
	return list[0]
}

// Finding is a condition that cannot be meant as it is written.
type Finding struct {
	At     int    // in the text, in runes
	Of     string // the value that it asks for
	Always bool   // this or another condition always holds; else they exclude each other
}

// Contradictions finds conditions, joined by and, that exclude each other, and
// those joined by or of which one always holds.
func Contradictions(n ast.Node) (found []Finding) {
	parts := operands(n, "&&", "and")
	if len(parts) > 1 {
		if d, excluded := impossible(n, nil); excluded {
			return []Finding{{At: d.at, Of: said(d.path)}}
		}
	} else if parts = operands(n, "||", "or"); len(parts) > 1 {
		if d, excluded := exclude(denials(parts), nil); excluded {
			return []Finding{{At: d.at, Of: said(d.path), Always: true}}
		}
	} else {
		parts = nil
		for _, child := range Children(n) {
			parts = append(parts, *child)
		}
	}
	for _, part := range parts {
		for _, f := range Contradictions(part) {
			if !slices.Contains(found, f) {
				found = append(found, f)
			}
		}
	}
	return found
}

// operands are what is joined by an operator at the top of a tree.
func operands(n ast.Node, operator, word string) []ast.Node {
	if b, ok := joined(n, operator, word); ok {
		return append(operands(b.Left, operator, word), operands(b.Right, operator, word)...)
	}
	return []ast.Node{n}
}

// Alternatives are the conditions that are joined by or, at the top of an expression
// or of one that is joined to it by and.
func Alternatives(n ast.Node) (parts []ast.Node) {
	for _, part := range operands(n, "&&", "and") {
		if list := operands(part, "||", "or"); len(list) > 1 {
			parts = append(parts, list...)
		}
	}
	return parts
}

// denials are what must hold for all of some conditions to be false, as far as it
// can be read.
func denials(conditions []ast.Node) (demands []demand) {
	for _, condition := range conditions {
		if d, ok := demandOf(condition, true); ok {
			demands = append(demands, d)
		}
	}
	return demands
}

// OnlyMode says whether a condition holds for live sessions alone, or for test
// sessions alone.
func OnlyMode(n ast.Node) bool {
	for _, live := range []bool{true, false} {
		if _, found := impossible(n, []demand{is("session.livemode", live)}); found {
			return true
		}
	}
	return false
}

// OnlyAsync says whether a condition holds only for what was paid after the checkout.
func OnlyAsync(n ast.Node) bool {
	_, found := impossible(n, []demand{is("event.async", false)})
	return found
}

func said(path string) string {
	return strings.TrimPrefix(strings.ReplaceAll(path, Separator, "."), "#.")
}

// Constant says whether a condition depends on nothing, and what it then is.
func Constant(n ast.Node) (holds, constant bool) {
	switch n := n.(type) {
	case *ast.BoolNode:
		return n.Value, true
	case *ast.UnaryNode:
		if holds, constant = Constant(n.Node); n.Operator == "!" || n.Operator == "not" {
			return !holds, constant
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "&&", "and":
			left, known := Constant(n.Left)
			right, also := Constant(n.Right)
			return left && right, known && also || known && !left || also && !right
		case "||", "or":
			left, known := Constant(n.Left)
			right, also := Constant(n.Right)
			return left || right, known && also || known && left || also && right
		case "==", "!=":
			left, known := constantsOf(n.Left)
			right, also := constantsOf(n.Right)
			return (n.Operator == "==") == slices.Equal(left, right), known && also && !isList(n.Left) && !isList(n.Right)
		}
	}
	return false, false
}
