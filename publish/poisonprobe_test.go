package publish_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/publish"
)

// Orders that were refused while others were accepted say nothing of an outage that comes
// later: it is not they that are tried when it is over.
func TestProbesAreNotOrdersThatWereRefusedBefore(t *testing.T) {
	for n := range 24 {
		outage, lasts, quiet := refused(503), time.Duration(n/2+1)*5*time.Minute, time.Minute
		if n%4 > 1 {
			outage = unreachable()
		}
		if n%3 == 0 {
			quiet = lasts + 10*time.Minute
		}
		restart := n%2 > 0
		t.Run(fmt.Sprintf("%s %s, orders come for %s, restart %t", lasts, outage.Error, quiet, restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				began := time.Now()
				const from = 20 * time.Minute
				until := from + lasts
				to.reply(func(_ context.Context, _ int, m publish.Message) publish.Result {
					switch since := time.Since(began); {
					case since >= from && since < until:
						return outage
					case strings.HasPrefix(m.Event.Session, "bad"):
						return refused(422)
					}
					return accepted()
				})
				lane := publish.Lane{Destination: exact("shop"), Publisher: to}
				r := relay(t, o, publish.Options{}, lane)
				stop := run(t, r)
				for n := 0; time.Since(began) < from+quiet; n++ {
					session := fmt.Sprint("good", n)
					if n%4 == 0 && time.Since(began) < from {
						session = fmt.Sprint("bad", n)
					}
					o.put("shop", session)
					r.Wake("shop")
					time.Sleep(5 * time.Second)
				}
				if restart {
					stop()
					r = relay(t, o, publish.Options{}, lane)
					stop = run(t, r)
				}
				defer stop()
				time.Sleep(time.Until(began.Add(until + 10*time.Minute)))
				sent, broken, after := to.sent(), 0, 0
				for _, s := range sent {
					switch at := s.at.Sub(began); {
					case at >= from && at < until:
						broken++
					case at >= until && after == 0 && strings.HasPrefix(s.delivery.Session, "bad"):
						t.Errorf("the first after the outage is %s", s.delivery.Session)
						after++
					case at >= until:
						after++
					}
				}
				if broken < 10 || after == 0 {
					t.Fatalf("%d attempts in the outage, %d after it", broken, after)
				}
			})
		})
	}
}
