package check

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// fieldOf is the field of the schema that a checked node reads.
func fieldOf(n ast.Node) (f reflect.StructField, of reflect.Type, ok bool) {
	if chain, is := n.(*ast.ChainNode); is {
		n = chain.Node
	}
	member, is := n.(*ast.MemberNode)
	if !is || member.Node.Type() == nil {
		return f, nil, false
	}
	property, is := member.Property.(*ast.StringNode)
	of = member.Node.Type()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if !is || of.Kind() != reflect.Struct || of == timeType {
		return f, nil, false
	}
	f, ok = schema.FieldByName(of, property.Value)
	return f, of, ok
}

// documented are all the words that a field of the schema can have; none for one
// that takes any. The rest of the program takes other words for status and
// payment_status as well; a rule that waits for one is almost certainly misspelt.
func (c *Checker) documented(of reflect.Type, f reflect.StructField) []string {
	switch {
	case of == schema.SystemType && schema.FieldName(f) == "type":
		return event.SystemTypes()
	case of == schema.SystemType && schema.FieldName(f) == "subject":
		return slices.Concat(c.names.Destinations, c.names.Accounts, c.names.Rules, []string{event.SubjectStore})
	case of == schema.EventType && schema.FieldName(f) == "account":
		return c.names.Accounts
	case of == schema.EventType && schema.FieldName(f) == "type":
		return event.Types()
	case of == schema.EventType && schema.FieldName(f) == "reason":
		return []string{event.ReasonManual, event.ReasonTimer, event.ReasonUnknown}
	}
	return strings.Fields(f.Tag.Get("words"))
}

// lint warns of comparisons that are never true, or mean something else than
// they seem to.
func (c *Checker) lint(root ast.Node) (faults []Fault) {
	told := make(map[Fault]bool) // `a < b < c` has b twice
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		for _, f := range c.lintNode(n) {
			f.Warning = true
			if !told[f] {
				told[f] = true
				faults = append(faults, f)
			}
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

func (c *Checker) lintNode(n ast.Node) []Fault {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return c.lintSides(n)
	case *ast.CallNode:
		if c.system {
			return lintMember(n)
		}
		return lintCall(n)
	case *ast.BuiltinNode:
		return slices.Concat(lintPredicate(n), lintSum(n), c.lintEach(n))
	case *ast.SequenceNode:
		return []Fault{{At: n.Nodes[0].Location().From, Code: CodeMisleading, Message: "only what stands behind the last ; counts: join conditions by and"}}
	}
	return nil
}

// lintLogic warns of conditions that exclude each other, or always hold.
func lintLogic(root ast.Node) (faults []Fault) {
	for _, found := range logic.Contradictions(root) {
		f := Fault{At: found.At, Code: CodeNeverMatches, Warning: true,
			Message: "this and another condition, joined by and, exclude each other: both ask for " + found.Of}
		if strings.HasSuffix(found.Of, ".Hour()") {
			f.Message += "; hours over midnight are joined by or"
		}
		if found.Always {
			f.Code = CodeMisleading
			f.Message = fmt.Sprintf("this or another condition always holds, whatever %s is: join them by and", found.Of)
		}
		faults = append(faults, f)
	}
	for _, found := range logic.TooSmall(root) {
		least := "0"
		if found.Of == "event.revision" {
			least = "1: it is 1 when a session is first seen"
		}
		faults = append(faults, Fault{At: found.At, Code: CodeNeverMatches, Warning: true, Message: fmt.Sprintf("%s is never below %s", found.Of, least)})
	}
	return faults
}

func lintCall(n *ast.CallNode) []Fault {
	if method, _, of := methodCall(n); of == timeType && method == "Format" && len(n.Arguments) == 1 {
		return lintLayout(n.Arguments[0])
	}
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || len(n.Arguments) == 0 {
		return nil
	}
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return nil
	}
	f := Fault{At: arg.Location().From, Code: CodeNeverMatches}
	switch {
	case callee.Value == "changed" && arg.Value == checkout.FieldURL:
		f.Message = `changed("url") is true at first sight only: a rotating url is not a change`
	case callee.Value == "raw" && insideSession(arg.Value) != "":
		f.Code, f.Suggestion = CodeMisleading, insideSession(arg.Value)
		f.Message = fmt.Sprintf("raw reads the session itself, in which there is no %q", arg.Value)
	case callee.Value == "raw" && schema.MisspeltPath(arg.Value) != "":
		f.Code, f.Suggestion = CodeMisleading, schema.MisspeltPath(arg.Value)
		f.Message = fmt.Sprintf("no session is documented to have %q", arg.Value)
	default:
		return nil
	}
	return []Fault{f}
}

// insideSession is a path without what stands before the session elsewhere, "" if
// nothing of that does.
func insideSession(path string) string {
	for _, before := range []string{"session.", "data.object."} {
		if inside, found := strings.CutPrefix(path, before); found {
			return inside
		}
	}
	return ""
}

// foreignLayout finds the parts of layouts that other languages have.
var foreignLayout = regexp.MustCompile(`[Yy]{4}|DD|MM|HH|%[YmdHMS]`)

