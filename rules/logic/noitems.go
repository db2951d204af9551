package logic

import (
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Items is the list of a session's line items, which the API may leave out.
const Items = "session.line_items.data"

// WithoutItems is a part of a condition that holds of each session without line items.
type WithoutItems struct {
	At      int    // in the text, in runes
	Form    string // as the part begins: all(…), none(…), not any(…), …; "" where what denies it stands elsewhere
	Divides bool   // it is compared with a division
}

// HoldsWithoutItems finds the parts of a condition that hold because there are no line
// items, and let the whole condition hold then: all(…) and none(…) of them, any(…) if it
// is denied, and what is compared with a division by their number. A condition that asks
// for an item beside such a part is none, nor is one that takes what has no items.
func HoldsWithoutItems(n ast.Node) (found []WithoutItems) {
	r := reader{variables: make(map[string]ast.Node), steps: new(int)}
	if found = r.holding(condition{n, false}, n); *r.steps > mostSteps {
		return nil // what guards a part may not have been read
	}
	return found
}

// mostSteps bounds the work: what is declared may be used twice in what is declared next.
const mostSteps = 200_000

// reader evaluates a condition for a session of which nothing is known but that it has no
// line items.
type reader struct {
	variables map[string]ast.Node
	steps     *int
	apart     bool // what holds because there are none is taken for unknown
}

// verdict is what a condition or a number is: unknown, true or known, false, or an error.
type verdict int

const (
	unknown verdict = iota
	yes
	no
	fails
)

func verdictOf(holds bool) verdict {
	if holds {
		return yes
	}
	return no
}

func (v verdict) denied(is bool) verdict {
	switch {
	case !is:
		return v
	case v == yes:
		return no
	case v == no:
		return yes
	}
	return v
}

// holding is HoldsWithoutItems for a part; before is the part with what denies it.
func (r *reader) holding(c condition, before ast.Node) (found []WithoutItems) {
	c.tree = r.meant(c.tree)
	left, right, both, choice := c.parts()
	switch {
	case both:
		if !r.never(right) {
			found = r.holding(left, left.tree)
		}
		if len(found) > 0 || r.never(left) {
			return found // what asks for an item before the first does so for the second
		}
		return r.holding(right, right.tree)
	case choice:
		if !r.accepts(right) {
			found = r.holding(left, left.tree)
		}
		if !r.accepts(left) {
			found = append(found, r.holding(right, right.tree)...)
		}
		return found
	}
	switch n := c.tree.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return r.holding(condition{n.Node, !c.denied}, before)
		}
	case *ast.VariableDeclaratorNode:
		r.variables[n.Name] = n.Value
		return r.holding(condition{n.Expr, c.denied}, n.Expr)
	case *ast.ConditionalNode:
		switch r.truth(n.Cond) {
		case yes:
			return r.holding(condition{n.Exp1, c.denied}, n.Exp1)
		case no:
			return r.holding(condition{n.Exp2, c.denied}, n.Exp2)
		case unknown:
			return append(r.holding(condition{n.Exp1, c.denied}, n.Exp1), r.holding(condition{n.Exp2, c.denied}, n.Exp2)...)
		}
	case *ast.BuiltinNode:
		if slices.Contains([]string{"all", "none", "any"}, n.Name) && r.isItems(n.Arguments[0]) && r.truth(n).denied(c.denied) == yes {
			form := n.Name + "(…)"
			if not, ok := before.(*ast.UnaryNode); c.denied && ok && not.Node == c.tree {
				form = "not " + form
			} else if c.denied {
				form = ""
			}
			return []WithoutItems{{At: n.Location().From, Form: form}}
		}
	case *ast.BinaryNode:
		if r.divides(n) && r.truth(n).denied(c.denied) == yes {
			return []WithoutItems{{At: leftmost(n).Location().From, Form: map[bool]string{false: "…"}[c.denied], Divides: true}}
		}
	}
	return nil
}

// never says whether a condition does not hold without line items, whatever the rest of
// the session is.
func (r *reader) never(c condition) bool {
	v := r.truth(c.tree).denied(c.denied)
	return v == no || v == fails
}

// accepts says whether a condition holds without line items because it asks for that.
func (r *reader) accepts(c condition) bool {
	apart := reader{variables: r.variables, steps: r.steps, apart: true}
	return apart.truth(c.tree).denied(c.denied) == yes
}

// meant is what a name stands for that was declared, and nothing after too many steps.
func (r *reader) meant(n ast.Node) ast.Node {
	if *r.steps++; *r.steps > mostSteps {
		return &ast.NilNode{}
	}
	for range mostNodes {
		name, ok := n.(*ast.IdentifierNode)
		if !ok || r.variables[name.Value] == nil {
			break
		}
		n = r.variables[name.Value]
	}
	return n
}

// path is PathOf with what is declared.
func (r *reader) path(n ast.Node) []string {
	path := PathOf(n)
	if len(path) > 0 && r.variables[path[0]] != nil {
		if before := PathOf(r.meant(&ast.IdentifierNode{Value: path[0]})); before != nil {
			return slices.Concat(before, path[1:])
		}
	}
	return path
}

