package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// What is told of a destination that fails names notifier destinations resume only where
// that tries the destination at once.
func TestAdviceForADestinationThatFails(t *testing.T) {
	throttled := refused(429)
	throttled.RetryAfter, throttled.Throttled = 24*time.Hour, true
	for name, c := range map[string]struct {
		answer   publish.Result
		sessions int
		resumes  bool
		says     string
	}{
		"the breaker is open":    {refused(503), 12, true, "tried again by itself every 5 minutes or sooner; once it is mended, notifier destinations resume shop tries at once."},
		"it asked for a pause":   {throttled, 1, true, "tried again by itself after that; once it is mended, notifier destinations resume shop tries at once."},
		"there is little to do":  {refused(503), 1, false, "notifier deliveries list --destination shop --status pending shows it; once that is mended, notifier deliveries retry ID … sends it at once."},
		"there is no connection": {gone(), 1, false, "It goes on by itself once that is mended."},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, to := newOutbox(), &receiver{}
				to.reply(always(c.answer))
				for i := range c.sessions {
					o.put("shop", fmt.Sprint("cs_", i))
				}
				r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
				defer run(t, r)()
				time.Sleep(13 * time.Minute)
				synctest.Wait()
				types, data := told(o)
				if len(types) != 1 || types[0] != event.DestinationFailing || !strings.HasSuffix(fmt.Sprint(data[0]["summary"]), c.says) {
					t.Fatalf("the owner heard %v %v", types, data)
				}
				before := len(to.sent())
				changed, err := r.Resume(t.Context(), "shop", "ann")
				synctest.Wait()
				if sent := len(to.sent()) > before; err != nil || changed != c.resumes || sent != c.resumes {
					t.Errorf("resume: changed %v, sent %v, %v", changed, sent, err)
				}
			})
		})
	}
}

// A pause lasts until somebody ends it.
func TestAdviceForAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: exact("shop"), Publisher: to})
		defer run(t, r)()
		if _, err := r.Pause(t.Context(), "shop", "ann"); err != nil {
			t.Fatal(err)
		}
		const want = "Destination shop is paused by ann. What is for it waits, perhaps orders to be shipped, until somebody resumes it: notifier destinations resume shop."
		if types, data := told(o); len(data) != 1 || data[0]["summary"] != want {
			t.Errorf("the owner heard %v %v", types, data)
		}
	})
}
