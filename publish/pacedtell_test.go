package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func throttled(retryAfter time.Duration) publish.Result {
	r := refused(429)
	r.Throttled, r.RetryAfter = true, retryAfter
	return r
}

// A destination that answers nothing but 429 is told to fail after ten minutes, and not
// when its breaker opens; one that asks for a longer pause at once, and one that then
// fails otherwise at the first such refusal.
func TestOwnerHearsOf429AloneAfterTenMinutes(t *testing.T) {
	for name, c := range map[string]struct {
		first, then publish.Result // then from the third minute on
		from, until time.Duration
	}{
		"never says when":          {throttled(0), throttled(0), 10 * time.Minute, 16 * time.Minute},
		"says in half a minute":    {throttled(30 * time.Second), throttled(30 * time.Second), 10 * time.Minute, 16 * time.Minute},
		"says in a quarter hour":   {throttled(15 * time.Minute), throttled(15 * time.Minute), 0, time.Minute},
		"is down after two":        {throttled(0), refused(503), 2 * time.Minute, 6 * time.Minute},
		"was down for two minutes": {refused(503), throttled(0), 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				began := time.Now()
				to.reply(func(context.Context, int, publish.Message) publish.Result {
					if time.Since(began) < 2*time.Minute {
						return c.first
					}
					return c.then
				})
				for i := range 20 {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				stop := run(t, r)
				defer stop()
				if time.Sleep(c.from - time.Second); c.from > 0 {
					if types, data := told(o); len(types) > 0 {
						t.Fatalf("after %s the owner heard %v %v", time.Since(began), types, data)
					}
				}
				time.Sleep(c.until - c.from + time.Second)
				synctest.Wait()
				if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing}) || !r.Status()[0].Told {
					t.Fatalf("after %s the owner heard %v", time.Since(began), types)
				}
				to.reply(nil)
				time.Sleep(time.Hour)
				synctest.Wait()
				if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
					t.Errorf("in the end the owner heard %v", types)
				}
			})
		})
	}
}

// A destination that answers 429 for some orders for ever is not failing, and those that
// it takes do not wait for these.
func TestOrdersThatAreThrottledForEver(t *testing.T) {
	for _, every := range []time.Duration{4 * time.Second, 20 * time.Second} {
		for first := range 5 {
			t.Run(fmt.Sprint("one each ", every, " ", first), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o, to := newOutbox(), &receiver{}
					n := 0
					put := func() string {
						n++
						return o.put("shop", fmt.Sprint("cs_", n))
					}
					isBad := func(session string) bool {
						n, err := strconv.Atoi(strings.TrimPrefix(session, "cs_"))
						return err == nil && (n+first)%5 == 0
					}
					to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
						if isBad(m.Delivery.Session) {
							return throttled(0)
						}
						return accepted()
					})
					for range 60 {
						put()
					}
					r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
					stop := run(t, r)
					defer stop()
					began := time.Now()
					var ids []string
					for time.Since(began) < 9*time.Minute {
						time.Sleep(every)
						ids = append(ids, put())
						r.Wake("shop")
					}
					time.Sleep(75 * time.Second)
					synctest.Wait()
					for _, id := range ids {
						if d := o.get(id); !isBad(d.Session) && (d.Finished.IsZero() || d.Finished.Sub(d.Created) > 75*time.Second) {
							t.Errorf("%s of %s was accepted at %s", d.Session, d.Created, d.Finished)
						}
					}
					time.Sleep(5 * time.Minute)
					if types, data := told(o); len(types) > 1 || len(types) == 1 && !strings.Contains(fmt.Sprint(data[0]["summary"]), "takes others") {
						t.Errorf("the owner heard %v %v", types, data)
					}
				})
			})
		}
	}
}

// After an outage in which the breaker opened, a service that takes one message a second has
// got all that waits within the third pause: a probe is no refusal more than others have. Its
// owner hears of nothing but the outage.
func TestPacedDestinationAfterAnOutage(t *testing.T) {
	for n := 4; n <= 8; n++ {
		t.Run(fmt.Sprint(n, " wait"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				began, last := time.Now(), time.Time{}
				to.reply(func(context.Context, int, publish.Message) publish.Result {
					switch {
					case time.Since(began) < 100*time.Second:
						return refused(503)
					case time.Since(last) < time.Second:
						return throttled(time.Second)
					}
					last = time.Now()
					return accepted()
				})
				var ids []string
				for i := range n {
					ids = append(ids, o.put("shop", fmt.Sprint("cs_", i)))
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				stop := run(t, r)
				defer stop()
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				for _, id := range ids {
					if took := o.get(id).Finished.Sub(began); took <= 0 || took > 100*time.Second+4*time.Minute {
						t.Errorf("a delivery was accepted %s after the first attempt", took)
					}
				}
				if types, data := told(o); len(types) > 2 || len(types) > 0 && types[0] != event.DestinationFailing {
					t.Errorf("the owner heard %v %v", types, data)
				}
			})
		})
	}
}
