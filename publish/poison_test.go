package publish_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// poisoned refuses what is of some sessions or types, which begin so.
func poisoned(with publish.Result, prefixes ...string) func(context.Context, int, publish.Message) publish.Result {
	return func(_ context.Context, _ int, m publish.Message) publish.Result {
		for _, p := range prefixes {
			if strings.HasPrefix(m.Delivery.Session, p) || strings.HasPrefix(m.Delivery.EventType, p) {
				return with
			}
		}
		return accepted()
	}
}

// A healthy order is the second probe, however many others are refused.
func TestAHealthyOrderDoesNotWaitForPoisonedOnes(t *testing.T) {
	for _, poison := range []int{5, 7, 40} {
		t.Run(fmt.Sprint(poison), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(poisoned(refused(500), "bad_"))
				for i := range poison {
					o.put("shop", fmt.Sprint("bad_", i), func(d *event.Delivery) { d.Attempts, d.Slots = 1, 1 })
				}
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
				stop := run(t, r)
				defer stop()
				for r.Status()[0].State != publish.StateFailing {
					time.Sleep(time.Second)
				}
				good := []string{o.put("shop", "good_1"), o.put("shop", "good_2"), o.put("shop", "good_3")}
				r.Wake("shop")
				time.Sleep(16 * time.Second)
				for _, id := range good {
					if o.get(id).Status != event.StatusAccepted {
						t.Fatalf("a good order waits for refused ones: %+v", r.Status()[0])
					}
				}
			})
		})
	}
}

// What is refused as a probe is no newcomer any more, also once all that waits had
// its turn, and after a restart.
func TestAHealthyOrderIsTheSecondProbeForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(poisoned(refused(500), "bad_"))
		d, _ := failing(o)
		for _, row := range o.deliveries {
			row.Session = "bad_" + row.Session
		}
		lane := publish.Lane{Destination: d, Publisher: to}
		stop := run(t, relay(t, o, publish.Options{}, lane))
		time.Sleep(12 * time.Hour)
		stop()
		r := relay(t, o, publish.Options{}, lane)
		stop = run(t, r)
		defer stop()
		good := o.put("shop", "good_1")
		r.Wake("shop")
		time.Sleep(10*time.Minute + time.Second)
		if o.get(good).Status != event.StatusAccepted {
			t.Errorf("a good order waits for refused ones: %+v", r.Status()[0])
		}
	})
}

// carts are sessions whose created is refused and whose fulfillable is accepted.
type carts struct {
	t     *testing.T
	store *state.Store
	relay *publish.Relay
	name  string
	paid  map[string]time.Time // fulfillable deliveries, and since when they wait
	all   []event.Delivery
}

func (c *carts) put(session, eventType string) {
	e := event.SampleEvent(eventType)
	e.Session, e.ID = session, event.ID("main", session, eventType, 0)
	d := event.Delivery{
		ID: event.DeliveryID(e.ID, c.name, ""), EventID: e.ID, EventType: e.Type, Account: "main", Session: session,
		Destination: c.name, Rules: []string{"shop"}, Ordered: true, Created: time.Now(), Due: time.Now(), Status: event.StatusPending,
	}
	if err := c.store.Commit(c.t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
		c.t.Fatal(err)
	}
	c.relay.Wake(c.name)
	if eventType == event.Fulfillable {
		c.paid[d.ID] = time.Now()
	}
	c.all = append(c.all, d)
}

// come lets a cart come every six seconds, half of which are paid after 150 s.
func (c *carts) come(from, n int) {
	for i := from; i < from+n+25; i++ {
		if i < from+n {
			c.put(fmt.Sprint("cs_", i), event.Created)
		}
		if paid := i - 25; paid >= from && paid%2 == 0 {
			c.put(fmt.Sprint("cs_", paid), event.Fulfillable)
		}
		time.Sleep(6 * time.Second)
	}
}

// waited returns how long the payments of a receiver have waited at most, counting
// those that came later than a time.
func (c *carts) waited(log []sent, later time.Time) (most time.Duration) {
	for id, since := range c.paid {
		got := sentOf(log, id)
		if len(got) == 0 {
			c.t.Fatalf("a payment that came at %s was never sent; %+v", since, c.relay.Status()[0])
		}
		if since.After(later) {
			most = max(most, got[0].at.Sub(since))
		}
		if len(got[0].delivery.Overtook) != 1 {
			c.t.Errorf("a payment that passed its created says that it overtook %v", got[0].delivery.Overtook)
		}
	}
	return most
}

