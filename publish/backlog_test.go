package publish_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// slow is a receiver that takes its time.
func slow(took time.Duration) *receiver {
	to := &receiver{}
	to.reply(func(context.Context, int, publish.Message) publish.Result {
		time.Sleep(took)
		return accepted()
	})
	return to
}

// Dead letters that are sent again, a replay and a destination that is new make
// thousands of deliveries due at once. What comes later does not wait for them.
func TestANewOrderDoesNotWaitForABacklog(t *testing.T) {
	const took = 2 * time.Second
	for _, c := range []struct {
		concurrency int
		limit       float64
		every       time.Duration
		job         string
		batches, of int // that are made due, five times a second
	}{
		{8, 0, 20 * time.Second, "", 10, 400},
		{8, 0, 20 * time.Second, "job_1", 10, 400},
		{1, 0, 20 * time.Second, "job_1", 1500, 2},
		{32, 0, time.Second, "job_1", 1500, 10},
		{32, 0, time.Second, "", 10, 400},
		{8, 2, 20 * time.Second, "job_1", 1500, 3},
		{8, 0, 500 * time.Millisecond, "job_1", 10, 400},
		{8, 0, 20 * time.Second, "job_1", 1500, 5},
	} {
		t.Run(fmt.Sprintf("%d at once, %v/s, an order every %s, %d times %d of %q", c.concurrency, c.limit, c.every, c.batches, c.of, c.job), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), slow(took)
				d := exact("shop")
				d.Concurrency, d.RateLimit = c.concurrency, c.limit
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
				stop := run(t, r)
				defer stop()
				var over atomic.Bool
				fed := make(chan struct{})
				defer func() { over.Store(true); <-fed }()
				go func() {
					defer close(fed)
					for batch := 0; batch < c.batches && !over.Load(); batch++ {
						for i := range c.of {
							o.put("shop", fmt.Sprintf("old_%d_%d", batch, i), func(d *event.Delivery) { d.Job = c.job })
						}
						r.Wake("shop")
						time.Sleep(200 * time.Millisecond)
					}
				}()
				time.Sleep(2 * time.Second)
				var orders []string
				for range 10 {
					time.Sleep(c.every)
					orders = append(orders, o.put("shop", fmt.Sprint("new_", len(orders))))
					r.Wake("shop")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if o.pending() == 0 {
					t.Fatal("the backlog is gone, and nothing was tried")
				}
				var longest time.Duration
				for _, id := range orders {
					got := o.get(id)
					if got.Status != event.StatusAccepted {
						got.Finished = time.Now()
					}
					longest = max(longest, got.Finished.Sub(got.Created))
				}
				t.Logf("the longest wait was %s", longest)
				// Behind as many as were read before it, and as come with it, in turns with the
				// backlog. What is read before it are as many as begin at once, at two looks.
				persecond := float64(c.concurrency) / took.Seconds()
				if c.limit > 0 {
					persecond = c.limit
				}
				ahead := float64(2 * (2*max(4, c.concurrency) + len(orders)))
				if most := time.Duration(ahead/persecond*float64(time.Second)) + 2*took; longest > most {
					t.Errorf("longer than %s", most)
				}
			})
		})
	}
}

// Nor do orders that came before the program was started again wait for what is sent
// again, whatever was made pending before them and after.
func TestABurstOfOrdersTakesTurnsWithWhatIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), slow(2*time.Second)
		again := func(d *event.Delivery) { d.Job = "job_1" }
		var orders []string
		for i := range 4000 {
			o.put("shop", fmt.Sprint("old_", i), again)
			if i >= 2000 && i < 2050 {
				orders = append(orders, o.put("shop", fmt.Sprint("new_", i)))
			}
			time.Sleep(10 * time.Millisecond)
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		defer run(t, r)()
		time.Sleep(40 * time.Second)
		waiting := 0
		for _, id := range orders {
			if o.get(id).Status != event.StatusAccepted {
				waiting++
			}
		}
		if n := len(to.sent()); waiting > 0 || n < 2*len(orders) {
			t.Errorf("%d orders of %d wait after %d attempts", waiting, len(orders), n)
		}
	})
}

