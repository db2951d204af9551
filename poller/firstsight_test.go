package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// A replica that lags right after the first sight tells nothing, and what was paid
// then is told at once.
func TestReplicaThatLagsAfterTheFirstSight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 5*time.Second)
		id := w.create(open(nil))
		other := w.create(open(nil))
		time.Sleep(10 * time.Second)
		w.update(id, simulator.Fields{"metadata": map[string]any{"order": "A-17"}})
		time.Sleep(time.Second)
		w.run(p, 5*time.Second)
		w.faults(simulator.Faults{Stale: simulator.Always(), StaleMS: 8000, StaleMinMS: 8000})
		w.run(p, 5*time.Second)
		w.faults(simulator.Faults{})
		w.update(other, paid())
		w.run(p, time.Minute)
		w.expect(id, "created")
		w.expect(other, "created", "completed", "paid", "fulfillable")
		w.run(p, 30*time.Minute)
		w.expect(id, "created")
	})
}

// A session that shows what awaits confirmation is still looked at as soon as it
// expires.
func TestExpiryIsNotLateForWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.HotAge, w.cfg.Poll.Tuning.Overlap = time.Minute, time.Minute
		id := w.create(open(simulator.Fields{"created": ago(12 * time.Minute), "expires_in": "13m45s"}))
		p := w.poller()
		w.run(p, 5*time.Second)
		w.create(paid()) // the head is far above it
		w.update(id, simulator.Fields{"metadata": map[string]any{"order": "A-17"}})
		w.run(p, 95*time.Second)
		if held := p.Status()[0].Held; held != 1 {
			t.Fatalf("%d sessions are held", held)
		}
		w.run(p, 18*time.Second)
		if told := w.events[id]; len(told) < 2 {
			t.Errorf("told %v, want the expiry", told)
		}
	})
}

// A change so soon after the first sight is held, and is nothing odd of the API.
func TestAnEarlyChangeIsNoOddity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start = poller.StartAll
		id := w.create(open(simulator.Fields{"created": ago(time.Minute)}))
		p := w.poller()
		w.run(p, 5*time.Second)
		w.update(id, simulator.Fields{"metadata": map[string]any{"order": "A-17"}})
		w.run(p, time.Minute)
		if s := p.Status()[0]; s.Held != 1 || len(s.Oddities) > 0 {
			t.Errorf("%d held, oddities %+v", s.Held, s.Oddities)
		}
	})
}
