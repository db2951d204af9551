package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller/internal/holes"
)

// Where the API fails over each range with one of many sessions in it, more than are kept
// apart, the orders beside them are told all the same: those that come meanwhile, and those
// that come later. That parts of the list are not read again is an error of the account for
// as long as something may be shown late there. Each session is told once it can be shown.
func TestMoreSessionsThatNoRangeShowsThanAreKeptApart(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		every  time.Duration // an order
		broken int           // so many orders, of which one is broken
		lasts  time.Duration
		most   time.Duration // until an order is told
		told   bool          // to the account's owner, that parts of the list are not read again
	}{
		"one in three for six minutes": {every: 5 * time.Second / 3, broken: 3, lasts: 6 * time.Minute, most: 45 * time.Second, told: true},
		"one in eight for six minutes": {every: 2 * time.Second / 3, broken: 8, lasts: 6 * time.Minute, most: 45 * time.Second, told: true},
		"half of them for 90 seconds":  {every: time.Second, broken: 2, lasts: 90 * time.Second, most: 45 * time.Second, told: true},
		"one a minute for an hour":     {every: 6 * time.Second, broken: 10, lasts: time.Hour, most: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.ranged()
				p := w.poller()
				stop := w.start(p)
				time.Sleep(time.Minute)
				var broken []string
				seconds := make(map[int64]bool) // in which such a session stands
				var told time.Duration          // for how long at most
				worst := 0                      // number of holes
				check := func() {
					t.Helper()
					st := p.Status()[0]
					for _, id := range r.late(scene.most) {
						if !seconds[r.l.created[id]] {
							t.Fatalf("%s was not told within %s, after %d broken ones; %+v", id, scene.most, len(broken), st)
						}
					}
					if !st.Healthy {
						told = max(told, time.Since(st.ErrorSince))
					}
					worst = max(worst, len(st.Holes))
				}
				began := time.Now()
				for n := 1; time.Since(began) < scene.lasts; n++ {
					if n%scene.broken == 0 {
						broken = append(broken, r.breaks())
						seconds[time.Now().Unix()] = true
					} else {
						r.order()
					}
					time.Sleep(scene.every)
					check()
				}
				t.Logf("%d broken, at most %d holes, %d requests in %s", len(broken), worst, r.countAnew(), scene.lasts)
				if len(broken) <= holes.Most || worst > 2*holes.Most {
					t.Fatalf("%d are broken, %d holes at most", len(broken), worst)
				}
				for range 40 {
					r.order()
					time.Sleep(30 * time.Second)
					check()
				}
				if st := p.Status()[0]; !st.Healthy || len(st.Holes) > holes.Most {
					t.Errorf("healthy %t (%s), %d holes", st.Healthy, st.Error, len(st.Holes))
				}
				if (told > 4*time.Minute) != scene.told {
					t.Errorf("it was an error of the account for %s", told)
				}
				t.Logf("%d requests in a minute later, an error for %s", r.countAnew()/20, told)
				r.heal(broken...)
				time.Sleep(20 * time.Minute)
				stop()
				if late := r.late(0); len(late) > 0 {
					t.Errorf("%v are never told", late)
				}
				if st := p.Status()[0]; len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("all can be shown again: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}

// What was ordered while notifier was stopped is told within a quarter of an hour where many
// such sessions stand among it, and that it is not read yet is an error of the account.
func TestStopWithMoreSessionsThatNoRangeShowsThanAreKeptApart(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		orders, broken int // one in so many
		every          time.Duration
	}{
		"one in five for four hours":        {orders: 1000, broken: 5, every: 14 * time.Second},
		"half of them, close to each other": {orders: 300, broken: 2, every: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.ranged()
				stop := w.start(w.poller())
				time.Sleep(time.Minute)
				stop()
				var broken []string
				for n := range scene.orders {
					if n%scene.broken == 0 {
						broken = append(broken, r.breaks())
					} else {
						r.order()
					}
					time.Sleep(scene.every)
				}
				p := w.poller()
				stop = w.start(p)
				began, told, left := time.Now(), time.Duration(0), len(r.late(0))
				for left > 0 && time.Since(began) < 15*time.Minute {
					time.Sleep(10 * time.Second)
					left = len(r.late(0))
					if st := p.Status()[0]; !st.Healthy {
						told = max(told, time.Since(st.ErrorSince))
					} else if time.Since(began) > 2*time.Minute && left > 50 {
						t.Errorf("%d orders are not told yet, and nobody knows: %+v", left, st)
						break
					}
				}
				t.Logf("after %s %d orders are left, it was an error for %s, %d requests", time.Since(began), left, told, r.countAnew())
				if left > 0 || told < 3*time.Minute {
					t.Errorf("%d orders are not told, an error of the account for %s: %+v", left, told, p.Status()[0])
				}
				time.Sleep(10 * time.Minute) // none of it may be shown late any more
				if st := p.Status()[0]; !st.Healthy {
					t.Errorf("all orders are told: %s", st.Error)
				}
				r.countAnew()
				time.Sleep(10 * time.Minute)
				t.Logf("%d requests in a minute later", r.countAnew()/10)
				r.heal(broken...)
				time.Sleep(20 * time.Minute)
				stop()
				if late, st := r.late(0), p.Status()[0]; len(late) > 0 || len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("all can be shown again: %v are never told, healthy %t (%s), holes %+v", late, st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}
