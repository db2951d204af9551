package publish

import (
	"slices"
	"strconv"
	"text/template"
	"text/template/parse"
)

// rewriter prepares a parsed template in place:
//
//   - .A.B becomes a call of _get, or of _opt where `default` receives it, so
//     that null members are null, missing ones are errors, and `default` still
//     gets its say;
//   - loops and named templates begin with a call of _step, so that no template
//     runs for ever;
//   - what is inserted goes through the function last;
//   - a function that does not exist becomes one that gives null.
//
// On its way it notes what the template needs.
type rewriter struct {
	last  string
	needs needs
	texts []*parse.TextNode
	forks bool // what it does depends on values

	functions template.FuncMap
	unknown   []*parse.IdentifierNode
}

// builtins are the functions of text/template that are not replaced by ours.
var builtins = []string{"and", "or", "not", "call"}

// needs is what a template may read of its data.
type needs struct {
	words map[string]bool // every name that it uses
	whole bool            // it hands the data on as a whole, to a function or a variable
}

func (n needs) name(word string) bool { return n.whole || n.words[word] }

func (r *rewriter) root(list *parse.ListNode) {
	r.list(list)
	countSteps(list)
}

func (r *rewriter) list(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			r.texts = append(r.texts, n)
		case *parse.ActionNode:
			r.pipe(n.Pipe)
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, r.last))
			}
		case *parse.IfNode:
			r.branch(&n.BranchNode)
		case *parse.WithNode:
			r.branch(&n.BranchNode)
		case *parse.RangeNode:
			r.branch(&n.BranchNode)
			countSteps(n.List)
		case *parse.TemplateNode:
			if !isRoot(n.Pipe) { // what the other template reads has been or will be noted
				r.pipe(n.Pipe)
			}
		}
	}
}

func (r *rewriter) branch(b *parse.BranchNode) {
	r.forks = true
	r.pipe(b.Pipe)
	r.list(b.List)
	r.list(b.ElseList)
}

func (r *rewriter) pipe(p *parse.PipeNode) {
	if p == nil {
		return
	}
	for i, cmd := range p.Cmds {
		get := "_get"
		alone := len(cmd.Args) == 1 && i+1 < len(p.Cmds) && isDefault(p.Cmds[i+1])
		if isDefault(cmd) || alone {
			get = "_opt"
		}
		for j, arg := range cmd.Args {
			cmd.Args[j] = r.arg(arg, get)
		}
	}
}

// isRoot says whether a pipe is . or $ and nothing else.
func isRoot(p *parse.PipeNode) bool {
	if p == nil || len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	switch n := p.Cmds[0].Args[0].(type) {
	case *parse.DotNode:
		return true
	case *parse.VariableNode:
		return len(n.Ident) == 1 && n.Ident[0] == "$"
	}
	return false
}

func isDefault(cmd *parse.CommandNode) bool {
	identifier, ok := cmd.Args[0].(*parse.IdentifierNode)
	return ok && identifier.Ident == "default"
}

func (r *rewriter) arg(arg parse.Node, get string) parse.Node {
	switch n := arg.(type) {
	case *parse.PipeNode:
		r.pipe(n)
	case *parse.FieldNode:
		pos := n.Pos
		if len(n.Ident) > 1 { // the parser gives the place of the second name
			pos -= parse.Pos(len(n.Ident[0]) + 1)
		}
		dot := &parse.DotNode{NodeType: parse.NodeDot, Pos: pos}
		return r.lookup(pos, get, dot, n.Ident)
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			base := &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}
			return r.lookup(n.Pos, get, base, n.Ident[1:])
		}
		r.needs.whole = r.needs.whole || n.Ident[0] == "$"
	case *parse.DotNode:
		r.needs.whole = true
	case *parse.IdentifierNode:
		if r.functions[n.Ident] == nil && !slices.Contains(builtins, n.Ident) {
			r.unknown = append(r.unknown, n)
			return parse.NewIdentifier("_null").SetPos(n.Pos)
		}
	case *parse.ChainNode:
		return r.lookup(n.Pos, get, r.arg(n.Node, get), n.Field)
	}
	return arg
}

func (r *rewriter) lookup(pos parse.Pos, get string, base parse.Node, path []string) parse.Node {
	args := []parse.Node{&parse.NumberNode{NodeType: parse.NodeNumber, Pos: pos, IsInt: true, Int64: int64(pos), Text: strconv.Itoa(int(pos))}, base}
	for _, name := range path {
		r.needs.words[name] = true
		args = append(args, &parse.StringNode{NodeType: parse.NodeString, Pos: pos, Quoted: strconv.Quote(name), Text: name})
	}
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{call(pos, get, args...)}}
}

func countSteps(list *parse.ListNode) {
	step := &parse.ActionNode{NodeType: parse.NodeAction, Pos: list.Pos, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: list.Pos, Cmds: []*parse.CommandNode{call(list.Pos, "_step")},
	}}
	list.Nodes = append([]parse.Node{step}, list.Nodes...)
}

func call(pos parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	function := parse.NewIdentifier(name).SetPos(pos)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: append([]parse.Node{function}, args...)}
}
