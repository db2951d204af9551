package check

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// lintMissing warns of what fails on every session without a value: raw without
// a default in arithmetic, or a metadata value that is read as a number. What was
// asked before, as in raw("x") != nil && raw("x") > 0, is fine.
func (c *Checker) lintMissing(root ast.Node) []Fault {
	l := missingLint{told: c.mistyped}
	l.walk(root, nil, nil, map[string]bool{})
	return l.faults
}

type missingLint struct {
	told   map[ast.Node]bool
	faults []Fault
}

func (l *missingLint) walk(n, parent, above ast.Node, asked map[string]bool) {
	key, what := missable(n)
	if what != nil && !asked[key] && !l.told[parent] {
		if f, fails := what(parent, above); fails && !slices.Contains(l.faults, f) {
			f.Warning = true
			l.faults = append(l.faults, f)
		}
	}
	if isLogical(n) {
		if !isLogical(parent) {
			asked = maps.Clone(asked) // for what this chain of conditions asks
		}
		for _, child := range logic.Children(n) {
			l.walk(*child, n, parent, asked)
			if !isLogical(*child) {
				mentions(*child, asked)
			}
		}
		return
	}
	choice, isChoice := n.(*ast.ConditionalNode)
	for _, child := range logic.Children(n) {
		l.walk(*child, n, parent, asked)
		if isChoice && *child == choice.Cond {
			asked = maps.Clone(asked)
			mentions(choice.Cond, asked)
		}
	}
}

// isLogical says whether a node joins two conditions, of which the second is
// asked after the first.
func isLogical(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	return ok && slices.Contains([]string{"&&", "and", "||", "or"}, b.Operator)
}

// mentions notes the values that a condition asks for.
func mentions(n ast.Node, asked map[string]bool) {
	mention(n, asked)
	for _, child := range logic.Children(n) {
		mentions(*child, asked)
	}
}

// mention is mentions for a node without those below it.
func mention(n ast.Node, asked map[string]bool) {
	switch n := n.(type) {
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if ok && (callee.Value == "has" || callee.Value == "raw") && len(n.Arguments) > 0 {
			if path, ok := n.Arguments[0].(*ast.StringNode); ok {
				asked[path.Value] = true
			}
		}
	case *ast.BinaryNode:
		if key, ok := n.Left.(*ast.StringNode); ok && n.Operator == "in" {
			if path := logic.PathOf(n.Right); len(path) > 1 && path[0] == "session" {
				asked[strings.Join(append(path[1:], key.Value), ".")] = true
			}
		}
	case *ast.BuiltinNode:
		if isFind(n) || n.Name == "any" {
			asked[found+listName(n.Arguments[0])] = true
		}
	case *ast.MemberNode:
		if path := logic.PathOf(n); len(path) > 1 && path[0] == "session" {
			asked[strings.Join(path[1:], ".")] = true
		} else if len(path) > 1 {
			asked[strings.Join(path, ".")] = true
		}
	}
}

// missable says under which name a value is asked for that may be missing, and how to find
// out, by what it stands in and what that stands in, whether the rule then fails; nil for
// other nodes.
func missable(n ast.Node) (key string, fails func(parent, above ast.Node) (Fault, bool)) {
	if call, ok := n.(*ast.CallNode); ok {
		callee, ok := call.Callee.(*ast.IdentifierNode)
		if !ok || callee.Value != "raw" || len(call.Arguments) != 1 {
			return "", nil
		}
		path, ok := call.Arguments[0].(*ast.StringNode)
		if !ok {
			return "", nil
		}
		return path.Value, func(parent, above ast.Node) (Fault, bool) { return rawFails(call, path.Value, parent, above) }
	}
	if list, message := ofList(n); list != "" {
		return list, func(parent, _ ast.Node) (Fault, bool) { return listFails(n, message, parent) }
	}
	if name, ok := metadataKey(n); ok {
		key = strings.TrimPrefix(strings.Join(logic.PathOf(n), "."), "session.")
		return key, func(parent, _ ast.Node) (Fault, bool) { return metadataFails(n, name, parent) }
	}
	return "", nil
}

var textMap = reflect.TypeFor[map[string]string]()

