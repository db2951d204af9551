package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func TestRefusedEventHoldsItsSessionForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		start := time.Now()
		first := o.put("shop", "cs_1")
		second := o.put("shop", "cs_1")
		other := o.put("shop", "cs_2")
		to.reply(refuseFirst(first, refused(500)))
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(10 * time.Minute)
		stop()
		overtaking := sentOf(to.sent(), second)
		if len(overtaking) != 1 {
			t.Fatalf("the second event was sent %d times", len(overtaking))
		}
		if waited := overtaking[0].at.Sub(start); waited < 2*time.Minute || waited > 2*time.Minute+5*time.Second {
			t.Errorf("it waited %s, order_hold is 2m", waited)
		}
		if diff := cmp.Diff([]string{o.get(first).EventID}, overtaking[0].delivery.Overtook); diff != "" {
			t.Errorf("overtook (-want +got):\n%s", diff)
		}
		if got := sentOf(to.sent(), other); len(got) != 1 || !got[0].at.Equal(start) || got[0].delivery.Overtook != nil {
			t.Errorf("another session waited: %+v", got)
		}
	})
}

// A rule that renders an event in its own way has a delivery of its own. Neither
// of the two waits for the other, and a later event passes one event, not two.
func TestRenderingsOfOneEventDoNotPassEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		start := time.Now()
		shared := o.put("shop", "cs_1")
		id := o.get(shared).EventID
		own := o.put("shop", "cs_1", func(d *event.Delivery) { d.ID, d.EventID, d.OwnRule = d.ID+"own", id, "own" })
		later := o.put("shop", "cs_1")
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.ID == later {
				return accepted()
			}
			return refused(500)
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(10 * time.Minute)
		stop()
		if got := sentOf(to.sent(), own)[0]; !got.at.Equal(start) || len(got.delivery.Overtook) != 0 {
			t.Errorf("after %s, having passed %v", got.at.Sub(start), got.delivery.Overtook)
		}
		if diff := cmp.Diff([]string{id}, sentOf(to.sent(), later)[0].delivery.Overtook); diff != "" {
			t.Errorf("the later event overtook (-want +got):\n%s", diff)
		}
	})
}

func TestUpClockStopsWithTheContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		o.put("shop", "cs_1")
		second := o.put("shop", "cs_1")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n == 1 {
				return refused(500)
			}
			return unreachable()
		})
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(12 * time.Minute)
		synctest.Wait()
		if n := len(sentOf(to.sent(), second)); n != 0 {
			t.Errorf("the follower was sent %d times while nothing could be reached", n)
		}
		if up := r.Status()[0].UpClock; up != 5*time.Second {
			t.Errorf("the clock shows %s, contact was lost after 5s", up)
		}
	})
}

func TestUpClockStandsStillWhileUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result { return unreachable() })
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		time.Sleep(100 * time.Minute)
		synctest.Wait()
		if n := len(sentOf(to.sent(), second)); n != 0 {
			t.Fatalf("the follower was sent %d times while nothing could be reached", n)
		}
		if s := r.Status()[0]; s.State != publish.StateUnreachable || s.UpClock != 0 {
			t.Errorf("status %+v", s)
		}
		verdicts := o.verdicts
		if verdicts > 12 {
			t.Errorf("%d verdicts during the outage", verdicts)
		}
		// The destination answers again, to another session; the first event is
		// still refused, and its next attempt is hours away.
		to.reply(refuseFirst(first, refused(500)))
		back := time.Now()
		o.put("shop", "cs_2")
		r.Wake("shop")
		time.Sleep(10 * time.Minute)
		stop()
		got := sentOf(to.sent(), second)
		if len(got) != 1 {
			t.Fatalf("after the outage the follower was sent %d times", len(got))
		}
		if waited := got[0].at.Sub(back); waited < 2*time.Minute || waited > 2*time.Minute+5*time.Second {
			t.Errorf("it waited %s of up time, order_hold is 2m", waited)
		}
	})
}

