package logic

import "github.com/expr-lang/expr/ast"

// SubjectsOf are the names of which a condition demands that event.subject is one, and
// where it does; none if it demands none.
func SubjectsOf(n ast.Node) (names []string, at int) {
	for _, part := range operands(n, "&&", "and") {
		if d, ok := oneOf(part); ok && said(d.path) == "event.subject" && len(d.some) > 0 {
			return words(d.some), d.at
		}
	}
	return nil, -1
}
