package publish_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/publish"
)

// A store that fails keeps a result for longer than its subject is known: what waits
// for the subject is probed all the same, once that is written down.
func TestASubjectThatIsWrittenDownLateIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus("expired")
		d := busOf()
		d.Concurrency = 16
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		fail := func(err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.fail = err
		}
		fail(errDisk)
		for i := range 9 { // the first step after the failure is for one of them
			o.put("bus", fmt.Sprint("cs_", i), ofType("paid"))
		}
		r.Wake("bus")
		time.Sleep(time.Millisecond)
		waiting := o.put("bus", "cs_waiting", ofType("expired"))
		r.Wake("bus")
		time.Sleep(3 * time.Second)
		fail(nil)
		time.Sleep(10 * time.Second)
		if d := o.get(waiting); d.BlockedSubject != "expired" {
			t.Fatalf("after the failure: %+v", d.Delivery)
		}
		if s := r.Status()[0]; s.BlockedAll != 1 {
			t.Errorf("status %+v", s)
		}
		to.block()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := o.pending(); n > 0 {
			t.Errorf("%d wait for ever", n)
		}
	})
}

// A probe of an open breaker whose subject takes nothing lets all that is for the
// subject wait: what is left to probe then are the subjects.
func TestASubjectBlockedUnderABreakerIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), newSubjectBus()
		putMany(o, 100, "cs_")
		var resumed atomic.Int32 // answers since then
		to.reply(func(context.Context, int, publish.Message) publish.Result { return denied() })
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		for r.Status()[0].State != publish.StateFailing {
			time.Sleep(time.Second)
		}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			if resumed.Add(1) == 1 {
				return blockedFor("checkout.session.paid")
			}
			return accepted()
		})
		if _, err := r.Resume(t.Context(), "bus", "ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := o.pending(); n > 0 {
			t.Errorf("%d wait, %+v", n, r.Status()[0])
		}
	})
}
