package publish_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// crash ends a relay that cannot write down what came of its attempts.
func crash(o *memoryOutbox, stop func()) {
	fail := func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.fail = err
	}
	fail(errDisk)
	stop()
	fail(nil)
}

// An acceptance that a crash kept from being written down is none: the delivery is
// repeated, and who passes it while it is refused says so.
func TestAnAcceptanceThatACrashLostDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		lane := publish.Lane{Destination: d, Publisher: to}
		r := relay(t, o, publish.Options{Grace: time.Millisecond}, lane)
		stop := run(t, r)
		synctest.Wait()
		o.mu.Lock()
		o.fail = errDisk
		o.mu.Unlock()
		first := o.put("shop", "cs_1") // begun with its commit
		r.Wake("shop")
		time.Sleep(time.Second)
		crash(o, stop)
		if got := o.get(first); len(to.sent()) != 1 || got.Status != event.StatusPending {
			t.Fatalf("%d sent, and the first event is %s", len(to.sent()), got.Status)
		}
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.ID == first {
				return refused(500)
			}
			return accepted()
		})
		second := o.put("shop", "cs_1")
		stop = run(t, relay(t, o, publish.Options{}, lane))
		time.Sleep(d.OrderHold + time.Second)
		stop()
		got := sentOf(to.sent(), second)
		if len(got) != 1 || !slices.Equal(got[0].delivery.Overtook, []string{o.get(first).EventID}) {
			t.Errorf("the second event: %+v, want it once, having passed the first", got)
		}
	})
}

// An attempt whose result a crash lost may have arrived: its repeat says the same. One
// that is known not to have been sent has passed nobody.
func TestWhatAnAttemptOvertookIsSaidAgainIfItMayHaveArrived(t *testing.T) {
	for name, crashes := range map[string]bool{"lost": true, "known": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				d := exact("shop")
				first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
				to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
					if m.Delivery.ID == first {
						return refused(500)
					}
					o.mu.Lock()
					defer o.mu.Unlock()
					if crashes {
						o.fail = errDisk
					}
					return unreachable()
				})
				lane := publish.Lane{Destination: d, Publisher: to}
				stop := run(t, relay(t, o, publish.Options{Grace: time.Millisecond}, lane))
				for len(sentOf(to.sent(), second)) == 0 {
					time.Sleep(time.Second)
				}
				if crashes {
					crash(o, stop)
				} else {
					stop()
				}
				var want []string
				if crashes {
					want = []string{o.get(first).EventID}
				}
				if got := o.get(second).Overtook; !slices.Equal(got, want) {
					t.Fatalf("after the end it overtook %v, want %v", got, want)
				}
				if !crashes {
					return
				}
				to.reply(nil)
				time.Sleep(time.Hour) // until the first is due
				stop = run(t, relay(t, o, publish.Options{}, lane))
				time.Sleep(time.Hour)
				stop()
				got := sentOf(to.sent(), second)
				last := got[len(got)-1]
				if o.pending() > 0 || len(got) != 2 || !slices.Equal(last.delivery.Overtook, want) || last.at.Before(o.get(first).Finished) {
					t.Errorf("%d pending; the second event: %+v, want it twice, at last behind the first and having passed it", o.pending(), got)
				}
			})
		})
	}
}
