package poller_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// Old unpaid sessions may leave the list while the paid ones beside them, which
// the index has forgotten, stay: that is no other account.
func TestSessionsThatLeaveTheListAreNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.answer = l.answer
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Tuning.PageSize = 20
		for i := range 100 {
			payment := "paid"
			if i%3 == 0 {
				payment = "unpaid"
			}
			l.add(fmt.Sprintf("cs_%d", i), time.Now().Add(-60*time.Hour-time.Duration(i)*time.Minute), "complete", payment)
		}
		p := w.poller()
		w.run(p, 15*time.Second)
		for i := 0; i < 100; i += 3 {
			delete(l.items, fmt.Sprintf("cs_%d", i))
		}
		w.run(p, time.Hour)
		if s := p.Status()[0]; s.Foreign != "" {
			t.Errorf("the account stopped: %s", s.Foreign)
		}
	})
}

// A router that knows no address for a while says nothing about sessions: the old
// ones, which no window reaches, stay watched.
func TestUnknownAddressesAreNoVanishedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := time.Now().Add(-60 * time.Hour).UTC().Format(time.RFC3339)
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": old})
		w.create(paid()) // the head is far above it
		p := w.poller()
		w.run(p, time.Minute)
		w.answer = func(*http.Request) (int, string) { return http.StatusNotFound, "404 page not found" }
		w.run(p, 2*time.Hour)
		w.answer = nil
		w.update(id, paid())
		w.run(p, 2*time.Hour)
		w.expect(id, "paid", "fulfillable")
	})
}

// Nor does an API that knows no session at all for a while.
func TestEmptyAPIIsNoVanishedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := time.Now().Add(-60 * time.Hour).UTC().Format(time.RFC3339)
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "unpaid", "created": old})
		for range 5 { // the head is far above it
			w.create(paid())
		}
		p := w.poller()
		w.run(p, time.Minute)
		full := w.api
		w.api = newAPI(t, testKey)
		w.run(p, 2*time.Hour)
		w.api = full
		w.update(id, paid())
		w.run(p, 2*time.Hour)
		w.expect(id, "paid", "fulfillable")
	})
}

// A page of a list in no order may look ordered by chance: a few sessions that are
// new, where others stood, are no other account.
func TestAFewStrangersAreNoOtherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Poll.Tuning.PageSize = 3
		for i := range 20 {
			l.add(fmt.Sprintf("cs_%d", 100-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
		}
		w.answer = l.answer
		p := w.poller()
		w.run(p, 5*time.Second)
		shuffled := newListing()
		for i := range 3 { // as new ones, of which the list shows these first
			shuffled.add(fmt.Sprintf("cs_%d", 200-i), time.Now().Add(-time.Duration(5*i)*time.Minute), "complete", "paid")
		}
		w.answer = shuffled.answer
		w.run(p, time.Second)
		w.answer = l.answer
		w.run(p, time.Minute)
		if s := p.Status()[0]; s.Foreign != "" || !s.Healthy {
			t.Errorf("the account is stopped: %s, %s", s.Foreign, s.Error)
		}
	})
}

// A vanished session that was last looked at by a clock that was ahead is asked for each hour
// once the clock is right, also by the next process.
func TestVanishedSessionOfAClockThatWasAheadIsAskedFor(t *testing.T) {
	for _, ahead := range []time.Duration{5 * days, 20 * days} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
				p := w.poller()
				w.create(paid())
				w.run(p, time.Minute)
				id := w.create(simulator.Fields{"expires_in": "24h"})
				w.run(p, 10*time.Second)
				w.faults(skewed(ahead))
				w.run(w.poller(), 10*time.Minute)
				both := skewed(ahead)
				both.Vanished = []string{id}
				w.faults(both)
				w.run(w.poller(), 30*time.Minute)
				w.faults(simulator.Faults{Vanished: []string{id}})
				for range 3 {
					w.create(nil)
				}
				p = w.poller()
				w.run(p, 30*time.Minute)
				w.faults(simulator.Faults{})
				w.update(id, paid())
				w.run(p, 65*time.Minute)
				w.expect(id, "created", "completed", "paid", "fulfillable")
			})
		})
	}
}
