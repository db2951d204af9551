package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// night is a receiver that goes down and up again in turns, and gets an order at a time.
type night struct {
	o               *memoryOutbox
	relay           *publish.Relay
	began           time.Time
	down, up, every time.Duration
	until           time.Time   // then it is well for good; zero: never
	failed          []time.Time // the first refusal of each outage
}

func newNight(down, up, every time.Duration) (n *night, to *receiver) {
	n, to = &night{o: newOutbox(), began: time.Now(), down: down, up: up, every: every}, &receiver{}
	to.reply(func(context.Context, int, publish.Message) publish.Result {
		now := time.Now()
		n.o.mu.Lock()
		defer n.o.mu.Unlock()
		round := int(now.Sub(n.began) / (down + up))
		if now.Sub(n.began)%(down+up) >= down || !n.until.IsZero() && now.After(n.until) {
			return accepted()
		}
		if len(n.failed) <= round {
			n.failed = append(n.failed, now)
		}
		return refused(503)
	})
	return n, to
}

// pass lets time pass, with its orders.
func (n *night) pass(span time.Duration) {
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(min(n.every, time.Until(end))) {
		n.o.put("shop", fmt.Sprint("cs_", time.Now().UnixNano()))
		n.relay.Wake("shop")
	}
	synctest.Wait()
}

// A receiver that goes down and up all night is one alert that lasts: it is told the second
// time once it has failed for a minute, and is over once it was well for ten.
func TestAReceiverThatGoesDownAndUpIsOneAlert(t *testing.T) {
	const failing, recovered = event.DestinationFailing, event.DestinationRecovered
	for _, c := range []struct{ down, up, every time.Duration }{
		{90 * time.Second, time.Minute, 8 * time.Second},
		{75 * time.Second, 45 * time.Second, 5 * time.Second},
	} {
		t.Run(fmt.Sprint(c.down, " down, ", c.up, " up"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, to := newNight(c.down, c.up, c.every)
				n.relay = relay(t, n.o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, n.relay)()
				heard := func(want ...string) []map[string]any {
					t.Helper()
					types, data := told(n.o)
					if !slices.Equal(types, want) {
						t.Fatalf("after %s the owner heard %v, want %v", time.Since(n.began), types, want)
					}
					return data
				}
				n.pass(c.down)
				heard(failing)
				n.pass(c.up)
				heard(failing, recovered)
				n.pass(c.down)
				heard(failing, recovered, failing)
				if s := n.relay.Status()[0]; !s.Told {
					t.Errorf("while it fails: %+v", s)
				}
				n.pass(c.up)
				const why = "it failed again soon after it was well, which is over once it has been well for ten minutes"
				if s := n.relay.Status()[0]; s.Told || s.State != publish.StateOK || s.Why != why {
					t.Errorf("while it is up: %+v", s)
				}
				n.pass(20 * (c.down + c.up))
				data := heard(failing, recovered, failing)
				for i, at := range map[int]int{0: 0, 2: 1} {
					if want := event.FormatTime(n.failed[at]); data[i]["since"] != want {
						t.Errorf("since %s the owner heard %v", want, data[i])
					}
				}
				n.until = time.Now()
				n.pass(9 * time.Minute)
				heard(failing, recovered, failing)
				n.pass(3 * time.Minute)
				data = heard(failing, recovered, failing, recovered)
				if got := fmt.Sprint(data[3]["summary"]); !strings.HasPrefix(got, "Destination shop has been well for ten minutes; it had failed again soon after it took deliveries again, ") {
					t.Errorf("the owner heard %v", got)
				}
			})
		})
	}
}

// The ten minutes are counted over restarts, without orders too; time in which the program
// did not run is none of them.
func TestTheTenMinutesThatEndARelapseAreCountedOverRestarts(t *testing.T) {
	for _, ending := range []string{"crash", "end"} {
		t.Run(ending, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, to := newNight(90*time.Second, time.Minute, 8*time.Second)
				lane := publish.Lane{Destination: exact("shop"), Publisher: to}
				n.relay = relay(t, n.o, publish.Options{Announce: teller}, lane)
				stop := run(t, n.relay)
				n.pass(5 * time.Minute)
				n.until = time.Now()
				time.Sleep(time.Minute)
				for i := range 30 {
					want := []string{event.DestinationFailing, event.DestinationRecovered, event.DestinationFailing}
					if types, _ := told(n.o); i < 12 && !slices.Equal(types, want) {
						t.Fatalf("after %s the owner heard %v", time.Since(n.began), types)
					}
					if ending == "crash" {
						crashed(n.o, "shop", stop)
					} else {
						stop()
					}
					time.Sleep(20 * time.Minute)
					stop = run(t, relay(t, n.o, publish.Options{Announce: teller}, lane))
					time.Sleep(40 * time.Second)
				}
				stop()
				if types, _ := told(n.o); len(types) != 4 || types[3] != event.DestinationRecovered {
					t.Errorf("in the end the owner heard %v", types)
				}
			})
		})
	}
}

