package check

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// lintRaw warns of raw for a documented field that the API sends as text, where it
// is compared with a number or with true or false.
func lintRaw(value, other ast.Node) []Fault {
	path := callPath(value, "raw")
	if !isNumberOrBool(other) || !schema.SentAsText(path) {
		return nil
	}
	f := Fault{At: value.Location().From, Code: CodeMisleading,
		Message: fmt.Sprintf("raw(%q) is what the API sends, which can be a text: no number, and neither true nor false, is equal to one", path)}
	if _, isBool := other.(*ast.BoolNode); !isBool && schema.DocumentedPath(path) && plainPath.MatchString(path) {
		f.Suggestion = fmt.Sprintf(`int(session.%s ?? "0")`, path)
	}
	return []Fault{f}
}

// callPath is the path that a call of a function reads, "" for any other node.
func callPath(n ast.Node, function string) string {
	call, ok := n.(*ast.CallNode)
	if !ok || len(call.Arguments) == 0 {
		return ""
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	path, also := call.Arguments[0].(*ast.StringNode)
	if !ok || !also || callee.Value != function {
		return ""
	}
	return path.Value
}

// lintNothing warns of raw without a default that is compared with "", 0 or false, as in
// raw("x") != "": it is nil where the path is missing, and nil is none of these. Where the
// condition asks for nil as well, it says what is meant.
func (c *Checker) lintNothing(root ast.Node) (faults []Fault) {
	asked, paths := make(map[string]bool), make(map[Fault]string)
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if call, ok := n.(*ast.CallNode); ok {
			asked[callPath(call, "has")] = true
		}
		if b, ok := n.(*ast.BinaryNode); ok && !c.mistyped[b] {
			for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
				path, at := nilPath(side[0])
				if _, isNil := side[1].(*ast.NilNode); isNil {
					asked[path] = true
				}
				if fallback := logic.EmptyValue(b); path != "" && fallback != "" && (!isNumberOrBool(side[1]) || !schema.SentAsText(path)) { // which lint says
					f := withDefault(b.Operator, path, fallback)
					f.At = at
					if !slices.Contains(faults, f) {
						faults, paths[f] = append(faults, f), path
					}
				}
			}
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return slices.DeleteFunc(faults, func(f Fault) bool { return asked[paths[f]] })
}

// nilPath is the path that raw reads without a default, through what is read of its result
// by ?. as well, and where that stands; "" for other nodes.
func nilPath(n ast.Node) (path string, at int) {
	chain, _ := n.(*ast.ChainNode)
	if chain != nil {
		n = chain.Node
	}
	behind := ""
	for member, ok := n.(*ast.MemberNode); ok && chain != nil; member, ok = n.(*ast.MemberNode) {
		name, constant := member.Property.(*ast.StringNode)
		if !constant {
			return "", 0
		}
		n, behind = member.Node, "."+name.Value+behind
	}
	call, ok := n.(*ast.CallNode)
	if path = callPath(n, "raw"); !ok || len(call.Arguments) != 1 || path == "" || schema.MisspeltPath(path) != "" || insideSession(path) != "" {
		return "", 0
	}
	return path + behind, call.Location().From
}

func withDefault(operator, path, fallback string) Fault {
	other := map[string]string{"==": "!=", "!=": "==", "in": "not in"}[operator]
	if operator == "!=" {
		operator, other = other, operator
	}
	f := Fault{Code: CodeMissing, Warning: true, Suggestion: fmt.Sprintf("raw(%q, %s)", path, fallback),
		Message: fmt.Sprintf("raw(%q) is nil where the path is missing, and nil is not %s: %s is false there, and %s true; give a default, or ask for nil as well", path, fallback, operator, other)}
	names := strings.Split(path, ".")
	name := "session." + path
	if names[0] == "metadata" && len(names) == 2 {
		name = "session.metadata[]"
	}
	if kind := schema.TypesOfFields()[name]; kind == typeOfZero[fallback] && kind != "" || name == "session.metadata[]" && fallback == `""` {
		f.Suggestion = logic.SpellPath(append([]string{"session"}, names...))
	}
	return f
}

// typeOfZero is the type of the reference of which a constant is the missing value.
var typeOfZero = map[string]string{`""`: "string", "0": "int", "false": "bool"}