// One type of events that is refused, whatever the others, stops no payment.
func TestARefusedTypeStopsNoPayment(t *testing.T) {
	for name, refusal := range map[string]publish.Result{"404": refused(404), "500": refused(500), "denied": denied()} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "404" {
				t.Skip("it takes long")
			}
			t.Parallel() // it waits for the disk
			path := filepath.Join(t.TempDir(), "notifier.db")
			synctest.Test(t, func(t *testing.T) {
				config := state.DefaultConfig()
				config.Path = path
				store, err := state.Open(t.Context(), config, nil)
				if err != nil {
					t.Fatal(err)
				}
				to, d, first, last := &receiver{}, exact("shop"), 8*time.Minute, 8*24*time.Hour
				switch name {
				case "denied":
					d, last = busOf(), time.Hour // its last slot repeats for ever
				case "500": // which might be an outage
					first = 20 * time.Minute
				}
				to.reply(poisoned(refusal, event.Created))
				r := relay(t, store, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
				stop := run(t, r)
				c := &carts{t: t, store: store, relay: r, name: d.Name, paid: map[string]time.Time{}}
				c.come(0, 60)
				time.Sleep(first)
				if most := c.waited(to.sent(), time.Time{}); most > first {
					t.Errorf("a payment waited %s", most)
				}
				later := time.Now()
				c.come(200, 20)
				time.Sleep(3 * time.Minute)
				if most := c.waited(to.sent(), later); most > 3*time.Minute {
					t.Errorf("later a payment waited %s, %+v", most, r.Status()[0])
				}
				to.reply(func(ctx context.Context, n int, m publish.Message) publish.Result { // a bad deploy meanwhile
					return refused(503)
				})
				later = time.Now()
				c.come(300, 12)
				to.reply(poisoned(refusal, event.Created))
				time.Sleep(20 * time.Minute)
				if most := c.waited(to.sent(), later); most > 20*time.Minute {
					t.Errorf("after an outage a payment waited %s, %+v", most, r.Status()[0])
				}
				time.Sleep(last)
				for _, put := range c.all {
					got, _, err := store.Delivery(t.Context(), put.ID)
					want := event.StatusAccepted
					if put.EventType == event.Created && d.Type == publish.TypeHTTP {
						want = event.StatusDead
					} else if put.EventType == event.Created {
						want = event.StatusPending
					}
					if err != nil || got.Status != want {
						t.Errorf("%s of %s is %s after %d attempts, %v", put.EventType, put.Session, got.Status, got.Attempts, err)
					}
				}
				stop()
				if err := store.Verify(t.Context()); err != nil {
					t.Error(err)
				}
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// In an outage of less than ten minutes nothing overtakes, whatever it looks like,
// and what waits goes in order afterwards.
func TestNothingOvertakesInAnOutage(t *testing.T) {
	for name, answer := range map[string]publish.Result{"500": refused(500), "unreachable": unreachable(), "404 and 503": refused(404)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				var want []string
				put := func() {
					for i := range 15 {
						for _, name := range []string{event.Created, event.Paid, event.Fulfillable} {
							want = append(want, o.put("shop", fmt.Sprint("cs_", i), ofType(name)))
						}
					}
				}
				put()
				to.reply(func(_ context.Context, n int, m publish.Message) publish.Result {
					if name == "404 and 503" && n%3 == 0 {
						return refused(503)
					}
					return answer
				})
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
				stop := run(t, r)
				defer stop()
				for r.Status()[0].State != publish.StateFailing {
					time.Sleep(time.Second)
				}
				time.Sleep(9 * time.Minute)
				to.reply(nil)
				time.Sleep(10 * time.Minute)
				if n := o.pending(); n > 0 {
					t.Fatalf("%d are pending, %+v", n, r.Status()[0])
				}
				got := map[string][]string{}
				for _, s := range to.sent() {
					if len(s.delivery.Overtook) > 0 {
						t.Errorf("%s of %s overtook", s.delivery.EventType, s.delivery.Session)
					}
					if d := o.get(s.delivery.ID); s.at.Equal(d.Finished) {
						got[d.Session] = append(got[d.Session], d.EventType)
					}
				}
				for session, types := range got {
					if diff := cmp.Diff([]string{event.Created, event.Paid, event.Fulfillable}, types); diff != "" {
						t.Errorf("%s (-want +got):\n%s", session, diff)
					}
				}
			})
		})
	}
}

// Who asks for a try gets it at once, whatever the breaker or the order says.
func TestARetryIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, ids := failing(o)
		follower := o.put("shop", "cs_3", ofType(event.Fulfillable))
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(30 * time.Minute)
		before, next := len(to.sent()), r.Status()[0].NextProbe
		for _, id := range []string{ids[9], follower, ids[2]} {
			if err := r.Retry("shop", id); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var got []string
		for _, s := range to.sent()[before:] {
			got = append(got, s.delivery.ID)
		}
		if diff := cmp.Diff([]string{ids[9], follower, ids[2]}, got); diff != "" {
			t.Fatalf("tried at once (-want +got):\n%s", diff)
		}
		if s := r.Status()[0]; s.State != publish.StateFailing || !s.NextProbe.Equal(next) {
			t.Errorf("the schedule of probes was %s, status %+v", next, s)
		}
		if diff := cmp.Diff([]string{o.get(ids[3]).EventID}, o.get(follower).Overtook); diff != "" {
			t.Errorf("overtook (-want +got):\n%s", diff)
		}
		if got := o.get(ids[9]); got.Slots != 1 {
			t.Errorf("it used a slot: %d", got.Slots)
		}
		to.reply(nil)
		if err := r.Retry("shop", follower); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := r.Status()[0]; s.State != publish.StateOK || o.pending() > 0 {
			t.Errorf("it closes the breaker as any probe: %d pending, %+v", o.pending(), s)
		}
		if err := r.Retry("nobody", "x"); err == nil {
			t.Error("an unknown destination")
		}
	})
}

// The order of a session, without a breaker, does not hold up what is asked for.
func TestARetryPassesWhatHoldsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		first, second := o.put("shop", "cs_1"), o.put("shop", "cs_1")
		to.reply(refuseFirst(first, refused(500)))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Second)
		if err := r.Retry("shop", second); err != nil {
			t.Fatal(err)
		}
		if err := r.Retry("shop", "dlv_unknown"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := sentOf(to.sent(), second)
		if len(got) != 1 || !slices.Equal(got[0].delivery.Overtook, []string{o.get(first).EventID}) || o.get(second).Status != event.StatusAccepted {
			t.Errorf("sent %+v", got)
		}
	})
}