// Orders that meet a receiver which is just starting open its breaker, and call nobody
// unless it fails for half a minute.
func TestABatchThatMeetsAReceiverWhichIsStarting(t *testing.T) {
	for _, c := range []struct {
		down time.Duration
		want []string
	}{{9 * time.Second, nil}, {29 * time.Second, nil}, {36 * time.Second, []string{event.DestinationFailing, event.DestinationRecovered}}} {
		t.Run(fmt.Sprint("for ", c.down), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, to := newNight(c.down, time.Hour, time.Hour)
				for i := range 12 {
					n.o.put("shop", fmt.Sprint("cs_", i))
				}
				n.relay = relay(t, n.o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, n.relay)()
				time.Sleep(time.Second)
				if s := n.relay.Status()[0]; s.State != publish.StateFailing {
					t.Errorf("status %+v", s)
				}
				time.Sleep(10 * time.Minute)
				types, data := told(n.o)
				if !slices.Equal(types, c.want) || len(data) > 0 && data[0]["since"] != event.FormatTime(n.began) {
					t.Errorf("since %s the owner heard %v %v", event.FormatTime(n.began), types, data)
				}
				if n.o.pending() > 0 {
					t.Errorf("%d are pending", n.o.pending())
				}
			})
		})
	}
}

// An open breaker is told though no process lives until the probe that would tell it.
func TestAnOpenBreakerIsToldThoughTheProgramRestartsOften(t *testing.T) {
	for _, ending := range []string{"crash", "end"} {
		t.Run(ending, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, to := newNight(24*time.Hour, time.Hour, time.Hour)
				for i := range 12 {
					n.o.put("shop", fmt.Sprint("cs_", i))
				}
				for ran := time.Duration(0); ran < 100*time.Second; ran += 8 * time.Second {
					if types, _ := told(n.o); ran <= 24*time.Second && len(types) > 0 {
						t.Fatalf("after %s the owner heard %v", ran, types)
					}
					stop := run(t, relay(t, n.o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to}))
					time.Sleep(8 * time.Second)
					if ending == "crash" {
						crashed(n.o, "shop", stop)
					} else {
						stop()
					}
					time.Sleep(time.Minute)
				}
				if types, data := told(n.o); !slices.Equal(types, []string{event.DestinationFailing}) || data[0]["since"] != event.FormatTime(n.began) {
					t.Errorf("since %s the owner heard %v %v", event.FormatTime(n.began), types, data)
				}
			})
		})
	}
}

// A drain is over long before ten minutes are: it tells the end of a relapse at once.
func TestADrainEndsARelapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		began := time.Now()
		o.states["shop"] = event.DestinationState{Name: "shop", Standing: event.Standing{Version: 1, Recovered: began, Announced: began, FailedSince: began, Failures: 3}}
		time.Sleep(2 * time.Minute)
		o.put("shop", "cs_1")
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: &receiver{}})
		if _, _, err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationRecovered}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// A pause of a destination that is well again, and is watched, ends what was told of it.
func TestAPauseEndsARelapseThatIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, to := newNight(90*time.Second, time.Minute, 8*time.Second)
		n.relay = relay(t, n.o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
		defer run(t, n.relay)()
		n.pass(5 * time.Minute)
		n.until = time.Now()
		time.Sleep(time.Minute)
		if _, err := n.relay.Pause(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := n.relay.Resume(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		const failing, recovered = event.DestinationFailing, event.DestinationRecovered
		if types, data := told(n.o); !slices.Equal(types, []string{failing, recovered, failing, event.DestinationPaused, recovered}) {
			t.Errorf("the owner heard %v %v", types, data)
		}
	})
}
