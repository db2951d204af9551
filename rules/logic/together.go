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

// looks are all kinds of such looks. The order is paid, or there is nothing to pay, and
// the look before showed nothing (the session is first seen), a session that was open
// and unpaid, one that was open and paid, or one that was complete and unpaid. Or what is
// first seen is unpaid: complete, or expired.
var looks = func() (list []look) {
	for _, payment := range []string{checkout.PaymentPaid, checkout.PaymentNotRequired} {
		for _, before := range [][2]string{{"", ""}, {checkout.StatusOpen, checkout.PaymentUnpaid}, {checkout.StatusOpen, payment}, {checkout.StatusComplete, checkout.PaymentUnpaid}} {
			list = append(list, newLook(before, checkout.StatusComplete, payment))
		}
	}
	for _, status := range []string{checkout.StatusComplete, checkout.StatusExpired} {
		list = append(list, newLook([2]string{}, status, checkout.PaymentUnpaid))
	}
	return list
}()

// newLook is a look that shows a session at a status and a payment_status. The look before
// showed those in before; both are "" at first sight.
func newLook(before [2]string, status, payment string) look {
	first, ends, pays := before[0] == "", before[0] != status, before[1] != payment && payment != checkout.PaymentUnpaid
	revision := demand{path: "event" + Separator + "revision", least: 2, most: math.Inf(1)}
	if first {
		revision = is("event.revision", 1.0)
	}
	all := []demand{
		is("session.status", status), is("session.payment_status", payment), is("previous.status", before[0]), is("previous.payment_status", before[1]),
		is(`changed("status")`, ends), is(`changed("payment_status")`, before[1] != payment), revision,
	}
	l := make(look)
	add := func(comes bool, t, from, to string, more ...demand) {
		if comes {
			l[t] = slices.Concat(shown[t], all, more, []demand{is("event.change.from", from), is("event.change.to", to), is("event.inferred", first && t != event.Created)})
		}
	}
	async := is("event.async", !ends)
	add(first, event.Created, "", status)
	add(ends, typeOf[status], before[0], status)
	add(pays && payment == checkout.PaymentNotRequired, event.NoPaymentRequired, before[1], payment)
	add(pays && payment == checkout.PaymentPaid, event.Paid, before[1], payment, async)
	add(payment != checkout.PaymentUnpaid, event.Fulfillable, before[1], payment, async)
	return l
}

// Together says whether a condition on the state of a session, or on its change, would be
// sent several events of one order, because all events of a look share these.
type Together struct {
	At     int        // where in the condition that is asked for, in runes; -1: nowhere
	Change bool       // a change is asked for, and no state
	Async  bool       // event.async is, and nothing else
	Whole  bool       // nothing is asked of the event itself: created is meant no more than the others
	Ended  bool       // created of an open cart is not what is asked for
	Once   []string   // the types that come once when what is asked for comes about
	Types  [][]string // for each of looks, the types of its events that the condition matches
}

// TogetherOf reads a condition. Types is nil if it asks for no state or change, or asks
// something of the event that is not understood here and may pick one of the events.
func TogetherOf(n ast.Node) Together {
	t := Together{At: -1, Whole: !mentions(n, "event")}
	var states, changes asked
	async := -1
	for _, part := range operands(n, "&&", "and") {
		changes.change(part)
		d, ok := oneOf(part)
		if ok && said(d.path) == "event.async" && slices.Equal(d.some, []any{true}) {
			async = d.at
		} else if ok {
			states.state(d)
		}
	}
	switch {
	case states.found:
		t.At = states.at
	case changes.found:
		t.At, t.Change = changes.at, true
	default:
		t.At, t.Async = async, async >= 0
	}
	if t.At < 0 || tellsApart(n) {
		return t
	}
	t.Once = once(states, changes)
	r, first := read(condition{n, false}), empty(n)
	_, t.Ended = r.impossible(slices.Concat(shown[event.Created], first, ways[SeenOpen].shown))
	for _, look := range looks {
		var types []string
		for _, name := range event.Types() {
			known, comes := look[name]
			if !comes {
				continue
			}
			if name == event.Created {
				known = slices.Concat(known, first) // there is no session before
			}
			if _, never := r.impossible(known); !never {
				types = append(types, name)
			}
		}
		t.Types = append(t.Types, types)
	}
	return t
}

// asked is what a condition asks of status and of payment_status, and where first.
type asked struct {
	found           bool
	at              int
	status, payment []string // words; of a change, the name of the field
}

func (a *asked) add(list *[]string, at int, words ...string) {
	if !a.found {
		a.found, a.at = true, at
	}
	*list = append(*list, words...)
}

// state notes which of the words of a field are asked for.
func (a *asked) state(d demand) {
	switch path, list := said(d.path), words(d.some); {
	case path == "session.status":
		a.add(&a.status, d.at, list...)
	case path == "session.payment_status":
		a.add(&a.payment, d.at, list...)
	case path != "event.change.to":
	case slices.ContainsFunc(list, func(word string) bool { return typeOf[word] != "" }):
		a.add(&a.status, d.at, list...)
	default:
		a.add(&a.payment, d.at, list...)
	}
}

// change notes which fields are to have changed, or of which one.
func (a *asked) change(part ast.Node) {
	sum := *a
	for _, choice := range operands(part, "||", "or") {
		d, _ := oneOf(choice)
		switch path := said(d.path); {
		case path == `changed("status")` && slices.Equal(d.some, []any{true}), path == "event.change.field" && slices.Equal(d.some, []any{checkout.FieldStatus}):
			sum.add(&sum.status, d.at, checkout.FieldStatus)
		case path == `changed("payment_status")` && slices.Equal(d.some, []any{true}), path == "event.change.field" && slices.Equal(d.some, []any{checkout.FieldPaymentStatus}):
			sum.add(&sum.payment, d.at, checkout.FieldPaymentStatus)
		default:
			return
		}
	}
	*a = sum
}

// once are the types of which one comes once when a session gets where a state, or else a
// change, is asked for.
func once(state, changed asked) (types []string) {
	completes, pays := slices.Contains(state.status, checkout.StatusComplete), len(state.payment) > 0 && !slices.Contains(state.payment, checkout.PaymentUnpaid)
	switch {
	case pays || completes && len(changed.payment) > 0:
		return []string{event.Fulfillable}
	case len(state.status) > 0:
		for _, t := range []string{event.Completed, event.Expired} {
			if slices.ContainsFunc(state.status, func(word string) bool { return typeOf[word] == t }) {
				types = append(types, t)
			}
		}
		return types
	case len(changed.status) > 0 && len(changed.payment) > 0:
		return []string{event.Expired, event.Fulfillable}
	case len(changed.payment) > 0:
		return []string{event.NoPaymentRequired, event.Paid}
	case len(changed.status) > 0:
		return []string{event.Completed, event.Expired}
	}
	return []string{event.Fulfillable}
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