// lintLayout warns of a layout of a time that is not Go's.
func lintLayout(n ast.Node) []Fault {
	layout, ok := n.(*ast.StringNode)
	if !ok || !foreignLayout.MatchString(layout.Value) {
		return nil
	}
	return []Fault{{At: n.Location().From, Code: CodeNeverMatches,
		Message: fmt.Sprintf("the layout %q does not say what it seems to: layouts are written as 2006-01-02 15:04:05", layout.Value)}}
}

// comparing are the operators that compare a field with words.
var comparing = []string{"==", "!=", "in", "contains", "startsWith", "endsWith"}

// lintSides looks at both sides of an operator as that which is compared.
func (c *Checker) lintSides(n *ast.BinaryNode) (faults []Fault) {
	for _, side := range [][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
		if slices.Contains(comparing, n.Operator) {
			if partOf[n.Operator] == nil || side[0] == n.Left { // else lintEmptyParts tells
				faults = append(faults, c.lintWords(n.Operator, side[0], side[1])...)
			}
			faults = append(faults, c.lintZeros(side[0], side[1])...)
		}
		if c.system {
			of := c.lintKinds(n, side[0], side[1])
			if of == nil {
				of = c.lintData(n.Operator, side[0], side[1])
			}
			faults = append(faults, of...)
		}
		if partOf[n.Operator] == nil || side[0] == n.Left {
			faults = append(faults, lintID(n.Operator, side[0], side[1])...)
		}
		if f, bad := lintNil(n, side[0], side[1]); bad {
			faults = append(faults, f)
		}
	}
	faults = append(faults, lintCase(n)...)
	faults = append(faults, c.lintPart(n)...)
	faults = append(faults, lintValue(n.Operator, n.Left, n.Right)...)
	if operator := logic.Mirrored(n.Operator); operator != "" {
		faults = append(faults, lintValue(operator, n.Right, n.Left)...)
	}
	switch {
	case n.Operator == "??" && isConstant(n.Left):
		faults = append(faults, Fault{At: n.Right.Location().From, Code: CodeMisleading,
			Message: `this is never used: ?? binds closer than any other operator, and what stands before it is a constant; a value and its default stand in parentheses, as in (session.customer ?? "none") == "none"`})
	case n.Operator == "??" && neverNil(n.Left) && !n.Left.Nature().IsString():
		faults = append(faults, Fault{At: n.Right.Location().From, Code: CodeMisleading,
			Message: logic.Spell(n.Left) + " is never nil, so that this is never used: what is missing is 0 or false"})
	}
	return slices.Concat(faults, lintRange(n), lintElements(n), lintUnits(n))
}

// lintHolds warns of an or that always holds inside a condition that does not: whoever
// knows the rule's events tells of a whole condition that does.
func lintHolds(root ast.Node) (faults []Fault) {
	if _, constant := logic.Constant(root); constant {
		return nil
	}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		b, ok := n.(*ast.BinaryNode)
		if holds, constant := logic.Constant(n); ok && holds && constant && (b.Operator == "or" || b.Operator == "||") {
			faults = append(faults, Fault{At: n.Location().From, Code: CodeMisleading, Warning: true,
				Message: "one side of this " + b.Operator + " is always true, so that it always holds, whatever the other side is: leave the constant out"})
			return
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

// lintValue looks at a comparison of a value with another.
func lintValue(operator string, value, other ast.Node) []Fault {
	return slices.Concat(lintClock(operator, value, other), lintFormatted(operator, value, other), lintZeroTime(operator, value, other), lintRaw(value, other), lintSpan(operator, value, other))
}

func lintNil(n *ast.BinaryNode, value, other ast.Node) (Fault, bool) {
	_, isNil := other.(*ast.NilNode)
	if !isNil || n.Operator != "==" && n.Operator != "!=" {
		return Fault{}, false
	}
	if !neverNil(value) {
		return lintNilList(n, value)
	}
	name := logic.Spell(value)
	if name == "" {
		name = strings.Join(logic.PathOf(value), ".")
	}
	f := Fault{At: other.Location().From, Code: CodeNeverMatches, Message: name + ` is never nil: what is missing is "", 0 or false`}
	if hint := presenceHint(n); hint != "" {
		f.Message = name + " is never nil" + hint
	}
	return f, true
}

// lintNilList warns of a map or a list of a session that is compared with nil.
func lintNilList(n *ast.BinaryNode, value ast.Node) (Fault, bool) {
	hint := absence(value)
	if n.Operator == "!=" {
		hint = presence(value)
	}
	if kind := value.Nature().Kind; hint == "" || kind != reflect.Map && kind != reflect.Slice {
		return Fault{}, false
	}
	return Fault{At: value.Location().From, Code: CodeMisleading,
		Message: logic.Spell(value) + " may be empty, and is not nil then: whether it has a value is asked by " + hint}, true
}

// neverNil says whether a part of the schema has a zero value instead. Maps and
// lists have none, and what raw returns may be nil.
func neverNil(n ast.Node) bool {
	path := logic.PathOf(n)
	if len(path) == 0 || !slices.Contains([]string{"session", "previous", "event", "#"}, path[0]) || n.Type() == nil {
		return false
	}
	kind := n.Type().Kind()
	return kind != reflect.Map && kind != reflect.Slice && kind != reflect.Interface
}
