package publish_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// lazy makes publishers that take nothing until they are mended. Each is made where
// it is used: a bubble shares nothing with others.
var lazy = map[string]func() (p publish.Publisher, mend func()){
	"not connected": func() (publish.Publisher, func()) {
		to := &sleeper{down: errors.New("not connected")}
		return to, func() {
			to.mu.Lock()
			defer to.mu.Unlock()
			to.down = nil
		}
	},
	"blocked subject": func() (publish.Publisher, func()) {
		to := newSubjectBus("paid")
		return to, func() { to.block() }
	},
	"no answer": func() (publish.Publisher, func()) { return answering(gone()) },
	"asks for a pause": func() (publish.Publisher, func()) {
		pause := refused(429)
		pause.RetryAfter, pause.Throttled = 25*time.Second, true
		return answering(pause)
	},
	"breaker": func() (publish.Publisher, func()) { return answering(refused(500)) },
}

func answering(r publish.Result) (p publish.Publisher, mend func()) {
	to := &receiver{}
	reply := func(r publish.Result) {
		to.reply(func(context.Context, int, publish.Message) publish.Result { return r })
	}
	reply(r)
	return to, func() { reply(accepted()) }
}

// TestDrainWaitsForADestinationThatTakesNothing mends each within the minute that a
// drain waits: what it keeps back is delivered, but for what it refused, which has
// its retry later. One that asked for a pause gets slowly more afterwards.
func TestDrainWaitsForADestinationThatTakesNothing(t *testing.T) {
	refusals := map[string]int{"asks for a pause": 1, "breaker": 12}
	for name, lazy := range lazy {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox()
				to, mend := lazy()
				d := exact("bus")
				d.Concurrency = 1
				for i := range 20 {
					o.put("bus", fmt.Sprint("cs_", i), ofType("paid"))
				}
				time.AfterFunc(20*time.Second, mend)
				start := time.Now()
				ok, failed, err := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}).Drain(t.Context())
				if want := refusals[name]; ok != 20-want || failed != want || err != nil {
					t.Errorf("accepted %d, failed %d, %v; want %d and %d", ok, failed, err, 20-want, want)
				}
				if took := time.Since(start); took < 20*time.Second || took > 90*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestDrainGivesADestinationUp has what takes nothing for longer than a minute, and
// then what nothing is for.
func TestDrainGivesADestinationUp(t *testing.T) {
	for name, lazy := range lazy {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox()
				to, _ := lazy()
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("bus"), Publisher: to})
				start := time.Now()
				if ok, failed, err := r.Drain(t.Context()); ok != 0 || failed != 0 || err != nil || time.Since(start) > 0 {
					t.Errorf("with nothing to do: accepted %d, failed %d, %v, after %s", ok, failed, err, time.Since(start))
				}
				for i := range 40 {
					o.put("bus", fmt.Sprint("cs_", i), ofType("paid"))
				}
				start = time.Now()
				if ok, failed, err := r.Drain(t.Context()); ok != 0 || failed != 40 || err != nil {
					t.Errorf("accepted %d, failed %d, %v", ok, failed, err)
				}
				if took := time.Since(start); took < 30*time.Second || took > time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestDrainTellsOfWhatDiedInIt has the owner's destination wait for the others: what they tell
// of, such as a dead letter, is not left for the next run, which may come a day later.
func TestDrainTellsOfWhatDiedInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, shop, owner := newOutbox(), &receiver{}, &receiver{}
		shop.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(3 * time.Second)
			r := refused(422)
			r.Final = true
			return r
		})
		o.put("shop", "cs_1")
		failing := o.put("owner", "cs_2")
		owner.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.ID == failing {
				return refused(500)
			}
			return accepted()
		})
		announce := func(e event.Event) event.Notice {
			if e.Type == event.DeliveryDead {
				o.put("owner", "", ofType(e.Type))
			}
			return event.Notice{}
		}
		impatient := exact("owner")
		impatient.Retry.Schedule = []time.Duration{time.Second, time.Second}
		r := relay(t, o, publish.Options{Announce: announce}, publish.Lane{Destination: exact("shop"), Publisher: shop}, publish.Lane{Destination: impatient, Publisher: owner})
		if ok, failed, err := r.Drain(t.Context()); ok != 1 || failed != 2 || err != nil {
			t.Errorf("accepted %d, failed %d, %v; want 1, what tells of the dead letter, and 2", ok, failed, err)
		}
		if n := len(owner.sent()); n != 2 {
			t.Errorf("the owner was sent %d, each at most once: want 2", n)
		}
	})
}
