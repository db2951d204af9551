package rules

import (
	"checkout-notifier/rules/check"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/vm"
)

// expression is a compiled `when`. It is immutable.
type expression struct {
	program   *vm.Program
	uses      uses
	conjuncts []conjunct
	excluded  exclusions
	parts     []exclusions   // of each condition that is joined to others by or
	oneMode   bool           // it holds for live sessions alone, or for test sessions alone
	onlyAsync bool           // it holds only for what was paid after the checkout
	constant  bool           // it depends on nothing
	holds     bool           // if it is constant: whether it holds
	always    bool           // it holds whatever the event is
	demanded  logic.Demanded // of the state of the session
	together  logic.Together // events of one look that match it
	missed    []logic.Missed // events that it leaves out, probably without being meant to
	age       logic.Age      // of the session, that it demands
	noReason  int            // where it demands that the event has no reason; -1: nowhere
	keys      []string       // of the metadata, that it demands
	subjects  []string       // that it demands one of
	subjectAt int            // where it does
	texts     []string       // constants in it
	numbers   []int          // whole ones
	canonical string         // the tokens, for the identity of the rule set
}

// exclusions are why a condition never holds, by the type of the event.
type exclusions map[string]logic.Exclusion

// uses is what of an event an expression looks at.
type uses struct {
	session, previous uint64 // fields, as in readSession
	object, changed   bool   // has and raw; changed
	event             bool   // more of the event itself than its account
}

var uncompilable = check.Fault{Code: CodeExpression, Message: "the expression cannot be compiled"}

// compileExpression compiles a non-empty text. The expression is nil when a
// fault is no warning.
func compileExpression(s *scope, text string) (x *expression, faults []check.Fault) {
	defer func() {
		if recover() != nil { // of expr: nothing it does with a text may stop the program
			x, faults = nil, []check.Fault{uncompilable}
		}
	}()
	checked, faults := s.checker.Expression(text)
	if checked == nil {
		return nil, faults
	}
	tree := checked.Tree
	x = &expression{canonical: checked.Canonical, conjuncts: conjunctsOf(tree.Node), excluded: logic.ExcludedTypes(tree.Node), oneMode: logic.OnlyMode(tree.Node), onlyAsync: logic.OnlyAsync(tree.Node)}
	for _, part := range logic.Alternatives(tree.Node) {
		x.parts = append(x.parts, logic.ExcludedTypes(part))
	}
	x.holds, x.constant = logic.Constant(tree.Node)
	x.always = logic.Always(tree.Node)
	x.demanded, x.together, x.missed = logic.DemandedOf(tree.Node), logic.TogetherOf(tree.Node), logic.MissedBy(tree.Node)
	x.age, x.noReason, x.keys = logic.AgeOf(tree.Node), logic.EmptyReason(tree.Node), logic.KeysOf(tree.Node)
	x.subjects, x.subjectAt = logic.SubjectsOf(tree.Node)
	x.texts, x.numbers = logic.ConstantsIn(tree.Node)
	collectUses(tree.Node, &x.uses)
	rewrite(&tree.Node)
	var err error
	if x.program, err = compiler.Compile(tree, s.config); err != nil {
		return nil, []check.Fault{uncompilable}
	}
	return x, faults
}

// collectUses notes which fields are looked at. A session that is named whole
// is looked at in all its fields.
func collectUses(n ast.Node, u *uses) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		noteRoot(n, "", u)
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if root, isRoot := n.Node.(*ast.IdentifierNode); ok && isRoot {
			noteRoot(root, property.Value, u)
			return
		}
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			u.object = u.object || callee.Value == "has" || callee.Value == "raw" || callee.Value == "changed"
			u.changed = u.changed || callee.Value == "changed"
		}
	}
	for _, child := range logic.Children(n) {
		collectUses(*child, u)
	}
}

// noteRoot notes a field of what an expression can name; "" for all of them.
func noteRoot(root *ast.IdentifierNode, field string, u *uses) {
	var fields uint64
	for i := range schema.SessionType.NumField() {
		if field == "" || field == schema.FieldName(schema.SessionType.Field(i)) {
			fields |= 1 << i
		}
	}
	switch root.Value {
	case "session":
		u.session |= fields
	case "previous":
		u.previous |= fields
	case "event":
		u.event = u.event || field != "account"
	}
}
