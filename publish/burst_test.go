package publish_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// burst is a receiver that refuses for ever what is of many sessions, which came
// together, and takes a healthy order every twenty seconds.
type burst struct {
	o       *memoryOutbox
	to      *receiver
	relay   *publish.Relay
	healthy map[string]time.Time // orders that wait, and since when
	longest time.Duration        // that one of them waited
	poison  int                  // that have come
}

const (
	healthyEvery = 20 * time.Second
	breaksAfter  = 10 // failures in a row, as contracted
)

func newBurst(t *testing.T, poison int, refusal publish.Result) *burst {
	b := &burst{o: newOutbox(), to: &receiver{}, healthy: map[string]time.Time{}}
	b.to.reply(poisoned(refusal, "bad_"))
	b.strike(poison)
	b.relay = relay(t, b.o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: b.to})
	return b
}

// strike lets what is refused for ever come within a few seconds.
func (b *burst) strike(poison int) {
	for range poison {
		b.o.put("shop", fmt.Sprint("bad_", b.poison))
		b.poison++
		time.Sleep(20 * time.Millisecond)
	}
}

// pass lets time pass, with its healthy orders.
func (b *burst) pass(span time.Duration) {
	for end := time.Now().Add(span); time.Now().Before(end); {
		time.Sleep(healthyEvery)
		b.healthy[b.o.put("shop", fmt.Sprint("good_", time.Now().UnixNano()))] = time.Now()
		b.relay.Wake("shop")
		for id, since := range b.healthy {
			got, until := b.o.get(id), time.Now()
			if got.Status == event.StatusAccepted {
				delete(b.healthy, id)
				until = got.Finished
			}
			b.longest = max(b.longest, until.Sub(since))
		}
	}
}

// mostWait is how long a healthy order may wait for the breaker: probes come after 5,
// 15, 35 and 75 s and what their answers take, and every second one is for it. When the
// breaker has closed, each healthy one that has come meanwhile takes turns with another,
// one at a time.
func mostWait(took time.Duration) time.Duration {
	const open = 75 * time.Second
	return open + 4*took + 2*(1+open/healthyEvery)*took
}

// untilAllWereTried is how long it may take at most until each of a burst was tried: the
// breaker opens with ten failures in a row, and is open until the first probe after a
// healthy order has come. Of those that are tried anew in the meantime some count.
func untilAllWereTried(poison int) time.Duration {
	return mostWait(0) + time.Duration(poison/breaksAfter)*mostWait(0)
}

// mostAttempts is what the schedule allows within an hour, and twice as many first
// attempts, as each time that the breaker closes all is due.
func mostAttempts(poison int) int {
	return (2+5)*poison + int(time.Hour/healthyEvery) + 50
}

// An order that is well is not held up for longer the more others are refused for ever.
// Its owner does not hear of each time that the breaker opens, but of the first one, if that
// is for longer than half a minute, and of what is refused again and again.
func TestAHealthyOrderDoesNotWaitForABurst(t *testing.T) {
	for _, c := range []struct {
		poison, status int
		took           time.Duration
	}{
		{15, 400, 0}, {15, 500, 0}, {40, 422, 0}, {200, 400, 0}, {200, 500, 0}, {1000, 422, 0},
		{200, 500, time.Second}, {200, 422, 5 * time.Second}, {1000, 500, 5 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d answered %d after %s", c.poison, c.status, c.took), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBurst(t, c.poison, accepted())
				answer := poisoned(refused(c.status), "bad_")
				b.to.reply(func(ctx context.Context, n int, m publish.Message) publish.Result {
					time.Sleep(c.took)
					return answer(ctx, n, m)
				})
				defer run(t, b.relay)()
				b.pass(time.Hour)
				t.Logf("the longest wait was %s, %d attempts", b.longest, len(b.to.sent()))
				if b.longest > mostWait(c.took) {
					t.Errorf("a healthy order waited %s, %d wait: %+v", b.longest, len(b.healthy), b.relay.Status()[0])
				}
				if n := len(b.to.sent()); n > mostAttempts(c.poison) {
					t.Errorf("%d attempts in an hour", n)
				}
				want := []string{event.DestinationFailing, event.DestinationRecovered, event.DestinationFailing}
				if c.took == 5*time.Second { // and a healthy order comes before the second probe
					want = want[2:]
				}
				if types, _ := told(b.o); !slices.Equal(types, want) {
					t.Errorf("the owner heard %v", types)
				}
			})
		})
	}
}

// Nor if it comes at the very moment at which the outbox is looked at.
func TestAnOrderThatComesDuringALookDoesNotWaitForABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took = 5 * time.Second
		b := newBurst(t, 200, accepted())
		answer := poisoned(refused(422), "bad_")
		b.to.reply(func(ctx context.Context, n int, m publish.Message) publish.Result {
			time.Sleep(took)
			return answer(ctx, n, m)
		})
		var came []string
		next := time.Now().Add(healthyEvery)
		b.relay = relay(t, lookedAt{b.o, func() {
			if now := time.Now(); !now.Before(next) {
				came = append(came, b.o.put("shop", fmt.Sprint("good_", now.UnixNano())))
				next = now.Add(healthyEvery)
			}
		}}, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: b.to})
		stop := run(t, b.relay)
		b.pass(time.Hour)
		stop()
		longest := b.longest
		for _, id := range came {
			d := b.o.get(id)
			if d.Status != event.StatusAccepted {
				d.Finished = time.Now()
			}
			longest = max(longest, d.Finished.Sub(d.Created))
		}
		if t.Logf("the longest wait of %d was %s", len(came), longest); len(came) < 100 || longest > mostWait(2*took) { // two come at a time
			t.Errorf("%d healthy orders, one waited %s", len(came), longest)
		}
	})
}

