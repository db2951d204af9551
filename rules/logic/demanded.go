package logic

import (
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// Demanded is the state of a session without which a condition never holds.
type Demanded struct {
	Status, Payment []string // one of each; nil: any
	Types           []string // of events that bring a session there; none if no state is demanded
	Setup           bool     // of mode setup, which has nothing to fulfil
	At              int      // in the text, in runes
}

// typeOf is the type of the event that brings a session into a status.
var typeOf = map[string]string{
	checkout.StatusOpen: event.Created, checkout.StatusComplete: event.Completed, checkout.StatusExpired: event.Expired,
}

// DemandedOf reads the state that a condition demands by == or in.
func DemandedOf(n ast.Node) (s Demanded) {
	s.At = -1
	for _, part := range operands(n, "&&", "and") {
		d, ok := oneOf(part)
		if !ok {
			continue
		}
		switch said(d.path) {
		case "session.status":
			s.Status = words(d.some)
		case "session.payment_status":
			s.Payment = words(d.some)
		default:
			continue
		}
		if s.At < 0 {
			s.At = d.at
		}
	}
	if s.At < 0 {
		return s
	}
	for path, list := range map[string]*[]string{"session.status": &s.Status, "session.payment_status": &s.Payment} {
		*list = slices.DeleteFunc(*list, func(word string) bool { // which another part of the condition takes away
			_, never := impossible(n, []demand{is(path, word)})
			return never
		})
	}
	_, s.Setup = impossible(n, []demand{notSetup})
	excluded := ExcludedTypes(n)
	if _, never := impossible(n, []demand{is("session.status", checkout.StatusOpen), is("session.payment_status", checkout.PaymentUnpaid)}); never {
		excluded[event.Created] = Exclusion{} // of a session that was finished when it was first seen
	}
	for _, t := range event.Types() {
		_, never := excluded[t]
		waits := t == event.Unresolved && !slices.Contains(s.Payment, checkout.PaymentUnpaid) // few do
		if !never && t != event.Regressed && t != event.Updated && !waits {
			s.Types = append(s.Types, t)
		}
	}
	return s
}

// oneOf reads a condition that leaves some of a value: by ==, by in, or by several of
// these that are joined by or. A payment_status that is not unpaid is one as well, and a
// status that is not open.
func oneOf(part ast.Node) (d demand, ok bool) {
	if d, ok := demandOf(part, false); ok && len(d.not) == 1 {
		if d.some = others[said(d.path)][d.not[0]]; d.some != nil {
			return d, true
		}
	}
	for i, choice := range operands(part, "||", "or") {
		other, ok := demandOf(choice, false)
		if !ok || other.some == nil || i > 0 && other.path != d.path {
			return d, false
		}
		if i == 0 {
			d = other
		} else {
			d.some = append(d.some, other.some...)
		}
	}
	return d, true
}

// others are the words that are left of a field without the one that it begins with.
var others = map[string]map[any][]any{
	"session.status":         {checkout.StatusOpen: {checkout.StatusComplete, checkout.StatusExpired}},
	"session.payment_status": {checkout.PaymentUnpaid: {checkout.PaymentPaid, checkout.PaymentNotRequired}},
}

func words(values []any) (list []string) {
	for _, v := range values {
		if word, ok := v.(string); ok {
			list = append(list, word)
		}
	}
	return list
}

// Once lists the types of events that come once in a session's life when it
// reaches the state, as far as there are such.
func (s Demanded) Once() (types []string) {
	if s.Payment != nil && !s.Setup && slices.Contains(s.Types, event.Fulfillable) && !slices.Contains(s.Payment, checkout.PaymentUnpaid) {
		return []string{event.Fulfillable}
	}
	for _, status := range s.Status {
		if t := typeOf[status]; slices.Contains(s.Types, t) {
			types = append(types, t)
		}
	}
	return types
}

// CanBe says whether a session in a status, and in a payment_status, can be meant; "" is
// any.
func (s Demanded) CanBe(status, payment string) bool {
	can := func(demanded []string, word string) bool {
		return demanded == nil || word == "" || slices.Contains(demanded, word)
	}
	return can(s.Status, status) && can(s.Payment, payment)
}

func (s Demanded) String() string {
	var parts []string
	for _, words := range [][]string{s.Status, s.Payment} {
		if words != nil {
			parts = append(parts, strings.Join(words, " or "))
		}
	}
	return strings.Join(parts, " and ")
}
