package check

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// refuse finds what no expression may do, before types are checked.
func (c *Checker) refuse(root ast.Node) []Fault {
	var faults []Fault
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if f, bad := c.refuseNode(n); bad {
			f.At = max(f.At, n.Location().From) // an argument is behind its function
			if f.Code == "" {
				f.Code = CodeExpression
			}
			if !slices.Contains(faults, f) { // `a < b < c` has b twice
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

func (c *Checker) refuseNode(n ast.Node) (f Fault, bad bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if c.system && slices.Contains(sessionNames, n.Value) {
			return Fault{Message: noSession(n.Value)}, true
		}
		return refuseName(n.Value)
	case *ast.VariableDeclaratorNode:
		return refuseName(n.Name)
	case *ast.BytesNode:
		return Fault{Message: "byte strings are not supported"}, true
	case *ast.BinaryNode:
		if n.Operator == "matches" {
			return refusePattern(n.Right)
		}
	case *ast.BuiltinNode:
		return refuseBuiltin(n)
	case *ast.CallNode:
		return c.refuseCall(n)
	}
	return f, false
}

// sessionNames are what only events of a session have.
var sessionNames = []string{"session", "previous", "changed"}

func noSession(name string) string {
	return fmt.Sprintf(`there is no %s here: a system event has no session; what its data holds is read with raw("path")`, name)
}

func refuseName(name string) (Fault, bool) {
	if name == "$env" {
		return Fault{Message: "$env is not available"}, true
	}
	if strings.HasPrefix(name, Reserved) {
		return Fault{Message: "unknown name " + name}, true
	}
	return Fault{}, false
}

// patternError begins the messages of Go's regular expressions.
const patternError = "error parsing regexp: "

func refusePattern(n ast.Node) (Fault, bool) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		f := Fault{At: n.Location().From, Message: "the pattern of matches must be a constant text"}
		if name, isName := n.(*ast.IdentifierNode); isName {
			f.Suggestion = strconv.Quote(name.Value)
		}
		return f, true
	}
	size, err := logic.PatternSize(text.Value)
	if err != nil {
		f := Fault{At: n.Location().From, Message: "the pattern is no regular expression: " + strings.TrimPrefix(err.Error(), patternError)}
		if strings.HasPrefix(text.Value, "*") {
			f.Message += "; any text is .*"
		} else if strings.HasPrefix(text.Value, "+") {
			f.Suggestion = strconv.Quote(`\` + text.Value)
		}
		return f, true
	}
	if size > logic.MaxPattern {
		return Fault{At: n.Location().From, Code: CodeBudget, Message: "the pattern is too large"}, true
	}
	return Fault{}, false
}

// refuseDate finds a constant text that is no date: it would fail on every event.
func refuseDate(n *ast.BuiltinNode) (Fault, bool) {
	if n.Name != "date" || len(n.Arguments) == 0 || len(n.Arguments) > 2 {
		return Fault{}, false
	}
	texts := make([]string, len(n.Arguments))
	for i, argument := range n.Arguments {
		text, ok := argument.(*ast.StringNode)
		if !ok {
			return Fault{}, false
		}
		texts[i] = text.Value
	}
	layouts := schema.DateLayouts
	if len(texts) > 1 {
		layouts = texts[1:]
	}
	if inLayouts(texts[0], layouts) {
		return Fault{}, false
	}
	how := ": write it as 2026-01-31 or 2026-01-31T10:00:00Z"
	if len(texts) == 2 {
		how = fmt.Sprintf(" in the layout %q", texts[1])
	}
	return Fault{At: n.Arguments[0].Location().From, Message: fmt.Sprintf("%q is no date%s", texts[0], how)}, true
}

func refuseBuiltin(n *ast.BuiltinNode) (Fault, bool) {
	if f, refused := refuseDate(n); refused {
		return f, true
	}
	var zone ast.Node
	switch {
	case n.Name == "timezone" && len(n.Arguments) == 1:
		zone = n.Arguments[0]
	case n.Name == "date" && len(n.Arguments) == 3:
		// date(zone, text, layout) has a time zone already.
		if b, ok := n.Arguments[0].(*ast.BuiltinNode); ok && b.Name == "timezone" {
			return Fault{}, false
		}
		zone = n.Arguments[2]
	default:
		return Fault{}, false
	}
	name, ok := zone.(*ast.StringNode)
	if !ok {
		return Fault{At: zone.Location().From, Message: "the time zone must be a constant text"}, true
	}
	if _, err := schema.LoadZone(name.Value); err != nil {
		return Fault{At: zone.Location().From, Message: fmt.Sprintf("unknown time zone %q", name.Value)}, true
	}
	return Fault{}, false
}

func (c *Checker) refuseCall(n *ast.CallNode) (Fault, bool) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return Fault{}, false // methods: refuseTyped
	}
	withPath := slices.Contains([]string{"has", "changed", "raw", "duration"}, callee.Value)
	if callee.Value == "raw" && len(n.Arguments) > 2 {
		return Fault{Message: "raw takes a path and a default"}, true
	}
	if !withPath || len(n.Arguments) == 0 || len(n.Arguments) > 1 && callee.Value != "raw" {
		return Fault{}, false // unknown names and counts: the checker
	}
	at := n.Arguments[0].Location().From
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		f := Fault{At: at, Message: "the argument of " + callee.Value + " must be a constant text"}
		path := strings.TrimPrefix(strings.Join(logic.PathOf(n.Arguments[0]), "."), "session.")
		if schema.DocumentedPath(path) || path != "" && callee.Value == "raw" {
			f.Suggestion = strconv.Quote(path)
		}
		return f, true
	}
	switch callee.Value {
	case "duration":
		if _, err := schema.ParseDuration(arg.Value); err != nil {
			return Fault{At: at, Message: fmt.Sprintf("%q is no duration: use units such as 30m, 1h30m or 7d", arg.Value)}, true
		}
	case "raw", "has":
		if callee.Value == "has" && !c.system {
			return refusePath(at, callee.Value, arg.Value)
		}
		if slices.Contains(strings.Split(arg.Value, "."), "") {
			return Fault{At: at, Message: fmt.Sprintf("%q is no path: use names separated by dots", arg.Value)}, true
		}
	default:
		return refusePath(at, callee.Value, arg.Value)
	}
	return Fault{}, false
}

func refusePath(at int, function, path string) (Fault, bool) {
	if schema.DocumentedPath(path) {
		return Fault{}, false
	}
	if path == "" || slices.Contains(strings.Split(path, "."), "") {
		return Fault{At: at, Message: fmt.Sprintf("%q is no path: use names separated by dots", path)}, true
	}
	f := Fault{At: at, Message: fmt.Sprintf("the session has no documented field %q", path)}
	if inside := insideSession(path); schema.DocumentedPath(inside) {
		f.Suggestion = inside
	} else if near := schema.NearPath(path, schema.SuggestField); schema.DocumentedPath(near) {
		f.Suggestion = near
	}
	t, _, _, _ := schema.UnknownPart(path)
	name, places := path[strings.LastIndexByte(path, '.')+1:], ""
	if !schema.IsOwn(t, name) {
		places = schema.OtherPlaces(name, "", false)
	}
	switch {
	case f.Suggestion != "":
	case places != "":
		f.Message += places
	case t == nil:
		f.Message += "; what stands before the last dot is no object"
	case function == "has":
		f.Message += fmt.Sprintf(`; use raw(%q) != nil for an undocumented one`, path)
		if !strings.Contains(path, ".") {
			f.Message += fmt.Sprintf(", has(%q) for a key of the metadata", "metadata."+path)
		}
	case !strings.Contains(path, "."):
		return Fault{}, false // an undocumented field can change too
	default:
		f.Message += "; of an undocumented one only the whole field is compared, not a member"
	}
	return f, true
}

// refuseTyped finds what is refused in every expression and can be recognised only
// once the types of its parts are known.
func refuseTyped(root ast.Node) []Fault {
	var faults []Fault
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if message := typedProblem(n); message != "" {
			faults = append(faults, Fault{At: n.Location().From, Code: CodeExpression, Message: message})
		}
		if call, ok := n.(*ast.CallNode); ok { // a callee is judged with its call
			if member, ok := call.Callee.(*ast.MemberNode); ok {
				walk(member.Node)
			}
			for _, arg := range call.Arguments {
				walk(arg)
			}
			return
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

func typedProblem(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CallNode:
		return callProblem(n)
	case *ast.BuiltinNode:
		return builtinProblem(n)
	case *ast.MemberNode:
		if n.Type().Kind() == reflect.Func {
			return "a method must be called"
		}
	case *ast.BinaryNode:
		t := n.Right.Type()
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if n.Operator == "in" && t.Kind() == reflect.Struct {
			return `in looks into lists and maps; use has("field") for fields`
		}
	}
	return ""
}

// builtinProblem finds values that a function of expr takes and then fails with on every
// event.
func builtinProblem(n *ast.BuiltinNode) string {
	if len(n.Arguments) == 0 {
		return ""
	}
	first := n.Arguments[0].Type()
	if n.Name == "date" && first == timeType {
		return "this is a time already: leave date(…) out"
	}
	if first.Kind() != reflect.Slice || first.Elem().Kind() == reflect.Interface {
		return ""
	}
	element := first.Elem().Kind()
	number := element >= reflect.Int && element <= reflect.Float64
	switch n.Name {
	case "count":
		if len(n.Arguments) == 1 && element != reflect.Bool {
			return "count counts what is true, and these elements are neither true nor false: the number of elements is len(…)"
		}
	case "max", "min", "mean", "median", "sum":
		if len(n.Arguments) == 1 && !number {
			return n.Name + " takes a list of numbers, and these elements are none: choose one of each, as in map(list, .amount_total)"
		}
	case "reduce":
		if len(n.Arguments) == 2 && !number {
			return "reduce begins with the first element itself, which is no number: give an initial value, as in reduce(list, #acc + #.amount_total, 0)"
		}
	}
	return ""
}

func callProblem(n *ast.CallNode) string {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if !slices.Contains([]string{"has", "changed", "raw", "duration", "now", holeName}, callee.Value) {
			return callee.Value + " is not a function"
		}
		return ""
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if hasHole(callee.Node) {
			return "" // what is called is told already
		}
		if !ok || !slices.Contains(schema.Methods(callee.Node.Type()), name.Value) {
			return "this method cannot be called"
		}
		if name.Value == "Format" {
			if _, ok := n.Arguments[0].(*ast.StringNode); !ok {
				return "the layout of Format must be a constant text"
			}
		}
		return ""
	}
	return "only functions can be called"
}
