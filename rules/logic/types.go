package logic

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

const (
	changeField = "event" + Separator + "change" + Separator + "field"
	changeFrom  = "event" + Separator + "change" + Separator + "from"
	changeTo    = "event" + Separator + "change" + Separator + "to"
	previous    = "previous" + Separator
)

// transitionFields are the keys of transitions.
var transitionFields = []string{checkout.FieldStatus, checkout.FieldPaymentStatus}

// transitions are the fields whose changes have events of their own, with the
// words that the API documents for them.
var transitions = map[string][]any{
	checkout.FieldStatus:        {"", checkout.StatusOpen, checkout.StatusComplete, checkout.StatusExpired},
	checkout.FieldPaymentStatus: {"", checkout.PaymentUnpaid, checkout.PaymentPaid, checkout.PaymentNotRequired},
}

// TransitionWords are the words that the API documents for status and
// payment_status.
func TransitionWords() (words []string) {
	for _, field := range transitionFields {
		for _, word := range transitions[field][1:] {
			words = append(words, word.(string))
		}
	}
	return words
}

// changes are the kinds of changes that an event can be about: of status, of
// payment_status, or of anything else, with what is known of each.
var changes = func() (kinds [][]demand) {
	other := demand{path: changeField, least: math.Inf(-1), most: math.Inf(1)}
	for _, field := range transitionFields {
		words := transitions[field]
		kinds = append(kinds, []demand{is("event.change.field", field), is("event.change.from", words...), is("event.change.to", words...)})
		other.not = append(other.not, field)
	}
	return append(kinds, []demand{other})
}()

// comparedWithBefore reads a comparison of a status with that of the look before, which
// asks whether it changed.
func comparedWithBefore(b *ast.BinaryNode, negated bool) (demand, bool) {
	left, right := PathOf(b.Left), PathOf(b.Right)
	if len(left) != 2 || len(right) != 2 || left[1] != right[1] || !slices.Contains(transitionFields, left[1]) || b.Operator != "==" && b.Operator != "!=" {
		return demand{}, false
	}
	if left[0]+right[0] != "previoussession" && left[0]+right[0] != "sessionprevious" {
		return demand{}, false
	}
	d := newDemand(fmt.Sprintf("changed(%q)", left[1]), b.Right)
	d.some = []any{(b.Operator == "!=") != negated}
	return d, true
}

