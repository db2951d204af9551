package publish_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// onlyPaid is a server that permits one subject: payments, which come last.
func onlyPaid(_ context.Context, _ int, m publish.Message) publish.Result {
	if m.Delivery.EventType == event.Paid {
		return accepted()
	}
	return denied()
}

// order puts the events of a session, and returns the delivery of its payment.
func order(o *memoryOutbox, session string) (paid string) {
	for _, t := range []string{event.Created, event.Completed, event.Paid} {
		paid = o.put("bus", session, ofType(t))
	}
	return paid
}

// A payment waits for the events before it once, however many of them are refused, and
// what is refused beside it opens no breaker.
func TestADeniedSubjectHoldsAPaymentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(onlyPaid)
		d := busOf()
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		defer run(t, r)()
		o.put("bus", "cs_e1", ofType(event.Created))
		for i := range 4 {
			paid := order(o, fmt.Sprint("cs_", i))
			r.Wake("bus")
			time.Sleep(d.OrderHold + time.Second)
			got := o.get(paid)
			if got.Status != event.StatusAccepted || len(got.Overtook) != 2 {
				t.Fatalf("order %d is %s after order_hold, overtook %v, status %+v", i, got.Status, got.Overtook, r.Status()[0])
			}
			time.Sleep(20 * time.Minute)
			if s := r.Status()[0]; s.State != publish.StateRefusing {
				t.Fatalf("after order %d: status %+v", i, s)
			}
		}
	})
}

// One that comes while the breaker is open passes others of its session with the next
// probe that may: one that was refused only before that, and, with the type that is known
// to be refused, those that were never tried.
func TestAPaymentIsTheNextProbeAfterOrderHold(t *testing.T) {
	for name, c := range map[string]struct {
		put   func(*memoryOutbox) string
		after time.Duration
	}{
		"of an old order": {func(o *memoryOutbox) string { return o.put("bus", "cs_n4", ofType(event.Paid)) }, 155 * time.Second},
		"of a new order":  {func(o *memoryOutbox) string { return order(o, "cs_n5") }, 615 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(onlyPaid)
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
				defer run(t, r)()
				for _, name := range []string{event.Created, event.Completed} {
					o.put("bus", "cs_n4", ofType(name))
				}
				time.Sleep(2*time.Minute + 10*time.Second) // both were refused
				for i := range 3 {
					o.put("bus", fmt.Sprint("cs_e", i), ofType(event.Created))
				}
				r.Wake("bus")
				for r.Status()[0].State != publish.StateFailing {
					time.Sleep(time.Second)
				}
				paid := c.put(o)
				r.Wake("bus")
				time.Sleep(c.after + time.Second)
				if got := o.get(paid); got.Status != event.StatusAccepted || len(got.Overtook) != 2 {
					t.Errorf("it is %s, overtook %v, status %+v", got.Status, got.Overtook, r.Status()[0])
				}
			})
		})
	}
}

// Where many orders come at once, and all that is first in them is refused, the breaker
// opens before a hold has run out. Orders that come later wait for a few probes.
func TestPaymentsOfManyOrdersPassWhatIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(onlyPaid)
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		defer run(t, r)()
		var paid []string
		for i := range 12 {
			paid = append(paid, order(o, fmt.Sprint("cs_", i)))
		}
		open := func(id string) bool { return o.get(id).Status != event.StatusAccepted }
		time.Sleep(time.Minute + 316*time.Second)
		if r.Status()[0].State == publish.StateFailing {
			t.Errorf("the breaker is open: %+v", r.Status()[0])
		}
		time.Sleep(2 * time.Minute)
		if slices.ContainsFunc(paid, open) {
			t.Errorf("payments wait: %d are pending", o.pending())
		}
	})
}
