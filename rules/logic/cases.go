package logic

import (
	"fmt"
	"slices"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// notSetup is what each session is that can be paid: those of mode setup have no
// payment_status.
var notSetup = not("session.mode", checkout.ModeSetup)

// cases are what types of events come of, where there are several: one of them holds.
var cases = func() map[string][][]demand {
	const status, payment = "session.status", "session.payment_status"
	const field, from, to = "event.change.field", "event.change.from", "event.change.to"
	settled := []any{checkout.PaymentPaid, checkout.PaymentNotRequired}
	back := func(name, now string, before ...any) []demand {
		return []demand{is("session."+name, now), is("previous."+name, before...), is(field, name), is(from, before...), is(to, now), is(fmt.Sprintf("changed(%q)", name), true)}
	}
	return map[string][][]demand{
		event.Unresolved: {
			{is(status, checkout.StatusOpen), is(field, checkout.FieldStatus), is(from, checkout.StatusOpen), is(to, checkout.StatusOpen)},
			{is(status, checkout.StatusComplete), not(payment, settled...), notSetup,
				is(field, checkout.FieldPaymentStatus), not(from, settled...), not(to, settled...)},
		},
		event.Regressed: {
			back(checkout.FieldStatus, checkout.StatusOpen, checkout.StatusComplete, checkout.StatusExpired),
			back(checkout.FieldPaymentStatus, checkout.PaymentUnpaid, settled...),
		},
	}
}()

// sameStates are the states of a session of which something else changed than status and
// payment_status: the look before showed the same.
var sameStates = func() (list [][]demand) {
	same := func(field string) (states [][]demand) {
		words := transitions[field][1:]
		for _, word := range words {
			states = append(states, []demand{is("session."+field, word), is("previous."+field, word)})
		}
		return append(states, []demand{not("session."+field, words...), not("previous."+field, words...)})
	}
	other := not("event.change.field", checkout.FieldStatus, checkout.FieldPaymentStatus)
	for _, status := range same(checkout.FieldStatus) {
		for _, payment := range same(checkout.FieldPaymentStatus) {
			list = append(list, slices.Concat(status, payment, []demand{other, is(`changed("status")`, false), is(`changed("payment_status")`, false)}))
		}
	}
	return list
}()

// not is what is(path, values...) denies.
func not(path string, values ...any) demand {
	d := is(path)
	d.some, d.not = nil, values
	return d
}
