package publish_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// A standing that was stored while our clock was a day ahead makes the destination
// wait for as long as it would have, and not until the clock comes there.
func TestStandingOfAClockThatWasAhead(t *testing.T) {
	for name, tt := range map[string]struct {
		standing func(ahead time.Time) event.Standing
		within   time.Duration
	}{
		"the breaker is open": {func(ahead time.Time) event.Standing {
			return event.Standing{Changed: ahead, Broken: ahead, FailedSince: ahead, NextProbe: ahead.Add(40 * time.Second), Probes: 2, Failures: 10, FailedOthers: true}
		}, 40 * time.Second},
		"it asked for a pause": {func(ahead time.Time) event.Standing {
			return event.Standing{Changed: ahead, Throttled: ahead.Add(time.Hour), Failures: 1, FailedSince: ahead}
		}, time.Hour},
		"the breaker is open, by an earlier version": {func(ahead time.Time) event.Standing {
			return event.Standing{Broken: ahead, NextProbe: ahead.Add(5 * time.Second), Probes: 0, Failures: 10, FailedOthers: true}
		}, 5 * time.Minute},
		"it asked for a pause, by an earlier version": {func(ahead time.Time) event.Standing {
			return event.Standing{Throttled: ahead.Add(90 * 24 * time.Hour)}
		}, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				o.put("shop", "cs_1")
				standing := tt.standing(time.Now().Add(24 * time.Hour))
				standing.Version = 7
				o.states["shop"] = event.DestinationState{Name: "shop", Standing: standing}
				stop := run(t, relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to}))
				time.Sleep(tt.within - time.Second)
				early := len(to.sent())
				time.Sleep(2 * time.Second)
				stop()
				if late := len(to.sent()); early != 0 || late != 1 {
					t.Errorf("%d sent a second before %s had passed, %d then", early, tt.within, late)
				}
			})
		})
	}
}

// The owner hears of a destination that fails for long although the times of an
// earlier recovery lie in the future.
func TestFailingIsToldAfterARecoveryOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.Schedule = []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, time.Minute}
		o.put("shop", "cs_1")
		ahead := time.Now().Add(24 * time.Hour)
		o.states["shop"] = event.DestinationState{Name: "shop", Standing: event.Standing{Version: 7, Changed: ahead, FailedSince: ahead, FailedFirst: "cs_1", Failures: 1, Recovered: ahead}}
		to.reply(always(refused(500)))
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to}))
		time.Sleep(12 * time.Minute)
		stop()
		if types, _ := told(o); fmt.Sprint(types) != fmt.Sprint([]string{event.DestinationFailing}) {
			t.Errorf("the owner heard %v", types)
		}
	})
}
