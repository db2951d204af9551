package publish_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/publish"
)

// limited takes so many a second and refuses the rest, as chat services do.
type limited struct {
	perSecond  int
	retryAfter time.Duration

	mu             sync.Mutex
	second         time.Time
	taken, refused int
}

func (l *limited) answer(context.Context, int, publish.Message) publish.Result {
	time.Sleep(50 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.second) >= time.Second {
		l.second, l.taken = now, 0
	}
	if l.taken++; l.taken <= l.perSecond {
		return accepted()
	}
	l.refused++
	r := refused(429)
	r.Throttled, r.RetryAfter = true, l.retryAfter
	return r
}

// A receiver that takes so many a second gets about so many: what it refused
// before does not come back all at once, and its owner is not called each time.
func TestALimitedReceiverIsPaced(t *testing.T) {
	for name, c := range map[string]struct {
		to       *limited
		n        int
		limit    float64
		within   time.Duration
		refusals int
	}{
		"one a second":                 {to: &limited{perSecond: 1, retryAfter: time.Second}, n: 60, within: 3 * time.Minute, refusals: 40},
		"one a second, and never when": {to: &limited{perSecond: 1}, n: 60, within: 3 * time.Minute, refusals: 40},
		"fifty a second":               {to: &limited{perSecond: 50, retryAfter: time.Second}, n: 1000, within: time.Minute, refusals: 120},
		"less than is configured":      {to: &limited{perSecond: 5}, n: 300, limit: 20, within: 3 * time.Minute, refusals: 40},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(c.to.answer)
				d := exact("shop")
				d.RateLimit, d.Concurrency = c.limit, 16
				for i := range c.n {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to}))
				defer stop()
				time.Sleep(c.within)
				synctest.Wait()
				if left := o.pending(); left > 0 || c.to.refused > c.refusals {
					t.Errorf("%d of %d wait still; it refused %d times, want at most %d", left, c.n, c.to.refused, c.refusals)
				}
				if types, _ := told(o); len(types) > 2 {
					t.Errorf("the owner heard %v", types)
				}
			})
		})
	}
}
