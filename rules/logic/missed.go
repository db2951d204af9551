package logic

import (
	"math"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// Way is how an event comes about.
type Way int

// The ways that a condition leaves out easily.
const (
	FirstSight Way = iota // of a session that was in the state when it was first seen
	NothingDue            // fulfillable without a payment
	StillDue              // completed before the payment
	PaidLater             // paid after the checkout
	PaidBefore            // fulfillable of what was paid before the checkout was complete
	StillOpen             // paid, or without anything to pay, while the checkout is open
	SeenBefore            // of a session that was seen in another state before
	NotUpdated            // paid, or found to have nothing to pay, which is no updated
	SeenOpen              // created, of a session that is open and unpaid
	// Unchanged is the other way round: at first sight the condition holds, although it
	// asks for a change.
	Unchanged
)

// Missed is a type of event for which a condition does not hold when the event comes
// about in a way, although it can hold otherwise.
type Missed struct {
	Type string
	Way  Way
	At   int    // in the text, in runes
	Of   string // the value that it asks for
}

// way is what an event of some types shows when it comes about so. A condition that
// excludes what is named leaves the way out on purpose.
type way struct {
	types        []string
	named, shown []demand
}

var ways = func() [SeenOpen + 1]way {
	const status, payment, amount = "session.status", "session.payment_status", "session.amount_total"
	const wasStatus, wasPayment, from, to = "previous.status", "previous.payment_status", "event.change.from", "event.change.to"
	const async, inferred, changedStatus, changedPayment = "event.async", "event.inferred", `changed("status")`, `changed("payment_status")`
	free := []any{checkout.PaymentNotRequired}
	created, cart := is(wasStatus, "", checkout.StatusOpen), is(wasPayment, "", checkout.PaymentUnpaid)
	reached := []string{event.Completed, event.Expired, event.NoPaymentRequired, event.Paid, event.Fulfillable}
	settled := []any{checkout.PaymentPaid, checkout.PaymentNotRequired}
	return [...]way{
		FirstSight: {types: reached,
			named: []demand{is(inferred, true), is(async, false), created, cart, is(from, "", checkout.StatusOpen, checkout.PaymentUnpaid)}, shown: []demand{is(from, ""), is("event.revision", 1.0)}},
		NothingDue: {types: []string{event.Fulfillable},
			named: []demand{is(amount, 0.0)}, shown: []demand{is(payment, free...), is(to, free...)}},
		StillDue: {types: []string{event.Completed},
			named: []demand{notSetup, is(payment, checkout.PaymentUnpaid, checkout.PaymentPaid, checkout.PaymentNotRequired)},
			shown: []demand{is(payment, checkout.PaymentUnpaid), is(changedPayment, false)}},
		PaidLater: {types: []string{event.Paid, event.Fulfillable},
			named: []demand{is(async, true), is(wasStatus, "", checkout.StatusOpen, checkout.StatusComplete), cart, is(from, "", checkout.PaymentUnpaid)},
			shown: []demand{is(wasStatus, checkout.StatusComplete), is(wasPayment, checkout.PaymentUnpaid), is(from, checkout.PaymentUnpaid), is(changedStatus, false)}},
		PaidBefore: {types: []string{event.Fulfillable}, named: []demand{is(async, false), created},
			shown: []demand{is(wasStatus, checkout.StatusOpen), is(wasPayment, settled...), is(from, settled...), is(changedPayment, false)}},
		StillOpen: {types: []string{event.Paid, event.NoPaymentRequired},
			named: []demand{is(async, false), created, is(status, checkout.StatusOpen, checkout.StatusComplete)}, shown: []demand{is(status, checkout.StatusOpen)}},
		SeenBefore: {types: reached, named: []demand{is(inferred, false)},
			shown: []demand{{path: "event" + Separator + "revision", least: 2, most: math.Inf(1)}}},
		NotUpdated: {types: []string{event.Updated}, named: []demand{is(payment, checkout.PaymentUnpaid, checkout.PaymentPaid)}, shown: []demand{is(payment, checkout.PaymentUnpaid)}},
		SeenOpen: {types: []string{event.Created}, named: []demand{is(payment, checkout.PaymentUnpaid, checkout.PaymentPaid)}, // without anything to pay: often from the beginning
			shown: []demand{is(status, checkout.StatusOpen), is(payment, checkout.PaymentUnpaid), is(to, checkout.StatusOpen)}},
	}
}()

// MissedBy finds the events that a condition leaves out for the way in which they
// come about, the same place once for each type.
func MissedBy(n ast.Node) (missed []Missed) {
	r, first := read(condition{n, false}), empty(n)
	for w, way := range ways {
		if Way(w) == FirstSight && asksForFormer(n) {
			continue
		}
		for _, t := range way.types {
			known := slices.Concat(shown[t], way.named)
			if _, excluded := r.impossible(known); excluded {
				continue // of all events of the type, or on purpose
			}
			known = slices.Concat(known, way.shown)
			if Way(w) == FirstSight {
				known = slices.Concat(known, first)
			}
			d, excluded := r.impossible(known)
			same := func(m Missed) bool { return m.Type == t && m.At == d.at }
			if excluded && !slices.ContainsFunc(missed, same) {
				missed = append(missed, Missed{Type: t, Way: Way(w), At: d.at, Of: said(d.path)})
			}
		}
	}
	return append(missed, unchanged(n)...)
}

// unchanged finds what compares a field of previous with that of the session, which
// differ whenever a session is first seen.
func unchanged(n ast.Node) (found []Missed) {
	first := ways[FirstSight]
	if asksForFormer(n) {
		return nil
	}
	for _, part := range operands(n, "&&", "and") {
		b, ok := part.(*ast.BinaryNode)
		if !ok {
			continue
		}
		was, is, operator := PathOf(b.Left), PathOf(b.Right), b.Operator
		if len(was) > 0 && was[0] == "session" {
			was, is, operator = is, was, Mirrored(operator)
		}
		if len(was) < 2 || len(is) < 2 || was[0] != "previous" || is[0] != "session" || !slices.Equal(was[1:], is[1:]) || !slices.Contains([]string{"!=", "<", "<="}, operator) {
			continue
		}
		for _, t := range first.types {
			known := slices.Concat(shown[t], first.named, first.shown, empty(n))
			if _, excluded := impossible(n, known); !excluded && !slices.Contains(transitionFields, was[1]) {
				found = append(found, Missed{Type: t, Way: Unchanged, At: b.Left.Location().From, Of: strings.Join(was, ".")})
			}
		}
	}
	return found
}

// asksForFormer says whether a condition asks that there was a value before, whatever
// it was: it leaves first sights out on purpose.
func asksForFormer(n ast.Node) bool {
	return slices.ContainsFunc(operands(n, "&&", "and"), func(part ast.Node) bool {
		d, ok := demandOf(part, false)
		return ok && slices.Contains(d.not, any("")) && (d.path == changeFrom || strings.HasPrefix(d.path, previous))
	})
}
