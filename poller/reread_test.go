package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// What the list did not show when it was read to its end, as far back as no pass reads
// again, is found an hour later: a reconciliation while the list may be wrong, or one that
// a wrong clock made early, is not the last to read as far.
func TestFirstReadingIsRepeatedWhenTheListIsRight(t *testing.T) {
	for name, tt := range map[string]struct {
		own, date time.Duration // by how much our own clock is ahead, and Date in the first minute
		ascending bool          // in the second half of it
		hides     time.Duration // for how long the list lacks some after that
		restarts  bool          // a process for each pass
	}{
		"nothing else is wrong":                            {hides: 5 * time.Minute},
		"our clock is ahead":                               {own: 20 * time.Minute, hides: 5 * time.Minute},
		"our clock is behind":                              {own: -20 * time.Minute, hides: 5 * time.Minute},
		"our clock is days ahead, and processes are short": {own: 20 * days, hides: 5 * time.Minute, restarts: true},
		"Date is ahead":                                    {date: 20 * days}, // and asks for a reconciliation when it is right
		"Date is behind":                                   {date: -20 * days},
		"a list out of order":                              {ascending: true, hides: 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cfg.Start, w.cfg.Poll.Tuning.PageSize, w.own = poller.StartAll, 2, tt.own
				for minutes := range 6 {
					w.sells(time.Duration(6-minutes) * time.Minute)
				}
				p := w.poller()
				run := func(d time.Duration) {
					for ; d > 0; d -= 30 * time.Second {
						if tt.restarts {
							p = w.poller()
						}
						w.run(p, 30*time.Second)
					}
				}
				w.faults(skewed(tt.date))
				run(30 * time.Second)
				if tt.ascending {
					w.faults(simulator.Faults{Ascending: simulator.Always()})
				}
				run(30 * time.Second)
				w.faults(simulator.Faults{})
				run(tt.hides)
				hidden := []string{w.sells(100 * time.Hour), w.sells(30 * time.Hour)}
				run(70 * time.Minute)
				for _, id := range hidden {
					w.expect(id, "created", "completed", "paid", "fulfillable")
				}
				if !w.account.Reread.IsZero() {
					t.Errorf("reconciliations go on to read back to %s", w.account.Reread)
				}
			})
		})
	}
}
