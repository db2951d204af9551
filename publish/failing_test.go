package publish_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// The owner hears since when a destination fails, and not since when that is a
// reason to leave it alone.
func TestFailingIsSinceTheFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		d := exact("shop")
		d.Retry.Schedule = slices.Repeat([]time.Duration{8 * time.Second}, 20)
		o.put("shop", "cs_1")
		o.put("shop", "cs_2")
		to.reply(always(refused(500)))
		began := event.FormatTime(time.Now())
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: to}))
		defer stop()
		time.Sleep(33 * time.Second) // five refusals of each: the breaker opened after 32 s
		to.reply(nil)
		time.Sleep(10 * time.Second)
		types, data := told(o)
		if !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) {
			t.Fatalf("the owner heard %v", types)
		}
		if data[0]["since"] != began || data[1]["since"] != began || data[1]["down_for"] != "37s" || !strings.Contains(fmt.Sprint(data[1]["summary"]), "37s") {
			t.Errorf("it fails since %s, and the owner heard %v", began, data)
		}
	})
}

// An outage of a NATS server begins with the first look that does not find it.
func TestAnOutageIsSinceItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(always(gone()))
		o.put("bus", "cs_1")
		began := event.FormatTime(time.Now())
		stop := run(t, relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to}))
		defer stop()
		time.Sleep(5 * time.Minute)
		to.reply(nil)
		time.Sleep(time.Minute)
		_, data := told(o)
		if len(data) != 2 || data[0]["since"] != began || data[1]["since"] != began {
			t.Errorf("it fails since %s, and the owner heard %v", began, data)
		}
	})
}

// A message that is over the server's maximum is repeated for ever: its owner hears
// of it, and status and metric show that it waits.
func TestAMessageThatIsTooLargeForLongIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		large := denied()
		large.Class, large.Contact, large.Error = publish.ClassBody, publish.ContactNone, "the message is over the server's maximum of 2048 bytes"
		to.reply(always(large))
		began := event.FormatTime(time.Now())
		o.put("bus", "cs_1")
		r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(9 * time.Minute)
		if types, _ := told(o); len(types) > 0 {
			t.Errorf("after 9 minutes the owner heard %v", types)
		}
		time.Sleep(2 * time.Minute)
		s := r.Status()[0]
		if s.State != publish.StateRefusing || !strings.Contains(s.Why, "maximum of 2048 bytes") || s.Failures < 3 || !s.Told {
			t.Errorf("status %+v", s)
		}
		types, data := told(o)
		if !slices.Equal(types, []string{event.DestinationFailing}) || data[0]["since"] != began || !strings.Contains(fmt.Sprint(data[0]["reason"]), "maximum") {
			t.Fatalf("the owner heard %v %v", types, data)
		}
		to.reply(nil)
		time.Sleep(2 * time.Minute)
		if types, _ := told(o); !slices.Equal(types, []string{event.DestinationFailing, event.DestinationRecovered}) || r.Status()[0].State != publish.StateOK {
			t.Errorf("in the end the owner heard %v, status %+v", types, r.Status()[0])
		}
	})
}

// Since when a destination cannot be reached is not since when it refused something.
func TestAnOutageIsNotCountedWithRefusalsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, to := newOutbox(), &receiver{}
		to.reply(always(denied()))
		o.put("bus", "cs_1")
		r := relay(t, o, publish.Options{}, publish.Lane{Destination: busOf(), Publisher: to})
		stop := run(t, r)
		defer stop()
		time.Sleep(7 * time.Minute)
		refused := r.Status()[0]
		if refused.State != publish.StateRefusing || refused.Failures < 5 {
			t.Errorf("status before the outage %+v", refused)
		}
		to.reply(always(publish.Result{Outcome: event.OutcomeUnavailable, Class: publish.ClassConnect, Error: "not connected to NATS"}))
		time.Sleep(2 * time.Minute)
		s := r.Status()[0]
		if s.State != publish.StateUnreachable || time.Since(s.Since) > 2*time.Minute || s.Failures < 1 || s.Failures > 12 {
			t.Errorf("status in the outage %+v, since %s, before %d failures", s, time.Since(s.Since), refused.Failures)
		}
	})
}
