package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// teller announces to nobody, which is enough to see what would be told.
func teller(e event.Event) event.Notice { return event.Notice{Event: e} }

// told lists the types of what the owner heard, with their data.
func told(o *memoryOutbox) (types []string, data []map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.notices {
		var d map[string]any
		if err := json.Unmarshal(n.Event.System, &d); err != nil {
			panic(err)
		}
		types, data = append(types, n.Event.Type), append(data, d)
	}
	return types, data
}

// failing is a destination with 12 deliveries of as many sessions, one after the
// other, so that its breaker opens with the tenth.
func failing(o *memoryOutbox) (d publish.Destination, ids []string) {
	d = exact("shop")
	d.Concurrency = 1
	d.Retry.Schedule = []time.Duration{10 * time.Hour, 10 * time.Hour}
	for i := range 12 {
		ids = append(ids, o.put("shop", fmt.Sprint("cs_", i)))
	}
	return d, ids
}

func always(r publish.Result) func(context.Context, int, publish.Message) publish.Result {
	return func(context.Context, int, publish.Message) publish.Result { return r }
}

func TestBreakerOpensAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, ids := failing(o)
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		if n := len(to.sent()); n != 10 {
			t.Fatalf("%d requests before the breaker opened, want 10", n)
		}
		if s := r.Status()[0]; s.State != publish.StateFailing || time.Until(s.NextProbe) != 5*time.Second || s.Told {
			t.Errorf("status %+v", s)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		probes := to.sent()[10:]
		want := []time.Duration{10, 20, 40, 80, 160, 300, 300}
		for i, pause := range gaps(probes) {
			if i < len(want) && pause != want[i]*time.Second {
				t.Errorf("probe %d came %s after the one before", i+2, pause)
			}
		}
		// What has waited longest is the first probe, and none is tried again before the
		// others; every second one is what was never tried, the newest first.
		var got []string
		for _, p := range probes {
			got = append(got, p.delivery.ID)
		}
		order := []string{ids[0], ids[11], ids[1], ids[10], ids[2], ids[3], ids[4], ids[5]}
		if diff := cmp.Diff(order[:len(got)], got); diff != "" {
			t.Errorf("probes (-want +got):\n%s", diff)
		}
		first := o.get(ids[0])
		if first.Slots != 1 || first.Attempts != 2 || !first.attempts[2].Probe || first.attempts[1].Probe {
			t.Errorf("a probe that was refused: %d slots, %d attempts, rows %+v", first.Slots, first.Attempts, first.attempts)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// Where somebody waits, probes come as often as that asks for, and each failed
// attempt says when the next one is.
func TestProbesAreNeverFurtherApartThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to, heard := newOutbox(), &receiver{}, &recorder{}
		d, _ := failing(o)
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{Observer: heard, LongestProbePause: 5 * time.Second}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(2*time.Minute + time.Second)
		heard.mu.Lock()
		defer heard.mu.Unlock()
		if len(heard.got) != 10+2*60/5 {
			t.Errorf("%d attempts in two minutes", len(heard.got))
		}
		for i, g := range heard.got {
			want := 5 * time.Second
			if i < 9 { // the tenth opens the breaker
				want = 10 * time.Hour
			}
			if pause := g.NextTry.Sub(g.Attempt.Started); pause != want {
				t.Errorf("attempt %d: the next try comes after %s, want %s", i+1, pause, want)
			}
		}
	})
}

// Probes at fixed times would meet an outage that comes at fixed times again and again.
func TestProbesMissWhatComesAtFixedTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, _ := failing(o)
		d.Retry.Jitter = publish.DefaultHTTP().Retry.Jitter
		began := time.Now()
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			if time.Since(began)%(5*time.Minute) < 3*time.Minute { // as under a job that cron starts
				return refused(503)
			}
			return accepted()
		})
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(2 * time.Hour)
		if n := o.pending(); n != 0 {
			t.Errorf("%d of 12 were not taken in two hours by a receiver that is well for two of each five minutes", n)
		}
	})
}

