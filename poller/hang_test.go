package poller_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// A session that the API shows by not answering is a hole as any other: what else is
// ordered is told soon while it is found, and as usual afterwards.
func TestSessionThatHangsHoldsLittleUp(t *testing.T) {
	t.Parallel()
	paid := simulator.Fields{"status": "complete", "payment_status": "paid"}
	for name, scene := range map[string]struct {
		gateway  time.Duration
		hangs    func(i int) bool // the i-th order, of which there is one each five seconds
		known    bool             // it hangs a minute later only, when it is known and open
		sessions time.Duration    // that hang before any of them is found
	}{
		"one":                 {sessions: 1, hangs: func(i int) bool { return i == 0 }},
		"three":               {sessions: 3, hangs: func(i int) bool { return i < 6 && i%2 == 0 }},
		"three in a row":      {sessions: 3, hangs: func(i int) bool { return i < 3 }},
		"one, by a gateway":   {sessions: 1, gateway: 20 * time.Second, hangs: func(i int) bool { return i == 0 }},
		"three, by a gateway": {sessions: 3, gateway: 20 * time.Second, hangs: func(i int) bool { return i < 6 && i%2 == 0 }},
		"one every minute":    {sessions: 2, hangs: func(i int) bool { return i%12 == 0 }},
		"six, between others": {sessions: 6, hangs: func(i int) bool { return i < 12 && i%2 == 0 }},
		"two known and open":  {sessions: 2, known: true, hangs: func(i int) bool { return i < 4 && i%2 == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 60 {
					w.create(paid)
					time.Sleep(5 * time.Minute)
				}
				s := w.stuck()
				s.gateway = scene.gateway
				p := w.poller()
				stop := w.start(p)
				time.Sleep(13 * time.Second)
				orders, waited := make(map[string]time.Time), make(map[string]time.Duration)
				var held []string
				failing, failed := 0, 0
				for i := range 120 {
					switch {
					case scene.hangs(i) && scene.known:
						held = append(held, w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"}))
					case scene.hangs(i):
						held = append(held, w.create(paid))
						s.hang(held...)
					default:
						orders[w.create(paid)] = time.Now()
					}
					if i == 12 && scene.known {
						s.hang(held...)
						for _, id := range held {
							w.update(id, paid)
						}
					}
					for range 5 {
						time.Sleep(time.Second)
						s.told(orders, waited)
						if st := p.Status()[0]; st.Error != "" {
							failing++
							failed = max(failed, failing)
						} else {
							failing = 0
						}
					}
				}
				time.Sleep(15 * time.Second)
				s.told(orders, waited)
				var all, later []time.Duration
				for id, at := range orders {
					d, known := waited[id]
					if !known {
						d = time.Hour
					}
					all = append(all, d)
					if time.Since(at) < 5*time.Minute {
						later = append(later, d)
					}
				}
				slices.Sort(all)
				slices.Sort(later)
				t.Logf("half of the orders were told within %s, the last after %s; in the last five minutes %s, %s; in trouble for %ds", all[len(all)/2], all[len(all)-1], later[len(later)/2], later[len(later)-1], failed)
				most := (1 + scene.sessions) * 30 * time.Second // a request takes that long, and each session one until it is found
				if all[len(all)/2] > 15*time.Second || all[len(all)-1] > most {
					t.Errorf("half of the orders were told within %s, the last after %s", all[len(all)/2], all[len(all)-1])
				}
				if len(later) > 0 && later[len(later)-1] > 30*time.Second && name != "one every minute" {
					t.Errorf("later the last one was told after %s", later[len(later)-1])
				}
				st := p.Status()[0]
				if !st.Healthy || len(st.Holes) == 0 || failed > 60 {
					t.Errorf("healthy %t (%s), holes %+v, in trouble for %d s", st.Healthy, st.Error, st.Holes, failed)
				}
				s.heal()
				time.Sleep(10 * time.Minute)
				stop()
				for _, id := range held {
					if !slices.Contains(s.events[id], "fulfillable") {
						t.Errorf("%s was never told: %v", id, s.events[id])
					}
				}
			})
		})
	}
}

// An account whose list is not read for two minutes is in trouble, whatever the reason.
func TestListThatIsNotReadIsTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		stop := w.start(p)
		time.Sleep(15 * time.Second)
		w.mu.Lock()
		w.failIf = func(poller.Look) bool { time.Sleep(5 * time.Minute); return false }
		w.mu.Unlock()
		id := w.create(simulator.Fields{"status": "complete", "payment_status": "paid"})
		time.Sleep(90 * time.Second)
		if st := p.Status()[0]; !st.Healthy {
			t.Errorf("after 90 s: %s", st.Error)
		}
		time.Sleep(time.Minute)
		st := p.Status()[0]
		if age := time.Since(st.ErrorSince); st.Healthy || st.Error == "" || age < 2*time.Minute || age > 160*time.Second {
			t.Errorf("after 150 s: healthy %t, %q since %s", st.Healthy, st.Error, age)
		}
		time.Sleep(4 * time.Minute)
		if st := p.Status()[0]; !st.Healthy {
			t.Errorf("when it is read again: %s", st.Error)
		}
		stop()
		w.expect(id, "created", "completed", "paid", "fulfillable")
	})
}

