package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
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
				if types, _ := told(o); len(types) > 0 { // it takes others
					t.Errorf("the owner heard %v", types)
				}
			})
		})
	}
}

// A receiver that takes one a second and refuses the rest opens and closes the
// breaker again and again: that makes days of a schedule no minutes.
// Two 429s in a row leave half of what the receiver took before, and not next to nothing.
func TestAPaceIsHalfOfWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: exact("shop"), Publisher: to})
		stop := run(t, r)
		defer stop()
		var longest time.Duration
		var ids []string
		for i := range 600 {
			switch i {
			case 300:
				to.reply(func(context.Context, int, publish.Message) publish.Result {
					r := refused(429)
					r.Throttled, r.RetryAfter = true, time.Second
					return r
				})
			case 311:
				to.reply(nil)
			}
			ids = append(ids, o.put("shop", fmt.Sprint("cs_", i)))
			r.Wake("shop")
			time.Sleep(200 * time.Millisecond)
		}
		if why := r.Status()[0].Why; !strings.Contains(why, "a second, for it answered 429") {
			t.Errorf("the status says %q", why)
		}
		if resumed, err := r.Resume(t.Context(), "shop", "ann"); !resumed || err != nil || r.Status()[0].Why != "" {
			t.Errorf("resumed %t, %v: %+v", resumed, err, r.Status()[0])
		}
		time.Sleep(5 * time.Minute)
		for _, id := range ids {
			got := o.get(id)
			longest = max(longest, got.Finished.Sub(got.Created))
		}
		if t.Logf("the longest wait was %s", longest); longest > 30*time.Second {
			t.Error("that is too long")
		}
	})
}

func TestAScheduleOutlastsADestinationThatFailsInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		var mu sync.Mutex
		var second time.Time
		taken := 0
		to.reply(func(context.Context, int, publish.Message) publish.Result {
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now(); now.Sub(second) >= time.Second {
				second, taken = now, 0
			}
			if taken++; taken <= 1 {
				return accepted()
			}
			return refused(503)
		})
		for i := range 60 {
			o.put("shop", fmt.Sprint("cs_", i))
		}
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to}))
		defer stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if types, _ := told(o); slices.Contains(types, event.DeliveryDead) {
			t.Errorf("a schedule of three days was over within the hour: %v", types)
		} else if len(types) > 2*6+1 {
			t.Errorf("the owner heard within an hour: %v", types)
		}
	})
}
