package poller_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// Settled sessions far below what passes read, over which each range of the list fails from
// some moment on, hide nothing but themselves: a reconciliation finds what turns up late
// around them, a backfill reads it and tells what it could not read, and new orders come as
// usual meanwhile.
func TestSweepsAroundSessionsThatNoRangeShows(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		broken []int // how many sessions above the oldest of 210
		hangs  bool
		found  time.Duration // until what turned up late is told
		late   time.Duration // how long a new order may wait
	}{
		"one":                 {broken: []int{150}, found: 2 * time.Minute, late: 35 * time.Second},
		"two":                 {broken: []int{150, 195}, found: 2 * time.Minute, late: 35 * time.Second},
		"one that hangs":      {broken: []int{150}, hangs: true, found: 5 * time.Minute, late: 40 * time.Second},
		"eight":               {broken: []int{100, 120, 150, 151, 170, 190, 195, 200}, found: 3 * time.Minute, late: 35 * time.Second},
		"near ones":           {broken: []int{150, 203, 204, 205, 206}, found: 3 * time.Minute, late: 35 * time.Second},
		"near ones that hang": {broken: []int{150, 203, 204, 205, 206}, hangs: true, found: 20 * time.Minute, late: 60 * time.Second},
		"eight that hang":     {broken: []int{100, 120, 150, 151, 170, 190, 195, 200}, hangs: true, found: 20 * time.Minute, late: 60 * time.Second},
		"two that hang":       {broken: []int{150, 195}, hangs: true, found: 10 * time.Minute, late: 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Poll.Tuning.ReconcileEvery = 30 * time.Second
				w.cfg.Poll.Interval = 2 * time.Second
				w.cfg.Poll.Timeout = 5 * time.Second
				w.cfg.Start = time.Now().Add(-24 * time.Hour).Format(time.RFC3339)
				r := w.ranged()
				w.cfg.Poll.RateLimit = 20
				first := r.n + 1
				for range 210 {
					r.order()
					time.Sleep(800 * time.Second)
				}
				clear(r.paid)
				p := w.poller()
				stop := w.start(p)
				defer stop()
				time.Sleep(time.Minute)
				orders := func(d, late time.Duration) {
					t.Helper()
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Second) {
						r.order()
						if waits := r.late(late); len(waits) > 0 && late > 0 {
							t.Fatalf("%v are not told within %s; %+v", waits, late, p.Status()[0].Holes)
						}
					}
				}
				r.mu.Lock()
				r.hangs = scene.hangs
				var broken []string
				for _, n := range scene.broken {
					broken = append(broken, fmt.Sprintf("cs_%d", first+n))
					r.broken[broken[len(broken)-1]] = true
				}
				r.mu.Unlock()
				orders(time.Minute, scene.late)
				r.mu.Lock()
				hidden := make(map[string]time.Time)
				for _, hours := range []int{3, 9, 13, 17, 20, 23} {
					hidden[r.turnsUp(time.Now().Add(-time.Duration(hours)*time.Hour))] = time.Now()
				}
				r.mu.Unlock()
				orders(scene.found, scene.late)
				r.world.mu.Lock()
				for id := range hidden {
					if !slices.Contains(r.events[id], "fulfillable") {
						t.Errorf("%s, created at %d, was not found", id, r.l.created[id])
					}
				}
				r.world.mu.Unlock()
				st := p.Status()[0]
				for _, h := range st.Holes {
					if h.AboveAt.IsZero() || h.AboveAt.Sub(h.BelowAt) > 2*time.Second {
						t.Errorf("the hole is %+v", h)
					}
				}
				if !st.Healthy || len(st.Holes) != len(broken) {
					t.Errorf("healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				report, err := p.Backfill(t.Context(), poller.Backfill{Since: time.Now().Add(-72 * time.Hour)}, nil)
				if err != nil || report.Sessions < 230 || len(report.Unread) != len(broken) {
					t.Errorf("backfill: %v, %+v", err, report)
				}
				orders(time.Minute, scene.late)
				r.countAnew()
				orders(10*time.Minute, scene.late)
				t.Logf("%d requests in a minute, holes %+v", r.countAnew()/10, p.Status()[0].Holes)
				r.heal(broken...)
				orders(10*time.Minute, 0)
				if st := p.Status()[0]; len(st.Holes) > 0 || !st.Healthy {
					t.Errorf("all can be shown again: healthy %t (%s), holes %+v", st.Healthy, st.Error, st.Holes)
				}
				r.once()
			})
		})
	}
}

// turnsUp lets a session be shown that was created before; the caller holds mu.
func (r *ranged) turnsUp(created time.Time) string {
	r.n++
	id := fmt.Sprintf("cs_%d", r.n)
	r.l.order(id, "complete", "paid")
	r.l.set(id, created, "complete", "paid")
	r.l.ids = slices.DeleteFunc(r.l.ids, func(other string) bool { return other == id })
	at := slices.IndexFunc(r.l.ids, func(other string) bool { return r.l.created[other] <= created.Unix() })
	r.l.ids = slices.Insert(r.l.ids, at, id)
	return id
}