// plainKeys makes metadata.key of each metadata?.key and get(metadata, "key"): the
// others are nil, which no text is, where there is no metadata or no such key.
func plainKeys(place *ast.Node) {
	for _, child := range logic.Children(*place) {
		plainKeys(child)
	}
	switch n := (*place).(type) {
	case *ast.MemberNode:
		n.Optional = n.Optional && n.Node.Type() != textMap
	case *ast.BuiltinNode:
		if n.Name == "get" && n.Arguments[0].Type() == textMap {
			member := &ast.MemberNode{Node: n.Arguments[0], Property: n.Arguments[1]}
			member.SetLocation(n.Location())
			member.SetNature(*n.Nature())
			*place = member
		}
	}
}

// metadataKey is the constant key under which a node reads a map of texts.
func metadataKey(n ast.Node) (string, bool) {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	member, ok := n.(*ast.MemberNode)
	if !ok || member.Node.Type() != textMap {
		return "", false
	}
	key, ok := member.Property.(*ast.StringNode)
	if !ok {
		return "", false
	}
	return key.Value, true
}

// ofList says what is read of a list that may be empty: by which name a condition
// asks for the list, and what then becomes of the rule.
func ofList(n ast.Node) (list, message string) {
	switch n := n.(type) {
	case *ast.MemberNode:
		index, ok := n.Property.(*ast.IntegerNode)
		if _, literal := n.Node.(*ast.ArrayNode); ok && !literal && n.Node.Nature().IsArray() && (index.Value != 0 || !neverEmpty(n.Node)) {
			return listName(n.Node), fmt.Sprintf("the rule fails where the list has no element %d: ask for its length before, or for each by any(…)", index.Value)
		}
	case *ast.BuiltinNode:
		if isFind(n) {
			return found + listName(n.Arguments[0]), fmt.Sprintf("%s is nil where nothing fits, and the rule then fails: write any(…) with the whole condition, or (%[1]s(…) ?? …)", n.Name)
		}
		if n.Name == "get" && n.Arguments[0].Nature().IsArray() {
			return listName(n.Arguments[0]), "get is nil where the list has no such element, and the rule then fails: ask for its length before, or write (get(…) ?? …)"
		}
		if slices.Contains([]string{"max", "min", "first", "last"}, n.Name) && len(n.Arguments) > 0 && n.Arguments[0].Nature().IsArray() && !neverEmpty(n.Arguments[0]) {
			return listName(n.Arguments[0]), fmt.Sprintf("%s of an empty list is nil, and the rule then fails: ask for its length before, or write (%[1]s(…) ?? …)", n.Name)
		}
	}
	return "", ""
}

// neverEmpty says whether a list has an element whatever it is made of: a text that is
// split at a separator has at least one part, which may be empty.
func neverEmpty(n ast.Node) bool {
	call, ok := n.(*ast.BuiltinNode)
	const withoutLimit = 2
	if !ok || call.Name != "split" || len(call.Arguments) < withoutLimit {
		return false
	}
	separator, ok := call.Arguments[1].(*ast.StringNode)
	if ok && len(call.Arguments) > withoutLimit {
		limit, constant := call.Arguments[withoutLimit].(*ast.IntegerNode)
		ok = constant && limit.Value != 0
	}
	return ok && separator.Value != ""
}

// found begins the name by which a condition asks for what find gives.
const found = "found in "

func isFind(n *ast.BuiltinNode) bool {
	return (n.Name == "find" || n.Name == "findLast") && len(n.Arguments) > 0 && n.Arguments[0].Nature().IsArray()
}

// listName is what a list is known by: the field that it is made of.
func listName(n ast.Node) string {
	for {
		if path := logic.PathOf(n); len(path) > 1 {
			return strings.TrimPrefix(path[0]+"."+path[1], "session.")
		}
		b, ok := n.(*ast.BuiltinNode)
		if !ok || len(b.Arguments) == 0 {
			return ""
		}
		n = b.Arguments[0]
	}
}

func listFails(n ast.Node, message string, parent ast.Node) (Fault, bool) {
	f := Fault{At: n.Location().From, Code: CodeMissing, Message: message}
	member, isMember := n.(*ast.MemberNode)
	of, ofMember := parent.(*ast.MemberNode)
	if isMember {
		f.At = member.Property.Location().From
		return f, true
	}
	return f, ofMember && of.Node == n && !of.Optional || neutral(parent, n) != "" || comparesTyped(parent)
}

