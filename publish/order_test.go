package publish_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func TestFollowerWaitsForTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(time.Second)
			return accepted()
		})
		ids := []string{o.put("shop", "cs_1"), o.put("shop", "cs_1"), o.put("shop", "cs_1")}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Minute)
		stop()
		var got []string
		for _, s := range to.sent() {
			got = append(got, s.delivery.ID)
			if len(s.delivery.Overtook) > 0 {
				t.Errorf("overtook %v without need", s.delivery.Overtook)
			}
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if pauses := gaps(to.sent()); pauses[0] != time.Second || pauses[1] != time.Second {
			t.Errorf("pauses %v: a follower starts when the one before ends", pauses)
		}
	})
}

// refuseFirst refuses one delivery and accepts all others.
func refuseFirst(id string, with publish.Result) func(context.Context, int, publish.Message) publish.Result {
	return func(_ context.Context, _ int, m publish.Message) publish.Result {
		if m.Delivery.ID == id {
			return with
		}
		return accepted()
	}
}

func sentOf(log []sent, id string) (of []sent) {
	for _, s := range log {
		if s.delivery.ID == id {
			of = append(of, s)
		}
	}
	return of
}

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

func TestOvertookIsFixedAtTheFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second, third := o.put("shop", "cs_1"), o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			tries := len(sentOf(to.sent(), third))
			if m.Delivery.ID == first && tries > 0 || m.Delivery.ID == third && tries > 6 {
				return accepted()
			}
			return refused(500)
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(24 * time.Hour)
		stop()
		if got := o.get(first); got.Status != event.StatusAccepted {
			t.Fatalf("the first event is %s", got.Status)
		}
		attempts := sentOf(to.sent(), third)
		if len(attempts) != 7 {
			t.Fatalf("%d attempts", len(attempts))
		}
		for i, a := range attempts {
			if diff := cmp.Diff([]string{o.get(first).EventID, o.get(second).EventID}, a.delivery.Overtook); diff != "" {
				t.Errorf("attempt %d (-want +got):\n%s", i+1, diff)
			}
		}
	})
}

func TestFollowerDoesNotOvertakeWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.OrderHold = 6 * time.Second
		start := time.Now()
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			switch n {
			case 1:
				return refused(500)
			case 2: // due again after 5 s, and slow: the hold runs out meanwhile
				time.Sleep(10 * time.Second)
			}
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(time.Minute)
		stop()
		got := sentOf(to.sent(), second)
		if len(got) != 1 || got[0].at.Sub(start) != 15*time.Second || len(got[0].delivery.Overtook) != 0 {
			t.Errorf("the follower: %+v, want it after 15 s, having passed nobody", got)
		}
		if n := len(sentOf(to.sent(), first)); n != 2 {
			t.Errorf("the first was sent %d times", n)
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

func TestUpClockSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(refuseFirst(first, refused(500)))
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Minute) // half of the hold
		stop()
		time.Sleep(10 * time.Hour) // the process is down
		stop = run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		up := time.Now()
		time.Sleep(10 * time.Minute)
		stop()
		got := sentOf(to.sent(), second)
		if len(got) != 1 {
			t.Fatalf("the follower was sent %d times", len(got))
		}
		// The clock was last kept 35 s in, with the third attempt of the first.
		if waited := got[0].at.Sub(up); waited < 60*time.Second || waited > 90*time.Second {
			t.Errorf("it waited %s after the restart", waited)
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

func TestUnorderedDeliveriesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		loose := func(d *event.Delivery) { d.Ordered = false }
		first := o.put("shop", "cs_1", loose)
		o.put("shop", "cs_1", loose)
		to.reply(refuseFirst(first, refused(500)))
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Second)
		stop()
		if n := len(to.sent()); n != 2 {
			t.Errorf("%d sent", n)
		}
		if got := o.get(first); got.HeldAt != nil {
			t.Errorf("an unordered delivery is held at %s", *got.HeldAt)
		}
	})
}

func TestDrainDeliversWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		bad := o.put("shop", "cs_1")
		o.put("shop", "cs_2")
		o.put("shop", "cs_2")
		o.put("shop", "cs_3", func(d *event.Delivery) { d.Due = d.Due.Add(time.Hour) })
		to.reply(refuseFirst(bad, refused(500)))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		start := time.Now()
		ok, failed, err := r.Drain(t.Context())
		if ok != 2 || failed != 1 || err != nil {
			t.Errorf("accepted %d, failed %d, %v", ok, failed, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %s: a drain waits for no retry", took)
		}
	})
}

func TestDrainCountsWhatAnOutageKeptBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &sleeper{down: context.DeadlineExceeded}
		o.put("bus", "cs_1")
		o.put("bus", "cs_2")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("bus"), Publisher: to})
		if ok, failed, err := r.Drain(t.Context()); ok != 0 || failed != 2 || err != nil {
			t.Errorf("accepted %d, failed %d, %v", ok, failed, err)
		}
	})
}

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		want  event.Status
		row   event.Outcome
	}{
		{"within the grace", 5 * time.Second, event.StatusAccepted, event.OutcomeAccepted},
		{"not within it", time.Hour, event.StatusPending, event.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(func(ctx context.Context, _ int, _ publish.Message) publish.Result {
					select {
					case <-time.After(c.takes):
						return accepted()
					case <-ctx.Done():
						return publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassTimeout, Error: "cut"}
					}
				})
				d := exact("shop")
				d.Concurrency = 1
				id, waiting := o.put("shop", "cs_1"), o.put("shop", "cs_2")
				stop := run(t, relay(t, o, publish.Options{Grace: 10 * time.Second}, publish.Lane{Destination: d, Publisher: to}))
				synctest.Wait()
				start := time.Now()
				stop()
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("the shutdown took %s", took)
				}
				got := o.get(id)
				if got.Status != c.want || got.attempts[1].Outcome != c.row || got.Slots != 0 {
					t.Errorf("%s, attempt %s, %d slots", got.Status, got.attempts[1].Outcome, got.Slots)
				}
				if n := len(o.get(waiting).attempts); n != 0 {
					t.Errorf("a delivery was begun after the shutdown")
				}
			})
		})
	}
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
		if !r.Resume("shop") || r.Resume("shop") || r.Resume("nobody") {
			t.Error("Resume does not say whether something stood still")
		}
		synctest.Wait()
		if got := o.get(id); got.Status != event.StatusAccepted {
			t.Errorf("status %s", got.Status)
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
		r.Resume("shop")
		time.Sleep(d.OrderHold)
		synctest.Wait()
		if n := len(sentOf(to.sent(), second)); n != 1 {
			t.Errorf("the follower was sent %d times within order_hold", n)
		}
	})
}

type recorder struct {
	mu  sync.Mutex
	got []publish.Observation
}

func (r *recorder) Attempted(o publish.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, o)
}

func TestObserverHearsOfEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to, heard := newOutbox(), &receiver{}, &recorder{}
		to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
			time.Sleep(time.Second)
			if n == 1 {
				return refused(500)
			}
			return accepted()
		})
		o.put("shop", "cs_1")
		stop := run(t, relay(t, o, publish.Options{Observer: heard}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		time.Sleep(time.Minute)
		stop()
		if len(heard.got) != 2 {
			t.Fatalf("%d observations", len(heard.got))
		}
		last := heard.got[1]
		if last.Destination != "shop" || last.Attempt.Outcome != event.OutcomeAccepted || last.Attempt.N != 2 ||
			last.Attempt.Duration != time.Second || last.Latency != 7*time.Second || heard.got[0].Attempt.Class != publish.ClassStatus {
			t.Errorf("heard %+v", heard.got)
		}
	})
}

// TestStress runs many sessions against receivers that fail by chance, with the
// race detector, and checks the promises at the end: all arrived, in order
// unless a message says whom it passed.
func TestStress(t *testing.T) {
	const sessions, events = 40, 12
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		o.slow = true
		var lanes []publish.Lane
		receivers := make([]*receiver, 3)
		var mu sync.Mutex
		seen := map[string]map[string]bool{} // destination+session: accepted events
		for i := range receivers {
			receivers[i] = &receiver{}
			d := exact(fmt.Sprintf("d%d", i))
			d.Retry.Schedule = slices.Repeat([]time.Duration{10 * time.Second}, 1000)
			d.OrderHold = 30 * time.Second
			receivers[i].reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
				time.Sleep(time.Duration(rand.IntN(5)) * 200 * time.Millisecond) // many end together
				switch rand.IntN(4) {
				case 0:
					return refused(500)
				case 1:
					return unreachable()
				}
				mu.Lock()
				defer mu.Unlock()
				key := m.Delivery.Destination + m.Delivery.Session
				if seen[key] == nil {
					seen[key] = map[string]bool{}
				}
				for _, earlier := range earlierEvents(o, m.Delivery) {
					if !seen[key][earlier] && !slices.Contains(m.Delivery.Overtook, earlier) {
						t.Errorf("%s arrived before %s and does not say so", m.Delivery.EventID, earlier)
					}
				}
				seen[key][m.Delivery.EventID] = true
				return accepted()
			})
			lanes = append(lanes, publish.Lane{Destination: d, Publisher: receivers[i]})
		}
		r := relay(t, o, publish.Options{}, lanes...)
		stop := run(t, r)
		for range events {
			for s := range sessions {
				for _, l := range lanes {
					o.put(l.Destination.Name, fmt.Sprintf("cs_%d", s))
				}
			}
			r.Wake("d0", "d1", "d2")
			_ = r.Status()
			time.Sleep(3 * time.Second)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if n := o.pending(); n != 0 {
			t.Errorf("%d deliveries are still pending", n)
		}
	})
}

// earlierEvents are the events of the same session that came before.
func earlierEvents(o *memoryOutbox, d event.Delivery) (ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.deliveries {
		if r.ID == d.ID {
			break
		}
		if r.Destination == d.Destination && r.Session == d.Session {
			ids = append(ids, r.EventID)
		}
	}
	return ids
}
