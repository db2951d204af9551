package rules

import (
	"fmt"
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

// The ages that a session does not have when it is first seen, and when it is completed or
// expires, unless that was seen late.
const (
	neverSoOld        = time.Minute
	completedAtLatest = 24 * time.Hour // it expires then
	lookLag           = time.Hour      // between the end of unpaid_for and the look that shows it
)

// aged warns of a rule for one type alone that demands an age: created comes when a session
// is first seen, completed before it could expire, and unresolved at the end of unpaid_for.
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
	case slices.Equal(known, []string{event.Unresolved}):
		c.agedUnresolved(r)
	}
}

// agedUnresolved is aged for unresolved. Between unpaid_for and a day more the age depends
// on how long the checkout took.
func (c *checkers) agedUnresolved(r *compiled) {
	age, longest := r.expression.age, time.Duration(0)
	for account, unpaidFor := range c.known.UnpaidFor {
		if slices.Contains(r.accounts, account) || slices.Contains(r.accounts, "") {
			longest = max(longest, unpaidFor)
		}
	}
	if longest == 0 || age.Since <= longest+lookLag {
		return
	}
	c.never(r.rule.When, age.At, fmt.Sprintf("unresolved comes once, %s (`poll.unpaid_for`) after the checkout was completed or expired, when a session is at most a day older than that, unless it was first seen late, and no event comes when it gets older; "+
		"leave this out, or make `poll.unpaid_for` longer", days(longest)))
}

// days writes a span as a configuration does, in days where it can be.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%gh", d.Hours())
}

// afterCheckout says whether a session has an age only after its checkout.
func afterCheckout(age logic.Age) bool {
	return age.At >= 0 && (age.Since >= completedAtLatest || age.Ended && age.Since >= neverSoOld)
}