func TestWhatWaitsIsDueWhenTheBreakerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, ids := failing(o)
		follower := o.put("shop", "cs_3") // of a session whose first event was refused
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(time.Hour)
		outage := len(to.sent())
		if n := len(sentOf(to.sent(), follower)); n > 0 {
			t.Errorf("the follower was sent while its session waits")
		}
		to.reply(nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := o.pending(); n != 0 {
			t.Errorf("%d are pending although slots of ten hours no longer count", n)
		}
		for _, id := range ids {
			if got := o.get(id); got.Slots > 1 {
				t.Errorf("%s used %d slots: time under an open breaker uses none", id, got.Slots)
			}
		}
		var order []string
		for _, s := range to.sent()[outage:] {
			if s.delivery.Session == "cs_3" {
				order = append(order, s.delivery.ID)
			}
			if len(s.delivery.Overtook) > 0 {
				t.Errorf("%s says that it overtook %v", s.delivery.ID, s.delivery.Overtook)
			}
		}
		if diff := cmp.Diff([]string{ids[3], follower}, order); diff != "" {
			t.Errorf("order within the session (-want +got):\n%s", diff)
		}
		types, data := told(o)
		if !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Fatalf("the owner heard %v", types)
		}
		if data[0]["failures"] != 13.0 || data[0]["destination"] != "shop" || !strings.Contains(fmt.Sprint(data[0]["summary"]), "500") {
			t.Errorf("it fails: %v", data[0])
		}
		if s := r.Status()[0]; s.State != publish.StateOK || s.Failures != 0 || s.Told {
			t.Errorf("status %+v", s)
		}
	})
}

func TestOneSessionOpensNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.Schedule = slices.Repeat([]time.Duration{time.Second}, 30)
		o.put("shop", "cs_1")
		to.reply(always(refused(500)))
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := len(to.sent()); n != 30 {
			t.Errorf("%d requests in 29 s, want 30", n)
		}
	})
}

// What is wrong with messages is no sign of a destination that fails.
func TestRenderErrorsOpenNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, _ := failing(o)
		to.reply(always(publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassRender, Error: "there is no X", Final: true}))
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		synctest.Wait()
		if n := len(to.sent()); n != 12 || r.Status()[0].State != publish.StateOK {
			t.Errorf("%d messages, %+v", n, r.Status()[0])
		}
		types, data := told(o)
		if len(types) != 12 || types[0] != event.DeliveryDead || data[0]["class"] != publish.ClassRender || data[0]["reason"] != "render: there is no X" {
			t.Errorf("the owner heard %v %v", types, data)
		}
	})
}

func TestBreakerOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, _ := failing(o)
		to.reply(always(refused(500)))
		lane := publish.Lane{Destination: d, Publisher: to}
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, lane))
		time.Sleep(37 * time.Second) // the third probe was refused, the next is due in 38 s
		stop()
		before := len(to.sent())
		r := relay(t, o, publish.Options{Announce: teller}, lane)
		stop = run(t, r)
		time.Sleep(37 * time.Second)
		synctest.Wait()
		if n := len(to.sent()); n != before || r.Status()[0].State != publish.StateFailing {
			t.Errorf("%d requests after the restart, %+v", n-before, r.Status()[0])
		}
		to.reply(nil)
		time.Sleep(2 * time.Second)
		stop()
		if n := o.pending(); n != 0 {
			t.Errorf("%d are pending", n)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// A process that dies after a breaker closed and before all is due goes on there.
func TestRecoveringOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		o.put("shop", "cs_1", func(d *event.Delivery) { d.Due = d.Due.Add(time.Hour) })
		o.states["shop"] = event.DestinationState{Name: "shop", Standing: event.Standing{Version: 7, Recovering: true}}
		stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		synctest.Wait()
		stop()
		if n := len(to.sent()); n != 1 || o.states["shop"].Standing.Recovering {
			t.Errorf("%d sent, standing %+v", n, o.states["shop"].Standing)
		}
	})
}

