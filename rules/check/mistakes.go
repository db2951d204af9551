package check

import (
	"errors"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Bounds of how much of an expression's mistakes is told at once.
const (
	mostMistakes = 10
	mostWarnings = 30
	mostChecks   = 60
)

// holeName is a function of an unknown type that stands in the place of what is
// wrong, so that the rest can be checked.
const holeName = logic.Hole

// mistakes finds all that is wrong with a parsed expression, in no order.
// complete says that the types of the whole tree are known, with holes where
// mistakes were.
func (c *Checker) mistakes(tree *parser.Tree) (faults []Fault, complete bool) {
	faults = c.refuse(tree.Node)
	add := func(f Fault) {
		if strings.HasPrefix(f.Message, patternError) {
			return // refuse has told
		}
		if !slices.ContainsFunc(faults, func(other Fault) bool { return other.At == f.At }) {
			faults = append(faults, f)
		}
	}
	checks := 0
	err := c.checkTypes(tree)
	for err != nil && len(faults) < mostMistakes {
		f, at := c.explain(err, tree.Node)
		if !besideMistake(tree.Node, at) {
			add(f)
		}
		if err, complete = c.fill(tree, at, &checks); !complete {
			return faults, false
		}
	}
	if err != nil {
		return faults, false
	}
	for _, f := range refuseTyped(tree.Node) {
		add(f)
	}
	if f, bad := c.notBoolean(tree.Node, len(faults) > 0); bad {
		add(f)
	}
	return faults, true
}

// checkTypes returns the first mistake of types, nil if there is none.
func (c *Checker) checkTypes(tree *parser.Tree) *file.Error {
	forget(tree.Node)
	_, err := checker.Check(tree, c.config)
	var found *file.Error
	if errors.As(err, &found) || err == nil {
		return found
	}
	return &file.Error{Location: tree.Node.Location(), Message: err.Error()}
}

// forget takes the types of calls away: the checker does not look into a call
// again that has one.
func forget(n ast.Node) {
	if call, ok := n.(*ast.CallNode); ok {
		call.SetNature(nature.Nature{})
	}
	for _, child := range logic.Children(n) {
		forget(*child)
	}
}

// fill puts a hole in the place of the smallest part without which the mistake at
// a location is gone, and returns the next mistake.
func (c *Checker) fill(tree *parser.Tree, at file.Location, checks *int) (next *file.Error, filled bool) {
	for _, place := range around(&tree.Node, at) {
		if *checks++; *checks > mostChecks {
			return nil, false
		}
		before := *place
		hole := &ast.CallNode{Callee: &ast.IdentifierNode{Value: holeName}}
		hole.SetLocation(before.Location())
		*place = hole
		if next = c.checkTypes(tree); next == nil || next.Location != at {
			return next, true
		}
		*place = before
	}
	return nil, false
}

// around lists the places of the nodes at a location and of those around them,
// the inner ones first.
func around(place *ast.Node, at file.Location) (places []*ast.Node) {
	for _, child := range logic.Children(*place) {
		places = append(places, around(child, at)...)
	}
	if len(places) > 0 || (*place).Location() == at {
		places = append(places, place)
	}
	return places
}

// besideMistake says whether a place is an operator one side of which is a mistake, so
// that its type is not known.
func besideMistake(root ast.Node, at file.Location) bool {
	found := around(&root, at)
	if len(found) == 0 {
		return false
	}
	b, ok := (*found[0]).(*ast.BinaryNode)
	return ok && (isMistake(b.Left) || isMistake(b.Right))
}

func isMistake(n ast.Node) bool {
	member, ok := n.(*ast.MemberNode)
	return isHole(n) || ok && isHole(member.Property)
}

// isHole says whether a node stands for a mistake.
func isHole(n ast.Node) bool {
	call, ok := n.(*ast.CallNode)
	if !ok {
		return false
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	return ok && callee.Value == holeName
}

// hasHole says whether a value stands for a mistake, is called on one or read of one.
func hasHole(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.MemberNode:
		return hasHole(n.Node)
	case *ast.CallNode:
		return isHole(n) || hasHole(n.Callee)
	}
	return false
}

// notBoolean says what an expression is that is neither true nor false. Beside
// other mistakes only a type that is certain counts.
func (c *Checker) notBoolean(root ast.Node, mistaken bool) (Fault, bool) {
	f := Fault{At: root.Location().From, Code: CodeNotBoolean}
	nature := root.Nature()
	switch {
	case isHole(root) || nature.IsBool():
		return f, false
	case nature.IsUnknown(&c.config.NtCache) || nature.Nil:
		f.Message = `the expression must be true or false, and its type is only known later: compare it, as in raw("x") == true`
		return f, !mistaken
	}
	f.Message = "the expression must be true or false, but is " + plain(nature.String()) + compareIt(root, false)
	return f, true
}
