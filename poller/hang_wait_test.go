package poller_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/simulator"
)

// An API that becomes slow as a whole beside a session that hangs is told from it by what it
// showed before: all else is read as soon as its answers allow, about four a pass.
func TestAPIThatBecomesSlowBesideASessionThatHangs(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		slow, most time.Duration // from when on it is slow, and how long an order may wait
	}{
		"while it is looked for": {slow: 36 * time.Second, most: 170 * time.Second},
		"once it is found":       {slow: 60 * time.Second, most: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s, old := w.aged()
				stop := w.start(w.poller())
				time.Sleep(20 * time.Second)
				s.hang(old[3])
				next := len(old)
				most := s.waits(6*time.Minute, 6, func(at time.Duration) {
					s.change(func() {
						if s.latency = 100 * time.Millisecond; at >= scene.slow && at < scene.slow+2*time.Minute {
							s.latency = 8 * time.Second
						}
					})
					if int(at/time.Second)%20 == 0 {
						next--
						w.update(old[next], simulator.Fields{"status": "complete", "payment_status": "paid"})
					}
				})
				stop()
				t.Log(most)
				if slices.Max(most) > scene.most || most[5] > 20*time.Second {
					t.Errorf("the orders of each minute waited for up to %s", most)
				}
			})
		})
	}
}

// After one outage in which nothing was answered, an API may become slow that has no session
// that hangs: with all that shows any, or with large pages. It is given its time, also where
// answers that show nothing are fast as before.
func TestAPIThatBecomesSlowWithWhatItShows(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		slow time.Duration
		from int // rows from which on it is slow
		most time.Duration
	}{
		"4 s":               {slow: 4 * time.Second, from: 1, most: 25 * time.Second},
		"10 s":              {slow: 10 * time.Second, from: 1, most: 40 * time.Second},
		"4 s, large pages":  {slow: 4 * time.Second, from: 6, most: 25 * time.Second},
		"10 s, large pages": {slow: 10 * time.Second, from: 6, most: 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 300 {
					w.create(simulator.Fields{"status": "complete", "payment_status": "paid"})
					time.Sleep(5 * time.Minute)
				}
				s := w.stuck()
				p := w.poller()
				stop := w.start(p)
				s.waits(20*time.Second, 1, func(time.Duration) {})
				s.hang("") // whatever it is asked for
				time.Sleep(35 * time.Second)
				s.heal()
				time.Sleep(30 * time.Second)
				s.change(func() {
					s.byRows = func(rows int) (latency time.Duration) {
						if rows >= scene.from {
							latency = scene.slow
						}
						return latency
					}
				})
				requests, failing, failed := 0, 0, 0
				most := s.waits(8*time.Minute, 8, func(at time.Duration) {
					st := p.Status()[0]
					if failing++; st.Error == "" {
						failing = 0
					}
					if failed = max(failed, failing); len(st.Holes) > 0 {
						t.Errorf("holes: %+v", st.Holes)
					}
					s.world.mu.Lock()
					defer s.world.mu.Unlock()
					switch at {
					case 6 * time.Minute:
						requests = w.requests
					case 8*time.Minute - time.Second:
						requests = w.requests - requests
					}
				})
				stop()
				t.Log(most, requests, failed)
				if slices.Max(most) > scene.most || requests > 30 || failed > 30 {
					t.Errorf("the orders of each minute waited for up to %s; %d requests in two minutes, in trouble for %d s", most, requests, failed)
				}
			})
		})
	}
}

// While a session hangs on nothing waits for it: what is asked for with the whole timeout is
// asked for beside the passes.
func TestNothingWaitsForASessionThatHangsOn(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		latency time.Duration
		known   bool
	}{
		"new":             {latency: 100 * time.Millisecond},
		"known":           {latency: 100 * time.Millisecond, known: true},
		"new, slow API":   {latency: 1500 * time.Millisecond},
		"known, slow API": {latency: 1500 * time.Millisecond, known: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s, _ := w.aged()
				s.latency = scene.latency
				p := w.poller()
				stop := w.start(p)
				time.Sleep(20 * time.Second)
				id := w.create(simulator.Fields{"status": "open", "payment_status": "unpaid"})
				if scene.known {
					time.Sleep(20 * time.Second)
				}
				s.hang(id)
				most := s.waits(50*time.Minute, 10, func(time.Duration) {})
				stop()
				t.Log(most)
				if most[0] > time.Minute || slices.Max(most[1:]) > 20*time.Second {
					t.Errorf("the orders of each five minutes waited for up to %s", most)
				}
				// After a restart nobody remembers that it hangs.
				stop = w.start(w.poller())
				if again := s.waits(70*time.Minute, 14, func(time.Duration) {}); slices.Max(again) > 20*time.Second {
					t.Errorf("after a restart, the orders of each five minutes waited for up to %s", again)
				}
				stop()
			})
		})
	}
}

// What takes long to show rather than for ever is told in the end, beside what hangs: a part
// of the list, a known session and one whose row makes no sense.
func TestWhatTakesLongIsToldInTheEnd(t *testing.T) {
	t.Parallel()
	paid := simulator.Fields{"status": "complete", "payment_status": "paid"}
	for _, kind := range []string{"new", "known", "garbled", "known and garbled"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s, old := w.aged()
				stop := w.start(w.poller())
				time.Sleep(time.Minute)
				s.hang(w.create(paid), old[9])
				time.Sleep(30 * time.Second)
				w.create(paid)
				time.Sleep(3 * time.Minute)
				id := old[4]
				if !strings.HasPrefix(kind, "known") {
					id = w.create(paid)
				}
				s.change(func() {
					if s.slow, s.slowBy = id, 20*time.Second; strings.HasSuffix(kind, "garbled") {
						s.garbled = id
					}
				})
				w.update(id, paid)
				time.Sleep(15 * time.Second)
				w.create(paid)
				most := s.waits(90*time.Minute, 6, func(time.Duration) {})
				t.Log(most)
				stop()
				if told := s.events[id]; !slices.Contains(told, "fulfillable") {
					t.Errorf("told: %s", told)
				}
			})
		})
	}
}
