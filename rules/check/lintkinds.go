package check

import (
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

// partial are the operators that ask for a part of a text.
var partial = []string{"contains", "startsWith", "endsWith", "matches"}

// lintKinds warns of a member of the data of the program's own events that is compared
// with a constant of another kind, and says how the comparison is written.
func (c *Checker) lintKinds(b *ast.BinaryNode, value, other ast.Node) []Fault {
	path := callPath(value, "raw")
	member, _, inside := strings.Cut(path, ".")
	kind, elements := dataKinds()[member], []ast.Node{other}
	if inside {
		kind = aText // of the list of rules
	}
	array, several := other.(*ast.ArrayNode)
	part := slices.Contains(partial, b.Operator)
	switch {
	case kind == "" || part && (kind == aText || value != b.Left) || b.Operator == "in" && !several:
		return nil
	case b.Operator == "in":
		elements = array.Nodes
	case !part && logic.Mirrored(b.Operator) == "":
		return nil // it compares nothing
	}
	for _, element := range elements {
		found := typeWord(element)
		if found == "" || found == kind && !part || element.String() == logic.DefaultOf(value) {
			continue
		}
		c.mistyped[b] = true
		return []Fault{{At: element.Location().From, Code: CodeNeverMatches, Suggestion: logic.Retyped(b, value, elements, kind),
			Message: fmt.Sprintf("raw(%q) is %s, never %s", path, kind, found)}}
	}
	return nil
}
