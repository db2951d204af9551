package rules

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"checkout-notifier/rules/check"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// rewrite replaces everything in a checked expression that can run away by a
// call that pays from the budget first. Nodes keep their place and type: the
// tree is not checked again.
func rewrite(root *ast.Node) {
	r := rewriter{done: map[ast.Node]ast.Node{}}
	r.rewrite(root, false)
}

// rewriter remembers what it has done because `a < b < c` has b twice.
type rewriter struct{ done map[ast.Node]ast.Node }

func (r rewriter) rewrite(place *ast.Node, looped bool) {
	before := *place
	if after, ok := r.done[before]; ok {
		*place = after
		return
	}
	node := expandRange(before)
	predicate, isPredicate := node.(*ast.PredicateNode)
	weight := 0
	if isPredicate {
		weight = 1 + size(predicate.Node)/nodesPerStep
	}
	for _, child := range logic.Children(node) {
		r.rewrite(child, looped || isPredicate)
	}
	if isPredicate {
		predicate.Node = counted(predicate.Node, weight)
	}
	*place = replaceNode(node, looped)
	r.done[before] = *place
}

// size counts the nodes of a predicate's body without those of predicates
// inside, which are counted on their own.
func size(n ast.Node) int {
	if _, ok := n.(*ast.PredicateNode); ok {
		return 0
	}
	nodes := 1
	for _, child := range logic.Children(n) {
		nodes += size(*child)
	}
	return nodes
}

func counted(body ast.Node, weight int) ast.Node {
	count := callNode(body, "tick", integerNode(weight))
	sequence := &ast.SequenceNode{Nodes: []ast.Node{count, body}}
	sequence.SetLocation(body.Location())
	sequence.SetNature(*body.Nature())
	return sequence
}

func integerNode(n int) ast.Node {
	node := &ast.IntegerNode{Value: n}
	node.SetType(reflect.TypeFor[int]())
	return node
}

// callNode is a call of a bound function in the place and of the type of a node.
func callNode(of ast.Node, name string, args ...ast.Node) ast.Node {
	call := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: check.Reserved + name},
		Arguments: append([]ast.Node{&ast.IdentifierNode{Value: stateName}}, args...),
	}
	call.SetLocation(of.Location())
	call.SetNature(*of.Nature())
	return call
}

func constantNode(of ast.Node, value any) ast.Node {
	node := &ast.ConstantNode{Value: value}
	node.SetLocation(of.Location())
	node.SetNature(*of.Nature())
	return node
}

// expandRange makes two comparisons of `x in a..b`: amounts are in ranges that
// nobody wants to see written out.
func expandRange(n ast.Node) ast.Node {
	in, ok := n.(*ast.BinaryNode)
	if !ok || in.Operator != "in" || !in.Left.Nature().IsInteger {
		return n
	}
	if bounds, ok := in.Right.(*ast.BinaryNode); ok && bounds.Operator == ".." {
		return callNode(n, "within", in.Left, bounds.Left, bounds.Right)
	}
	return n
}

// replaceNode works on a node whose children are done. Looped says that it is
// evaluated more than once.
func replaceNode(n ast.Node, looped bool) ast.Node {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return replaceBinary(n, looped)
	case *ast.BuiltinNode:
		return replaceBuiltin(n)
	case *ast.CallNode:
		return replaceCall(n)
	case *ast.MemberNode:
		if !literal(n.Property) && !scalar(n.Property) {
			n.Property = callNode(n.Property, "look", n.Property)
		}
	case *ast.PairNode:
		if !literal(n.Key) {
			n.Key = callNode(n.Key, "look", n.Key)
		}
	}
	return n
}

