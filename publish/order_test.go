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

type recorder struct {
	mu  sync.Mutex
	got []publish.Observation
}

func (r *recorder) Attempted(o publish.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, o)
}

func (r *recorder) Told(event.Notice) {}

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
		r := relay(t, o, publish.Options{Announce: teller}, lanes...)
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
