package rules

import (
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
)

// What becomes of a rule on the age of a session.
const (
	ofAge       = "no event comes when a session reaches an age: a rule on that is `on: session`, which is not supported yet; "
	noAge       = ofAge + "`events: [expired]` tells of carts that were not paid"
	noAgeUnpaid = ofAge + "`events: [unresolved]` tells of orders that are still unpaid after `poll.unpaid_for`"
)

// The ages that a session does not have when it is first seen, and when it is completed,
// unless that was seen late.
const (
	neverSoOld        = time.Minute
	completedAtLatest = 24 * time.Hour // it expires then
)

// aged warns of a rule for created or completed alone that demands an age: created comes
// when a session is first seen, and completed before it could expire.
func (c *checkers) aged(r *compiled) {
	x := r.expression
	if x == nil || r.rule.On == OnSystem || c.neverMatches() || x.age.At < 0 {
		return
	}
	age, known := x.age, r.known()
	switch {
	case slices.Equal(known, []string{event.Created}):
		if (age.Since >= neverSoOld || age.Ended && age.Since >= 0) && x.demanded.CanBe(checkout.StatusOpen, "") {
			c.never(r.rule.When, age.At, "created comes when a session is first seen, seconds after it was made, and "+noAge)
		}
	case slices.Equal(known, []string{event.Completed}):
		if afterCheckout(age) {
			c.never(r.rule.When, age.At, "completed comes at the end of the checkout, at most 24 hours after the session was made, and "+noAgeUnpaid)
		}
	}
}

// afterCheckout says whether a session has an age only after its checkout.
func afterCheckout(age logic.Age) bool {
	return age.At >= 0 && (age.Since >= completedAtLatest || age.Ended && age.Since >= neverSoOld)
}
