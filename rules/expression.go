package rules

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
	"github.com/expr-lang/expr/vm"
)

// What an expression may be at most. The limits keep parser, checker and
// compiler, which recurse, fast and shallow.
const (
	maxText     = 64 << 10
	maxNodes    = 10_000
	maxVisits   = 5 * maxNodes // of the checker, see visits
	maxBrackets = 200          // open at once
	maxPrefixes = 50           // operators in a row
)

// expression is a compiled `when`. It is immutable.
type expression struct {
	program   *vm.Program
	uses      uses
	conjuncts []conjunct
	excluded  map[string]int // types of events for which it never holds, and where that shows
	oneMode   bool           // it holds for live sessions alone, or for test sessions alone
	onlyAsync bool           // it holds only for what was paid after the checkout
	constant  bool           // it depends on nothing
	holds     bool           // if it is constant: whether it holds
	canonical string         // the tokens, for the identity of the rule set
}

// uses is what of an event an expression looks at.
type uses struct {
	session, previous uint64 // fields, as in readSession
	object, changed   bool   // has and raw; changed
}

// fault is something wrong with an expression, at a place in its text.
type fault struct {
	at         int // runes from the start
	code       string
	message    string
	suggestion string
	warning    bool
}

// compileExpression compiles a non-empty text. The expression is nil when a
// fault is no warning.
func compileExpression(s *scope, text string) (x *expression, faults []fault) {
	defer func() {
		if recover() != nil { // of expr: nothing it does with a text may stop the program
			x, faults = nil, []fault{{code: CodeExpression, message: "the expression cannot be compiled"}}
		}
	}()
	canonical, bad := s.scan(text)
	if bad != nil {
		return nil, []fault{*bad}
	}
	c := s.config
	tree, err := parser.ParseWithConfig(text, c)
	if err != nil {
		return nil, []fault{syntaxFault(err, text)}
	}
	if visits(tree.Node, map[ast.Node]int{}) > maxVisits {
		return nil, []fault{{at: tree.Node.Location().From, code: CodeBudget, message: "calls and comparisons are nested too deeply"}}
	}
	faults, complete := s.mistakes(tree)
	if complete {
		faults = append(faults, s.lint(tree.Node)...)
		faults = append(faults, lintMissing(tree.Node)...)
		faults = append(faults, lintLogic(tree.Node)...)
	}
	warnings := 0
	faults = slices.DeleteFunc(faults, func(f fault) bool {
		if f.code == CodeFraction && !hasPoint([]rune(text)[f.at:]) {
			return true // 1e5 is a whole number
		}
		if f.warning {
			warnings++
		}
		return f.warning && warnings > mostWarnings
	})
	slices.SortStableFunc(faults, func(a, b fault) int { return a.at - b.at })
	if slices.ContainsFunc(faults, func(f fault) bool { return !f.warning }) {
		return nil, faults
	}
	x = &expression{canonical: canonical, conjuncts: conjunctsOf(tree.Node), excluded: logic.ExcludedTypes(tree.Node), oneMode: logic.OnlyMode(tree.Node), onlyAsync: logic.OnlyAsync(tree.Node)}
	x.holds, x.constant = logic.Constant(tree.Node)
	collectUses(tree.Node, &x.uses)
	rewrite(&tree.Node)
	if x.program, err = compiler.Compile(tree, c); err != nil {
		return nil, []fault{{code: CodeExpression, message: "the expression cannot be compiled"}}
	}
	return x, faults
}

// hasPoint says whether the number that a text begins with has a decimal point
// and no exponent.
func hasPoint(text []rune) bool {
	end := slices.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789_.eE", r) })
	if end < 0 {
		end = len(text)
	}
	return strings.Contains(string(text[:end]), ".") && !strings.ContainsAny(string(text[:end]), "eE")
}

// scan looks at the tokens before anything recurses over them, and returns them
// as one text that white space and comments do not change.
func (s *scope) scan(text string) (canonical string, bad *fault) {
	if len(text) > maxText {
		return "", &fault{code: CodeBudget, message: fmt.Sprintf("the expression is longer than %d KiB", maxText>>10)}
	}
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		f := syntaxFault(err, text)
		return "", &f
	}
	var b strings.Builder
	brackets, prefixes := 0, 0
	for _, token := range tokens {
		fmt.Fprintf(&b, "%s %d:%s\n", token.Kind, len(token.Value), token.Value)
		prefixes++
		switch {
		case token.Is(lexer.Bracket, "(", "[", "{"):
			brackets++
		case token.Is(lexer.Bracket):
			brackets--
		}
		if !token.Is(lexer.Operator) {
			prefixes = 0
		}
		if brackets > maxBrackets || prefixes > maxPrefixes {
			return "", &fault{at: token.From, code: CodeBudget, message: "the expression is nested too deeply"}
		}
	}
	return b.String(), nil
}

// collectUses notes which fields are looked at. A session that is named whole
// is looked at in all its fields.
func collectUses(n ast.Node, u *uses) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		noteSession(n, ^uint64(0), u)
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if _, root := n.Node.(*ast.IdentifierNode); ok && root {
			for i := range sessionType.NumField() {
				if fieldName(sessionType.Field(i)) == property.Value {
					noteSession(n.Node, 1<<i, u)
				}
			}
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

func noteSession(n ast.Node, fields uint64, u *uses) {
	switch n.(*ast.IdentifierNode).Value {
	case "session":
		u.session |= fields
	case "previous":
		u.previous |= fields
	}
}