// An API that becomes slow beside a session that hangs is given its time: it is read, and
// is not in trouble. So is a session that takes long to show: it is told in the end.
func TestSlowAnswersBesideASessionThatHangs(t *testing.T) {
	t.Parallel()
	paid := simulator.Fields{"status": "complete", "payment_status": "paid"}
	for _, latency := range []time.Duration{time.Second, 5 * time.Second, 12 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 30 {
					w.create(paid)
					time.Sleep(5 * time.Minute)
				}
				s := w.stuck()
				p := w.poller()
				stop := w.start(p)
				time.Sleep(time.Minute)
				hangs := w.create(paid)
				s.hang(hangs)
				time.Sleep(5 * time.Second)
				late := w.create(paid)
				s.change(func() { s.slow, s.slowBy = late, 5*time.Second })
				time.Sleep(2 * time.Minute)
				s.change(func() { s.latency = latency })
				time.Sleep(time.Minute)
				for range 5 {
					id := w.create(paid)
					time.Sleep(5 * time.Minute)
					w.expect(id, "created", "completed", "paid", "fulfillable")
					if st := p.Status()[0]; !st.Healthy {
						t.Errorf("in trouble: %s", st.Error)
					}
				}
				time.Sleep(20 * time.Minute)
				w.expect(late, "created", "completed", "paid", "fulfillable")
				stop()
			})
		})
	}
}

// After one late failure of an API that takes seconds for sessions that are no longer
// new, which passes do not ask for, these are shown as before, and are told soon.
func TestOneLateFailureOfAnAPIThatIsSlowWithOldSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var old []string
		for range 40 {
			old = append(old, w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"}))
			time.Sleep(time.Minute)
		}
		s := w.stuck()
		s.gateway = 10 * time.Second
		s.change(func() { s.old, s.latency = old, 50*time.Millisecond })
		time.Sleep(2 * time.Hour)
		for range 5 {
			w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"})
		}
		p := w.poller()
		stop := w.start(p)
		time.Sleep(40 * time.Second)
		s.hang("list") // whatever it is asked for
		time.Sleep(11 * time.Second)
		s.heal()
		for i := range 30 {
			id := old[i]
			w.update(id, simulator.Fields{"status": "complete", "payment_status": "paid"})
			time.Sleep(6 * time.Minute)
			w.expect(id, "completed", "paid", "fulfillable")
			if st := p.Status()[0]; !st.Healthy || len(st.Holes) > 0 {
				t.Errorf("healthy %t: %s, holes %+v", st.Healthy, st.Error, st.Holes)
			}
		}
		stop()
	})
}

// One pass, a reconciliation and a backfill pass over a session that hangs in the middle
// of a page of many that nobody knows, and tell the others.
func TestSessionThatHangsAmongMany(t *testing.T) {
	t.Parallel()
	paid := simulator.Fields{"status": "complete", "payment_status": "paid"}
	for name, read := range map[string]func(w *world){
		"run": func(w *world) { w.run(w.poller(), 3*time.Minute) },
		"once": func(w *world) {
			if err := w.poller().RunOnce(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		},
		"backfill": func(w *world) {
			w.cfg.Start = poller.StartNow
			p := w.poller()
			w.run(p, time.Minute)
			w.snapshots, w.account.Holes = make(map[string]event.Snapshot), nil
			w.backfill(w.poller(), 10*time.Minute, poller.Backfill{Since: time.Now().Add(-90 * 24 * time.Hour), Announce: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var ids []string
				for range 250 {
					ids = append(ids, w.create(paid))
					time.Sleep(20 * time.Second)
				}
				s := w.stuck()
				s.hang(ids[70], ids[210])
				w.cfg.Start = poller.StartAll
				began := time.Now()
				read(w)
				t.Logf("it took %s", time.Since(began))
				for i, id := range ids {
					if known := slices.Contains(w.events[id], "fulfillable"); known == (i == 70 || i == 210) {
						t.Errorf("session %d: %v", i, w.events[id])
					}
				}
				s.heal()
				w.run(w.poller(), 3*time.Hour)
				if name != "backfill" { // what it announces is older than the start
					w.expect(ids[70], "created", "completed", "paid", "fulfillable")
					w.expect(ids[210], "created", "completed", "paid", "fulfillable")
				}
			})
		})
	}
}

// After a restart nobody remembers that the API does not answer for a hole: what was
// ordered above it meanwhile does not wait for the whole timeout.
func TestCatchingUpAboveASessionThatHangs(t *testing.T) {
	t.Parallel()
	paid := simulator.Fields{"status": "complete", "payment_status": "paid"}
	for _, orders := range []int{1, 5, 30, 400} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			for range 30 {
				w.create(paid)
				time.Sleep(5 * time.Minute)
			}
			s := w.stuck()
			stop := w.start(w.poller())
			time.Sleep(13 * time.Second)
			s.hang(w.create(paid))
			time.Sleep(12 * time.Second)
			w.create(paid)
			time.Sleep(3 * time.Minute)
			stop()
			var ids []string
			for range orders {
				ids = append(ids, w.create(paid))
				time.Sleep(time.Second)
			}
			before := w.requests
			stop = w.start(w.poller())
			time.Sleep(15 * time.Second)
			stop()
			requests := w.requests - before
			for _, id := range ids {
				w.expect(id, "created", "completed", "paid", "fulfillable")
			}
			if requests > 45 { // in two passes
				t.Errorf("%d requests for %d orders", requests, orders)
			}
		})
	}
}
