package logic

import (
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Digits is a text that is ordered as if it were a number.
type Digits struct {
	At                      int    // in the text, in runes
	Value, Operator, Number string // as they are written
	path                    string
}

var (
	// wholeNumber is a number as a text that has as many digits as it needs.
	wholeNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	// noNumber are the names of what may look like a number and is none: nobody counts by it.
	noNumber = regexp.MustCompile(`(^|_|\x00)(zip|plz|(zip|post|postal)_?code|postal|(tele)?phone(_?(number|no))?|mobile|tel|fax)$`)
	// identifying are the names of what may be a number or not: a range of such with as many
	// digits on both sides is one of texts.
	identifying = regexp.MustCompile(`(^|_|\x00)(ids?|ref|reference|number|no|nr|sku|code|key|name)$`)
	inCamelCase = regexp.MustCompile(`([a-z])([A-Z])`)
)

// OrderedDigits finds the texts of a condition that are ordered as if they were numbers.
func OrderedDigits(root ast.Node) (found []Digits) {
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryNode); ok && strings.ContainsAny(b.Operator, "<>") {
			for _, d := range []Digits{digitsOf(b.Left, b.Operator, b.Right), digitsOf(b.Right, Mirrored(b.Operator), b.Left)} {
				if d.Value != "" && !slices.Contains(found, d) { // `a < b < c` has b twice
					found = append(found, d)
				}
			}
		}
		for _, child := range Children(n) {
			walk(*child)
		}
	}
	walk(root)
	all := slices.Clone(found)
	return slices.DeleteFunc(found, func(d Digits) bool { return identifying.MatchString(d.path) && isRange(all, d.path) })
}

// digitsOf reads a comparison of a value with a text.
func digitsOf(value ast.Node, operator string, other ast.Node) (d Digits) {
	number, ok := other.(*ast.StringNode)
	if !ok || Spell(value) == "" || !value.Nature().IsString() || !wholeNumber.MatchString(number.Value) {
		return d
	}
	path := strings.ToLower(inCamelCase.ReplaceAllString(strings.Join(PathOf(value), Separator), "${1}_${2}"))
	if noNumber.MatchString(path) {
		return d
	}
	return Digits{value.Location().From, Spell(value), operator, number.Value, path}
}

// isRange says whether a value is asked to lie between two texts, and all that it is
// ordered with have as many digits.
func isRange(all []Digits, path string) bool {
	var above, below bool
	length := 0
	for _, d := range all {
		if d.path != path {
			continue
		}
		if length != 0 && length != len(d.Number) {
			return false
		}
		length = len(d.Number)
		above, below = above || d.Operator[0] == '>', below || d.Operator[0] == '<'
	}
	return above && below
}
