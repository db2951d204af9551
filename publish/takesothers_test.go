package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// A destination that refuses some orders and takes others for hours is one alert once that is
// known: those that are tried again together open its breaker now and then, and an accepted order
// closes it. That it fails altogether is told once beside, if nothing is accepted for ten minutes;
// before it is known, that and its end may be told once, too.
func TestSomeRefusedOrdersAreOneAlert(t *testing.T) {
	const failing, recovered = event.DestinationFailing, event.DestinationRecovered
	for name, c := range map[string]struct {
		every time.Duration
		bad   func(n int) bool
	}{
		"three in ten, one a minute":       {time.Minute, func(n int) bool { return n%10 < 3 }},
		"every second one, one in 5 min":   {5 * time.Minute, func(n int) bool { return n%2 == 0 }},
		"four in a row, then four others":  {5 * time.Minute, func(n int) bool { return n%8 >= 4 }},
		"one in twenty, one each 30 s":     {30 * time.Second, func(n int) bool { return n%20 == 0 }},
		"six in seven, for hours together": {time.Minute, func(n int) bool { return n > 3 && n%70 < 60 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				bad, began, mended := map[string]bool{}, time.Now(), false
				to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
					o.mu.Lock()
					defer o.mu.Unlock()
					if bad[m.Event.Session] && !mended {
						return refused(500)
					}
					return accepted()
				})
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, r)()
				for n := 1; time.Since(began) < 10*time.Hour; n++ {
					id := fmt.Sprint("cs_", n)
					o.mu.Lock()
					bad[id] = c.bad(n)
					o.mu.Unlock()
					o.put("shop", id)
					r.Wake("shop")
					time.Sleep(c.every)
				}
				types, data := told(o)
				if len(types) > 4 || strings.Count(fmt.Sprint(types), recovered) > 1 || types[len(types)-1] != failing {
					t.Fatalf("the owner heard %v: %v", types, data)
				}
				o.mu.Lock()
				mended = true
				o.mu.Unlock()
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if ended, data := told(o); !slices.Equal(ended, append(types, recovered)) {
					t.Errorf("in the end the owner heard %v: %v", ended, data)
				}
			})
		})
	}
}