func TestRequestedPausesOutliveARestart(t *testing.T) {
	gone, throttled := refused(410), refused(429)
	gone.Gone = true
	throttled.RetryAfter, throttled.Throttled = time.Hour, true
	for name, answer := range map[string]publish.Result{"410": gone, "429": throttled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				d := exact("shop")
				d.Retry.OnGone = publish.OnGonePause
				o.put("shop", "cs_1")
				to.reply(always(answer))
				lane := publish.Lane{Destination: d, Publisher: to}
				for range 3 {
					stop := run(t, relay(t, o, publish.Options{Announce: teller}, lane))
					time.Sleep(10 * time.Minute)
					stop()
				}
				if n := len(to.sent()); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

func TestPauseKeepsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(time.Second)
			return accepted()
		})
		d := exact("shop")
		d.Concurrency = 2
		for i := range 6 {
			o.put("shop", fmt.Sprint("cs_", i))
		}
		lane := publish.Lane{Destination: d, Publisher: to}
		r := relay(t, o, publish.Options{Announce: teller}, lane)
		stop := run(t, r)
		time.Sleep(1500 * time.Millisecond)
		if changed, err := r.Pause(t.Context(), "shop", "ann"); !changed || err != nil {
			t.Fatalf("Pause: %t, %v", changed, err)
		}
		if changed, err := r.Pause(t.Context(), "shop", "bob"); changed || err != nil {
			t.Errorf("Pause of a paused one: %t, %v", changed, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(to.sent()); n != 4 || o.pending() != 2 {
			t.Errorf("%d were sent and %d wait, want 4 and 2: what was under way ends", n, o.pending())
		}
		for _, row := range o.deliveries {
			if n := len(row.attempts); n > 0 && row.Status == event.StatusPending {
				t.Errorf("%d attempts of a delivery that was not sent", n)
			}
		}
		stop()
		r = relay(t, o, publish.Options{Announce: teller}, lane)
		stop = run(t, r)
		defer stop()
		time.Sleep(time.Hour)
		if s := r.Status()[0]; s.State != publish.StatePaused || s.PausedBy != "ann" || s.Why != "paused by ann" {
			t.Errorf("status after a restart %+v", s)
		}
		if changed, err := r.Resume(t.Context(), "shop", "bob"); !changed || err != nil {
			t.Fatalf("Resume: %t, %v", changed, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(to.sent()); n != 6 || o.pending() != 0 {
			t.Errorf("%d were sent and %d wait", n, o.pending())
		}
		var acts []string
		for _, a := range o.audit {
			acts = append(acts, a.Actor+" "+a.Action+" "+a.Subject)
		}
		if diff := cmp.Diff([]string{"ann destination.pause shop", "bob destination.resume shop"}, acts); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		types, data := told(o)
		if !slices.Equal(types, []string{event.DestinationPaused, event.DestinationRecovered}) {
			t.Fatalf("the owner heard %v", types)
		}
		want := map[string]any{
			"destination": "shop", "since": "2000-01-01T00:00:01.5Z", "down_for": "2h0m0s", "refused": 0.0,
			"summary": "Destination shop goes on: bob resumed it after 2h0m0s.",
		}
		if diff := cmp.Diff(want, data[1]); diff != "" {
			t.Errorf("the end of the pause (-want +got):\n%s", diff)
		}
	})
}

func TestResumeProbesAFailingDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, _ := failing(o)
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(10 * time.Minute)
		to.reply(nil)
		if changed, err := r.Resume(t.Context(), "shop", "ann"); !changed || err != nil {
			t.Fatalf("Resume: %t, %v", changed, err)
		}
		synctest.Wait()
		if n := o.pending(); n != 0 {
			t.Errorf("%d are pending", n)
		}
	})
}

// Who has mended something and resumes sees at once that what was never refused is
// taken, whatever waits besides for ever.
func TestResumeProbesWhatWasNeverTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d, ids := failing(o)
		for _, row := range o.deliveries[:10] {
			row.Session = "bad_" + row.Session
		}
		to.reply(always(refused(500)))
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
		defer run(t, r)()
		time.Sleep(20 * time.Second) // the next probe is one that was refused
		to.reply(poisoned(refused(422), "bad_"))
		if _, err := r.Resume(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := r.Status()[0]; s.State == publish.StateFailing || o.get(ids[10]).Status != event.StatusAccepted {
			t.Errorf("status %+v", s)
		}
	})
}

// The death of what tells of failures is not told: that would have no end.
func TestDeathOfASystemEventIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		final := refused(400)
		final.Final = true
		to.reply(always(final))
		o.put("shop", "", func(d *event.Delivery) { d.EventType, d.Subject = event.DestinationFailing, "bus" })
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		synctest.Wait()
		stop()
		if types, _ := told(o); len(types) > 0 || o.pending() > 0 {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// A destination that can take nothing is no news for a minute.
func TestUnavailableIsToldAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(always(gone()))
		o.put("bus", "cs_1")
		d := publish.DefaultNATS()
		d.Name = "bus"
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if types, _ := told(o); len(types) > 0 {
			t.Errorf("after 50 s the owner heard %v", types)
		}
		time.Sleep(time.Hour)
		to.reply(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// Retries, however many and slow, leave room for first attempts.
func TestRetriesDoNotStarveFirstAttempts(t *testing.T) {
	for _, concurrency := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				d := exact("shop")
				d.Concurrency = concurrency
				for i := range 200 { // refused before, and due
					o.put("shop", fmt.Sprint("cs_", i), func(d *event.Delivery) { d.Slots = 1 })
				}
				to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
					if m.Delivery.Slots > 0 {
						time.Sleep(10 * time.Second)
					}
					return accepted()
				})
				r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: to})
				stop := run(t, r)
				defer stop()
				time.Sleep(15 * time.Second)
				fresh := o.put("shop", "cs_new")
				asked := time.Now()
				r.Wake("shop")
				time.Sleep(time.Minute)
				got := sentOf(to.sent(), fresh)
				if len(got) != 1 {
					t.Fatalf("a first attempt was sent %d times", len(got))
				}
				limit := time.Duration(0) // a slot is free for it
				if concurrency == 1 {
					limit = 10 * time.Second // it is next
				}
				if waited := got[0].at.Sub(asked); waited > limit {
					t.Errorf("a first attempt waited %s behind retries", waited)
				}
			})
		})
	}
}
