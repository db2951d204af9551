// Package slips finds in the text of a template what is probably not meant, although the
// template can be rendered: it looks at nothing but the text.
package slips

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"time"
)

// Slip is what is probably not meant.
type Slip struct {
	At   int // in the template, in bytes
	Text string
}

// Find looks for slips in a template. One that cannot be parsed has none.
func Find(text string) (found []Slip) {
	trees := make(map[string]*parse.Tree)
	tree := parse.New("")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "", "", trees); err != nil {
		return nil
	}
	for _, t := range trees {
		if t.Root != nil {
			walk(t.Root, func(p *parse.PipeNode) { found = append(found, ofPipe(p)...) })
		}
	}
	slices.SortFunc(found, func(a, b Slip) int { return a.At - b.At })
	return found
}

// walk visits the pipelines below a node.
func walk(n parse.Node, visit func(*parse.PipeNode)) {
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, visit)
		walk(b.List, visit)
		if b.ElseList != nil {
			walk(b.ElseList, visit)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, node := range n.Nodes {
			walk(node, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, visit)
		}
	case *parse.PipeNode:
		visit(n)
		for _, cmd := range n.Cmds {
			for _, arg := range cmd.Args {
				walk(arg, visit)
			}
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	}
}

// ofPipe finds the slips in the calls of one pipeline.
func ofPipe(p *parse.PipeNode) (found []Slip) {
	for i, cmd := range p.Cmds {
		name, ok := cmd.Args[0].(*parse.IdentifierNode)
		if !ok {
			continue
		}
		args := cmd.Args[1:]
		if i > 0 { // what is piped comes last; the result of a call is nothing that is seen here
			piped := parse.Node(p.Cmds[i-1])
			if len(p.Cmds[i-1].Args) == 1 {
				piped = p.Cmds[i-1].Args[0]
			}
			args = append(slices.Clone(args), piped)
		}
		for _, of := range []func(function string, args []parse.Node) (Slip, bool){ofLayout, ofDefault, ofAmount} {
			if slip, bad := of(name.Ident, args); bad {
				found = append(found, slip)
			}
		}
	}
	return found
}

// foreign are the parts of layouts that other languages have.
var foreign = regexp.MustCompile(`[Yy]{4}|DD|MM|HH|%[YmdHMS]`)

// ofLayout finds a layout of a time that is none of Go's: it shows nothing of a time, or
// has parts of another language.
func ofLayout(function string, args []parse.Node) (Slip, bool) {
	if function != "time" || len(args) < 2 {
		return Slip{}, false
	}
	layout, ok := args[0].(*parse.StringNode)
	if !ok {
		return Slip{}, false
	}
	one, other := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2010, 11, 12, 13, 14, 15, 0, time.UTC)
	return Slip{int(layout.Pos), fmt.Sprintf("the layout %q does not say what it seems to: Go writes layouts as 2006-01-02 15:04:05", layout.Text)},
		one.Format(layout.Text) == other.Format(layout.Text) || foreign.MatchString(layout.Text)
}

// ofDefault finds a call of default whose two values are in the wrong order: the one that
// is looked at is a constant.
func ofDefault(function string, args []parse.Node) (Slip, bool) {
	const both = 2
	if function != "default" || len(args) != both || isConstant(args[0]) || !isConstant(args[1]) || isEmpty(args[1]) {
		return Slip{}, false
	}
	return Slip{int(args[1].Position()), fmt.Sprintf("this is %[1]s always: `default` takes the alternative first, as in `default %[1]s %[2]s`", args[1], operand(args[0]))}, true
}

// operand writes an argument of a call.
func operand(n parse.Node) string {
	if _, call := n.(*parse.PipeNode); call {
		return "(" + n.String() + ")"
	}
	return n.String()
}

func isConstant(n parse.Node) bool {
	switch n.(type) {
	case *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return true
	}
	return false
}

func isEmpty(n parse.Node) bool {
	text, ok := n.(*parse.StringNode)
	return ok && text.Text == ""
}

// ofAmount finds an amount that is compared with a number of the currency's main unit.
func ofAmount(function string, args []parse.Node) (Slip, bool) {
	if !slices.Contains([]string{"eq", "ne", "lt", "le", "gt", "ge"}, function) || !slices.ContainsFunc(args, isAmount) {
		return Slip{}, false
	}
	for _, arg := range args {
		number, ok := arg.(*parse.NumberNode)
		if !ok || !strings.Contains(number.Text, ".") || number.Float64 == 0 {
			continue
		}
		const hundredths = 100
		text := "an amount is a whole number of the smallest unit"
		if cents := number.Float64 * hundredths; cents == float64(int64(cents)) {
			text += fmt.Sprintf(": %s USD are %d", number.Text, int64(cents))
		}
		return Slip{int(number.Pos), text}, true
	}
	return Slip{}, false
}

// isAmount says whether a value is an amount of a session or of one of its items.
func isAmount(n parse.Node) bool {
	var names []string
	switch n := n.(type) {
	case *parse.FieldNode:
		names = n.Ident
	case *parse.VariableNode:
		names = n.Ident[1:]
	case *parse.ChainNode:
		names = n.Field
	}
	return len(names) > 0 && !slices.Contains(names, "metadata") && slices.Contains(strings.Split(names[len(names)-1], "_"), "amount")
}

// action are those that open something, and the one that closes it.
var action = regexp.MustCompile(`\{\{-?\s*(if|range|with|define|block|end)\b`)

// Unclosed is the action to which an end is missing in a template that ended too early:
// where it stands, and its name; "" if there is none.
func Unclosed(text string) (at int, name string) {
	type opened struct {
		at   int
		name string
	}
	var open []opened
	for _, m := range action.FindAllStringSubmatchIndex(text, -1) {
		switch word := text[m[2]:m[3]]; {
		case word != "end":
			open = append(open, opened{m[0], word})
		case len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0, ""
	}
	last := open[len(open)-1]
	return last.at, last.name
}
