package rules

import (
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// noAge says what becomes of a rule on the age of a session.
const noAge = "no event comes when a session reaches an age: a rule on that is `on: session`, which is not supported yet; `events: [expired]` tells of carts that were not paid"

// neverSoOld is the age that a session does not have when it is first seen, unless it was
// first seen late.
const neverSoOld = time.Minute

// aged warns of a rule for created alone that demands an age: created comes when a session
// is first seen.
func (c *checkers) aged(r *compiled) {
	x := r.expression
	if x == nil || r.rule.On == OnSystem || c.neverMatches() || !slices.Equal(r.known(), []string{event.Created}) {
		return
	}
	tooOld := x.age.At >= 0 && (x.age.Since >= neverSoOld || x.age.Ended && x.age.Since >= 0)
	if tooOld && x.demanded.CanBe(checkout.StatusOpen, "") {
		c.never(r.rule.When, x.age.At, "created comes when a session is first seen, seconds after it was made, and "+noAge)
	}
}
