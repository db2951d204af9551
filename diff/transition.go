package diff

import (
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// reached lists the states that the look shows and the previous one did not;
// prev is nil at first sight.
func reached(prev *event.Snapshot, s *checkout.Session, look Look, p Policy) []Transition {
	var was event.Snapshot
	if prev != nil {
		was = *prev
	}
	async := was.Status == checkout.StatusComplete
	var list []Transition
	if was.Status != s.Status {
		status := change(checkout.FieldStatus, was.Status, s.Status)
		switch s.Status {
		case checkout.StatusComplete:
			list = append(list, Transition{
				Type: event.Completed, Change: status, Unexpected: was.Status == checkout.StatusExpired,
			})
		case checkout.StatusExpired:
			list = append(list, Transition{
				Type: event.Expired, Change: status, Unexpected: was.Status == checkout.StatusComplete,
				Reason: expiryReason(prev, s, look, p),
			})
		}
	}
	payment := change(checkout.FieldPaymentStatus, was.PaymentStatus, s.PaymentStatus)
	if was.PaymentStatus != s.PaymentStatus {
		switch s.PaymentStatus {
		case checkout.PaymentNotRequired:
			list = append(list, Transition{Type: event.NoPaymentRequired, Change: payment})
		case checkout.PaymentPaid:
			list = append(list, Transition{Type: event.Paid, Change: payment, Async: async})
		}
	}
	if s.Status == checkout.StatusComplete && paid(s.PaymentStatus) && was.Counts[event.Fulfillable] == 0 {
		list = append(list, Transition{Type: event.Fulfillable, Change: payment, Async: async})
	}
	return list
}

// clockTolerance is the precision of the server's clock as we know it.
const clockTolerance = time.Second

// expiryReason tells an expiry by hand from one by the clock, where the looks
// allow it.
func expiryReason(prev *event.Snapshot, s *checkout.Session, look Look, p Policy) string {
	expiry := s.ExpiresAt
	if prev != nil && !prev.ExpiresAt.IsZero() {
		expiry = prev.ExpiresAt // what held while it was open
	}
	earliest, latest := look.clocks()
	switch {
	case expiry.IsZero():
		return event.ReasonUnknown
	case latest.Before(expiry.Add(-clockTolerance)):
		return event.ReasonManual
	case earliest.Before(expiry.Add(-p.WarmEvery)): // one clock says by hand, the other by the clock
		return event.ReasonUnknown
	case prev != nil && !prev.LookedOwn.IsZero() && prev.LookedOwn.Before(expiry.Add(-2*p.WarmEvery)):
		return event.ReasonUnknown // the last stored look was not as late as it says, or nobody looked
	case prev != nil && prev.Status == checkout.StatusOpen && !prev.LookedAt.Before(expiry.Add(-p.WarmEvery)) && !prev.LookedAt.After(look.At):
		return event.ReasonTimer
	}
	return event.ReasonUnknown
}

// regressed is the transition of a confirmed step back, nil if there is none.
// When both states fell, it is told of the status.
func regressed(prev *event.Snapshot, s *checkout.Session) *Transition {
	switch {
	case fellStatus(prev.Status, s.Status):
		return &Transition{Type: event.Regressed, Change: change(checkout.FieldStatus, prev.Status, s.Status)}
	case fellPayment(prev.PaymentStatus, s.PaymentStatus):
		return &Transition{
			Type: event.Regressed, Change: change(checkout.FieldPaymentStatus, prev.PaymentStatus, s.PaymentStatus),
		}
	}
	return nil
}

func fellStatus(from, to string) bool {
	return (from == checkout.StatusComplete || from == checkout.StatusExpired) && to == checkout.StatusOpen
}

func fellPayment(from, to string) bool {
	return paid(from) && to == checkout.PaymentUnpaid
}

// updated tells of a change that has no type of its own.
func updated(changes []checkout.Change) Transition {
	if len(changes) > 1 {
		return Transition{Type: event.Updated}
	}
	c := changes[0]
	return Transition{Type: event.Updated, Change: &event.Change{Field: c.Field, From: c.From, To: c.To}}
}
