package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// cartKind is a way in which a cart lives.
type cartKind int

const (
	cartPaid      cartKind = iota // open, then complete and paid at once
	cartAbandoned                 // open until it expires
	cartLate                      // complete but unpaid, paid later
	cartQuick                     // paid within less than a second
	cartFree                      // nothing to pay
	cartCancelled                 // expired by hand, long before its time
	cartSetup                     // no payment at all, a card is stored
	cartKinds
)

// step is one change in the life of a cart; the first creates it.
type step struct {
	after  time.Duration // since the step before
	from   string        // status in which the cart must be
	fields Fields
}

// nextKind draws from a bag, so that the shares hold over short runs: the first
// bag has every kind once, the others twenty carts in usual proportions.
func (run *trafficRun) nextKind() cartKind {
	if len(run.bag) == 0 {
		counts := [cartKinds]int{cartPaid: 8, cartAbandoned: 4, cartLate: 3, cartQuick: 2, cartFree: 1, cartCancelled: 1, cartSetup: 1}
		for k := range cartKinds {
			n := counts[k]
			if run.carts == 0 {
				n = 1
			}
			run.bag = append(run.bag, slices.Repeat([]cartKind{k}, n)...)
		}
		run.rng.Shuffle(len(run.bag), func(i, j int) { run.bag[i], run.bag[j] = run.bag[j], run.bag[i] })
	}
	kind := run.bag[0]
	run.bag = run.bag[1:]
	return kind
}

// nextCart plans the whole life of the next cart.
func (run *trafficRun) nextCart(live bool) []step {
	kind := run.nextKind()
	run.carts++
	rng := run.rng
	buyer := newBuyer(rng)
	cart := newCart(rng, run.carts)
	if rng.IntN(3) == 0 && kind != cartSetup {
		cart["customer"] = buyer.id
		cart["customer_details"] = buyer.object(live)
	}
	done := Fields{"status": "complete", "payment_status": "paid",
		"customer": buyer.id, "customer_details": buyer.object(live)}
	open := step{fields: cart}
	switch kind {
	case cartAbandoned:
		cart["expires_in"] = run.scaled(between(rng, 8*time.Second, 20*time.Second))
		return []step{open}
	case cartLate:
		done["payment_status"] = "unpaid"
		return []step{open, {between(rng, 2*time.Second, 6*time.Second), "open", done},
			{between(rng, 5*time.Second, 20*time.Second), "complete", Fields{"payment_status": "paid"}}}
	case cartQuick:
		return []step{open, {between(rng, 50*time.Millisecond, 900*time.Millisecond), "open", done}}
	case cartFree:
		cart["amount_total"] = 0
		done["payment_status"] = "no_payment_required"
	case cartCancelled:
		return []step{open, {between(rng, 3*time.Second, 12*time.Second), "open", Fields{"status": "expired"}}}
	case cartSetup:
		cart["mode"] = "setup"
		delete(cart, "amount_total")
		delete(cart, "currency")
		delete(done, "payment_status")
	}
	return []step{open, {between(rng, 2*time.Second, 15*time.Second), "open", done}}
}

// newCart draws what a shop would give when it creates a session.
func newCart(rng *rand.Rand, n int) Fields {
	order := fmt.Sprintf("order-%d", 1000+n)
	cart := Fields{
		"amount_total": 100 * (1 + rng.IntN(60)) * (1 + rng.IntN(40)),
		"currency":     pick(rng, "USD", "EUR", "GBP", "SGD", "JPY"),
		"metadata":     Fields{"order_id": order, "channel": pick(rng, "web", "app", "phone")},
	}
	if rng.IntN(4) > 0 {
		cart["client_reference_id"] = order
	}
	return cart
}

// buyer is a customer of the shop. There are few, so that some come back.
type buyer struct {
	id, email, name, country string
	created                  int64
}

func newBuyer(rng *rand.Rand) buyer {
	n := rng.IntN(24)
	first := []string{"Ada", "Bo", "Chi", "Dara", "Eli", "Fay", "Gus", "Hana"}[n%8]
	last := []string{"Lim", "Meyer", "Okafor"}[n/8]
	created := int64(1_754_650_100_000) + int64(n)*3_600_000
	return buyer{
		id:      fmt.Sprintf("cus_%d", uint64(created-snowflakeEpoch)<<22|uint64(n)),
		email:   fmt.Sprintf("%s.%s@example.com", first, last),
		name:    first + " " + last,
		country: []string{"SG", "DE", "US", "GB"}[n%4],
		created: created,
	}
}

func (b buyer) object(live bool) map[string]any {
	return customerObject(b.id, b.email, b.name, b.country, b.created, live)
}

func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

func pick(rng *rand.Rand, values ...string) string { return values[rng.IntN(len(values))] }
