package check

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
)

var (
	// modeInID is how Stripe writes the mode into an id, as in cs_test_a1.
	modeInID = regexp.MustCompile(`(^|_)(live|test)(_|$)`)
	// beginning is what an id, or a pattern for one, begins with.
	beginning = regexp.MustCompile(`^\^?([a-z]+_)`)
)

// lintID warns of ids as Stripe has them: here what stands behind cs_ and the like is a
// number, in both modes.
func lintID(operator string, value, other ast.Node) (faults []Fault) {
	value, _ = folded(value)
	f, _, _ := fieldOf(value)
	prefix := f.Tag.Get("prefix")
	if prefix == "" {
		return nil
	}
	name := cmp.Or(logic.Spell(value), strings.Join(logic.PathOf(value), "."))
	for _, text := range textsOf(other) {
		word := strings.ToLower(text.Value)
		found := Fault{At: text.Location().From, Code: CodeNeverMatches}
		begins := beginning.FindStringSubmatch(word)
		isPattern := operator == "matches"
		switch {
		case isPattern && findsNumber(text.Value, prefix):
			continue
		case isPattern && (strings.Contains(word, "live") || strings.Contains(word, "test")), !isPattern && modeInID.MatchString(word):
			found.Message = name + " has neither live nor test in it: the key of the account says which it is, and session.livemode or event.account asks for that"
			live, test := strings.Contains(word, "live"), strings.Contains(word, "test")
			if partOf[operator] != nil && live != test && name == "session.id" {
				found.Suggestion = map[bool]string{true: "session.livemode", false: "not session.livemode"}[live]
			}
		case slices.Contains([]string{"==", "!=", "in", "startsWith", "matches"}, operator) && begins != nil && begins[1] != prefix && (!isPattern || word[0] == '^'):
			found.Message = fmt.Sprintf("%s never begins with %q: what it has begins with %s", name, begins[1], prefix)
		default:
			continue
		}
		faults = append(faults, found)
	}
	return faults
}

// findsNumber says whether a pattern finds some id with a prefix.
func findsNumber(pattern, prefix string) bool {
	re, err := regexp.Compile(pattern)
	return err != nil || re.MatchString(prefix+"2031282752732528640")
}
