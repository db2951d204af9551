package logic

import (
	"math"
	"slices"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// look is one look at a session that shows an order, and yields several events at once.
// It has the types of these events, each with the facts that hold for it.
type look map[string][]demand

// looks are all kinds of such looks: the order is paid, or there is nothing to pay, and
// the look before showed nothing (the session is first seen), a session that was open
// and unpaid, one that was open and paid, or one that was complete and unpaid.
var looks = func() (list []look) {
	for payment, paid := range map[string]string{checkout.PaymentPaid: event.Paid, checkout.PaymentNotRequired: event.NoPaymentRequired} {
		for _, before := range [][2]string{{"", ""}, {checkout.StatusOpen, checkout.PaymentUnpaid}, {checkout.StatusOpen, payment}, {checkout.StatusComplete, checkout.PaymentUnpaid}} {
			list = append(list, newLook(before[0], before[1], payment, paid))
		}
	}
	return list
}()

// newLook is a look that shows a complete session with this payment status, which yields
// an event of the type paid if it is new. The look before showed the other two; both are
// "" at first sight.
func newLook(statusBefore, paymentBefore, payment, paid string) look {
	completes, pays, first := statusBefore != checkout.StatusComplete, paymentBefore != payment, statusBefore == ""
	revision := demand{path: "event" + Separator + "revision", least: 2, most: math.Inf(1)}
	if first {
		revision = is("event.revision", 1.0)
	}
	all := []demand{
		is("session.status", checkout.StatusComplete), is("session.payment_status", payment), is("previous.status", statusBefore), is("previous.payment_status", paymentBefore),
		is(`changed("status")`, completes), is(`changed("payment_status")`, pays), revision,
	}
	l := make(look)
	add := func(comes bool, t, from string, more ...demand) {
		if comes {
			l[t] = slices.Concat(shown[t], all, more, []demand{is("event.change.from", from), is("event.inferred", first && t != event.Created)})
		}
	}
	async := is("event.async", !completes)
	add(first, event.Created, "")
	add(completes, event.Completed, statusBefore)
	add(pays, paid, paymentBefore, async)
	add(true, event.Fulfillable, paymentBefore, async)
	return l
}

// Together says whether a condition on the state of a session would be sent several
// events of one order, because all events of a look share that state.
type Together struct {
	At    int        // where in the condition the state is asked for, in runes; -1: nowhere
	Paid  bool       // it asks for the payment, and not for the status alone
	Types [][]string // for each of looks, the types of its events that the condition matches
}

// TogetherOf reads a condition. Types is nil if it asks for no state, or asks something
// of the event that is not understood here and may pick one of the events.
func TogetherOf(n ast.Node) Together {
	t := Together{At: -1}
	for _, part := range operands(n, "&&", "and") {
		d, ok := oneOf(part)
		if !ok {
			continue
		}
		switch said(d.path) {
		case `changed("payment_status")`:
			t.Paid = true // but a change is no state
			continue
		case "session.payment_status":
			t.Paid = true
		case "session.status":
		case "event.change.to":
			t.Paid = t.Paid || !slices.Contains(d.some, any(checkout.StatusComplete))
		default:
			continue
		}
		if t.At < 0 {
			t.At = d.at
		}
	}
	if t.At < 0 || tellsApart(n) {
		return t
	}
	for _, look := range looks {
		var types []string
		for _, name := range event.Types() {
			known, comes := look[name]
			if comes && name == event.Created {
				known = slices.Concat(known, empty(n)) // there is no session before
			}
			if _, never := impossible(n, known); comes && !never {
				types = append(types, name)
			}
		}
		t.Types = append(t.Types, types)
	}
	return t
}

// tellsApart says whether some part of a condition asks something of the event that is
// not understood here: it may hold for one event of a look and not for another.
func tellsApart(n ast.Node) bool {
	if not, ok := n.(*ast.UnaryNode); ok {
		return tellsApart(not.Node)
	}
	for _, operator := range [][2]string{{"&&", "and"}, {"||", "or"}} {
		if b, ok := joined(n, operator[0], operator[1]); ok {
			return tellsApart(b.Left) || tellsApart(b.Right)
		}
	}
	d, ok := demandOf(n, false)
	known := ok && slices.Contains(ofEvents, said(d.path))
	return !known && mentions(n, "event")
}

// ofEvents are the members of an event that are understood: looks know their values, or
// all events of a look have the same.
var ofEvents = []string{"event.type", "event.account", "event.time", "event.revision", "event.inferred", "event.async", "event.change.field", "event.change.from", "event.change.to", "event.reason"}

// mentions says whether a part reads what may differ between the events of a look; name
// is that of the event in conditions.
func mentions(n ast.Node, name string) bool {
	if path := PathOf(n); path != nil && path[0] == name {
		return len(path) < 2 || !slices.Contains([]string{"account", "time", "revision"}, path[1]) // they share these
	}
	return slices.ContainsFunc(Children(n), func(child *ast.Node) bool { return mentions(*child, name) })
}
