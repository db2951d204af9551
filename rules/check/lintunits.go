package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// unit is what a number counts that says when something is: both since 1970.
type unit int

const (
	noUnit unit = iota
	seconds
	milliseconds
)

// unitOf is the unit of a number, noUnit where it cannot be told. A constant is taken
// for a time by its size.
func unitOf(n ast.Node) unit {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return unitOfNumber(float64(n.Value))
	case *ast.FloatNode:
		return unitOfNumber(n.Value)
	case *ast.CallNode:
		return unitOfTime(n)
	case *ast.BuiltinNode:
		if slices.Contains([]string{"int", "float", "floor", "ceil", "round"}, n.Name) && len(n.Arguments) == 1 {
			return unitOf(n.Arguments[0])
		}
	case *ast.BinaryNode:
		return unitOfResult(n.Operator, unitOf(n.Left), unitOf(n.Right), n.Right)
	}
	return noUnit
}

// unitOfTime is the unit in which a call reads a time.
func unitOfTime(n ast.Node) unit {
	if schema.TypesOfFields()["session."+callPath(n, "raw")] == "time" {
		return seconds // as events have them, whatever the API sends
	}
	return methodUnits[methodOfTime(n)]
}

func unitOfNumber(number float64) unit {
	switch {
	case number >= firstMillisecond:
		return milliseconds
	case number >= firstSecond:
		return seconds
	}
	return noUnit
}

// unitOfResult is the unit of what an operator makes of two numbers.
func unitOfResult(operator string, left, right unit, by ast.Node) unit {
	thousand, _ := by.(*ast.IntegerNode)
	switch {
	case operator == "+" && left != noUnit, operator == "-" && right == noUnit: // a span is added or taken away
		return left
	case operator == "+":
		return right
	case thousand == nil || thousand.Value != 1000:
	case operator == "*" && left == seconds:
		return milliseconds
	case operator == "/" && left == milliseconds:
		return seconds
	}
	return noUnit
}

var methodUnits = map[string]unit{"Unix": seconds, "UnixMilli": milliseconds}

// methodOfTime is the method of a time that a node calls, "" for other nodes.
func methodOfTime(n ast.Node) string {
	method, _, of := methodCall(n)
	if of != timeType {
		return ""
	}
	return method
}

// readsTime says whether a number is made of the seconds or milliseconds of a time.
func readsTime(n ast.Node) bool {
	return unitOfTime(n) != noUnit || slices.ContainsFunc(logic.Children(n), func(child *ast.Node) bool { return readsTime(*child) })
}

// lintUnits warns of seconds and milliseconds that are compared with each other, or
// taken from each other.
func lintUnits(n *ast.BinaryNode) []Fault {
	left, other := unitOf(n.Left), n.Right
	switch list := n.Right.(type) {
	case *ast.ArrayNode:
		if len(list.Nodes) > 0 {
			other = list.Nodes[0]
		}
	case *ast.BinaryNode:
		if list.Operator == ".." {
			other = list.Left
		}
	}
	right := unitOf(other)
	if left == right || left == noUnit || right == noUnit || !readsTime(n) {
		return nil
	}
	f := Fault{At: n.Location().From, Code: CodeMisleading, Suggestion: sameUnit(n.Left, other, right)}
	switch n.Operator {
	case "-":
		f.Message = "seconds and milliseconds are taken from each other: the span between two times is their difference, as in now() - session.created"
		return []Fault{f}
	case "==", "in":
		f.Code = CodeNeverMatches
	case "!=":
	case "<", "<=", ">", ">=":
		if (n.Operator[0] == '>') != (left == milliseconds) {
			f.Code = CodeNeverMatches
		}
	default:
		return nil
	}
	always := map[bool]string{true: "at no time", false: "at all times"}[f.Code == CodeNeverMatches]
	f.Message = "seconds are compared with milliseconds, so that this holds " + always + ": .Unix() is a time in seconds, .UnixMilli() in milliseconds"
	return []Fault{f}
}

// sameUnit is how one of two numbers is read in the unit of the other, "" where more
// than that is to be changed.
func sameUnit(left, right ast.Node, ofRight unit) string {
	if ofRight == milliseconds {
		left, right = right, left
	}
	for _, way := range []struct {
		number ast.Node
		method string
	}{{left, "Unix"}, {right, "UnixMilli"}} {
		_, call, _ := methodCall(way.number)
		if methodUnits[methodOfTime(way.number)] == noUnit {
			continue
		}
		if name := timeName(call.Callee.(*ast.MemberNode).Node); name != "" {
			return name + "." + way.method + "()"
		}
	}
	return ""
}

// decimal is a whole number as it is written, with the zeros that it begins with.
var decimal = regexp.MustCompile(`^[0-9_]+$`)

// written is a constant number with the leading zeros that it is written with.
func (c *Checker) written(number ast.Node) string {
	at := number.Location()
	if text := string(c.text[at.From:at.To]); decimal.MatchString(text) {
		return strings.ReplaceAll(text, "_", "")
	}
	return number.String()
}

// lintZeros warns of a number that is written with leading zeros and compared with what
// is no number: it is probably meant as a text.
func (c *Checker) lintZeros(value, other ast.Node) (faults []Fault) {
	elements := []ast.Node{other}
	if array, ok := other.(*ast.ArrayNode); ok {
		elements = array.Nodes
	}
	for _, element := range elements {
		number, ok := element.(*ast.IntegerNode)
		if !ok || typeWord(value) != "" || c.written(number) == strconv.Itoa(number.Value) {
			continue
		}
		faults = append(faults, Fault{At: number.Location().From, Code: CodeMisleading, Suggestion: strconv.Quote(c.written(number)),
			Message: fmt.Sprintf("a number has no leading zeros, and this is %d: a text stands in quotes", number.Value)})
	}
	return faults
}
