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

// A connection that is back does not show that the destination takes deliveries: the
// owner hears that it does with the first one that is accepted, or when none waits. If
// their subject is blocked the alert goes on with that reason.
func TestAConnectionThatIsBackTellsNoRecovery(t *testing.T) {
	const failing, recovered = event.DestinationFailing, event.DestinationRecovered
	for name, c := range map[string]struct {
		blocked time.Duration // for how long after the connection is back
		erased  time.Duration // after so long nothing waits any more
		restart bool
		want    []string
	}{
		"it takes all":               {want: []string{failing, recovered}},
		"nothing waits":              {erased: -time.Second, want: []string{failing, recovered}},
		"blocked for a moment":       {blocked: 15 * time.Second, want: []string{failing, recovered}},
		"blocked for long":           {blocked: 10 * time.Minute, want: []string{failing, failing, recovered}},
		"blocked, and a restart":     {blocked: 10 * time.Minute, restart: true, want: []string{failing, failing, recovered}},
		"nothing waits after a time": {blocked: time.Hour, erased: 20 * time.Second, want: []string{failing, recovered}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, bus := newOutbox(), &offlineBus{subjectBus: newSubjectBus()}
				id := o.put("bus", "cs_1", ofType(event.Paid))
				lane := publish.Lane{Destination: busOf(), Publisher: bus}
				stop := run(t, relay(t, o, publish.Options{Announce: teller}, lane))
				defer func() { stop() }()
				erase := func() {
					o.mu.Lock()
					o.find(id).Status = event.StatusDead
					o.mu.Unlock()
				}
				if c.erased < 0 {
					erase()
				}
				time.Sleep(75 * time.Second)
				if c.blocked > 0 {
					bus.block(event.Paid)
				}
				bus.connected.Store(true)
				back := time.Now()
				time.Sleep(16 * time.Second)
				if types, _ := told(o); slices.Contains(types, recovered) == (c.blocked > 0) {
					t.Errorf("when the connection is back the owner has heard %v", types)
				}
				if c.restart {
					stop()
					stop = run(t, relay(t, o, publish.Options{Announce: teller}, lane))
				}
				if c.erased > 0 {
					erase()
				}
				time.Sleep(time.Until(back.Add(c.blocked)))
				bus.block()
				time.Sleep(2 * time.Minute)
				types, data := told(o)
				if !slices.Equal(types, c.want) {
					t.Fatalf("the owner heard %v", types)
				}
				if reason, _ := data[len(data)-2]["reason"].(string); len(c.want) == 3 && !strings.Contains(reason, "no stream takes the subject") {
					t.Errorf("the alert goes on with %q", reason)
				}
			})
		})
	}
}

// As long as the alert goes on the status says why.
func TestAStatusSaysWhyAnAlertGoesOnWhenTheConnectionIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, bus := newOutbox(), &offlineBus{subjectBus: newSubjectBus()}
		o.put("bus", "cs_1", func(d *event.Delivery) { d.Due = d.Due.Add(time.Hour) })
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: bus})
		defer run(t, r)()
		time.Sleep(75 * time.Second)
		bus.connected.Store(true)
		time.Sleep(10 * time.Minute)
		if s := r.Status()[0]; s.State != publish.StateOK || !s.Told || s.Why != "it can be reached again, and has accepted nothing since" {
			t.Errorf("before the first delivery: status %+v", s)
		}
		time.Sleep(time.Hour)
		if s := r.Status()[0]; s.State != publish.StateOK || s.Told || s.Why != "" {
			t.Errorf("after it: status %+v", s)
		}
	})
}