func replaceBinary(n *ast.BinaryNode, looped bool) ast.Node {
	cheap := literal(n.Left) || literal(n.Right) || scalar(n.Left) || scalar(n.Right) ||
		!looped && bounded(n.Left) && bounded(n.Right)
	switch n.Operator {
	case "+":
		if !scalar(n.Left) && !scalar(n.Right) {
			return callNode(n, "add", n.Left, n.Right)
		}
	case "..":
		return callNode(n, "range", n.Left, n.Right)
	case "==":
		if !cheap {
			return callNode(n, "equal", n.Left, n.Right)
		}
	case "!=":
		if !cheap {
			not := &ast.UnaryNode{Operator: "not", Node: callNode(n, "equal", n.Left, n.Right)}
			not.SetLocation(n.Location())
			not.SetNature(*n.Nature())
			return not
		}
	case "<", "<=", ">", ">=", "startsWith", "endsWith":
		if !cheap {
			n.Right = callNode(n.Right, "look", n.Right)
		}
	case "in":
		return replaceIn(n, looped)
	case "contains":
		if looped || !bounded(n.Left) || !literal(n.Right) {
			return callNode(n, "contains", n.Left, n.Right)
		}
	case "??":
		return replaceDefault(n)
	case "matches":
		p := compilePattern(n.Right.(*ast.StringNode).Value)
		return callNode(n, "matches", constantNode(n.Right, p), n.Left)
	}
	return n
}

// replaceDefault makes `text ?? other` take the other for a text that is missing:
// a text of the env is then empty and never nil. In `a ?? b ?? c` it goes on to c.
func replaceDefault(n *ast.BinaryNode) ast.Node {
	if first, ok := n.Left.(*ast.ConditionalNode); ok && isDefault(first) {
		n.Left = first.Exp2
		first.Exp2 = replaceDefault(n)
		return first
	}
	if path := logic.PathOf(n.Left); len(path) < 2 && !isEntry(n.Left) || !n.Left.Nature().IsString() {
		return n
	}
	choice := &ast.ConditionalNode{Cond: callNode(n, filledName, n.Left), Exp1: n.Left, Exp2: n.Right}
	choice.SetLocation(n.Location())
	choice.SetNature(*n.Nature())
	return choice
}

// isDefault says whether replaceDefault made a node.
func isDefault(n *ast.ConditionalNode) bool {
	call, ok := n.Cond.(*ast.CallNode)
	if !ok {
		return false
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	return ok && callee.Value == check.Reserved+filledName
}

// isEntry says whether a node is the text under a key, whatever that is.
func isEntry(n ast.Node) bool {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	member, ok := n.(*ast.MemberNode)
	return ok && member.Node.Nature().Kind == reflect.Map
}

// replaceIn writes lists of constants once instead of at every evaluation, and
// texts among texts as a set.
func replaceIn(n *ast.BinaryNode, looped bool) ast.Node {
	array, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		if !looped && bounded(n.Right) && (bounded(n.Left) || literal(n.Left)) {
			return n
		}
		return callNode(n, "in", n.Left, n.Right)
	}
	texts, values := map[string]struct{}{}, []any{}
	for _, element := range array.Nodes {
		switch element := element.(type) {
		case *ast.StringNode:
			texts[element.Value] = struct{}{}
			values = append(values, element.Value)
		case *ast.IntegerNode:
			values = append(values, element.Value)
		case *ast.FloatNode:
			values = append(values, element.Value)
		case *ast.BoolNode:
			values = append(values, element.Value)
		default:
			return callNode(n, "in", n.Left, n.Right)
		}
	}
	if !literal(n.Left) && !scalar(n.Left) && (looped || !bounded(n.Left)) {
		n.Left = callNode(n.Left, "look", n.Left)
	}
	if len(texts) > 0 && len(texts) <= len(values) && n.Left.Nature().IsString() && !slices.ContainsFunc(values, notText) {
		n.Right = constantNode(n.Right, texts)
	} else {
		n.Right = constantNode(n.Right, values)
	}
	return n
}

func notText(v any) bool {
	_, ok := v.(string)
	return !ok
}

