package check

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// lintMoney warns of amounts that are written in the currency's main unit.
func (c *Checker) lintMoney(root ast.Node) (faults []Fault) {
	currencies := currenciesOf(root)
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		b, ok := n.(*ast.BinaryNode)
		if ok && slices.Contains([]string{"==", "!=", "in", "<", "<=", ">", ">="}, b.Operator) {
			for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
				for _, fraction := range fractionsIn(side[1]) {
					if f := c.notMinor(fraction, currencies); isMoney(side[0]) && !slices.Contains(faults, f) { // `a < b < c` has b twice
						faults = append(faults, f)
					}
				}
			}
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

// currenciesOf are the currencies that a condition names.
func currenciesOf(n ast.Node) (codes []string) {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "==" || b.Operator == "in") {
		for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
			if f, _, ok := fieldOf(side[0]); ok && f.Tag.Get("kind") == "currency" {
				for _, word := range textsOf(side[1]) {
					codes = append(codes, word.Value)
				}
			}
		}
	}
	for _, child := range logic.Children(n) {
		codes = append(codes, currenciesOf(*child)...)
	}
	return codes
}

// isMoney says whether a value is an amount in minor units, or made of nothing
// else.
func isMoney(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return isMoney(n.Node)
	case *ast.BinaryNode:
		switch n.Operator {
		case "+", "-":
			return isMoney(n.Left) && isMoney(n.Right)
		case "*":
			return isMoney(n.Left) && isOne(n.Right) || isOne(n.Left) && isMoney(n.Right)
		case "/":
			return isMoney(n.Left) && isOne(n.Right)
		}
		return false
	case *ast.BuiltinNode:
		if slices.Contains([]string{"sum", "min", "max", "abs", "map", "int", "float", "round", "floor", "ceil"}, n.Name) && len(n.Arguments) > 0 {
			return isMoney(n.Arguments[len(n.Arguments)-1])
		}
	case *ast.PredicateNode:
		return isMoney(n.Node)
	}
	f, _, ok := fieldOf(n)
	return ok && f.Tag.Get("kind") == "money"
}

// isOne says whether a number is 1, by which an amount is made a fraction in other
// languages.
func isOne(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return n.Value == 1
	case *ast.FloatNode:
		return n.Value == 1
	}
	return false
}

// fractionsIn finds what is written as a fraction in an amount.
func fractionsIn(n ast.Node) (found []*ast.FloatNode) {
	switch n := n.(type) {
	case *ast.FloatNode:
		return []*ast.FloatNode{n}
	case *ast.UnaryNode:
		return fractionsIn(n.Node)
	case *ast.ArrayNode:
		for _, element := range n.Nodes {
			found = append(found, fractionsIn(element)...)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "..", "+", "-":
			return append(fractionsIn(n.Left), fractionsIn(n.Right)...)
		case "*":
			return fractionsOfProduct(n)
		}
	}
	return found
}

// fractionsOfProduct finds the amount in a product of two numbers: the one that looks
// like one, such as 100.00, or the only one with a fraction if there is one in the result.
// What is multiplied by 100 is cents already, and wrong only if that makes no whole number,
// as 19.90 * 100 does not: then the whole product is what is found.
func fractionsOfProduct(n *ast.BinaryNode) (found []*ast.FloatNode) {
	product, amount, cents := 1.0, 0.0, false
	for _, factor := range []ast.Node{n.Left, n.Right} {
		switch factor := factor.(type) {
		case *ast.IntegerNode:
			product *= float64(factor.Value)
			cents = factor.Value == 100
		case *ast.FloatNode:
			product, amount = product*factor.Value, factor.Value
			found = append(found, factor)
		default:
			return nil // a part of an amount, as in session.amount_subtotal * 0.9
		}
	}
	switch whole := product == math.Trunc(product); {
	case whole && cents:
		return nil
	case whole:
		return slices.DeleteFunc(found, func(f *ast.FloatNode) bool { return f.Value != math.Trunc(f.Value) })
	case cents:
		all := &ast.FloatNode{Value: amount}
		all.SetLocation(file.Location{From: n.Left.Location().From, To: n.Right.Location().To})
		return []*ast.FloatNode{all}
	}
	return found[:1]
}

// grouped is a fraction that looks like thousands with a dot between them.
var grouped = regexp.MustCompile(`^[1-9][0-9]{0,2}\.[0-9]{3}$`)

// notMinor says how a fraction is written in the smallest unit of a currency. Without
// a currency, or with several that differ, it is that of most.
func (c *Checker) notMinor(n *ast.FloatNode, currencies []string) Fault {
	f := Fault{At: n.Location().From, Code: CodeFraction, Warning: true}
	code, places := "", checkout.Decimals
	if len(currencies) > 0 && !slices.ContainsFunc(currencies, func(other string) bool { return places(other) != places(currencies[0]) }) {
		code = currencies[0]
	}
	f.Suggestion = minorUnits(n.Value, places(code))
	f.Message = "amounts are whole numbers of the smallest unit, such as cents: this is a fraction of one"
	if whole := minorUnits(n.Value, 0); code == "" && whole != "" {
		f.Message += fmt.Sprintf("; of a currency without cents, such as JPY, it is %s", whole)
	} else if code != "" && places(code) == 0 {
		f.Message = fmt.Sprintf("amounts are whole numbers of the smallest unit: %s has no smaller one, and this is a fraction", code)
	}
	if written := string(c.text[n.Location().From:n.Location().To]); grouped.MatchString(written) && places(code) < 3 {
		whole := strings.Replace(written, ".", "", 1)
		amount, _ := strconv.ParseFloat(whole, 64) // of digits
		f.Message += fmt.Sprintf("; if the dot separates thousands, %s is meant", whole)
		if places(code) > 0 {
			f.Message += ", written " + minorUnits(amount, places(code))
		}
	}
	return f
}

// minorUnits writes an amount of a currency with some decimals in its smallest
// unit, "" for what is none.
func minorUnits(amount float64, decimals int) string {
	text := strconv.FormatFloat(amount, 'f', decimals, 64)
	if back, err := strconv.ParseFloat(text, 64); err != nil || back != amount {
		return ""
	}
	whole, fraction, _ := strings.Cut(text, ".")
	switch {
	case fraction == "":
		return whole
	case whole == "0":
		return strings.TrimLeft(fraction, "0")
	}
	return whole + "_" + fraction
}
