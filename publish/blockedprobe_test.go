package publish_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// A probe of an open breaker that meets a blocked subject shows that the destination is
// there: from then on the probes of the breaker come as often as those of the subject,
// and the status says what the last one met. So does what somebody asked for.
func TestAProbeThatMeetsABlockedSubjectIsFollowedByItsProbes(t *testing.T) {
	for name, asked := range map[string]bool{"probe": false, "asked for": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), newSubjectBus()
				take := to.answer
				to.reply(always(denied()))
				ids := putType(o, 330, event.Paid, "order_")
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
				stop := run(t, r)
				defer func() { stop() }()
				time.Sleep(30 * time.Minute)
				if s := r.Status()[0]; s.State != publish.StateFailing || !strings.Contains(s.Why, "last probe: nats: permission denied") {
					t.Fatalf("status %+v", s)
				}
				to.block(event.Paid)
				to.reply(take)
				if asked {
					if err := r.Retry("bus", ids[7]); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				for r.Status()[0].BlockedAll == 0 {
					time.Sleep(time.Second)
				}
				checkBlockedProbe(t, r.Status()[0])
				time.Sleep(10 * time.Minute)
				before := len(to.sent())
				time.Sleep(10 * time.Minute)
				if n := len(to.sent()) - before; n < 39 || n > 41 {
					t.Errorf("%d probes in ten minutes", n)
				}
				stop()
				stop = run(t, r)
				time.Sleep(16 * time.Second)
				checkBlockedProbe(t, r.Status()[0])
				to.block()
				time.Sleep(16 * time.Second)
				if s := r.Status()[0]; o.pending() > 0 || s.State != publish.StateOK {
					t.Errorf("in the end %d are pending, status %+v", o.pending(), s)
				}
				if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
					t.Errorf("the owner heard %v", types)
				}
			})
		})
	}
}

func checkBlockedProbe(t *testing.T, s publish.DestinationStatus) {
	t.Helper()
	const met = "nats: no stream takes the subject"
	if s.State != publish.StateFailing || s.Why != "last probe: "+met || s.Refusal != met || time.Since(s.RefusedAt) > 15*time.Second {
		t.Errorf("after a probe that met a blocked subject: status %+v", s)
	}
	if len(s.Blocked) != 1 || s.NextProbe.After(s.Blocked[0].Next) || time.Since(s.NextProbe) > 0 {
		t.Errorf("the next probe is at %s, blocked subjects %+v", s.NextProbe, s.Blocked)
	}
}
