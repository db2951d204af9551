package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// documentedWords are all values that a field can have. Status and
// payment_status are open sets to the rest of the program; a rule that waits
// for another word is almost certainly misspelt.
var documentedWords = map[string][]string{
	"session.status":         {checkout.StatusOpen, checkout.StatusComplete, checkout.StatusExpired},
	"session.payment_status": {checkout.PaymentPaid, checkout.PaymentUnpaid, checkout.PaymentNotRequired},
	"session.mode":           {"payment", checkout.ModeSetup, "subscription"},
	"event.type":             event.Types(),
	"event.reason":           {event.ReasonManual, event.ReasonTimer, event.ReasonUnknown},
	"event.change.field":     checkout.Fields(),
}

// lint warns of comparisons that are never true.
func (s *scope) lint(n ast.Node) []fault {
	var faults []fault
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "==" || b.Operator == "!=" || b.Operator == "in") {
		for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
			path := pathOf(side[0])
			if len(path) > 1 {
				faults = append(faults, s.lintWords(strings.Join(path, "."), side[1])...)
			}
			if _, isNil := side[1].(*ast.NilNode); isNil && len(path) > 0 && neverNil(side[0], path[0]) {
				faults = append(faults, fault{at: side[1].Location().From, code: CodeNeverMatches, warning: true,
					message: strings.Join(path, ".") + ` is never nil: what is missing is "", 0 or false`})
			}
		}
	}
	if call, ok := n.(*ast.CallNode); ok {
		if callee, ok := call.Callee.(*ast.IdentifierNode); ok && callee.Value == "changed" {
			if arg, ok := call.Arguments[0].(*ast.StringNode); ok && arg.Value == checkout.FieldURL {
				faults = append(faults, fault{at: arg.Location().From, code: CodeNeverMatches, warning: true,
					message: `changed("url") is always false: a rotating url is not a change`})
			}
		}
	}
	for _, child := range children(n) {
		for _, f := range s.lint(*child) {
			if !slices.Contains(faults, f) {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// neverNil says whether a part of the env has a zero value instead. Maps and
// lists have none, and what raw returns may be nil.
func neverNil(n ast.Node, root string) bool {
	if !slices.Contains([]string{"session", "previous", "event"}, root) || n.Type() == nil {
		return false
	}
	kind := n.Type().Kind()
	return kind != reflect.Map && kind != reflect.Slice && kind != reflect.Interface
}

func (s *scope) lintWords(path string, n ast.Node) []fault {
	words := []ast.Node{n}
	if array, ok := n.(*ast.ArrayNode); ok {
		words = array.Nodes
	}
	var faults []fault
	for _, node := range words {
		if word, ok := node.(*ast.StringNode); ok {
			if f, bad := s.lintWord(path, word.Value); bad {
				f.at = node.Location().From
				faults = append(faults, f)
			}
		}
	}
	return faults
}

func (s *scope) lintWord(path, word string) (fault, bool) {
	f := fault{code: CodeNeverMatches, warning: true}
	key := strings.Replace(path, "previous.", "session.", 1)
	if key == "session.currency" && word != strings.ToUpper(word) {
		f.message = fmt.Sprintf("%s is never %q: currencies are in upper case", path, word)
		f.suggestion = strings.ToUpper(word)
		return f, true
	}
	documented, ok := documentedWords[key]
	if s.system && key == "event.type" {
		documented = event.SystemTypes()
	}
	if !ok || word == "" || slices.Contains(documented, word) {
		return f, false
	}
	f.message = fmt.Sprintf("%s is never %q; documented: %s", path, word, strings.Join(documented, ", "))
	f.suggestion = closest(word, documented)
	switch {
	case key == "event.type" && slices.Contains(documented, s.types().qualify(word)):
		f.message = fmt.Sprintf("event.type is never %q: it is the whole type", word)
		f.suggestion = s.types().qualify(word)
	case key == "event.change.field":
		if f.suggestion == "" {
			return f, false // an undocumented field can change too
		}
		f.message = fmt.Sprintf("the session has no documented field %q", word)
	}
	return f, true
}
