package publish_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// The death of what a follower waits for is no contact: nothing else would wake it.
func TestFollowerOfADeadLetterIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first := o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result { return unreachable() })
		d := exact("shop")
		d.Retry.Schedule = []time.Duration{5 * time.Second, 10 * time.Minute}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Second)
		second := o.put("shop", "cs_1")
		r.Wake("shop")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if got := o.get(first); got.Status != event.StatusDead {
			t.Fatalf("the first is %s", got.Status)
		}
		to.reply(nil)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := o.get(second); got.Status != event.StatusAccepted {
			t.Errorf("the follower is %s after %d attempts", got.Status, len(got.attempts))
		}
	})
}