// What a destination asked everybody to wait for is no time of a hold: at its
// end the first goes first.
func TestUpClockStandsStillWhileThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n > 1 {
				return accepted()
			}
			r := refused(429)
			r.RetryAfter, r.Throttled = time.Hour, true
			return r
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(2 * time.Hour)
		stop()
		var got []string
		for _, s := range to.sent() {
			got = append(got, s.delivery.ID)
			if len(s.delivery.Overtook) > 0 {
				t.Errorf("%s overtook %v", s.delivery.ID, s.delivery.Overtook)
			}
		}
		if diff := cmp.Diff([]string{first, first, second}, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestTheHoldGoesOnWhileTheProcessIsDown(t *testing.T) {
	for _, c := range []struct {
		name      string
		down      time.Duration
		reachable bool
		min, max  time.Duration // that the follower waits after the restart
	}{
		{"for a while", 10 * time.Second, true, 50 * time.Second, 75 * time.Second}, // the next attempt may be somewhat later
		{"for long", 10 * time.Hour, true, 0, 0},
		{"for long, and the destination as well", 10 * time.Hour, false, time.Minute, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
				to.reply(refuseFirst(first, refused(500)))
				d := exact("shop")
				d.Retry.Schedule = slices.Repeat([]time.Duration{20 * time.Second}, 1000)
				stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
				time.Sleep(time.Minute) // half of the hold
				stop()
				time.Sleep(c.down)
				if !c.reachable {
					to.reply(func(context.Context, int, publish.Message) publish.Result { return unreachable() })
				}
				stop = run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
				defer stop()
				up := time.Now()
				if !c.reachable {
					time.Sleep(time.Hour)
					to.reply(refuseFirst(first, refused(500)))
					up = time.Now()
				}
				time.Sleep(10 * time.Minute)
				got := sentOf(to.sent(), second)
				if len(got) == 0 {
					t.Fatal("the follower was not sent")
				}
				if waited := got[0].at.Sub(up); waited < c.min || waited > c.max {
					t.Errorf("it waited %s after the restart", waited)
				}
			})
		})
	}
}

// A program that is run once in a while is a short moment in each run. An order waits for
// order_hold all the same, not for so many runs.
func TestTheHoldGoesOnBetweenDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(refuseFirst(first, refused(500)))
		for range 5 {
			r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
			if _, _, err := r.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if got := o.get(second); got.Status != event.StatusAccepted || got.Finished.Sub(got.Created) > exact("shop").OrderHold {
			t.Errorf("the follower is %s after %s", got.Status, got.Finished.Sub(got.Created))
		}
	})
}

// After a restart nobody knows whether the destination can be reached. If the
// next attempt of what was refused is hours away, a hold ends all the same.
func TestHoldEndsAfterAQuietRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(refuseFirst(first, refused(500)))
		d := exact("shop")
		d.Retry.Schedule = []time.Duration{10 * time.Hour}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(time.Second)
		stop()
		stop = run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		up := time.Now()
		time.Sleep(time.Hour)
		stop()
		got := sentOf(to.sent(), second)
		if len(got) != 1 || got[0].at.Sub(up) > d.OrderHold {
			t.Fatalf("the follower: %+v, want it within %s", got, d.OrderHold)
		}
		if diff := cmp.Diff([]string{o.get(first).EventID}, got[0].delivery.Overtook); diff != "" {
			t.Errorf("overtook (-want +got):\n%s", diff)
		}
	})
}

