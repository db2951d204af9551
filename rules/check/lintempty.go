package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

// neverEmptyTexts are those that each event, and each session, has.
var neverEmptyTexts = []string{"event.id", "event.type", "event.account", "session.id", "session.status", "session.payment_status"}

// lintEmptyParts warns of a constant that is asked for the text of a field as a part, as in
// "DE,AT" contains session.shipping.address.country: where the field is empty it holds.
// Where the condition asks for the field elsewhere, it may leave that out.
func (c *Checker) lintEmptyParts(root ast.Node) (faults []Fault) {
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryNode); ok {
			if f, bad := emptyPart(b); bad && !c.system && !asksElsewhere(root, b) {
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

func emptyPart(b *ast.BinaryNode) (f Fault, bad bool) {
	constant, ok := b.Left.(*ast.StringNode)
	field, _ := folded(b.Right)
	name := logic.Spell(field)
	if !ok || constant.Value == "" || name == "" || !field.Nature().IsString() || slices.Contains(neverEmptyTexts, name) ||
		!slices.Contains([]string{"contains", "startsWith", "endsWith"}, b.Operator) {
		return f, false
	}
	text := name
	if call, ok := b.Right.(*ast.BuiltinNode); ok {
		text = call.Name + "(" + name + ")"
	}
	f = Fault{At: constant.Location().From, Code: CodeMisleading, Warning: true,
		Message: fmt.Sprintf("this is true where %s is empty, for every text has an empty one in it", name)}
	kept := strconv.Quote(constant.Value)
	if strings.ContainsAny(constant.Value, "@:") {
		kept = `"…"` // it may be an address, see isPersonal
	}
	f.Suggestion = fmt.Sprintf("%s %s %s", text, b.Operator, kept)
	schemaField, _, _ := fieldOf(field)
	kind := schemaField.Tag.Get("kind")
	oneWord := kind != "" || schemaField.Tag.Get("words") != ""
	words := strings.FieldsFunc(constant.Value, func(r rune) bool { return strings.ContainsRune(",;|", r) || r == ' ' && oneWord })
	if b.Operator != "contains" || len(words) < 2 || kept == `"…"` {
		return f, true
	}
	for i, word := range words {
		if word = strings.TrimSpace(word); text == name && (kind == "currency" || kind == "country") {
			word = strings.ToUpper(word)
		}
		words[i] = strconv.Quote(word)
	}
	f.Suggestion = fmt.Sprintf("%s in [%s]", text, strings.Join(words, ", "))
	return f, true
}

// asksElsewhere says whether a condition asks for the field on the right of a part of it
// in another part.
func asksElsewhere(root ast.Node, part *ast.BinaryNode) bool {
	field, _ := folded(part.Right)
	asked := make(map[string]bool)
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if n == ast.Node(part) {
			return
		}
		mention(n, asked)
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	path := logic.PathOf(field)
	return asked[strings.Join(path, ".")] || asked[strings.Join(path[1:], ".")]
}
