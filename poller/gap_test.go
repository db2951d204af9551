package poller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller"
)

// A range that is split where no session was created for minutes, while a page over that
// gap is on its way, is no end that the API did not mean.
func TestRangesAreSplitInAGap(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				w := newWorld(t)
				w.cfg.Poll.Tuning.PageSize = 5 + r.IntN(6)
				w.sell(30, time.Duration(500+r.IntN(3000))*time.Millisecond)
				p := w.poller()
				w.run(p, 4*time.Second)
				time.Sleep(time.Duration(5+r.IntN(3)) * time.Minute)
				for range 150 {
					w.sell(1, time.Duration(r.IntN(3000))*time.Millisecond)
					w.run(p, time.Duration(2000+r.IntN(1000))*time.Millisecond)
				}
				odd := func(o poller.Oddity) bool { return o.Code == "bad_page" }
				if list := p.Status()[0].Oddities; slices.ContainsFunc(list, odd) {
					t.Errorf("the API is called odd: %+v", list)
				}
			})
		})
	}
}
