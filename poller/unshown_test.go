package poller_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// An API that takes bounds of creation times for milliseconds shows nothing up to any time.
// That ends no hole: what was ordered below a session that cannot be shown is part of it,
// and is told once that can be shown.
func TestHoleWhereTheAPIReadsMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.ranged()
		r.pages, r.ms = true, true
		p := w.poller()
		w.run(p, time.Minute)
		hidden := []string{r.order(), r.order()}
		time.Sleep(2 * time.Second)
		broken := r.breaks()
		time.Sleep(2 * time.Second)
		r.order()
		w.run(p, time.Minute)
		known := w.snapshots["cs_1030"].Created
		if holes := p.Status()[0].Holes; len(holes) != 1 || holes[0].BelowAt.After(known) {
			t.Errorf("%v may be hidden, and the newest session that is known below them is of %s; holes %+v", hidden, known, holes)
		}
		r.heal(broken)
		w.run(p, 3*time.Minute)
		if late := r.late(0); len(late) > 0 {
			t.Errorf("%v were not told", late)
		}
		r.once()
	})
}

// Where the API shows no single session by its id, a page of known sessions that it cannot
// show because of one of them is read in smaller ones all the same.
func TestKnownSessionsBesideOneThatCannotBeShownOnAnyWay(t *testing.T) {
	for _, n := range []int{60, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.ranged()
				r.pages, r.listing = true, true
				r.l = newListing()
				for i := range n {
					r.l.add(fmt.Sprintf("cs_%d", 10000-i), time.Now().Add(-time.Hour-time.Duration(i)*2*time.Minute), "open", "unpaid")
				}
				w.cfg.Poll.Tuning.WarmEvery = 15 * time.Second
				w.cfg.Poll.RateLimit = 20
				p := w.poller()
				w.run(p, time.Minute)
				r.broken[fmt.Sprintf("cs_%d", 10000-n+6)] = true
				w.run(p, time.Minute)
				for _, id := range []string{"cs_9960", "cs_9980", "cs_9997"} {
					r.mu.Lock()
					r.l.set(id, time.Unix(r.l.created[id], 0), "complete", "paid")
					r.paid[id] = time.Now()
					r.mu.Unlock()
				}
				r.order()
				w.run(p, time.Minute)
				if late := r.late(0); len(late) > 0 {
					t.Errorf("%v were not told; %+v", late, p.Status()[0])
				}
				w.run(p, 10*time.Minute)
				if s := p.Status()[0]; !s.Healthy || len(s.Holes) > 2 {
					t.Errorf("healthy %t (%s), holes %+v", s.Healthy, s.Error, s.Holes)
				}
			})
		})
	}
}

// An account that was accepted goes on although the API cannot show one of the sessions
// among which those of a former acceptance are looked for.
func TestAcceptedAccountGoesOnBesideASessionThatCannotBeShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.ranged()
		r.pages = true
		p := w.poller()
		w.run(p, time.Minute)
		r.l = stall(900000, 60, 3*time.Minute)
		w.run(p, time.Minute)
		if !w.foreign() {
			t.Fatal("it did not stop")
		}
		r.broken[r.l.ids[30]] = true
		w.accept()
		w.run(p, time.Minute)
		r.order()
		w.run(p, time.Minute)
		if late := r.late(0); len(late) > 0 {
			t.Errorf("%v were not told; %+v", late, p.Status()[0])
		}
	})
}

// How long large pages take is found out while a session hangs, too, also after a restart:
// known sessions are not left to be asked for one by one.
func TestLargePagesAreSlowWhileASessionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ids []string
		for range 1000 {
			ids = append(ids, w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"}))
			time.Sleep(20 * time.Second)
		}
		s := w.stuck()
		w.run(w.poller(), 5*time.Minute)
		s.hang(w.create(simulator.Fields{"status": "complete", "payment_status": "paid"}))
		w.run(w.poller(), 2*time.Minute)
		s.change(func() { s.byRows = func(rows int) time.Duration { return time.Duration(rows) * 30 * time.Millisecond } })
		p := w.poller()
		stop := w.start(p)
		time.Sleep(2 * time.Minute)
		for i := range 20 {
			w.update(ids[i*50], simulator.Fields{"status": "complete", "payment_status": "paid"})
		}
		time.Sleep(5 * time.Minute)
		stop()
		for i := range 20 {
			w.expect(ids[i*50], "completed", "paid", "fulfillable")
		}
	})
}
