package poller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
)

// A hole may end with a session that the API does not know any more, or never did: the account
// must not fail over it, for nothing would ask for the hole then.
func TestHoleEndsWithASessionThatIsGone(t *testing.T) {
	for _, below := range []time.Duration{15 * time.Second, 4 * time.Minute, 2 * time.Hour, 20 * 365 * days} {
		for _, two := range []bool{false, true} {
			for _, timed := range []bool{false, true} {
				t.Run(fmt.Sprint(below, " two ", two, " timed ", timed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						l := newListing()
						w.answer = l.within
						for i := range 40 {
							l.add(fmt.Sprintf("cs_%d", 100+i), time.Now().Add(-time.Duration(i)*10*time.Second), "complete", "paid")
						}
						w.run(w.poller(), time.Minute)
						at := func(id string) time.Time { return w.snapshots[id].Created }
						gone := at("cs_105").Add(-below)
						h := event.Hole{Above: "cs_105", AboveAt: at("cs_105"), Below: "cs_gone", BelowAt: gone, Since: time.Now(), Asked: time.Now(), Error: "boom"}
						if timed {
							h.Above = ""
						}
						w.account.Holes = []event.Hole{h}
						if two {
							w.account.Holes = []event.Hole{{AboveAt: at("cs_102"), Below: "cs_105", BelowAt: at("cs_105"), Since: time.Now(), Asked: time.Now(), Error: "boom"}, h}
						}
						p := w.poller()
						w.run(p, 4*time.Second)
						l.order("cs_1000", "complete", "paid")
						w.run(p, 10*time.Second)
						w.expect("cs_1000", "created", "completed", "paid", "fulfillable")
						w.run(p, 3*time.Hour) // with reconciliations
						if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 0 {
							t.Errorf("healthy %t (%s), holes %+v", s.Healthy, s.Error, s.Holes)
						}
					})
				})
			}
		}
	}
}