// A restart in an outage: the follower may find out that nothing can be
// reached. It has passed nobody by that, and goes second when all is well.
func TestRestartInAnOutageKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(context.Context, int, publish.Message) publish.Result { return unreachable() })
		d := exact("shop")
		d.OrderHold = 2 * time.Second
		d.Retry.Schedule = slices.Repeat([]time.Duration{10 * time.Second}, 100)
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(time.Second)
		stop()
		stop = run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(5 * time.Minute)
		outage := len(to.sent())
		if n := len(sentOf(to.sent(), second)); n > 1 {
			t.Errorf("the follower was tried %d times in the outage", n)
		}
		to.reply(nil)
		time.Sleep(time.Minute)
		stop()
		var got []string
		for _, s := range to.sent()[outage:] {
			got = append(got, s.delivery.ID)
			if len(s.delivery.Overtook) > 0 {
				t.Errorf("%s says that it overtook %v", s.delivery.ID, s.delivery.Overtook)
			}
		}
		if diff := cmp.Diff([]string{first, second}, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// stubborn is a publisher whose server neither answers nor lets go.
type stubborn struct{ receiver }

func (*stubborn) Close(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestShutdownHasOneGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &stubborn{}
		to.reply(func(ctx context.Context, _ int, _ publish.Message) publish.Result {
			<-ctx.Done()
			return gone()
		})
		o.put("bus", "cs_1")
		stop := run(t, relay(t, o, publish.Options{Grace: 10 * time.Second}, publish.Lane{Destination: exact("bus"), Publisher: to}))
		synctest.Wait()
		start := time.Now()
		stop()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
	})
}

func TestGonePausesUntilResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.OnGone = publish.OnGonePause
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			r := refused(410)
			r.Gone = true
			return r
		})
		id := o.put("shop", "cs_1")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(to.sent()); n != 1 || r.Status()[0].State != publish.StatePaused {
			t.Fatalf("%d requests, %+v", n, r.Status()[0])
		}
		to.reply(nil)
		for _, want := range []bool{true, false} {
			if changed, err := r.Resume(t.Context(), "shop", "ann"); changed != want || err != nil {
				t.Errorf("Resume: %t, %v, want %t", changed, err, want)
			}
		}
		if _, err := r.Resume(t.Context(), "nobody", "ann"); !errors.Is(err, publish.ErrUnknownDestination) {
			t.Errorf("Resume of nobody: %v", err)
		}
		synctest.Wait()
		if got := o.get(id); got.Status != event.StatusAccepted {
			t.Errorf("status %s", got.Status)
		}
	})
}

// What meets a destination that stops waits for it, however often it is resumed
// in vain.
func TestGoneUsesNoSlotWhereItPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.OnGone, d.Retry.Schedule = publish.OnGonePause, []time.Duration{time.Second}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			r := refused(410)
			r.Gone = true
			return r
		})
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		for range 3 {
			time.Sleep(time.Hour)
			synctest.Wait()
			if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := o.get(first); got.Status != event.StatusPending || got.Slots != 0 {
			t.Errorf("status %s, %d slots", got.Status, got.Slots)
		}
		to.reply(nil)
		if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, id := range []string{first, second} {
			if got := o.get(id); got.Status != event.StatusAccepted || len(got.Overtook) != 0 {
				t.Errorf("%s: status %s, overtook %v", id, got.Status, got.Overtook)
			}
		}
	})
}

func TestHoldGoesOnWhenResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.OnGone, d.Retry.Schedule = publish.OnGonePause, []time.Duration{10 * time.Hour}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		answer := refused(410)
		answer.Gone = true
		to.reply(refuseFirst(first, answer))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(to.sent()); n != 1 {
			t.Fatalf("%d requests while paused", n)
		}
		to.reply(refuseFirst(first, refused(500)))
		if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(d.OrderHold)
		synctest.Wait()
		if n := len(sentOf(to.sent(), second)); n != 1 {
			t.Errorf("the follower was sent %d times within order_hold", n)
		}
	})
}

// Whoever finds no connection has passed nobody, however often it was tried.
func TestUnsentHasOvertakenNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.OrderHold = 2 * time.Second
		d.Retry.Schedule = slices.Repeat([]time.Duration{10 * time.Second}, 10)
		_, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			if n == 1 {
				return refused(500)
			}
			return unreachable()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(15 * time.Second)
		if n := len(sentOf(to.sent(), second)); n != 2 {
			t.Fatalf("the follower was tried %d times", n)
		}
		to.reply(nil)
		time.Sleep(time.Minute)
		stop()
		got := sentOf(to.sent(), second)
		if last := got[len(got)-1]; len(last.delivery.Overtook) != 0 {
			t.Errorf("it arrived second and says that it overtook %v", last.delivery.Overtook)
		}
	})
}

