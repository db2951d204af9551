package publish_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// offline is a publisher that knows of itself that it is not connected, unless it is.
type offline struct {
	*receiver
	connected atomic.Bool
}

func (p *offline) Available(context.Context) error {
	if p.connected.Load() {
		return nil
	}
	return errors.New("not connected to NATS")
}

// crashed ends a relay and takes back what its end stored of how destinations stand.
func crashed(o *memoryOutbox, name string, stop func()) {
	synctest.Wait()
	o.mu.Lock()
	before := o.states[name]
	o.mu.Unlock()
	stop()
	o.mu.Lock()
	after := o.states[name]
	after.Standing = before.Standing
	o.states[name] = after
	o.mu.Unlock()
}

// However often the program restarts, its owner hears of what lasts; the time in
// which it did not run does not count.
func TestTroubleIsToldThoughTheProgramRestartsOften(t *testing.T) {
	bus := newSubjectBus("created")
	for name, c := range map[string]struct {
		to     publish.Publisher
		well   func()
		state  publish.State
		others bool // something else is accepted meanwhile
	}{
		"no answer":       {to: busThat(always(gone())), state: publish.StateUnreachable},
		"no connection":   {to: &offline{receiver: &receiver{}}, state: publish.StateUnreachable},
		"blocked subject": {to: bus, state: publish.StateWaiting, others: true},
	} {
		for _, ending := range []string{"crash", "end"} {
			t.Run(name+", "+ending, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOutbox()
					o.put("bus", "cs_1", ofType("created"))
					began := time.Now()
					lane := publish.Lane{Destination: busOf(), Publisher: c.to}
					ran := func(d time.Duration) {
						r := relay(t, o, publish.Options{Announce: teller}, lane)
						stop := run(t, r)
						if c.others {
							o.put("bus", "cs_other", ofType("paid"))
							r.Wake("bus")
						}
						time.Sleep(d)
						synctest.Wait()
						if s := r.Status()[0]; s.State != c.state || !s.Since.Equal(began) {
							t.Errorf("after %s: status %+v", time.Since(began), s)
						}
						if ending == "crash" {
							crashed(o, "bus", stop)
						} else {
							stop()
						}
						time.Sleep(10 * time.Minute)
					}
					ran(25 * time.Second)
					ran(25 * time.Second)
					if types, _ := told(o); len(types) > 0 {
						t.Errorf("after 50 s the owner heard %v", types)
					}
					for range 4 {
						ran(25 * time.Second)
					}
					if types, data := told(o); !slices.Equal(types, []string{event.DestinationFailing}) || data[0]["since"] != event.FormatTime(began) {
						t.Errorf("since %s the owner heard %v %v", event.FormatTime(began), types, data)
					}
				})
			})
		}
	}
}

// offlineBus takes nothing for some subjects while it is connected.
type offlineBus struct {
	*subjectBus
	connected atomic.Bool
}

func (p *offlineBus) Available(context.Context) error {
	if p.connected.Load() {
		return nil
	}
	return errors.New("not connected to NATS")
}

// What is told of blocked subjects after a restart has their reason: that is known from
// the first probe on, and without one nothing is told.
func TestBlockedSubjectsAreToldWithTheirReasonAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, bus := newOutbox(), &offlineBus{subjectBus: newSubjectBus("created", "expired")}
		bus.connected.Store(true)
		o.put("bus", "cs_1", ofType("created"))
		o.put("bus", "cs_2", ofType("expired"))
		lane := publish.Lane{Destination: busOf(), Publisher: bus}
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, lane))
		time.Sleep(29 * time.Second)
		stop()
		bus.connected.Store(false)
		r := relay(t, o, publish.Options{Announce: teller}, lane)
		stop = run(t, r)
		defer stop()
		time.Sleep(2 * time.Minute)
		if s := r.Status()[0]; s.BlockedAll != 2 || s.Blocked[0].Why != "it has not been tried again so far" {
			t.Errorf("before the first probe: %+v", s)
		}
		bus.connected.Store(true)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		types, data := told(o)
		const failing = event.DestinationFailing
		// The two are probed at once: either may be answered first.
		reasons := []any{"takes nothing for created, expired: no stream takes the subject", "takes nothing for expired, created: no stream takes the subject"}
		if !slices.Equal(types, []string{failing, failing}) || !slices.Contains(reasons, data[1]["reason"]) {
			t.Errorf("the owner heard %v %v", types, data)
		}
	})
}

