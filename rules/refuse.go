package rules

import (
	"fmt"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
)

// maxPattern bounds the instructions of a regular expression.
const maxPattern = 4096

// refuse finds what no expression may do, before types are checked.
func (s *scope) refuse(root ast.Node) []fault {
	var faults []fault
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if f, bad := s.refuseNode(n); bad {
			f.at = max(f.at, n.Location().From) // an argument is behind its function
			if f.code == "" {
				f.code = CodeExpression
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

// visits estimates how often expr's checker looks at the nodes below n: it
// tries the signatures of an overloaded function one after the other, with all
// arguments each time, and reads the middle of `a < b < c` twice. Nested, both
// grow without bounds.
func visits(n ast.Node, known map[ast.Node]int) int {
	if v, ok := known[n]; ok {
		return v
	}
	factor := 1
	if b, ok := n.(*ast.BuiltinNode); ok {
		if i, ok := builtin.Index[b.Name]; ok {
			factor = max(1, len(builtin.Builtins[i].Types))
		}
	}
	sum := 0
	for _, child := range logic.Children(n) {
		sum = min(sum+visits(*child, known), maxVisits+1)
	}
	known[n] = min(1+factor*sum, maxVisits+1)
	return known[n]
}

func (s *scope) refuseNode(n ast.Node) (f fault, bad bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if s.system && slices.Contains(sessionNames, n.Value) {
			return fault{message: noSession(n.Value)}, true
		}
		return refuseName(n.Value)
	case *ast.VariableDeclaratorNode:
		return refuseName(n.Name)
	case *ast.BytesNode:
		return fault{message: "byte strings are not supported"}, true
	case *ast.BinaryNode:
		if n.Operator == "matches" {
			return refusePattern(n.Right)
		}
	case *ast.BuiltinNode:
		return refuseBuiltin(n)
	case *ast.CallNode:
		return s.refuseCall(n)
	}
	return f, false
}

func refuseName(name string) (fault, bool) {
	if name == "$env" {
		return fault{message: "$env is not available"}, true
	}
	if strings.HasPrefix(name, reserved) {
		return fault{message: "unknown name " + name}, true
	}
	return fault{}, false
}

// patternError begins the messages of Go's regular expressions.
const patternError = "error parsing regexp: "

func refusePattern(n ast.Node) (fault, bool) {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return fault{at: n.Location().From, message: "the pattern of matches must be a constant text"}, true
	}
	parsed, err := syntax.Parse(text.Value, syntax.Perl)
	if err != nil {
		return fault{at: n.Location().From, message: "the pattern is no regular expression: " + strings.TrimPrefix(err.Error(), patternError)}, true
	}
	if instructions(parsed) > maxPattern {
		return fault{at: n.Location().From, code: CodeBudget, message: "the pattern is too large"}, true
	}
	return fault{}, false
}

// instructions estimates the size of a compiled pattern, in which repetitions
// are written out.
func instructions(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), maxPattern+1)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return min(n, maxPattern+1)
}

func compilePattern(text string) *pattern {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	return &pattern{re: re, size: 1 + instructions(parsed)}
}

// refuseDate finds a constant text that is no date: it would fail on every event.
func refuseDate(n *ast.BuiltinNode) (fault, bool) {
	if n.Name != "date" || len(n.Arguments) == 0 || len(n.Arguments) > 2 {
		return fault{}, false
	}
	values := make([]any, len(n.Arguments))
	for i, argument := range n.Arguments {
		text, ok := argument.(*ast.StringNode)
		if !ok {
			return fault{}, false
		}
		values[i] = text.Value
	}
	if _, err := date(new(state), values); err == nil {
		return fault{}, false
	}
	how := ": write it as 2026-01-31 or 2026-01-31T10:00:00Z"
	if len(values) == 2 {
		how = fmt.Sprintf(" in the layout %q", values[1])
	}
	return fault{at: n.Arguments[0].Location().From, message: fmt.Sprintf("%q is no date%s", values[0], how)}, true
}

func refuseBuiltin(n *ast.BuiltinNode) (fault, bool) {
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
			return fault{}, false
		}
		zone = n.Arguments[2]
	default:
		return fault{}, false
	}
	name, ok := zone.(*ast.StringNode)
	if !ok {
		return fault{at: zone.Location().From, message: "the time zone must be a constant text"}, true
	}
	if _, err := loadZone(name.Value); err != nil {
		return fault{at: zone.Location().From, message: fmt.Sprintf("unknown time zone %q", name.Value)}, true
	}
	return fault{}, false
}