// A hold that has run out lets an event pass one that waits for its next
// attempt, not one that may be sent as well.
func TestWhatIsDueIsNotPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Concurrency, d.OrderHold = 1, 3*time.Second
		d.Retry.Schedule = []time.Duration{10 * time.Second}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		o.put("shop", "cs_2", func(d *event.Delivery) { d.Due = d.Due.Add(time.Second) })
		to.reply(func(_ context.Context, n int, m publish.Message) publish.Result {
			if n == 1 {
				return refused(500)
			}
			if m.Delivery.Session == "cs_2" {
				time.Sleep(time.Minute) // meanwhile both of the others become due
			}
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(2 * time.Minute)
		stop()
		var got []string
		for _, s := range to.sent()[2:] {
			got = append(got, s.delivery.ID)
		}
		if diff := cmp.Diff([]string{first, second}, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// Where repetitions take all slots that they may have, one that waits for such a slot
// holds the next event of its session no longer than the hold.
func TestTheHoldEndsWhileRepetitionsTakeAllTheirSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.EventType != event.Created || m.Delivery.Session[3] != 'b' {
				return accepted()
			}
			if m.Delivery.Slots > 0 {
				time.Sleep(14 * time.Second)
			}
			return refused(500)
		})
		d := exact("shop")
		d.Retry = publish.DefaultHTTP().Retry
		d.Retry.Jitter = 0
		d.Concurrency, d.OrderHold = 4, 2*time.Minute
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		var paid []string
		for i := range 40 {
			o.put("shop", fmt.Sprint("cs_b", i), ofType(event.Created))
			paid = append(paid, o.put("shop", fmt.Sprint("cs_b", i), ofType(event.Fulfillable)))
			o.put("shop", fmt.Sprint("cs_g", i), ofType(event.Created)) // keeps the breaker closed
			r.Wake("shop")
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		stop()
		for _, id := range paid {
			got := o.get(id)
			if wait := got.Finished.Sub(got.Created); got.Status != event.StatusAccepted || wait > d.OrderHold+15*time.Second {
				t.Errorf("%s is %s after %s", id, got.Status, wait)
			}
		}
	})
}

// A receiver asks by mistake for a day of peace, and is well in a minute: somebody
// must be able to go on.
func TestResumeEndsWhatA429AskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		throttled := refused(429)
		throttled.RetryAfter, throttled.Throttled = 24*time.Hour, true
		to.reply(always(throttled))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Hour)
		to.reply(nil)
		for _, act := range []func(context.Context, string, string) (bool, error){r.Pause, r.Resume} {
			if changed, err := act(t.Context(), "shop", "ann"); !changed || err != nil {
				t.Fatalf("%t, %v", changed, err)
			}
		}
		time.Sleep(time.Hour)
		if n := len(to.sent()); n != 1 {
			t.Fatalf("%d requests: the end of a pause is not the end of what was asked for", n)
		}
		o.setFail(errors.New("the disk is full"))
		if _, err := r.Resume(t.Context(), "shop", "ann"); err == nil {
			t.Fatal("resumed on a full disk")
		}
		o.setFail(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n, s := len(to.sent()), r.Status()[0]; n != 1 || s.UpClock != 0 {
			t.Fatalf("%d requests, status %+v", n, s)
		}
		for _, want := range []bool{true, false} {
			if changed, err := r.Resume(t.Context(), "shop", "ann"); changed != want || err != nil {
				t.Errorf("Resume: %t, %v, want %t", changed, err, want)
			}
			synctest.Wait()
		}
		for _, id := range []string{first, second} {
			if got := o.get(id); got.Status != event.StatusAccepted || len(got.Overtook) != 0 {
				t.Errorf("%s: status %s, overtook %v", id, got.Status, got.Overtook)
			}
		}
		time.Sleep(time.Minute)
		if s := r.Status()[0]; s.State != publish.StateOK || s.UpClock != time.Minute {
			t.Errorf("status %+v", s)
		}
	})
}