func busThat(reply func(context.Context, int, publish.Message) publish.Result) *receiver {
	to := &receiver{}
	to.reply(reply)
	return to
}

// Refusals that are few and far between are told after ten minutes in which the
// program ran.
func TestTimeThatTheProgramDidNotRunIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		o.put("bus", "cs_1")
		d := busOf()
		d.Retry.Schedule = []time.Duration{time.Minute}
		lane := publish.Lane{Destination: d, Publisher: busThat(always(denied()))}
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, lane))
		time.Sleep(4*time.Minute + time.Second)
		crashed(o, "bus", stop)
		time.Sleep(time.Hour)
		stop = run(t, relay(t, o, publish.Options{Announce: teller}, lane))
		time.Sleep(4 * time.Minute)
		if types, _ := told(o); len(types) > 0 {
			t.Errorf("after eight minutes the owner heard %v", types)
		}
		for range 20 { // each shorter than what is between two tries
			crashed(o, "bus", stop)
			stop = run(t, relay(t, o, publish.Options{Announce: teller}, lane))
			time.Sleep(20 * time.Second)
		}
		stop()
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing}) {
			t.Errorf("in the end the owner heard %v", types)
		}
	})
}

// A connection that is back after a restart ends what is shown, and is told.
func TestAnOutageEndsAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &offline{receiver: &receiver{}}
		lane := publish.Lane{Destination: busOf(), Publisher: to}
		r := relay(t, o, publish.Options{Announce: teller}, lane)
		stop := run(t, r)
		time.Sleep(5 * time.Minute)
		crashed(o, "bus", stop)
		if s := publish.StoredStatus(o.states["bus"]); s.State != publish.StateUnreachable || s.Since.IsZero() || s.Why == "" {
			t.Errorf("stored: %+v", s)
		}
		to.connected.Store(true)
		r = relay(t, o, publish.Options{Announce: teller}, lane)
		stop = run(t, r)
		defer stop()
		time.Sleep(20 * time.Second)
		if s, stored := r.Status()[0], publish.StoredStatus(o.states["bus"]); s.State != publish.StateOK || stored.State != "" || !s.Since.IsZero() || !stored.Since.IsZero() {
			t.Errorf("status %+v, stored %+v", s, stored)
		}
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}

// An HTTP destination that nobody answers at is shown so after a restart, too.
func TestUnreachableOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		o.put("shop", "cs_1")
		lane := publish.Lane{Destination: exact("shop"), Publisher: busThat(always(unreachable()))}
		stop := run(t, relay(t, o, publish.Options{}, lane))
		time.Sleep(time.Minute)
		stop()
		r := relay(t, o, publish.Options{}, lane)
		stop = run(t, r)
		defer stop()
		synctest.Wait()
		if s, stored := r.Status()[0], publish.StoredStatus(o.states["shop"]); s.State != publish.StateUnreachable || stored.State != publish.StateUnreachable {
			t.Errorf("status %+v, stored %+v", s, stored)
		}
	})
}

// Since when a row of refusals is shown to last is since the first of those that are
// counted: what came before an outage is another row.
func TestARowOfRefusalsIsSinceItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), busThat(always(denied()))
		o.put("bus", "cs_1")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(5 * time.Minute)
		to.reply(always(gone()))
		time.Sleep(5 * time.Minute)
		to.reply(always(denied()))
		for s := r.Status()[0]; s.State != publish.StateRefusing; s = r.Status()[0] {
			time.Sleep(time.Second)
		}
		if s := r.Status()[0]; s.Failures != 1 || time.Since(s.Since) > time.Second {
			t.Errorf("status %+v, since %s", s, time.Since(s.Since))
		}
	})
}
