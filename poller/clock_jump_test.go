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

// The last look before an expiry outlives the process that took it: a cron job
// tells an expiry by the clock as the daemon does.
func TestExpiryByTheClockAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		once := func() {
			t.Helper()
			if err := w.poller().RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		once()
		time.Sleep(time.Minute)
		id := w.create(open(simulator.Fields{"expires_in": "1h"}))
		once()
		time.Sleep(57 * time.Minute)
		once()
		time.Sleep(4 * time.Minute)
		once()
		w.expect(id, "created", "expired timer")
	})
}

// One answer with a wrong Date does not put the next look at a session off.
func TestClockThatJumped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.create(open(simulator.Fields{"created": time.Now().Add(-3 * time.Hour).UTC().Format(time.RFC3339)}))
		w.create(paid()) // the head is far above it
		p := w.poller()
		w.run(p, 5*time.Second)
		time.Sleep(10 * time.Minute)
		w.faults(simulator.Faults{ClockSkewS: 3600})
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{})
		w.update(old, paid())
		w.run(p, 6*time.Minute)
		w.expect(old, "completed", "paid", "fulfillable")
	})
}

// One answer with a wrong Date does not put off the next reconciliation either.
func TestClockThatJumpedWhileReconciling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.poller()
		w.run(p, 5*time.Second)
		gone := w.create(open(nil))
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{Vanished: []string{gone}})
		w.run(p, 40*time.Minute)
		w.create(paid()) // the head is far above it
		w.faults(simulator.Faults{ClockSkewS: 12 * 3600, Vanished: []string{gone}})
		w.run(p, 15*time.Second)
		w.faults(simulator.Faults{})
		w.update(gone, paid())
		w.run(p, 65*time.Minute)
		w.expect(gone, "created", "completed", "paid", "fulfillable")
	})
}

// A session of the future says nothing about how far the list was read: what is
// created during a long pass stands above its begin, and is read by the next one.
func TestCreatedInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := newListing()
		w.cfg.Start = poller.StartAll
		w.cfg.Poll.Timeout = time.Hour
		w.cfg.Poll.Tuning.PageSize = 10
		w.cfg.Poll.Tuning.ReconcileEvery = 1000 * time.Hour // it would find them
		l.add("cs_9000", time.Now().Add(1000*time.Hour), "open", "unpaid")
		for i := range 200 {
			l.add(fmt.Sprintf("cs_%d", 1000-i), time.Now().Add(-time.Duration(i)*time.Minute), "complete", "paid")
		}
		w.answer = func(req *http.Request) (int, string) {
			time.Sleep(time.Minute)
			w.mu.Lock()
			defer w.mu.Unlock()
			return l.answer(req)
		}
		go func() {
			for i := range 25 {
				time.Sleep(time.Minute + time.Second)
				w.mu.Lock()
				id := fmt.Sprintf("cs_%d", 2000+i)
				l.set(id, time.Now(), "complete", "paid")
				l.ids = append([]string{"cs_9000", id}, l.ids[1:]...)
				w.mu.Unlock()
			}
		}()
		w.run(w.poller(), 50*time.Minute)
		for i := range 25 {
			w.expect(fmt.Sprintf("cs_%d", 2000+i), "created", "completed", "paid", "fulfillable")
		}
	})
}

// A difference of the clocks is said with its direction from the first answer on, and
// also whether the API's time is believed.
func TestClockSkewIsSaidWithItsDirection(t *testing.T) {
	for skew, want := range map[int]string{90: "the API's is 1m30s ahead of this machine's", -90: "the API's is 1m29s behind this machine's"} { // Date is cut to the second
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.create(paid())
			p := w.poller()
			w.run(p, 15*time.Second)
			w.faults(simulator.Faults{ClockSkewS: skew})
			for _, suffix := range []string{", and is used once its answers agree for a minute", ", and is used"} {
				w.run(p, 20*time.Second)
				if odd := p.Status()[0].Oddities; len(odd) != 1 || odd[0].Code != "clock_skew" || odd[0].Detail != want+suffix {
					t.Errorf("%d s: %+v", skew, odd)
				}
				w.run(p, 2*time.Minute)
			}
		})
	}
}
