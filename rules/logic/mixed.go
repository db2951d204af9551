package logic

import "github.com/expr-lang/expr/ast"

// Mixed is an `or` and an `and` of which a reader may think that they are
// evaluated from left to right: both ask for one value, as in
// x == 1 || x == 2 && y.
type Mixed struct {
	Or, And *ast.BinaryNode
	Of      string // the value
}

// MixedOperators finds them in a tree, whether parentheses are around the `and`
// or not.
func MixedOperators(n ast.Node) (found []Mixed) {
	if or, ok := joined(n, "||", "or"); ok {
		before := or.Left
		if inner, ok := joined(before, "||", "or"); ok {
			before = inner.Right
		}
		if and, ok := joined(or.Right, "&&", "and"); ok {
			first := operands(and, "&&", "and")[0]
			if of := bothAsk(before, first); of != "" {
				found = append(found, Mixed{or, and, of})
			}
		} else if and, ok := joined(before, "&&", "and"); ok {
			if of := bothAsk(and.Right, or.Right); of != "" {
				found = append(found, Mixed{or, and, of})
			}
		}
	}
	for _, child := range Children(n) {
		found = append(found, MixedOperators(*child)...)
	}
	return found
}

// joined is a node as two conditions that an operator joins.
func joined(n ast.Node, operator, word string) (*ast.BinaryNode, bool) {
	b, ok := n.(*ast.BinaryNode)
	return b, ok && (b.Operator == operator || b.Operator == word)
}

// bothAsk is the value that two conditions want to be one of some, "" if it is not
// the same.
func bothAsk(a, b ast.Node) string {
	left, ok := demandOf(a, false)
	right, also := demandOf(b, false)
	if !ok || !also || left.some == nil || right.some == nil || left.path != right.path {
		return ""
	}
	return said(left.path)
}
