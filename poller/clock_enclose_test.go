package poller_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// Once answers tell the right time again, a change lies between the times that are
// said of it: while they are doubted, and when they are believed.
func TestTimesEncloseTheChangeAfterAWrongDate(t *testing.T) {
	for _, by := range []time.Duration{90 * time.Second, -90 * time.Second, 3 * time.Minute, time.Hour, -time.Hour, 20 * days, -20 * days} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p := w.poller()
				w.run(p, time.Minute)
				var ids []string
				for range 20 {
					ids = append(ids, w.create(open(nil)))
				}
				w.run(p, time.Minute)
				w.faults(skewed(by))
				w.run(p, 10*time.Minute)
				w.faults(simulator.Faults{})
				for i, id := range ids {
					time.Sleep(700 * time.Millisecond)
					changed := time.Now()
					w.update(id, paid())
					w.run(p, 15*time.Second)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					if after, before := w.since[id], w.before[id]; after.After(changed) || before.Before(changed.Truncate(time.Second)) {
						t.Errorf("change %d: from %s to %s, it happened at %s", i, after, before, changed.UTC())
					}
				}
			})
		})
	}
}

// So it does where the first answer that tells the right time again is slow: it may
// have told it at any moment of its way.
func TestTimesEncloseTheChangeAfterASlowAnswer(t *testing.T) {
	for _, by := range []time.Duration{90 * time.Second, -90 * time.Second, time.Hour, -time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				changed := make(map[string]time.Time)
				change := func(id string) {
					changed[id] = time.Now()
					w.update(id, paid())
				}
				during := "" // of the next answer, which is slow
				w.network = roundTrip(func(req *http.Request) (*http.Response, error) {
					if during == "" {
						return serve(w.api, req)
					}
					id := during
					during = ""
					time.Sleep(4 * time.Second)
					resp, err := serve(w.api, req)
					change(id)
					time.Sleep(4 * time.Second)
					return resp, err
				})
				p := w.poller()
				w.run(p, time.Minute)
				before, meanwhile := w.create(open(nil)), w.create(open(nil))
				after, last := w.create(open(nil)), w.create(open(nil))
				w.faults(skewed(by))
				w.run(p, 10*time.Minute+time.Second) // the last pass began a second ago
				w.faults(simulator.Faults{})
				change(before)
				during = meanwhile
				w.run(p, 15*time.Second)
				w.run(p, 51*time.Second) // and a second since its last pass
				change(after)
				during = last // and by this one the time is believed
				w.run(p, 2*time.Minute)
				for _, id := range []string{before, meanwhile, after, last} {
					w.expect(id, "created", "completed", "paid", "fulfillable")
					at := changed[id]
					if since, until := w.since[id], w.before[id]; since.After(at) || until.Before(at.Truncate(time.Second)) {
						t.Errorf("from %s to %s, it happened at %s", since, until, at.UTC())
					}
				}
			})
		})
	}
}
