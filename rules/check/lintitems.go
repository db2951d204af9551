package check

import (
	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

// lintItems warns of what holds of each order whose line items the API leaves out, as its
// list of sessions does by default.
func lintItems(root ast.Node) (faults []Fault) {
	for _, found := range logic.HoldsWithoutItems(root) {
		f := Fault{At: found.At, Code: CodeMisleading, Warning: true, Message: "this is true where " + logic.Items + " is empty"}
		if found.Divides {
			f.Message = "this divides by 0 where " + logic.Items + " is empty, and is true then"
		}
		f.Message += ", as it is where the API leaves the items out: ask for its length as well"
		if found.Form != "" {
			f.Suggestion = "len(" + logic.Items + ") > 0 and " + found.Form
		}
		faults = append(faults, f)
	}
	return faults
}
