package publish_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// duringOutbox does something while it is asked. What is nil does nothing.
type duringOutbox struct {
	*memoryOutbox
	take, save, saved func() error
	hasten, look      func()
}

func (o *duringOutbox) Take(ctx context.Context, step event.Step) (event.Stepped, error) {
	if len(step.Resolved) > 0 && o.take != nil {
		if err := o.take(); err != nil {
			return event.Stepped{}, err
		}
	}
	return o.memoryOutbox.Take(ctx, step)
}

func (o *duringOutbox) SaveStanding(ctx context.Context, c event.StandingChange) error {
	if o.save != nil {
		if err := o.save(); err != nil {
			return err
		}
	}
	err := o.memoryOutbox.SaveStanding(ctx, c)
	if o.saved != nil {
		return errors.Join(err, o.saved())
	}
	return err
}

func (o *duringOutbox) Hasten(ctx context.Context, destination string, now time.Time, limit int) (int, error) {
	if o.hasten != nil {
		o.hasten()
	}
	return o.memoryOutbox.Hasten(ctx, destination, now, limit)
}

func (o *duringOutbox) Destinations(ctx context.Context) ([]event.DestinationState, error) {
	if o.look != nil {
		o.look()
	}
	return o.memoryOutbox.Destinations(ctx)
}

// failsOnce fails after a time, for the first time that it is called.
func failsOnce(after time.Duration) func() error {
	called := false
	return func() error {
		if called {
			return nil
		}
		called = true
		time.Sleep(after)
		return errors.New("input/output error")
	}
}

// What the owner hears first is what happened first, and nothing that was stored says that
// he knows what he was not told: also where a step cannot be stored, or something happens
// while another thing is stored. Otherwise a trouble has no end, or an end comes twice.
func TestNothingThatTheOwnerHearsIsLostOrOutOfOrder(t *testing.T) {
	const failing, recovered, paused = event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused
	type scene struct {
		o     *duringOutbox
		to    *receiver
		relay *publish.Relay
		start func() // again, after stop
		stop  func()
	}
	// fails lets a destination fail, which is told at once, and have an attempt under way
	// then, which is accepted after five seconds.
	fails := func(s *scene) {
		s.to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
			if m.Delivery.Session == "cs_2" {
				time.Sleep(6 * time.Second)
				return accepted()
			}
			time.Sleep(time.Second)
			asks := refused(429)
			asks.Throttled, asks.RetryAfter = true, 15*time.Minute
			return asks
		})
		s.o.put("shop", "cs_1")
		s.o.put("shop", "cs_2")
		s.relay.Wake("shop")
		time.Sleep(1500 * time.Millisecond)
		s.to.reply(nil)
	}
	for name, c := range map[string]struct {
		happens func(*testing.T, *scene)
		hears   []string
	}{
		"it recovers while its failure cannot be stored": {func(_ *testing.T, s *scene) {
			s.o.take = failsOnce(10 * time.Second)
			fails(s)
		}, []string{failing, recovered}},
		"it is resumed before it is stored that it stopped": {func(t *testing.T, s *scene) {
			s.o.take = failsOnce(0)
			gone := refused(410)
			gone.Gone = true
			s.to.reply(always(gone))
			s.o.put("shop", "cs_1")
			s.relay.Wake("shop")
			time.Sleep(50 * time.Millisecond)
			s.to.reply(nil)
			if changed, err := s.relay.Resume(t.Context(), "shop", "ann"); err != nil || !changed {
				t.Fatal(changed, err)
			}
		}, []string{paused, recovered}},
		"it recovers while another standing is stored, before a crash": {func(t *testing.T, s *scene) {
			fails(s)
			for _, f := range []func(context.Context, string, string) (bool, error){s.relay.Pause, s.relay.Resume} {
				s.o.hasten = func() {
					time.Sleep(10 * time.Second)
					s.o.saved = func() error { s.o.setFail(errors.New("killed")); return nil }
				}
				if _, err := f(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * time.Second)
			s.stop()
			s.o.hasten, s.o.saved = nil, nil
			s.o.setFail(nil)
			s.start()
		}, []string{failing, paused, recovered}},
		"it recovers with an order that is erased": {func(_ *testing.T, s *scene) {
			fails(s)
			s.o.mu.Lock()
			s.o.deliveries[1].Status = event.StatusDead
			s.o.mu.Unlock()
		}, []string{failing, recovered}},
		"it recovers during a pause that cannot be stored": {func(t *testing.T, s *scene) {
			fails(s)
			s.o.save = failsOnce(10 * time.Second)
			if _, err := s.relay.Pause(t.Context(), "shop", "ann"); err == nil {
				t.Fatal("it is paused")
			}
		}, []string{failing, recovered}},
		"what was refused until it recovered is under way": {func(t *testing.T, s *scene) {
			s.to.reply(always(refused(503)))
			s.o.put("shop", "cs_1")
			s.o.put("shop", "cs_2")
			s.relay.Wake("shop")
			time.Sleep(15 * time.Minute)
			s.to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
				if m.Delivery.Session == "cs_2" {
					time.Sleep(5 * time.Second)
				}
				return accepted()
			})
			for _, f := range []func(context.Context, string, string) (bool, error){s.relay.Pause, s.relay.Resume} {
				if _, err := f(t.Context(), "shop", "ann"); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{failing, paused, recovered}},
		"it stops while the program looks whether orders are refused": {func(t *testing.T, s *scene) {
			looks := make(chan struct{})
			s.to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
				answer := refused(422)
				switch m.Delivery.Session {
				case "cs_bad":
				case "cs_gone":
					<-looks
					answer.StatusCode, answer.Gone = 410, true
				default:
					answer = accepted()
				}
				return answer
			})
			s.o.put("shop", "cs_bad")
			s.o.put("shop", "cs_gone")
			begin := time.Now()
			s.o.look = func() {
				if time.Since(begin) >= 10*time.Minute { // cs_bad was refused for long enough to be told
					close(looks)
					time.Sleep(10 * time.Second)
					s.o.look = nil
				}
			}
			for n := 0; s.relay.Status()[0].State != publish.StatePaused; n++ {
				s.o.put("shop", fmt.Sprint("cs_", n))
				s.relay.Wake("shop")
				time.Sleep(30 * time.Second)
			}
			s.to.reply(nil)
			if _, err := s.relay.Resume(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
		}, []string{paused, recovered}},
		"it recovers while its resumption cannot be stored": {func(t *testing.T, s *scene) {
			fails(s)
			if _, err := s.relay.Pause(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
			s.o.save = failsOnce(10 * time.Second)
			if _, err := s.relay.Resume(t.Context(), "shop", "ann"); err == nil {
				t.Fatal("it is resumed")
			}
			time.Sleep(time.Minute)
			if _, err := s.relay.Resume(t.Context(), "shop", "ann"); err != nil {
				t.Fatal(err)
			}
		}, []string{failing, paused, recovered}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scene{o: &duringOutbox{memoryOutbox: newOutbox()}, to: &receiver{}}
				d := exact("shop")
				d.Retry.OnGone = publish.OnGonePause
				s.start = func() {
					s.relay = relay(t, s.o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: s.to})
					s.stop = run(t, s.relay)
					synctest.Wait()
				}
				s.start()
				c.happens(t, s)
				time.Sleep(time.Hour)
				s.o.put("shop", "cs_last")
				s.relay.Wake("shop")
				time.Sleep(time.Hour)
				s.stop()
				if types, _ := told(s.o.memoryOutbox); !slices.Equal(types, c.hears) {
					t.Errorf("the owner heard %v, want %v", types, c.hears)
				}
			})
		})
	}
}
