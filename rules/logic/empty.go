package logic

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// EmptyValue writes the default with which a missing value is equal to what it is compared
// with: "", 0 or false, [] or {}, or a list that has one of these; "" where it is compared
// with anything else.
func EmptyValue(b *ast.BinaryNode) string {
	if b.Operator != "==" && b.Operator != "!=" && b.Operator != "in" {
		return ""
	}
	if b.Operator == "in" {
		list, _ := b.Right.(*ast.ArrayNode)
		if list == nil {
			return ""
		}
		if i := slices.IndexFunc(list.Nodes, isEmpty); i >= 0 {
			return ZeroOf(list.Nodes[i])
		}
		return ""
	}
	for _, side := range []ast.Node{b.Left, b.Right} {
		if isEmpty(side) {
			return ZeroOf(side)
		}
	}
	return ""
}

func isEmpty(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value == ""
	case *ast.IntegerNode:
		return n.Value == 0
	case *ast.BoolNode:
		return !n.Value
	case *ast.FloatNode:
		return n.Value == 0
	case *ast.ArrayNode:
		return len(n.Nodes) == 0
	case *ast.MapNode:
		return len(n.Pairs) == 0
	}
	return false
}

// ZeroOf writes what a missing value of the kind of a constant is, "" for anything else.
func ZeroOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return `""`
	case *ast.IntegerNode, *ast.FloatNode:
		return "0"
	case *ast.BoolNode:
		return "false"
	case *ast.ArrayNode:
		return "[]"
	case *ast.MapNode:
		return "{}"
	case *ast.UnaryNode:
		if n.Operator == "-" {
			return ZeroOf(n.Node)
		}
	}
	return ""
}