// partOfType reads what asks for a part of event.type as the types that have it.
func partOfType(b *ast.BinaryNode, negated bool) (demand, bool) {
	part, ok := b.Right.(*ast.StringNode)
	if !ok || !slices.Equal(PathOf(b.Left), []string{"event", "type"}) {
		return demand{}, false
	}
	has := map[string]func(text, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[b.Operator]
	if has == nil {
		return demand{}, false
	}
	d := newDemand(valuePath(b.Left), b.Right)
	d.some = []any{}
	for _, t := range slices.Concat(event.Types(), event.SystemTypes()) {
		if has(t, part.Value) != negated {
			d.some = append(d.some, t)
		}
	}
	return d, true
}

// CanBeTransition says whether a condition may hold for a change of status or
// payment_status.
func CanBeTransition(n ast.Node) bool {
	for _, field := range transitionFields {
		if _, found := impossible(n, []demand{is("event.change.field", field)}); !found {
			return true
		}
	}
	return false
}

// smallest are the least values of what is never below them: the amounts of a session,
// and its revision.
var smallest = func() (known []demand) {
	least := func(path string, least float64) {
		d := is(path)
		d.some, d.least = nil, least
		known = append(known, d)
	}
	least("event.revision", 1)
	for i := range schema.SessionType.NumField() {
		if f := schema.SessionType.Field(i); f.Tag.Get("kind") == "money" {
			least("session."+schema.FieldName(f), 0)
			least("previous."+schema.FieldName(f), 0)
		}
	}
	return known
}()

// Always says whether a condition holds whatever the event is, because amounts are never
// negative and a revision is at least 1.
func Always(n ast.Node) bool {
	_, never := read(condition{n, true}).impossible(smallest)
	return never
}

// TooSmall finds the conditions that ask for less than a value ever is, by the place of
// what it is compared with.
func TooSmall(n ast.Node) (found []Finding) {
	var walk func(c condition)
	walk = func(c condition) {
		if not, ok := c.tree.(*ast.UnaryNode); ok && (not.Operator == "!" || not.Operator == "not") {
			walk(condition{not.Node, !c.denied})
			return
		}
		if left, right, both, choice := c.parts(); both || choice {
			walk(left)
			walk(right)
			return
		}
		d, ok := demandOf(c.tree, c.denied)
		if _, never := exclude([]demand{d}, smallest); ok && never {
			found = append(found, Finding{At: d.at, Of: said(d.path)})
		}
	}
	walk(condition{n, false})
	return found
}

// Exclusion is why a condition never holds for a type of event.
type Exclusion struct {
	At       int    // in the text, in runes
	Change   bool   // it asks for a word that the field which changed never has
	Previous bool   // it asks for a value of previous, which is empty at first sight
	Own      bool   // it asks for a change that has a type of its own
	Reason   bool   // it asks for a reason that the type never has
	Shown    string // with Change: the field, and the words that it has
}

// ExcludedTypes are the types of events for which a condition never holds, ""
// for those of a later version.
func ExcludedTypes(n ast.Node) map[string]Exclusion {
	excluded, r := make(map[string]Exclusion), read(condition{n, false})
	for t, known := range shown {
		if t == event.Created {
			known = slices.Concat(known, empty(n))
		}
		if x, found := r.excludedFrom(known, cases[t]); found {
			excluded[t] = x
		}
	}
	if _, found := excluded[event.Updated]; !found && !r.asksForOther() {
		if x, found := r.excludedFrom(shown[event.Updated], sameStates); found {
			x.Own = true
			excluded[event.Updated] = x
		}
	}
	return excluded
}

// excludedFrom says whether a condition holds in none of some cases while what is known
// does. No cases are one of which nothing is known.
func (r reading) excludedFrom(known []demand, cases [][]demand) (x Exclusion, found bool) {
	for _, one := range cases {
		next, never := r.excludedBy(slices.Concat(known, one))
		if !never {
			return Exclusion{}, false
		}
		if !found {
			x, found = next, true
		}
	}
	if len(cases) == 0 {
		return r.excludedBy(known)
	}
	return x, found
}

// asksForOther says whether a condition asks for another status or payment_status than
// those that the API documents, or for none: updated shows such changes.
func (r reading) asksForOther() bool {
	for _, field := range transitionFields {
		about := []demand{is("event.change.field", field)}
		if _, never := r.impossible(about); never {
			continue
		}
		for _, path := range []string{"session." + field, "previous." + field, "event.change.from", "event.change.to"} {
			if _, never := r.impossible(append(about, is(path, transitions[field][1:]...))); never {
				return true
			}
		}
	}
	return false
}

// excludedBy says whether a condition holds for no kind of change while what is
// known does. An exclusion by the words of a field says more than one by its name.
func (r reading) excludedBy(known []demand) (x Exclusion, found bool) {
	if d, found := r.impossible(known); found {
		return Exclusion{At: d.at, Previous: strings.HasPrefix(d.path, previous), Reason: said(d.path) == reason}, true
	}
	for _, kind := range changes {
		if _, apart := exclude(kind, known); apart {
			continue
		}
		d, never := r.impossible(slices.Concat(known, kind))
		if !never {
			return Exclusion{}, false
		}
		if !found || d.path != changeField {
			x = Exclusion{At: d.at, Change: d.path == changeFrom || d.path == changeTo}
			x.Shown = wordsOf(d.path, slices.Concat(known, kind))
		}
		found = true
	}
	return x, found
}

// wordsOf says which field changed and which words event.change then has, "" for another
// member than from and to.
func wordsOf(path string, known []demand) string {
	sums := make(map[string]demand)
	for _, d := range known {
		if before, ok := sums[d.path]; ok {
			d, _ = before.with(d)
		}
		sums[d.path] = d
	}
	var quoted []string
	for _, word := range words(sums[path].some) {
		quoted = append(quoted, strconv.Quote(word))
	}
	field := strings.Join(words(sums[changeField].some), " or ")
	if len(quoted) == 0 || field == "" || path != changeFrom && path != changeTo {
		return ""
	}
	return fmt.Sprintf("%s, and %s is one of %s", field, said(path), strings.Join(quoted, ", "))
}

// empty are the facts of a first sight for a condition: what it compares of previous with
// a constant has no value.
func empty(n ast.Node) (demands []demand) {
	seen := make(map[string]bool)
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if d, ok := demandOf(n, false); ok && strings.HasPrefix(d.path, previous) && !seen[d.path] {
			seen[d.path] = true
			zero := any(0.0)
			for _, v := range slices.Concat(d.some, d.not) {
				switch v.(type) {
				case string:
					zero = ""
				case bool:
					zero = false
				}
			}
			demands = append(demands, demand{path: d.path, some: []any{zero}, least: math.Inf(-1), most: math.Inf(1)})
		}
		for _, child := range Children(n) {
			walk(*child)
		}
	}
	walk(n)
	return demands
}

