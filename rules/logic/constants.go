package logic

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// ConstantsIn are the texts and the whole numbers that stand in a condition, each once.
func ConstantsIn(n ast.Node) (texts []string, numbers []int) {
	switch n := n.(type) {
	case *ast.StringNode:
		texts = append(texts, n.Value)
	case *ast.IntegerNode:
		numbers = append(numbers, n.Value)
	}
	for _, child := range Children(n) {
		moreTexts, moreNumbers := ConstantsIn(*child)
		texts, numbers = append(texts, moreTexts...), append(numbers, moreNumbers...)
	}
	slices.Sort(texts)
	slices.Sort(numbers)
	return slices.Compact(texts), slices.Compact(numbers)
}
