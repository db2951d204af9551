package logic

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Children are the places of a node's children.
func Children(n ast.Node) []*ast.Node {
	var list []*ast.Node
	add := func(nodes ...*ast.Node) {
		for _, n := range nodes {
			if *n != nil {
				list = append(list, n)
			}
		}
	}
	all := func(nodes []ast.Node) {
		for i := range nodes {
			add(&nodes[i])
		}
	}
	switch n := n.(type) {
	case *ast.UnaryNode:
		add(&n.Node)
	case *ast.BinaryNode:
		add(&n.Left, &n.Right)
	case *ast.ChainNode:
		add(&n.Node)
	case *ast.MemberNode:
		add(&n.Node, &n.Property)
	case *ast.SliceNode:
		add(&n.Node, &n.From, &n.To)
	case *ast.CallNode:
		add(&n.Callee)
		all(n.Arguments)
	case *ast.BuiltinNode:
		all(n.Arguments)
	case *ast.PredicateNode:
		add(&n.Node)
	case *ast.VariableDeclaratorNode:
		add(&n.Value, &n.Expr)
	case *ast.SequenceNode:
		all(n.Nodes)
	case *ast.ConditionalNode:
		add(&n.Cond, &n.Exp1, &n.Exp2)
	case *ast.ArrayNode:
		all(n.Nodes)
	case *ast.MapNode:
		all(n.Pairs)
	case *ast.PairNode:
		add(&n.Key, &n.Value)
	}
	return list
}

// PathOf is the path of constant names that a node is, such as
// session.metadata.plan, or nil.
func PathOf(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.PointerNode:
		return []string{"#" + n.Name}
	case *ast.ChainNode:
		return PathOf(n.Node)
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if base := PathOf(n.Node); ok && base != nil {
			return append(base, property.Value)
		}
	}
	return nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Spell writes a constant path as an expression, "" for anything else.
func Spell(n ast.Node) string {
	path := PathOf(n)
	if len(path) < 2 {
		return ""
	}
	return SpellPath(path)
}

// SpellPath writes a path of names as an expression.
func SpellPath(path []string) string {
	text := path[0]
	for _, name := range path[1:] {
		if identifier.MatchString(name) {
			text += "." + name
		} else {
			text += fmt.Sprintf("[%q]", name)
		}
	}
	return strings.TrimPrefix(text, "#")
}
