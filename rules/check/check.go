// Package check parses the expression of a rule and finds what is wrong with it,
// or probably not meant, in the words of the reference: with the place of each
// mistake and what was meant. It compiles and evaluates nothing.
package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// What an expression may be at most. The limits keep parser, checker and
// compiler, which recurse, fast and shallow.
const (
	maxText     = 64 << 10
	maxNodes    = 10_000
	maxVisits   = 5 * maxNodes // of the checker, see visits
	maxBrackets = 200          // open at once
	maxPrefixes = 50           // operators in a row
)

// Reserved begins the names that an expression cannot use: calls that it is
// rewritten to have them.
const Reserved = "__"

// Codes of faults. The last four are always warnings.
const (
	CodeExpression   = "expression"
	CodeUnfinished   = "unfinished" // it ends too early
	CodeNotBoolean   = "not-boolean"
	CodeBudget       = "budget"
	CodeNeverMatches = "never-matches"
	CodeFraction     = "fraction"   // an amount compared with a fraction
	CodeMissing      = "missing"    // fails where a value is missing
	CodeMisleading   = "misleading" // means something else than it seems to
)

// Fault is something wrong with an expression, or, as a Warning, probably not
// meant.
type Fault struct {
	At         int // in the text, in runes from the start
	Code       string
	Message    string
	Suggestion string // what was probably meant, or ""
	Warning    bool
}

// Checker checks the expressions of one kind of rule. It is for one goroutine,
// as its configuration is.
type Checker struct {
	config   *conf.Config
	system   bool
	names    Names
	nearType func(word string) string
	text     []rune            // the expression that is being checked
	mistyped map[ast.Node]bool // what it compares with another kind, which is told
}

// Names are what the program's own events are about.
type Names struct{ Destinations, Accounts, Rules []string }

// New returns a checker for what a configuration declares. System says that it
// declares an event of the program itself; nearType is the whole type of events
// that a word may be meant for.
func New(config *conf.Config, system bool, names Names, nearType func(word string) string) *Checker {
	config.MaxNodes = maxNodes
	config.Functions[holeName] = &builtin.Function{Name: holeName, Types: []reflect.Type{reflect.TypeFor[func() any]()}}
	return &Checker{config: config, system: system, names: names, nearType: nearType}
}

// Checked is an expression without mistakes.
type Checked struct {
	Tree      *parser.Tree // with types
	Canonical string       // the tokens, which white space and comments do not change
}

// Expression checks a non-empty text. There is nothing checked when a fault is no
// warning.
func (c *Checker) Expression(text string) (*Checked, []Fault) {
	canonical, depths, bad := scan(text)
	if bad != nil {
		return nil, []Fault{*bad}
	}
	tree, err := parser.ParseWithConfig(text, c.config)
	if err != nil {
		return nil, []Fault{syntaxFault(err, text)}
	}
	if visits(tree.Node, map[ast.Node]int{}) > maxVisits {
		return nil, []Fault{{At: tree.Node.Location().From, Code: CodeBudget, Message: "calls and comparisons are nested too deeply"}}
	}
	c.text, c.mistyped = []rune(text), make(map[ast.Node]bool)
	faults, complete := c.mistakes(tree)
	if complete {
		plainKeys(&tree.Node)
		faults = append(faults, c.lint(tree.Node)...)
		faults = append(faults, c.lintMoney(tree.Node)...)
		faults = append(faults, c.lintMissing(tree.Node)...)
		faults = append(faults, c.lintNothing(tree.Node)...)
		faults = append(faults, lintLogic(tree.Node)...)
		faults = append(faults, lintDigits(tree.Node)...)
		faults = append(faults, lintHolds(tree.Node)...)
		faults = append(faults, lintChange(tree.Node)...)
		faults = append(faults, c.lintEmptyParts(tree.Node)...)
		faults = append(faults, lintItems(tree.Node)...)
		faults = append(faults, lintMixed(tree.Node, depths)...)
	}
	warnings := 0
	faults = slices.DeleteFunc(faults, func(f Fault) bool {
		if f.Code == CodeFraction && !hasPoint(c.text[f.At:]) {
			return true // 1e5 is a whole number
		}
		if f.Warning {
			warnings++
		}
		return f.Warning && warnings > mostWarnings
	})
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.At - b.At })
	if slices.ContainsFunc(faults, func(f Fault) bool { return !f.Warning }) {
		return nil, faults
	}
	return &Checked{tree, canonical}, faults
}

// hasPoint says whether the number that a text begins with has a decimal point
// and no exponent.
func hasPoint(text []rune) bool {
	end := slices.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789_.eE", r) })
	if end < 0 {
		end = len(text)
	}
	return strings.Contains(string(text[:end]), ".") && !strings.ContainsAny(string(text[:end]), "eE")
}

// scan looks at the tokens before anything recurses over them, and returns them
// as one text that white space and comments do not change, and how many brackets
// are open at each operator.
func scan(text string) (canonical string, depths map[int]int, bad *Fault) {
	if len(text) > maxText {
		return "", nil, &Fault{Code: CodeBudget, Message: fmt.Sprintf("the expression is longer than %d KiB", maxText>>10)}
	}
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		f := syntaxFault(err, text)
		return "", nil, &f
	}
	var b strings.Builder
	depths = make(map[int]int)
	brackets, prefixes := 0, 0
	for _, token := range tokens {
		fmt.Fprintf(&b, "%s %d:%s\n", token.Kind, len(token.Value), token.Value)
		prefixes++
		switch {
		case token.Is(lexer.Bracket, "(", "[", "{"):
			brackets++
		case token.Is(lexer.Bracket):
			brackets--
		}
		if token.Is(lexer.Operator) {
			depths[token.From] = brackets
		} else {
			prefixes = 0
		}
		if brackets > maxBrackets || prefixes > maxPrefixes {
			return "", nil, &Fault{At: token.From, Code: CodeBudget, Message: "the expression is nested too deeply"}
		}
	}
	return b.String(), depths, nil
}

// visits estimates how often expr's checker looks at the nodes below n: it
// tries the signatures of an overloaded function one after the other, with all
// arguments each time, and reads the middle of `a < b < c` twice. Nested, both
// grow without bounds.
func visits(n ast.Node, known map[ast.Node]int) int {
	if v, ok := known[n]; ok {
		return v
	}
	factor := 1
	if b, ok := n.(*ast.BuiltinNode); ok {
		if i, ok := builtin.Index[b.Name]; ok {
			factor = max(1, len(builtin.Builtins[i].Types))
		}
	}
	sum := 0
	for _, child := range logic.Children(n) {
		sum = min(sum+visits(*child, known), maxVisits+1)
	}
	known[n] = min(1+factor*sum, maxVisits+1)
	return known[n]
}
