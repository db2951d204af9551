package check

import (
	"fmt"
	"reflect"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// ofNumbers are the built-ins that fail on texts, by what they do.
var ofNumbers = map[string]string{"sum": "adds", "mean": "adds", "median": "compares", "max": "compares", "min": "compares"}

// asNumbers says whether a list of texts is made or summed up, and writes the same with a
// number made of each, "" where that cannot be said.
func asNumbers(n ast.Node) (written string, texts bool) {
	b, ok := n.(*ast.BuiltinNode)
	if !ok || len(b.Arguments) == 0 {
		return "", false
	}
	if inner, ok := b.Arguments[0].(*ast.BuiltinNode); ok && inner.Name == "map" && len(b.Arguments) == 1 && ofNumbers[b.Name] != "" {
		if written, texts = asNumbers(inner); written != "" {
			written = fmt.Sprintf("%s(%s)", b.Name, written)
		}
		return written, texts
	}
	each, ok := b.Arguments[len(b.Arguments)-1].(*ast.PredicateNode)
	if !ok || b.Name != "sum" && b.Name != "map" || !each.Node.Nature().IsString() {
		return "", false
	}
	list, element := logic.Spell(b.Arguments[0]), logic.Spell(each.Node)
	if list == "" || element == "" {
		return "", true
	}
	return fmt.Sprintf("%s(%s, int(%s))", b.Name, list, orZero(each.Node, element)), true
}

// lintSum warns of a sum of texts, and the like.
func lintSum(n *ast.BuiltinNode) []Fault {
	written, texts := asNumbers(n)
	if !texts || ofNumbers[n.Name] == "" {
		return nil
	}
	return []Fault{{At: n.Location().From, Code: CodeMisleading, Suggestion: written,
		Message: fmt.Sprintf("%s %s numbers, and these are texts, so that the rule fails on each session that has one: a number is made of each by int(…)", n.Name, ofNumbers[n.Name])}}
}

// ofInt says what int or float is called with where that is an element or a list.
func ofInt(n *ast.BuiltinNode) string {
	if n.Name != "int" && n.Name != "float" || len(n.Arguments) != 1 {
		return ""
	}
	if n.Arguments[0].Type() == reflect.PointerTo(schema.LineItemType) {
		return fmt.Sprintf("; a member of it begins with a dot, as in %s(.quantity)", n.Name)
	}
	if written, _ := asNumbers(n.Arguments[0]); written != "" {
		return "; each element is made a number, as in " + written
	}
	return ""
}
