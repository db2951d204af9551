package logic

import (
	"math"
	"slices"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/ast"
)

// look is a look at a session that shows an order and yields several events, with
// what is known of each.
type look map[string][]demand

// looks are all kinds of these, by the state before and how the order was paid.
var looks = func() (list []look) {
	for payment, paid := range map[string]string{checkout.PaymentPaid: event.Paid, checkout.PaymentNotRequired: event.NoPaymentRequired} {
		for _, before := range [][2]string{{"", ""}, {checkout.StatusOpen, checkout.PaymentUnpaid}, {checkout.StatusOpen, payment}, {checkout.StatusComplete, checkout.PaymentUnpaid}} {
			list = append(list, newLook(before[0], before[1], payment, paid))
		}
	}
	return list
}()

func newLook(status, unpaid, payment, paid string) look {
	completes, pays, first := status != checkout.StatusComplete, unpaid != payment, status == ""
	revision := demand{path: "event" + Separator + "revision", least: 2, most: math.Inf(1)}
	if first {
		revision = is("event.revision", 1.0)
	}
	all := []demand{
		is("session.status", checkout.StatusComplete), is("session.payment_status", payment), is("previous.status", status), is("previous.payment_status", unpaid),
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
	add(completes, event.Completed, status)
	add(pays, paid, unpaid, async)
	add(true, event.Fulfillable, unpaid, async)
	return l
}

// Together is what a condition asks of the looks that show an order.
type Together struct {
	At    int        // where it asks for the state of the session, or for what changed to one, in runes; -1: nowhere
	Paid  bool       // it asks whether there is an order, paid or without anything to pay
	Types [][]string // the types of events that match it, of each look
}

// TogetherOf says which events of one look match a condition together. It names no
// types where it cannot be read how the condition tells the events apart.
func TogetherOf(n ast.Node) Together {
	t := Together{At: -1}
	for _, part := range operands(n, "&&", "and") {
		d, ok := oneOf(part)
		if !ok {
			continue
		}
		switch said(d.path) {
		case `changed("payment_status")`:
			t.Paid = true // alone it asks for no state
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
				known = slices.Concat(known, empty(n))
			}
			if _, never := impossible(n, known); comes && !never {
				types = append(types, name)
			}
		}
		t.Types = append(t.Types, types)
	}
	return t
}

// tellsApart says whether a condition looks at an event in a way that is not read
// here, and so may tell those of one look apart.
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

// ofEvents are the members of events of which it is known what they are in a look.
var ofEvents = []string{"event.type", "event.account", "event.time", "event.revision", "event.inferred", "event.async", "event.change.field", "event.change.from", "event.change.to", "event.reason"}

func mentions(n ast.Node, name string) bool {
	if path := PathOf(n); path != nil && path[0] == name {
		return len(path) < 2 || !slices.Contains([]string{"account", "time", "revision"}, path[1]) // which they share
	}
	return slices.ContainsFunc(Children(n), func(child *ast.Node) bool { return mentions(*child, name) })
}