func replaceBuiltin(n *ast.BuiltinNode) ast.Node {
	switch n.Name {
	case "count", "sum":
		if len(n.Arguments) == 1 {
			n.Arguments[0] = callNode(n.Arguments[0], "each", n.Arguments[0])
		}
		return n
	case "sortBy", "groupBy":
		predicate := n.Arguments[1].(*ast.PredicateNode)
		predicate.Node = callNode(predicate.Node, "look", predicate.Node)
		return n
	case "timezone":
		if zone, err := schema.LoadZone(n.Arguments[0].(*ast.StringNode).Value); err == nil {
			return constantNode(n, zone)
		}
		return n
	case "date":
		if len(n.Arguments) != 3 {
			break
		}
		if name, ok := n.Arguments[2].(*ast.StringNode); ok {
			if zone, err := schema.LoadZone(name.Value); err == nil {
				return callNode(n, "date", &ast.ConstantNode{Value: zone}, n.Arguments[0], n.Arguments[1])
			}
		}
	}
	if _, ok := guarded[n.Name]; !ok {
		return n
	}
	args := n.Arguments
	if n.Name == "int" || n.Name == "float" { // which name what they fail on
		args = append(slices.Clone(args), constantNode(n, logic.Spell(args[0])))
	}
	return callNode(n, n.Name, args...)
}

// replaceCall gives the environment's functions their arguments as they are
// needed: paths split, durations read.
func replaceCall(n *ast.CallNode) ast.Node {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return n
	}
	switch callee.Value {
	case "now":
		return callNode(n, "now")
	case "duration":
		d, _ := schema.ParseDuration(n.Arguments[0].(*ast.StringNode).Value) // refuse has read it
		return constantNode(n, d)
	case "has", "changed", "raw":
		path := strings.Split(n.Arguments[0].(*ast.StringNode).Value, ".")
		args := append([]ast.Node{constantNode(n.Arguments[0], path)}, n.Arguments[1:]...)
		return callNode(n, callee.Value, args...)
	}
	return n
}

// literal says that a value is as large as its text in the rule.
func literal(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode, *ast.ConstantNode:
		return true
	case *ast.UnaryNode:
		return literal(n.Node)
	}
	return false
}

// scalar says that a value has a fixed size whatever it is. It trusts the types
// of the env and of operators that accept nothing else, not those of lists and
// variables: expr takes the type of a list from its last element, and that of
// `and` from either side.
func scalar(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode:
		return true
	case *ast.ConstantNode:
		return scalarType(n)
	case *ast.PointerNode:
		return n.Name == "index"
	case *ast.UnaryNode:
		return n.Operator != "+" || scalar(n.Node)
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "??", "..":
			return false
		case "and", "&&", "or", "||":
			return scalar(n.Left) && scalar(n.Right)
		}
		return true
	case *ast.MemberNode:
		return bounded(n) && scalarType(n)
	case *ast.BuiltinNode:
		return slices.Contains(scalarBuiltins, n.Name)
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return !ok && scalarType(n) || ok && slices.Contains(scalarCalls, callee.Value)
	}
	return false
}

var (
	scalarBuiltins = []string{"abs", "ceil", "floor", "round", "count", "sum", "findIndex", "findLastIndex"}
	scalarCalls    = []string{check.Reserved + "len", check.Reserved + "int", check.Reserved + "float", check.Reserved + "mean", check.Reserved + "median",
		check.Reserved + "indexOf", check.Reserved + "lastIndexOf", check.Reserved + "date", check.Reserved + "now", check.Reserved + "within",
		check.Reserved + "has", check.Reserved + "changed", check.Reserved + "equal", check.Reserved + "in", check.Reserved + "contains", check.Reserved + "matches"}
)

func scalarType(n ast.Node) bool {
	t := n.Nature()
	return t.IsNumber() || t.IsBool() || t.IsTime() || t.Type == reflect.TypeFor[time.Duration]()
}

// bounded says that a value is part of the event, and no larger than it.
func bounded(n ast.Node) bool {
	path := logic.PathOf(n)
	return len(path) > 1 && slices.Contains([]string{"session", "previous", "event"}, path[0])
}
