package publish_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// gaps are the pauses between what a receiver was sent.
func gaps(log []sent) (pauses []time.Duration) {
	for i := 1; i < len(log); i++ {
		pauses = append(pauses, log[i].at.Sub(log[i-1].at))
	}
	return pauses
}

func TestScheduleThenDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(500) })
		id := o.put("shop", "cs_1")
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(4 * 24 * time.Hour)
		stop()
		schedule := publish.DefaultHTTP().Retry.Schedule
		if diff := cmp.Diff(schedule, gaps(to.sent())); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		got := o.get(id)
		if got.Status != event.StatusDead || got.Reason != "given up after 12 refusals, the last: status 500 Internal Server Error" {
			t.Errorf("after the schedule: %s, %q", got.Status, got.Reason)
		}
		if len(got.attempts) != 12 || got.Attempts != 12 {
			t.Errorf("%d rows, %d attempts, want 12 of both", len(got.attempts), got.Attempts)
		}
	})
}

func TestNATSLastSlotRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(0) })
		id := o.put("bus", "cs_1")
		d := publish.DefaultNATS()
		d.Name, d.Retry.Jitter = "bus", 0
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(time.Hour)
		stop()
		pauses := gaps(to.sent())
		if len(pauses) < 50 || pauses[3] != time.Minute || pauses[len(pauses)-1] != time.Minute {
			t.Errorf("pauses: %v", pauses)
		}
		if got := o.get(id); got.Status != event.StatusPending {
			t.Errorf("status %s", got.Status)
		}
	})
}

func TestJitterStaysInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result { return refused(500) })
		d := exact("shop")
		d.Retry.Jitter, d.Ordered = 0.2, false
		d.Retry.Schedule = []time.Duration{10 * time.Second}
		for range 200 {
			o.put("shop", "cs_1", func(d *event.Delivery) { d.Ordered = false })
		}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(time.Minute)
		stop()
		first := map[string]time.Time{}
		distinct := map[time.Duration]bool{}
		for _, s := range to.sent() {
			at, again := first[s.delivery.ID]
			if !again {
				first[s.delivery.ID] = s.at
				continue
			}
			pause := s.at.Sub(at)
			distinct[pause] = true
			if pause < 8*time.Second || pause > 12*time.Second+time.Millisecond {
				t.Errorf("a pause of %s", pause)
			}
		}
		if len(distinct) < 20 {
			t.Errorf("%d different pauses of 200", len(distinct))
		}
	})
}

func TestRetryAfterReplacesTheSlot(t *testing.T) {
	for _, c := range []struct {
		name        string
		asked, want time.Duration
	}{
		{"shorter than the slot", time.Second, 5 * time.Second},
		{"longer", time.Hour, time.Hour},
		{"too long", 100 * time.Hour, 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
					if n > 1 {
						return accepted()
					}
					r := refused(503)
					r.RetryAfter = c.asked
					return r
				})
				o.put("shop", "cs_1")
				stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
				time.Sleep(200 * time.Hour)
				stop()
				if diff := cmp.Diff([]time.Duration{c.want}, gaps(to.sent())); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestThrottlingHoldsTheWholeDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n > 1 {
				return accepted()
			}
			r := refused(429)
			r.RetryAfter, r.Throttled = time.Minute, true
			return r
		})
		o.put("shop", "cs_1")
		begun := time.Now()
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Second)
		o.put("shop", "cs_2")
		r.Wake("shop", "nobody")
		time.Sleep(58 * time.Second)
		synctest.Wait()
		if n := len(to.sent()); n != 1 {
			t.Fatalf("%d requests while asked to wait", n)
		}
		s := r.Status()[0]
		if s.State != publish.StateWaiting || s.Why == "" || s.Failures != 1 || !s.Since.Equal(begun) || !s.NextTry.Equal(begun.Add(time.Minute)) {
			t.Errorf("status %+v, begun %s", s, begun)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(to.sent()); n != 3 {
			t.Errorf("%d requests after the wait, want 3", n)
		}
		if s := r.Status()[0]; s.State != publish.StateOK || !s.Since.IsZero() || !s.NextTry.IsZero() {
			t.Errorf("status after the wait: %+v", s)
		}
	})
}

func TestFinalRefusalIsDeadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			return publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassRender, Error: "there is no X", Final: true}
		})
		id := o.put("shop", "cs_1")
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Hour)
		stop()
		if got := o.get(id); got.Status != event.StatusDead || got.Reason != "render: there is no X" || len(got.attempts) != 1 {
			t.Errorf("%s %q after %d attempts", got.Status, got.Reason, len(got.attempts))
		}
	})
}

func TestCrashedAttemptKeepsItsRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		id := o.put("shop", "cs_1")
		crashed := event.Attempt{DeliveryID: id, N: 1, Started: time.Now(), Outcome: event.OutcomeUnknown}
		o.find(id).attempts[1] = crashed
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Second)
		stop()
		got := o.get(id)
		if got.attempts[1].Outcome != event.OutcomeUnknown || got.attempts[2].Outcome != event.OutcomeAccepted || got.Slots != 0 {
			t.Errorf("rows %+v, %d slots", got.attempts, got.Slots)
		}
	})
}

func TestUnavailableUsesNoSlotAndNoRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result { return gone() })
		id := o.put("bus", "cs_1")
		d := publish.DefaultNATS()
		d.Name = "bus"
		begun := time.Now()
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want := []time.Duration{1, 2, 4, 8, 15, 15}
		for i, pause := range gaps(to.sent())[:len(want)] {
			if pause != want[i]*time.Second {
				t.Errorf("probe %d after %s", i, pause)
			}
		}
		if s := r.Status()[0]; s.State != publish.StateUnreachable || s.Why != "no stream" || s.Failures < 5 || !s.Since.Equal(begun) ||
			!s.NextTry.After(time.Now()) || time.Until(s.NextTry) > 15*time.Second {
			t.Errorf("status %+v, begun %s", s, begun)
		}
		to.reply(nil)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		got := o.get(id)
		if got.Status != event.StatusAccepted || got.Slots != 0 || len(got.attempts) != 1 {
			t.Errorf("%s, %d slots, %d rows", got.Status, got.Slots, len(got.attempts))
		}
		if s := r.Status()[0]; s.State != publish.StateOK || s.Why != "" || s.LastSuccess.IsZero() || !s.Since.IsZero() || !s.NextTry.IsZero() {
			t.Errorf("status %+v", s)
		}
	})
}

// sleeper is a publisher that knows whether it can send.
type sleeper struct {
	receiver
	down error
}

func (s *sleeper) Available(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func TestOutageKnownBeforehandTouchesNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &sleeper{down: errors.New("not connected")}
		id := o.put("bus", "cs_1")
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("bus"), Publisher: to}))
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if o.looks != 0 || o.verdicts != 0 {
			t.Errorf("%d looks and %d verdicts during the outage", o.looks, o.verdicts)
		}
		to.mu.Lock()
		to.down = nil
		to.mu.Unlock()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := o.get(id); got.Status != event.StatusAccepted {
			t.Errorf("status %s", got.Status)
		}
	})
}

func TestHangingDestinationHoldsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, hanging, healthy := newOutbox(), &receiver{}, &receiver{}
		release := make(chan struct{})
		hanging.reply(func(context.Context, int, publish.Message) publish.Result {
			<-release
			return accepted()
		})
		d := exact("slow")
		d.Concurrency = 3
		for range 10 {
			o.put("slow", "cs_1", func(d *event.Delivery) { d.Ordered = false })
			o.put("fast", "cs_1", func(d *event.Delivery) { d.Ordered = false })
		}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: hanging},
			publish.Lane{Destination: exact("fast"), Publisher: healthy})
		stop := run(t, r)
		synctest.Wait()
		if n := len(hanging.sent()); n != 3 || r.Status()[0].InFlight != 3 {
			t.Errorf("%d requests, %d in flight, want 3", n, r.Status()[0].InFlight)
		}
		if n := len(healthy.sent()); n != 10 {
			t.Errorf("the healthy destination got %d of 10", n)
		}
		close(release)
		synctest.Wait()
		if n := o.pending(); n != 0 {
			t.Errorf("%d still pending", n)
		}
		stop()
	})
}

func TestIdleRelayLeavesTheStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Hour)
		stop()
		if o.looks > 62 {
			t.Errorf("%d looks in an idle hour", o.looks)
		}
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.RateLimit = 2
		for range 20 {
			o.put("shop", "cs_1", func(d *event.Delivery) { d.Ordered = false })
		}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(20 * time.Second)
		stop()
		log := to.sent()
		if len(log) != 20 {
			t.Fatalf("%d sent", len(log))
		}
		for i, pause := range gaps(log) {
			if pause < 499*time.Millisecond {
				t.Errorf("request %d came %s after the one before", i+1, pause)
			}
		}
	})
}

func TestStoreFailureSendsNothingAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		id := o.put("shop", "cs_1")
		o.fail = errors.New("disk full")
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(to.sent()); n != 0 {
			t.Fatalf("%d messages were sent without being written down", n)
		}
		o.mu.Lock()
		o.fail = nil
		o.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := o.get(id); got.Status != event.StatusAccepted {
			t.Errorf("status %s", got.Status)
		}
	})
}

func TestFailureToKeepAResultIsNotASecondMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		id := o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.fail = errors.New("disk full")
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		defer stop()
		time.Sleep(time.Hour)
		o.mu.Lock()
		o.fail = nil
		o.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := o.get(id); got.Status != event.StatusAccepted || len(to.sent()) != 1 {
			t.Errorf("%s after %d messages", got.Status, len(to.sent()))
		}
	})
}

func TestDeliveryFinishedByAnotherHandFreesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Concurrency = 1
		first := o.put("shop", "cs_1")
		second := o.put("shop", "cs_2")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n == 1 {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.find(first).Status = event.StatusDead
			}
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := o.get(second); got.Status != event.StatusAccepted {
			t.Errorf("the next delivery is %s", got.Status)
		}
	})
}
