package publish_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
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
		{1, 0, 20 * time.Second, "job_1", 1500, 10},
		{32, 0, time.Second, "job_1", 1500, 10},
		{32, 0, time.Second, "", 10, 400},
		{8, 2, 20 * time.Second, "job_1", 1500, 10},
		{8, 0, 500 * time.Millisecond, "job_1", 10, 400},
		{8, 0, 20 * time.Second, "job_1", 1500, 10},
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
