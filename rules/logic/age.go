package logic

import (
	"time"

	"github.com/expr-lang/expr/ast"
)

// Age is a condition that a session meets only when time has passed.
type Age struct {
	Since time.Duration // that has passed since it was created, or since it expired
	At    int           // in the text, in runes; -1: there is no such condition
	Ended bool          // it is about expires_at
}

// AgeOf reads which age of a session a condition demands.
func AgeOf(n ast.Node) Age {
	for _, part := range operands(n, "&&", "and") {
		b, operator := comparison(part)
		if b == nil {
			continue
		}
		left, ok := linear(b.Left)
		right, also := linear(b.Right)
		rest := left.plus(right, -1) // which is at least 0
		switch operator {
		case "<", "<=":
			rest = right.plus(left, -1)
		case ">", ">=":
		default:
			continue
		}
		started, ended := rest.created == -rest.now && rest.expires == 0, rest.expires == -rest.now && rest.created == 0
		if ok && also && rest.now > 0 && (started || ended) {
			return Age{Since: time.Duration(-rest.rest / rest.now), At: leftmost(b).Location().From, Ended: ended}
		}
	}
	return Age{At: -1}
}

// comparison is what a condition compares, and by which operator if it is denied as well.
func comparison(n ast.Node) (b *ast.BinaryNode, operator string) {
	isDenied := false
	for not, ok := n.(*ast.UnaryNode); ok && (not.Operator == "!" || not.Operator == "not"); not, ok = n.(*ast.UnaryNode) {
		n, isDenied = not.Node, !isDenied
	}
	b, ok := n.(*ast.BinaryNode)
	switch {
	case !ok:
		return nil, ""
	case isDenied:
		return b, denied[b.Operator]
	}
	return b, b.Operator
}

// leftmost is the node with which the text of another begins.
func leftmost(n ast.Node) ast.Node {
	for {
		switch inner := n.(type) {
		case *ast.BinaryNode:
			n = inner.Left
		case *ast.MemberNode:
			n = inner.Node
		case *ast.CallNode:
			n = inner.Callee
		default:
			return n
		}
	}
}

// sum is a value made of times and spans: how often each is in it, and nanoseconds.
type sum struct{ now, created, expires, rest float64 }

// plus adds some times another.
func (s sum) plus(other sum, times float64) sum {
	return sum{s.now + times*other.now, s.created + times*other.created, s.expires + times*other.expires, s.rest + times*other.rest}
}

// scaled are the methods of a time or a span that make a number of it: how much one
// nanosecond is.
var scaled = map[string]float64{
	"Hours": 1 / float64(time.Hour), "Minutes": 1 / float64(time.Minute), "Seconds": 1 / float64(time.Second), "Unix": 1 / float64(time.Second),
	"Milliseconds": 1 / float64(time.Millisecond), "UnixMilli": 1 / float64(time.Millisecond), "UTC": 1,
}

// linear reads a value made of the time of the look, the times of a session and constants.
func linear(n ast.Node) (s sum, ok bool) {
	if list, constant := constantsOf(n); constant {
		number, ok := first(list).(float64)
		return sum{rest: number}, ok
	}
	switch n := n.(type) {
	case *ast.MemberNode:
		s, ok = namedTimes[said(valuePath(n))]
		return s, ok
	case *ast.BinaryNode:
		left, ok := linear(n.Left)
		right, also := linear(n.Right)
		constant := right == sum{rest: right.rest}
		switch {
		case !ok || !also:
			return s, false
		case n.Operator == "+":
			return left.plus(right, 1), true
		case n.Operator == "-":
			return left.plus(right, -1), true
		case n.Operator == "/":
			return s.plus(left, 1/right.rest), constant && right.rest != 0
		case n.Operator == "*" && constant:
			return s.plus(left, right.rest), true
		case n.Operator == "*":
			return s.plus(right, left.rest), left == sum{rest: left.rest}
		}
	case *ast.CallNode:
		return linearCall(n)
	}
	return s, false
}

var namedTimes = map[string]sum{"event.time": {now: 1}, "session.created": {created: 1}, "session.expires_at": {expires: 1}}

// linearCall is linear for what is called.
func linearCall(n *ast.CallNode) (s sum, ok bool) {
	member, isMethod := n.Callee.(*ast.MemberNode)
	if !isMethod {
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return sum{now: 1}, ok && callee.Value == "now"
	}
	method, ok := member.Property.(*ast.StringNode)
	value, also := linear(member.Node)
	switch {
	case !ok || !also:
		return s, false
	case len(n.Arguments) == 0:
		return s.plus(value, scaled[method.Value]), scaled[method.Value] > 0
	case len(n.Arguments) != 1 || method.Value != "Add" && method.Value != "Sub":
		return s, false
	}
	other, ok := linear(n.Arguments[0])
	if method.Value == "Add" {
		return value.plus(other, 1), ok
	}
	return value.plus(other, -1), ok
}
