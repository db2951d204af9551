package poller_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Where the API fails over each page with a session in it that it cannot show, and one pass
// comes to several of them, the orders between them are told by that pass, and each of those
// sessions is a hole of its own: it is told once it can be shown, however long the others
// cannot. They cost no more than others do.
func TestOrdersBetweenSessionsThatNoPageShows(t *testing.T) {
	t.Parallel()
	for _, scene := range []struct {
		seconds string // of orders after a stop; B: the API cannot show it
		status  int
		hangs   bool
		once    bool          // by passes of their own, as of a cron job
		told    time.Duration // after the start
	}{
		{seconds: "300B 720 900B 1500", told: 20 * time.Second},
		{seconds: "300B 720 900B 1500", status: 403, told: 20 * time.Second},
		{seconds: "300B 720 900B 1500", hangs: true, told: 2 * time.Minute},
		{seconds: "300B 720 900B 1500", once: true},
		{seconds: "600B 660 690B 1500", told: 20 * time.Second},
		{seconds: "300B 600B 690B 1500", told: 20 * time.Second},
		{seconds: "600B 700 1498B 1499B 1500", told: 20 * time.Second},
		{seconds: "600B 700 900B 1000 1100B 1101 1200B 1300B 1500 1501B 1502", told: 40 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s, %d, hangs %t, once %t", scene.seconds, scene.status, scene.hangs, scene.once), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.ranged()
				stop := w.start(w.poller())
				time.Sleep(time.Minute)
				stop()
				r.mu.Lock()
				r.pages, r.status, r.hangs = true, scene.status, scene.hangs
				r.mu.Unlock()
				began := time.Now()
				var broken []string
				for at := range strings.FieldsSeq(scene.seconds) {
					at, bad := strings.CutSuffix(at, "B")
					d, err := time.ParseDuration(at + "s")
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Until(began.Add(d)))
					if bad {
						broken = append(broken, r.breaks())
					} else {
						r.order()
					}
				}
				time.Sleep(time.Until(began.Add(30 * time.Minute)))
				p := w.poller()
				if scene.once {
					if err := p.RunOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				stop = func() {}
				if !scene.once {
					stop = w.start(p)
				}
				time.Sleep(scene.told)
				if late := r.late(0); len(late) > 0 {
					t.Fatalf("%v are not told, the holes are %+v", late, p.Status()[0].Holes)
				}
				if scene.once {
					return
				}
				time.Sleep(20 * time.Minute)
				r.order()
				time.Sleep(time.Minute)
				r.countAnew()
				time.Sleep(10 * time.Minute)
				st, requests := p.Status()[0], r.countAnew()
				if !st.Healthy || requests > 12*10 {
					t.Errorf("healthy %t (%s), %d requests in ten minutes, the holes are %+v", st.Healthy, st.Error, requests, st.Holes)
				}
				t.Logf("%d requests in ten minutes, %d holes", requests, len(st.Holes))
				for _, h := range st.Holes {
					if h.Above == "" && h.AboveAt.Sub(h.BelowAt) > 2*time.Second {
						t.Errorf("the hole is %+v", h)
					}
				}
				for _, id := range broken {
					r.heal(id)
					time.Sleep(61 * time.Minute)
					if late := r.late(0); len(late) > 0 {
						t.Fatalf("%v can be shown again, and are not told, the holes are %+v", late, p.Status()[0].Holes)
					}
				}
				stop()
				if st := p.Status()[0]; len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("all can be shown again: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}

// A cron job that reads the list each five minutes tells each order that the API can show by
// its next pass, also where it cannot show one in ten.
func TestPassesOfTheirOwnBesideSessionsThatNoPageShows(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{20 * time.Second, 2 * time.Minute} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(4, 4))
				w := newWorld(t)
				r := w.ranged()
				if err := w.poller().RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.mu.Lock()
				r.pages = true
				r.mu.Unlock()
				var broken []string
				seconds := make(map[int64]bool)
				most := 0 // requests of a pass
				for began := time.Now(); time.Since(began) < 2*time.Hour; {
					for last := time.Now(); time.Since(last) < 5*time.Minute; time.Sleep(every/5 + time.Duration(rng.Int64N(int64(every*8/5)))) {
						if rng.IntN(10) > 0 {
							r.order()
							continue
						}
						broken = append(broken, r.breaks())
						seconds[time.Now().Unix()] = true
					}
					r.countAnew()
					_ = w.poller().RunOnce(t.Context()) // it may say that it does not see the newest
					most = max(most, r.countAnew())
					for _, id := range r.late(11 * time.Minute) {
						if !seconds[r.l.created[id]] {
							t.Fatalf("%s is not told after %s, the holes are %+v", id, time.Since(r.paid[id]), w.account.Holes)
						}
					}
				}
				t.Logf("%d orders, %d broken, at most %d requests in a pass", len(r.paid), len(broken), most)
				if len(broken) < 5 || most > 400 {
					t.Errorf("%d broken, %d requests in a pass", len(broken), most)
				}
				r.heal(broken...)
				for range 3 {
					time.Sleep(time.Hour)
					_ = w.poller().RunOnce(t.Context())
				}
				if late := r.late(0); len(late) > 0 {
					t.Errorf("%v are never told", late)
				}
				r.once()
			})
		})
	}
}

// A hole that holds several of them, as one that was found while the API ignored created[gte],
// is divided when it is asked for again.
func TestHoleOfSeveralSessionsThatNoPageShowsIsDivided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.ranged()
		stop := w.start(w.poller())
		time.Sleep(time.Minute)
		stop()
		r.pages, r.ignores = true, "gte"
		r.breaks()
		time.Sleep(7 * time.Minute)
		id := r.order()
		time.Sleep(3 * time.Minute)
		r.breaks()
		time.Sleep(10 * time.Minute)
		r.order()
		time.Sleep(5 * time.Minute)
		p := w.poller()
		stop = w.start(p)
		time.Sleep(10 * time.Minute)
		if st := p.Status()[0]; len(st.Holes) != 1 || len(r.late(0)) != 1 {
			t.Fatalf("%v are not told, the holes are %+v", r.late(0), st.Holes)
		}
		r.mu.Lock()
		r.ignores = ""
		r.mu.Unlock()
		time.Sleep(4 * time.Minute)
		stop()
		if st := p.Status()[0]; len(st.Holes) != 2 || len(r.late(0)) > 0 {
			t.Errorf("%s is told %t, the holes are %+v", id, len(r.late(0)) == 0, st.Holes)
		}
		r.once()
	})
}
