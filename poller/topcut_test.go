package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// afterAStop is a quiet shop where a session cannot be shown that came during a stop, longer
// before the last order than passes read. Reconciliations, which would find it, are off.
func afterAStop(t *testing.T) (r *ranged, p *poller.Poller, older string, stop func()) {
	w := newWorld(t)
	w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour
	r = w.ranged()
	w.cfg.Poll.RateLimit = 0
	r.pages = true
	p = w.poller()
	w.run(p, time.Minute)
	older = r.breaks()
	time.Sleep(20 * time.Minute)
	r.order()
	return r, p, older, w.start(p)
}

func (r *ranged) setHiccup(question string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hiccup = question
}

// The hole of a new session is not one with that of an older session while the order between
// the two is known: nothing that came later is missing, and that is no error of the account.
func TestNewHoleRightAboveAnOlderOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p, older, stop := afterAStop(t)
		time.Sleep(20 * time.Minute)
		r.setHiccup("lte") // else a time would end the hole
		newest := r.breaks()
		time.Sleep(20 * time.Minute)
		if st := p.Status()[0]; !st.Healthy || len(st.Holes) != 2 {
			t.Errorf("two sessions cannot be shown: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
		}
		r.heal(older, newest)
		time.Sleep(time.Hour)
		stop()
		if late := r.late(0); len(late) > 0 {
			t.Errorf("%v are never told", late)
		}
		r.once()
	})
}

// A hole that begins with the newest session may have taken in an older one. What is no part
// of it any more once it is cut is read, however far below what passes read: a session that
// was healed meanwhile is told.
func TestOlderHoleInOneThatIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, p, older, stop := afterAStop(t)
		time.Sleep(time.Second)
		newest := r.breaks()
		time.Sleep(4 * time.Second)
		r.heal(older) // after the first pass: the second one makes one hole of two
		time.Sleep(10 * time.Second)
		r.setHiccup("gte") // the third one comes to that hole, and is shown then what is above it
		r.order()
		time.Sleep(30 * time.Minute)
		if late := r.late(0); len(late) > 0 {
			t.Errorf("%v are never told; holes %+v", late, p.Status()[0].Holes)
		}
		r.heal(newest)
		time.Sleep(time.Hour)
		stop()
		if st := p.Status()[0]; len(r.late(0)) > 0 || len(st.Holes) > 0 || !st.Healthy {
			t.Errorf("all can be shown again: healthy %t (%s), holes %+v, not told %v", st.Healthy, st.Error, st.Holes, r.late(0))
		}
		r.once()
	})
}