// loadZone knows no "Local": a rule means the same wherever it runs.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	return time.LoadLocation(name)
}

func (s *scope) refuseCall(n *ast.CallNode) (fault, bool) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return fault{}, false // methods: refuseTyped
	}
	withPath := slices.Contains([]string{"has", "changed", "raw", "duration"}, callee.Value)
	if callee.Value == "raw" && len(n.Arguments) > 2 {
		return fault{message: "raw takes a path and a default"}, true
	}
	if !withPath || len(n.Arguments) == 0 || len(n.Arguments) > 1 && callee.Value != "raw" {
		return fault{}, false // unknown names and counts: the checker
	}
	at := n.Arguments[0].Location().From
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		f := fault{at: at, message: "the argument of " + callee.Value + " must be a constant text"}
		if path := strings.TrimPrefix(strings.Join(logic.PathOf(n.Arguments[0]), "."), "session."); documentedPath(path) {
			f.suggestion = strconv.Quote(path)
		}
		return f, true
	}
	switch callee.Value {
	case "duration":
		if _, err := parseDuration(arg.Value); err != nil {
			return fault{at: at, message: fmt.Sprintf("%q is no duration: use units such as 30m, 1h30m or 7d", arg.Value)}, true
		}
	case "raw", "has":
		if callee.Value == "has" && !s.system {
			return refusePath(at, callee.Value, arg.Value)
		}
		if slices.Contains(strings.Split(arg.Value, "."), "") {
			return fault{at: at, message: fmt.Sprintf("%q is no path: use names separated by dots", arg.Value)}, true
		}
	default:
		return refusePath(at, callee.Value, arg.Value)
	}
	return fault{}, false
}

func refusePath(at int, function, path string) (fault, bool) {
	if documentedPath(path) {
		return fault{}, false
	}
	if path == "" || slices.Contains(strings.Split(path, "."), "") {
		return fault{at: at, message: fmt.Sprintf("%q is no path: use names separated by dots", path)}, true
	}
	f := fault{at: at, message: fmt.Sprintf("the session has no documented field %q", path)}
	if near := nearPath(path, suggestField); documentedPath(near) {
		f.suggestion = near
	}
	t, _, _, _ := unknownPart(path)
	places := otherPlaces(path[strings.LastIndexByte(path, '.')+1:], "")
	switch {
	case f.suggestion != "":
	case places != "":
		f.message += places
	case t == nil:
		f.message += "; what stands before the last dot is no object"
	case function == "has":
		f.message += fmt.Sprintf(`; use raw(%q) != nil for an undocumented one`, path)
		if !strings.Contains(path, ".") {
			f.message += fmt.Sprintf(", has(%q) for a key of the metadata", "metadata."+path)
		}
	case !strings.Contains(path, "."):
		return fault{}, false // an undocumented field can change too
	default:
		f.message += "; of an undocumented one only the whole field is compared, not a member"
	}
	return f, true
}

// methods are what can be called on a value: all are pure, constant in cost and
// independent of the machine's time zone.
var methods = map[reflect.Type][]string{
	timeType: {"Year", "Month", "Day", "Hour", "Minute", "Second", "Weekday", "YearDay", "Unix", "UnixMilli",
		"Before", "After", "Equal", "Compare", "Sub", "Add", "AddDate", "UTC", "In", "Format", "Truncate", "Round", "IsZero"},
	reflect.TypeFor[time.Duration](): {"Hours", "Minutes", "Seconds", "Milliseconds", "Abs", "Round", "Truncate", "String"},
	reflect.TypeFor[time.Month]():    {"String"},
	reflect.TypeFor[time.Weekday]():  {"String"},
}

// refuseTyped finds what no expression may do and only types tell.
func refuseTyped(root ast.Node) []fault {
	var faults []fault
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if message := typedProblem(n); message != "" {
			faults = append(faults, fault{at: n.Location().From, code: CodeExpression, message: message})
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

func callProblem(n *ast.CallNode) string {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if !slices.Contains([]string{"has", "changed", "raw", "duration", "now", holeName}, callee.Value) {
			return callee.Value + " is not a function"
		}
		return ""
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok || !slices.Contains(methods[callee.Node.Type()], name.Value) {
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
