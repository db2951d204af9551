package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

// What a delivery overtakes is decided when it begins, also after the store failed.
func TestOvertookIsDecidedAnewAfterTheStoreFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n == 1 {
				return refused(500)
			}
			time.Sleep(time.Second)
			return accepted()
		})
		d := exact("shop")
		d.OrderHold = time.Minute
		d.Retry.Schedule = []time.Duration{61 * time.Second}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(59 * time.Second)
		o.setFail(errors.New("the disk is full"))
		time.Sleep(30 * time.Second)
		o.setFail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := o.get(first); got.Status != event.StatusAccepted {
			t.Fatalf("the first is %s", got.Status)
		}
		log := to.sent()
		last := log[len(log)-1].delivery
		if last.ID != second || len(last.Overtook) > 0 || len(log) != 3 {
			t.Errorf("%d requests, the last of the second: %t, which overtook %v", len(log), last.ID == second, last.Overtook)
		}
	})
}

// A drain ends although the destination is stopped or asks for a long pause while
// some of what is due was read already.
func TestDrainWaitsForNoOneForEver(t *testing.T) {
	hour := refused(429)
	hour.RetryAfter, hour.Throttled = time.Hour, true
	stopped := refused(410)
	stopped.Gone = true
	for name, answer := range map[string]publish.Result{"stopped": stopped, "throttled": hour, "unavailable": gone()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(func(context.Context, int, publish.Message) publish.Result { return answer })
				for range 40 {
					o.put("shop", "cs_1", func(d *event.Delivery) { d.Ordered = false })
				}
				d := exact("shop")
				d.Concurrency, d.Retry.OnGone = 1, publish.OnGonePause
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
				defer cancel()
				ok, failed, err := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}).Drain(ctx)
				if took := time.Since(began); took > 3*time.Minute {
					t.Errorf("it took %s", took)
				}
				if ok != 0 || failed != 40 || err != nil {
					t.Errorf("%d accepted, %d failed, %v", ok, failed, err)
				}
			})
		})
	}
}

// What a drain could not read or write down was not delivered, and it says so in
// the end.
func TestDrainSaysThatTheStoreFailed(t *testing.T) {
	for name, fail := range map[string]func(*memoryOutbox, error){"looks": (*memoryOutbox).failLooks, "writes": (*memoryOutbox).setFail} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				o.put("shop", "cs_1")
				to.reply(func(context.Context, int, publish.Message) publish.Result {
					fail(o, errors.New("input/output error"))
					return accepted()
				})
				if name == "looks" {
					fail(o, errors.New("input/output error"))
				}
				_, _, err := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}).Drain(t.Context())
				if err == nil {
					t.Error("it went well")
				}
			})
		})
	}
}

// A result that the store cannot take keeps no other from being written at the end.
func TestShutdownWritesWhatCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		bad := o.put("shop", "cs_1")
		for i := range 9 {
			o.put("shop", fmt.Sprint("cs_", i+2))
		}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(10 * time.Second)
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Second)
		o.refuse(bad)
		stop()
		if n := o.pending(); n != 1 {
			t.Errorf("%d deliveries will be sent again", n)
		}
	})
}

// A pause that could not be kept changes nothing, nor does a resume.
func TestPauseThatFailsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(500) })
		d := exact("shop")
		d.Retry.Schedule = []time.Duration{time.Hour, time.Hour}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Minute)
		o.setFail(errors.New("the disk is full"))
		if _, err := r.Pause(t.Context(), "shop", "anna"); err == nil {
			t.Fatal("paused on a full disk")
		}
		o.setFail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(to.sent()); n != 1 {
			t.Errorf("%d attempts: a retry was taken ahead of its time", n)
		}
		if s := r.Status()[0]; s.State != publish.StateRefusing || s.UpClock != 2*time.Minute {
			t.Errorf("status %+v", s)
		}
		if _, err := r.Pause(t.Context(), "shop", "anna"); err != nil {
			t.Fatal(err)
		}
		o.setFail(errors.New("the disk is full"))
		if _, err := r.Resume(t.Context(), "shop", "anna"); err == nil {
			t.Fatal("resumed on a full disk")
		}
		o.setFail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := r.Status()[0]; s.State != publish.StatePaused || s.UpClock != 2*time.Minute {
			t.Errorf("status %+v", s)
		}
	})
}