func is(path string, values ...any) demand {
	return demand{path: strings.ReplaceAll(path, ".", Separator), some: values, least: math.Inf(-1), most: math.Inf(1)}
}

const reason = "event.reason"

// reasons are those of expired.
var reasons = []any{event.ReasonManual, event.ReasonTimer, event.ReasonUnknown}

// EmptyReason is where a condition demands that there is no reason, which is so of every
// type but expired; -1: it does not.
func EmptyReason(n ast.Node) (at int) {
	for _, part := range operands(n, "&&", "and") {
		d, ok := demandOf(part, false)
		_, given := exclude([]demand{d}, []demand{is(reason, reasons...)})
		_, empty := exclude([]demand{d}, []demand{is(reason, "")})
		if ok && given && !empty {
			return d.at
		}
	}
	return -1
}

// shown is what each type of event says of its session.
var shown = func() map[string][]demand {
	const status, payment, field, to = "session.status", "session.payment_status", "event.change.field", "event.change.to"
	becomes := func(of, name, word string) []demand {
		return []demand{is(of, word), is(field, name), is(to, word), is(fmt.Sprintf("changed(%q)", name), true)}
	}
	paid := []any{checkout.PaymentPaid, checkout.PaymentNotRequired}
	known := map[string][]demand{
		event.Completed:         becomes(status, checkout.FieldStatus, checkout.StatusComplete),
		event.Expired:           append(becomes(status, checkout.FieldStatus, checkout.StatusExpired), is(reason, reasons...)),
		event.Paid:              becomes(payment, checkout.FieldPaymentStatus, checkout.PaymentPaid),
		event.NoPaymentRequired: becomes(payment, checkout.FieldPaymentStatus, checkout.PaymentNotRequired),
		event.Fulfillable:       {is(status, checkout.StatusComplete), is(payment, paid...), is(field, checkout.FieldPaymentStatus), is(to, paid...)},
		event.Created:           {is(field, checkout.FieldStatus), is("event.change.from", ""), is("event.inferred", false), is("event.revision", 1.0)},
		event.Unresolved:        {is(status, checkout.StatusComplete, checkout.StatusOpen)},
		event.Regressed:         nil,
		event.Updated:           nil,
	}
	for _, t := range event.Types() {
		known[t] = append(known[t], is("event.type", t))
		if t != event.Expired {
			known[t] = append(known[t], is(reason, ""))
		}
		if t != event.Paid && t != event.Fulfillable {
			known[t] = append(known[t], is("event.async", false))
		}
	}
	known[""] = nil
	return known
}()