// comparesTyped says whether a node compares two values of one simple type, which fails
// where one of them is nil.
func comparesTyped(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok || b.Operator != "==" && b.Operator != "!=" {
		return false
	}
	left, right := b.Left.Nature(), b.Right.Nature()
	return left.IsString() && right.IsString() || left.IsInteger && right.IsInteger
}

func rawFails(call *ast.CallNode, path string, parent, above ast.Node) (Fault, bool) {
	f := Fault{At: call.Location().From, Code: CodeMissing}
	if member, ok := parent.(*ast.MemberNode); ok && member.Node == call && !member.Optional {
		f.Message = fmt.Sprintf("raw(%q) is nil where the path is missing, and the rule then fails: name the whole path", path)
		if property, ok := member.Property.(*ast.StringNode); ok {
			f.Suggestion = rawCall([]string{"session", path + "." + property.Value}, above)
		}
		return f, true
	}
	fallback := neutral(parent, call)
	if fallback == "" || schema.MisspeltPath(path) != "" { // which lint says
		return f, false
	}
	f.Message = fmt.Sprintf("raw(%q) is nil where the path is missing, and the rule then fails: give a default", path)
	f.Suggestion = fmt.Sprintf("raw(%q, %s)", path, fallback)
	if schema.DocumentedPath(path) && !strings.HasPrefix(path, "metadata") && path != schema.FreeForm {
		f.Message = fmt.Sprintf("raw(%q) is nil where the path is missing, and the rule then fails; it is documented", path)
		f.Suggestion = "session." + path
	}
	return f, true
}

func metadataFails(n ast.Node, name string, parent ast.Node) (Fault, bool) {
	b, ok := parent.(*ast.BuiltinNode)
	if !ok || !slices.Contains([]string{"int", "float", "date", "fromJSON"}, b.Name) || len(b.Arguments) == 0 || b.Arguments[0] != n {
		return Fault{}, false
	}
	f := Fault{At: n.Location().From, Code: CodeMissing,
		Message: fmt.Sprintf("the rule fails on every session whose metadata has no %q: %s needs a text", name, b.Name)}
	text := logic.Spell(n)
	switch {
	case text == "":
	case b.Name == "int" || b.Name == "float":
		f.Message = fmt.Sprintf("the rule fails on every session whose metadata has no %q: give %s a default", name, b.Name)
		f.Suggestion = fmt.Sprintf(`%s(%s ?? "0")`, b.Name, text)
	default:
		f.Message += ", so ask before: " + text + ` != "" and …`
	}
	return f, true
}

// neutral is the default of raw with which what it stands in does not fail; ""
// where it does not fail anyway.
func neutral(parent, child ast.Node) string {
	switch n := parent.(type) {
	case *ast.BinaryNode:
		_, left := n.Left.(*ast.StringNode)
		_, right := n.Right.(*ast.StringNode)
		switch n.Operator {
		case "<", "<=", ">", ">=", "+":
			if left || right {
				return `""`
			}
			return "0"
		case "-", "*", "/", "%", "^", "**", "..":
			return "0"
		case "&&", "and", "||", "or":
			return "false"
		}
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return "false"
		}
		return "0"
	case *ast.ConditionalNode:
		if n.Cond == child {
			return "false"
		}
	case *ast.BuiltinNode:
		return neutralArgument[n.Name]
	}
	return ""
}

// neutralArgument is the same for the built-ins that fail on nil.
var neutralArgument = map[string]string{
	"int": "0", "float": "0", "abs": "0", "ceil": "0", "floor": "0", "round": "0", "max": "0", "min": "0",
	"lower": `""`, "upper": `""`, "trim": `""`, "trimPrefix": `""`, "trimSuffix": `""`, "split": `""`, "replace": `""`,
	"hasPrefix": `""`, "hasSuffix": `""`, "indexOf": `""`, "lastIndexOf": `""`, "repeat": `""`,
	"len": "[]", "any": "[]", "all": "[]", "none": "[]", "one": "[]", "filter": "[]", "map": "[]", "find": "[]", "findIndex": "[]",
	"findLast": "[]", "count": "[]", "sum": "[]", "reduce": "[]", "join": "[]", "sort": "[]", "sortBy": "[]", "groupBy": "[]",
	"uniq": "[]", "concat": "[]", "flatten": "[]", "reverse": "[]", "mean": "[]", "median": "[]", "keys": "{}", "values": "{}",
}
