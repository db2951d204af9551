package diff

import (
	"slices"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// Withheld returns the transitions of a session's first sight that are still to be
// announced, as a first look at what is stored of it shows them.
func Withheld(stored *event.Snapshot, look Look, p Policy) (Outcome, error) {
	o, err := First(stored.Account, &checkout.Session{
		ID: stored.ID, Created: stored.Created, ExpiresAt: stored.ExpiresAt,
		Status: stored.Status, PaymentStatus: stored.PaymentStatus, Mode: stored.Mode,
		Object: stored.Object, Hash: stored.Hash,
	}, look, p)
	o.Transitions = slices.DeleteFunc(o.Transitions, func(t Transition) bool {
		return !slices.Contains(stored.Withheld, t.Type)
	})
	return o, err
}