// isItems says whether a list has something of each line item.
func (r *reader) isItems(n ast.Node) bool {
	n = r.meant(n)
	if b, ok := n.(*ast.BuiltinNode); ok && b.Name == "map" {
		return r.isItems(b.Arguments[0])
	}
	return strings.Join(r.path(n), ".") == Items
}

// isEmpty says whether a list is made of the line items alone.
func (r *reader) isEmpty(n ast.Node) bool {
	n = r.meant(n)
	switch n := n.(type) {
	case *ast.SliceNode:
		return r.isEmpty(n.Node)
	case *ast.BuiltinNode:
		if slices.Contains([]string{"map", "filter", "sort", "sortBy", "reverse", "take", "uniq", "flatten"}, n.Name) && len(n.Arguments) > 0 {
			return r.isEmpty(n.Arguments[0])
		}
	}
	return r.isItems(n)
}

// truth is what a condition is without line items.
func (r *reader) truth(n ast.Node) verdict {
	switch n := r.meant(n).(type) {
	case *ast.BoolNode:
		return verdictOf(n.Value)
	case *ast.UnaryNode:
		return r.truth(n.Node).denied(true)
	case *ast.VariableDeclaratorNode:
		r.variables[n.Name] = n.Value
		return r.truth(n.Expr)
	case *ast.ConditionalNode:
		return r.chosen(n)
	case *ast.BuiltinNode:
		if len(n.Arguments) > 1 && r.isEmpty(n.Arguments[0]) && !r.apart && slices.Contains([]string{"any", "one", "all", "none"}, n.Name) {
			return verdictOf(n.Name == "all" || n.Name == "none")
		}
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if ok && callee.Value == "has" && len(n.Arguments) == 1 {
			path, isText := n.Arguments[0].(*ast.StringNode)
			return map[bool]verdict{true: no}[isText && (path.Value == "line_items" || path.Value == "line_items.data")]
		}
	case *ast.MemberNode:
		if strings.Join(r.path(n), ".") == "session.line_items.has_more" {
			return no
		}
	case *ast.BinaryNode:
		return r.compared(n)
	}
	return unknown
}

func (r *reader) chosen(n *ast.ConditionalNode) verdict {
	switch v := r.truth(n.Cond); v {
	case yes:
		return r.truth(n.Exp1)
	case no:
		return r.truth(n.Exp2)
	case fails:
		return v
	}
	first, second := r.truth(n.Exp1), r.truth(n.Exp2)
	if first == second {
		return first
	}
	return unknown
}

// compared is truth for an operator.
func (r *reader) compared(n *ast.BinaryNode) verdict {
	switch n.Operator {
	case "&&", "and", "||", "or":
		left, right := r.truth(n.Left), r.truth(n.Right)
		decides, isAnd := yes, n.Operator == "&&" || n.Operator == "and"
		if isAnd {
			decides = no
		}
		switch {
		case left == decides || left == fails:
			return left
		case right == decides, isAnd && right == fails:
			return decides
		case left == right:
			return left
		}
		return unknown
	case "==", "!=":
		for _, side := range [][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
			if list, ok := side[1].(*ast.ArrayNode); r.isEmpty(side[0]) && (ok || isNil(side[1])) {
				return verdictOf((!ok || len(list.Nodes) == 0) == (n.Operator == "=="))
			}
		}
	case "in":
		if r.isEmpty(n.Right) {
			return no
		}
	}
	left, ok := constantsOf(r.orDefault(n.Left))
	right, also := constantsOf(r.orDefault(n.Right))
	switch {
	case ok && also && (n.Operator == "==" || n.Operator == "!="):
		return verdictOf(slices.Equal(left, right) == (n.Operator == "=="))
	case r.readsItem(n):
		if isNil(n.Left) || isNil(n.Right) {
			return unknown
		}
		return fails
	}
	return r.comparedNumbers(n)
}

// orDefault is what is taken for an item that is not there.
func (r *reader) orDefault(n ast.Node) ast.Node {
	n = r.meant(n)
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "??" && r.readsItem(b.Left) {
		return r.orDefault(b.Right)
	}
	return n
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}

// readsItem says whether one of the items is read, without something to take where there
// is none.
func (r *reader) readsItem(n ast.Node) bool {
	switch n := r.meant(n).(type) {
	case *ast.MemberNode:
		if _, named := n.Property.(*ast.StringNode); !named && r.isEmpty(n.Node) {
			return true
		}
		return r.readsItem(n.Node)
	case *ast.ChainNode:
		return r.readsItem(n.Node)
	case *ast.BinaryNode:
		if n.Operator == "??" {
			return r.readsItem(n.Right)
		}
		return r.readsItem(n.Left) || r.readsItem(n.Right)
	case *ast.BuiltinNode:
		if slices.Contains([]string{"first", "last", "get", "find", "findLast", "max", "min"}, n.Name) && len(n.Arguments) > 0 && r.isEmpty(n.Arguments[0]) {
			return true
		}
		return slices.ContainsFunc(n.Arguments, r.readsItem)
	}
	return false
}

// divides says whether a comparison is one with what is divided by nothing.
func (r *reader) divides(n *ast.BinaryNode) bool {
	left, _ := r.number(n.Left)
	right, _ := r.number(n.Right)
	return slices.ContainsFunc([]float64{left, right}, func(v float64) bool { return math.IsInf(v, 0) || math.IsNaN(v) })
}