// That a destination is well again is on record with what its owner hears of it: a crash
// in between would leave him with a trouble that never ends.
func TestRecoveryIsToldBeforeItIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		for i := range 12 {
			o.put("shop", fmt.Sprint("cs_", i))
		}
		to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(500) })
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(36 * time.Second) // the third probe tells that it fails
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			o.refuse(m.Delivery.ID)
			return accepted()
		})
		time.Sleep(time.Minute)
		stop()
		types, _ := told(o)
		if s := o.standing("shop"); s.Announced.IsZero() != slices.Contains(types, event.DestinationRecovered) {
			t.Errorf("the owner heard %v, and the standing is %+v", types, s)
		}
	})
}

// The clock of holds stands still during a pause that a destination asked for,
// over a restart, too.
func TestUpClockStandsStillWhileThrottledOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			r := refused(429)
			r.RetryAfter, r.Throttled = time.Hour, true
			return r
		})
		lane := publish.Lane{Destination: exact("shop"), Publisher: to}
		stop := run(t, relay(t, o, publish.Options{}, lane))
		time.Sleep(time.Minute)
		stop()
		r := relay(t, o, publish.Options{}, lane)
		stop = run(t, r)
		defer stop()
		time.Sleep(50 * time.Minute)
		if diff := cmp.Diff(time.Duration(0), r.Status()[0].UpClock); diff != "" {
			t.Errorf("up clock (-want +got):\n%s", diff)
		}
	})
}

// A destination that asked for a pause is not probed before its end, and says so.
func TestTheNextProbeIsAfterThePauseThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		for i := range 12 {
			o.put("shop", fmt.Sprint("cs_", i))
		}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(time.Second) // all are under way
			r := refused(429)
			r.RetryAfter, r.Throttled = time.Hour, true
			return r
		})
		d := exact("shop")
		d.Concurrency = 16
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Minute)
		sent := len(to.sent())
		s := r.Status()[0]
		if until := time.Until(s.NextProbe); s.State != publish.StateFailing || until < 58*time.Minute {
			t.Errorf("it is %s, and the next probe in %s", s.State, until)
		}
		time.Sleep(50 * time.Minute)
		if n := len(to.sent()); n != sent {
			t.Errorf("%d were sent meanwhile", n-sent)
		}
	})
}

// The end of what was under way when a destination was paused does not let the
// clock of holds run on.
func TestUpClockStandsStillWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(10 * time.Second)
			return refused(500)
		})
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(5 * time.Second)
		if _, err := r.Pause(t.Context(), "shop", "anna"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if up := r.Status()[0].UpClock; up > 5*time.Second {
			t.Errorf("the clock shows %s after a pause", up)
		}
	})
}

// Followers that wait for a contact do not keep others from being read.
func TestFollowersThatStandStillHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Concurrency, d.Retry.Schedule = 1, []time.Duration{time.Hour, time.Hour}
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			switch {
			case n > 60:
				return accepted()
			case n == 60:
				return unreachable()
			case n%3 == 0:
				return accepted() // no breaker
			}
			return refused(500)
		})
		for i := range 60 {
			o.put("shop", fmt.Sprint("cs_", i))
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(61 * time.Second)
		for i := range 60 {
			if i%3 < 2 { // the others have nothing to wait for
				o.put("shop", fmt.Sprint("cs_", i))
			}
		}
		other := o.put("shop", "cs_new")
		r.Wake("shop")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := o.get(other); got.Status != event.StatusAccepted {
			t.Errorf("an event of another session is %s", got.Status)
		}
	})
}

// A store that takes nothing is asked seldom to keep what the owner is to hear.
func TestWhatCannotBeToldIsTriedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, mended atomic.Int32
		o, to := &duringOutbox{memoryOutbox: newOutbox()}, &prober{}
		o.save = func() error {
			if asked.Add(1); mended.Load() == 0 {
				return errors.New("the disk is full")
			}
			return nil
		}
		to.lost.Store(true)
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to}))
		time.Sleep(time.Hour)
		mended.Store(1)
		time.Sleep(time.Minute)
		stop()
		if types, _ := told(o.memoryOutbox); asked.Load() > 1000 || !slices.Equal(types, []string{event.DestinationFailing}) {
			t.Errorf("the store was asked %d times in an hour, and the owner heard %v", asked.Load(), types)
		}
	})
}
