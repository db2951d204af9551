package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/checkout"
)

// Headline is what a message for people begins with: what happened to a session, of which amount
// and account, what that means and what to do. amount may be ""; session is as for Meaning.
func (e *Event) Headline(amount string, session map[string]any) string {
	line := "Checkout session " + strings.ReplaceAll(Short(e.Type), "_", " ")
	if amount != "" {
		line += ": " + amount
	}
	line += " (" + e.Account + ")"
	if !e.Livemode {
		line += " [test]"
	}
	if meaning := e.Meaning(session); meaning != "" {
		line += ". " + meaning
	}
	return line
}

// Meaning says for whoever is woken what an event of a session means for its order, and what
// to do, in whole sentences; "" where the type says it all. session holds the members of the
// session that the receiver may see: what it lacks is not told.
func (e *Event) Meaning(session map[string]any) string {
	at := e.Session + " at WooshPay"
	switch {
	case e.Type == Unresolved:
		return e.givenUp(session, at)
	case e.Type == Regressed:
		return e.steppedBack(session, at)
	case e.Unexpected:
		return "That is not expected: it was complete or expired, or stepped back, before. Look up " + at + " before its order is shipped."
	case e.Type == Expired:
		return expiredBy(e.Reason) + paidAllTheSame(session, at)
	case e.Type == Completed && session[checkout.FieldPaymentStatus] == checkout.PaymentUnpaid:
		return "It is not paid yet: do not ship its order before it is fulfillable."
	}
	return ""
}

// givenUp tells of a session for whose payment nobody looks any more. A backfill announces
// what has changed since, also without --announce, which would announce other sessions too.
func (e *Event) givenUp(session map[string]any, at string) string {
	what := "It is complete, but was not paid in time (poll.unpaid_for)"
	if e.Change != nil && e.Change.Field == checkout.FieldStatus {
		what = "It should have expired long ago (poll.unpaid_for), but is still open"
	}
	since := "…"
	if seconds, err := strconv.ParseInt(fmt.Sprint(session["created"]), 10, 64); err == nil {
		since = time.Unix(seconds, 0).UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf("%s, and nobody looks for its payment any more: one that comes later is not announced, and the order not shipped. "+
		"From time to time look up %s; once it is paid, notifier poll backfill --account %s --since %s announces it.", what, at, e.Account, since)
}

// steppedBack tells of a session that was further than it is.
func (e *Event) steppedBack(session map[string]any, at string) string {
	what, todo := "It was further than it is now", "Do not ship its order before you look up "+at+"; fulfillable is not announced a second time."
	if c := e.Change; c != nil && session[c.Field] != nil {
		from, _ := strconv.Unquote(string(c.From)) // one of the words that the API documents
		what = fmt.Sprintf("Its %s was %s and is %v again", c.Field, from, session[c.Field])
		if from == checkout.StatusExpired {
			todo = "It can be paid after all: if its order was cancelled, look up " + at + "."
		}
	}
	return what + ", in each look of the last minutes (poll.tuning.confirm_after). " + todo
}

func expiredBy(reason string) string {
	switch reason {
	case ReasonManual:
		return "It was ended before its time, by the shop or at WooshPay."
	case ReasonTimer:
		return "Its time ran out."
	}
	return "It was ended, or its time ran out, while nobody looked."
}

// paidAllTheSame adds what an expired session of each payment_status means.
func paidAllTheSame(session map[string]any, at string) string {
	switch session[checkout.FieldPaymentStatus] {
	case checkout.PaymentUnpaid:
		return " It was not paid: there is nothing to ship."
	case checkout.PaymentPaid:
		return " But it is paid: look up " + at + "."
	}
	return ""
}
