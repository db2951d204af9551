package poller_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
	"checkout-notifier/simulator"
)

// Where cursors are ignored a page must hold all sessions of a second: it is asked for
// larger until it does.
func TestMoreOfASecondThanAPageWithoutCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.Start, w.cfg.Poll.Tuning.PageSize = poller.StartAll, 5
		var ids []string
		for range 10 {
			time.Sleep(time.Minute)
			for range 12 {
				ids = append(ids, w.create(paid()))
			}
		}
		w.faults(simulator.Faults{RepeatPage: simulator.Always()})
		p := w.poller()
		w.run(p, time.Minute)
		for _, id := range ids {
			w.expect(id, "created", "completed", "paid", "fulfillable")
		}
		if s := p.Status()[0]; s.Error != "" {
			t.Error(s.Error)
		}
	})
}