// lookedAt is an outbox that calls looked after each look at what is due.
type lookedAt struct {
	*memoryOutbox
	looked func()
}

func (o lookedAt) Due(ctx context.Context, destination string, look event.Look) ([]event.Job, time.Time, error) {
	defer o.looked()
	return o.memoryOutbox.Due(ctx, destination, look)
}

// Nor for what comes next and is refused as well.
func TestAHealthyOrderDoesNotWaitForOneBurstAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(t, 100, refused(500))
		defer run(t, b.relay)()
		for range 6 {
			b.pass(5 * time.Minute)
			b.strike(100)
		}
		b.pass(30 * time.Minute)
		t.Logf("the longest wait was %s, %d attempts", b.longest, len(b.to.sent()))
		if b.longest > mostWait(0) {
			t.Errorf("a healthy order waited %s, %d wait: %+v", b.longest, len(b.healthy), b.relay.Status()[0])
		}
	})
}

// What is refused for ever uses up its schedule, as anything else.
func TestABurstEndsAsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(t, 40, refused(422))
		defer run(t, b.relay)()
		b.pass(10 * time.Minute)
		for range 4 * 24 {
			time.Sleep(time.Hour)
			b.pass(healthyEvery)
		}
		schedule := exact("shop").Retry.Schedule
		for _, d := range b.o.deliveries[:40] {
			if d.Status != event.StatusDead || d.Slots != len(schedule)+1 {
				t.Errorf("%s is %s after %d refusals", d.Session, d.Status, d.Slots)
			}
		}
	})
}

// order_hold bounds how long later events of many refused ones wait beside orders that
// are well: the time goes on while the breaker opens and closes.
func TestLaterEventsOfABurstWaitForOrderHold(t *testing.T) {
	for _, poison := range []int{40, 200} {
		for name, refuses := range map[string]string{"the first event": event.Created, "all events": "bad_"} {
			t.Run(fmt.Sprint(poison, " of which ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBurst(t, poison, accepted())
					b.to.reply(poisoned(refused(500), refuses))
					var later []string
					for i, d := range b.o.deliveries {
						d.EventType = event.Created
						later = append(later, b.o.put("shop", fmt.Sprint("bad_", i)))
					}
					defer run(t, b.relay)()
					b.pass(time.Hour)
					var longest time.Duration
					log := b.to.sent()
					for _, id := range later {
						got := sentOf(log, id)
						if len(got) == 0 {
							t.Fatalf("a later event was never sent: %+v", b.relay.Status()[0])
						}
						if len(got[0].delivery.Overtook) != 1 {
							t.Errorf("a later event says that it overtook %v", got[0].delivery.Overtook)
						}
						longest = max(longest, got[0].at.Sub(b.o.get(id).Created))
					}
					t.Logf("the longest wait was %s, of later events %s, %d attempts", b.longest, longest, len(log))
					if most := exact("shop").OrderHold + untilAllWereTried(poison); longest > most {
						t.Errorf("a later event waited %s", longest)
					}
					if b.longest > mostWait(0) {
						t.Errorf("a healthy order waited %s", b.longest)
					}
				})
			})
		}
	}
}

// A destination that is well for a moment and fails again opens its breaker after ten
// failures, as any.
func TestARelapseOpensTheBreaker(t *testing.T) {
	for name, answer := range map[string]publish.Result{"it answers 503": refused(503), "it is unreachable": unreachable()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(always(refused(503)))
				d := exact("shop")
				d.Concurrency = 1
				for i := range 200 {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
				defer run(t, r)()
				time.Sleep(time.Second)
				first := len(to.sent())
				if first != breaksAfter {
					t.Errorf("%d attempts opened the breaker", first)
				}
				to.reply(func(_ context.Context, n int, _ publish.Message) publish.Result {
					if n <= first+60 { // and with them all that was refused before
						return accepted()
					}
					return answer
				})
				time.Sleep(10 * time.Second) // the first probe comes after five
				if n := len(to.sent()) - first - 60; n > breaksAfter+1 || r.Status()[0].State != publish.StateFailing {
					t.Errorf("%d attempts in the relapse, status %+v", n, r.Status()[0])
				}
			})
		})
	}
}

// What was refused before others were accepted, and is refused again, opens no breaker;
// new orders that are refused do.
func TestWhatWasRefusedBeforeOpensNoBreaker(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		t.Run(fmt.Sprint("ordered ", ordered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				inOrder := func(d *event.Delivery) { d.Ordered = ordered }
				d := exact("shop")
				d.Concurrency = 1
				to.reply(poisoned(refused(500), "bad_"))
				for i := range 12 {
					o.put("shop", fmt.Sprint("bad_", i), inOrder)
					if i%6 == 5 {
						o.put("shop", fmt.Sprint("good_", i), inOrder)
					}
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
				defer run(t, r)()
				time.Sleep(5 * time.Minute)
				if n := len(to.sent()); n != 2+12*4 || r.Status()[0].State != publish.StateRefusing {
					t.Errorf("%d attempts, status %+v", n, r.Status()[0])
				}
				for i := range 10 {
					o.put("shop", fmt.Sprint("bad_new_", i), inOrder)
				}
				r.Wake("shop")
				time.Sleep(time.Second)
				if s := r.Status()[0]; s.State != publish.StateFailing {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}
