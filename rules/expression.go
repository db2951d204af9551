package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
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
	canonical string // the tokens, for the identity of the rule set
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
		return nil, []fault{s.explain(err, tree)}
	}
	if faults = s.refuse(tree.Node); len(faults) > 0 {
		return nil, faults
	}
	c.Expect, c.ExpectAny = reflect.Bool, false
	if _, err := checker.Check(tree, c); err != nil {
		return nil, []fault{s.explain(err, tree)}
	}
	if faults = refuseTyped(tree.Node); len(faults) > 0 {
		return nil, faults
	}
	x = &expression{canonical: canonical, conjuncts: conjunctsOf(tree.Node)}
	collectUses(tree.Node, &x.uses)
	faults = s.lint(tree.Node)
	rewrite(&tree.Node)
	if x.program, err = compiler.Compile(tree, c); err != nil {
		return nil, []fault{{code: CodeExpression, message: "the expression cannot be compiled"}}
	}
	return x, faults
}

// scan looks at the tokens before anything recurses over them, and returns them
// as one text that white space and comments do not change.
func (s *scope) scan(text string) (canonical string, bad *fault) {
	if len(text) > maxText {
		return "", &fault{code: CodeBudget, message: fmt.Sprintf("the expression is longer than %d KiB", maxText>>10)}
	}
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		f := s.explain(err, nil)
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

// explain turns an error of expr into a fault in the words of the reference.
func (s *scope) explain(err error, tree *parser.Tree) fault {
	f := fault{code: CodeExpression, message: err.Error()}
	var at *file.Error
	if errors.As(err, &at) {
		f.at, f.message = at.From, at.Message
	}
	if kind, ok := strings.CutPrefix(f.message, "expected bool, but got "); ok {
		f.code = CodeNotBoolean
		f.message = "the expression must be true or false, but is " + plainTypes.Replace(kind)
		if kind == "unknown" || kind == "interface {}" {
			f.message = "the expression must be true or false, and its type is only known later: compare it, as in raw(\"x\") == true"
		}
		if tree != nil {
			f.at = tree.Node.Location().From
		}
		return f
	}
	if name, ok := strings.CutPrefix(f.message, "unknown name "); ok {
		f.suggestion = s.suggestName(name)
		return f
	}
	if rest, ok := strings.CutPrefix(f.message, "type "); ok {
		if owner, name, ok := strings.Cut(rest, " has no field "); ok {
			return explainField(f, owner, name)
		}
	}
	f.message = plainTypes.Replace(f.message)
	return f
}

func explainField(f fault, owner, name string) fault {
	f.message = fmt.Sprintf("%s has no field %s", plainTypes.Replace(owner), name)
	t, ok := envTypes[strings.TrimPrefix(owner, "*")]
	if !ok {
		return f
	}
	f.suggestion = suggestField(t, name)
	if t == systemType && f.suggestion == "" {
		f.message += fmt.Sprintf(`; what the event's data holds is read with raw("%s")`, name)
	}
	if t == sessionType && name == freeForm {
		f.message = fmt.Sprintf("the members of session.%s are not documented", name)
		f.suggestion = fmt.Sprintf(`raw("%s")`, name)
	} else if t == sessionType && f.suggestion == "" {
		f.message += fmt.Sprintf(`; an undocumented field is read with raw("%s")`, name)
	}
	return f
}

// envTypes are the struct types of the env by the names that expr's messages
// use; plainTypes turns these names, and Go's, into those of the reference.
var (
	envTypes   = structTypes(reflect.TypeFor[systemEnv](), structTypes(reflect.TypeFor[env](), map[string]reflect.Type{}))
	plainTypes = typeReplacer()
	scopeNames = []string{"event", "session", "previous", "has", "changed", "raw", "now", "duration",
		"all", "any", "none", "one", "filter", "map", "find", "count", "sum", "reduce", "len", "lower", "upper", "trim",
		"split", "join", "first", "last", "date", "timezone", "int", "float", "string", "abs", "min", "max"}
)

func structTypes(t reflect.Type, types map[string]reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType || t == reflect.TypeFor[state]() || types[t.String()] != nil {
		return types
	}
	types[t.String()] = t
	for i := range t.NumField() {
		structTypes(t.Field(i).Type, types)
	}
	return types
}

func typeReplacer() *strings.Replacer {
	pairs := []string{"*rules.sessionFields", "session", "rules.sessionFields", "session",
		"*rules.eventFields", "event", "rules.eventFields", "event", "*rules.systemFields", "event", "rules.systemFields", "event"}
	for name := range envTypes {
		plain := strings.TrimPrefix(name, "rules.")
		pairs = append(pairs, "*"+name, plain, name, plain)
	}
	return strings.NewReplacer(append(pairs, "[]*", "list of ", "time.Time", "time", "time.Duration", "duration",
		"map[string]string", "map", "[]interface {}", "list", "[]string", "list of string", "int64", "int", "float64", "float")...)
}

// children are the places of a node's children.
func children(n ast.Node) []*ast.Node {
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

// pathOf is the path of constant names that a node is, such as
// session.metadata.plan, or nil.
func pathOf(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if base := pathOf(n.Node); ok && base != nil {
			return append(base, property.Value)
		}
	}
	return nil
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
	for _, child := range children(n) {
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
