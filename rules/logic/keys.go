package logic

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// metadata begins the paths of the keys of a session's metadata.
const metadata = "session" + Separator + "metadata" + Separator

// KeysOf lists the keys of a session's metadata without which a condition never holds.
func KeysOf(n ast.Node) (keys []string) {
	for _, part := range operands(n, "&&", "and") {
		if key, ok := strings.CutPrefix(demandedText(part), metadata); ok && !strings.Contains(key, Separator) {
			keys = append(keys, key)
		}
	}
	return keys
}

// demandedText is the path of a value that a condition demands to be there, "" if it
// demands none.
func demandedText(part ast.Node) string {
	switch part := part.(type) {
	case *ast.BinaryNode:
		left, isText := part.Left.(*ast.StringNode)
		right, alsoText := part.Right.(*ast.StringNode)
		switch {
		case part.Operator == "in" && isText:
			return strings.Join(append(PathOf(part.Right), left.Value), Separator)
		case slices.Contains([]string{"contains", "startsWith", "endsWith"}, part.Operator) && alsoText && right.Value != "":
			return strings.Join(PathOf(part.Left), Separator)
		}
	case *ast.CallNode:
		callee, ok := part.Callee.(*ast.IdentifierNode)
		if ok && callee.Value == "has" && len(part.Arguments) == 1 {
			if path, isText := part.Arguments[0].(*ast.StringNode); isText {
				return strings.Join(append([]string{"session"}, strings.SplitN(path.Value, ".", 2)...), Separator)
			}
		}
	}
	if d, ok := oneOf(part); ok && d.some != nil && !slices.Contains(d.some, any("")) {
		return d.path
	}
	if d, ok := demandOf(part, false); ok && slices.Contains(d.not, any("")) {
		return d.path
	}
	return ""
}