// Nor does the order of a session whose first event stands in the midst of a backlog,
// as it does after a pause. Its events go in their order.
func TestAnOrderBringsTheFirstEventOfItsSessionForward(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.db")
	synctest.Test(t, func(t *testing.T) {
		config := state.DefaultConfig()
		config.Path = path
		store, err := state.Open(t.Context(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		tx := &event.Tx{Account: "main"}
		come := func(session, eventType string) (id string) {
			e := event.SampleEvent(eventType)
			e.Session, e.ID = session, event.ID("main", session, eventType, 1)
			id = event.DeliveryID(e.ID, "shop", "")
			tx.Events = append(tx.Events, e)
			tx.Deliveries = append(tx.Deliveries, event.Delivery{
				ID: id, EventID: e.ID, EventType: eventType, Account: "main", Session: session,
				Destination: "shop", Rules: []string{"ship"}, Ordered: true, Created: time.Now(), Due: time.Now(),
			})
			return id
		}
		commit := func() {
			if err := store.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
			tx = &event.Tx{Account: "main"}
		}
		for i := range 1500 {
			come(fmt.Sprint("cs_", i), event.Created)
		}
		commit()
		time.Sleep(time.Minute)
		to := slow(2 * time.Second)
		r := relay(t, store, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		defer run(t, r)()
		time.Sleep(10 * time.Second)
		paid := []string{come("cs_700", event.Paid), come("cs_new", event.Fulfillable), come("cs_700", event.Fulfillable), come("cs_1200", event.Fulfillable)}
		commit()
		r.Wake("shop")
		time.Sleep(30 * time.Second)
		for _, id := range paid {
			if d, _, err := store.Delivery(t.Context(), id); err != nil || d.Status != event.StatusAccepted || len(d.Overtook) > 0 {
				t.Errorf("%s of %s is %s, and overtook %v: %v", d.EventType, d.Session, d.Status, d.Overtook, err)
			}
		}
		var order []string
		for _, one := range to.sent() {
			if one.delivery.Session == "cs_700" {
				order = append(order, one.delivery.EventType)
			}
		}
		if want := []string{event.Created, event.Paid, event.Fulfillable}; !slices.Equal(order, want) {
			t.Errorf("it was sent %v, want %v", order, want)
		}
	})
}

// Nor does it wait for longer than order_hold for an earlier event of its session that
// is sent again behind many others. Those that are sent again keep their order.
func TestAnOrderWaitsForOrderHoldBehindWhatIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took = 2 * time.Second
		o, to := newOutbox(), slow(took)
		d := exact("shop")
		again := func(d *event.Delivery) { d.Job, d.EventType = "job_1", event.Created }
		for i := range 2000 {
			o.put("shop", fmt.Sprint("old_", i), again)
		}
		created := o.put("shop", "cs_1", again) // in the midst of them
		o.put("shop", "cs_2", again)
		behind := o.put("shop", "cs_2", func(d *event.Delivery) { d.Job = "job_1" })
		for i := range 2000 {
			o.put("shop", fmt.Sprint("older_", i), again)
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(20 * time.Second)
		paid := o.put("shop", "cs_1")
		r.Wake("shop")
		time.Sleep(d.OrderHold + 20*time.Second)
		got := o.get(paid)
		if wait := got.Finished.Sub(got.Created); got.Status != event.StatusAccepted || wait > d.OrderHold+5*took {
			t.Errorf("it is %s after %s", got.Status, wait)
		}
		if want := []string{o.get(created).EventID}; !slices.Equal(got.Overtook, want) {
			t.Errorf("it overtook %v, want %v", got.Overtook, want)
		}
		time.Sleep(20 * time.Minute)
		if got := o.get(behind); got.Status != event.StatusAccepted || len(got.Overtook) > 0 {
			t.Errorf("what is sent again is %s, and overtook %v", got.Status, got.Overtook)
		}
	})
}
