package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// putType adds deliveries of events of a type, each of a session of its own.
func putType(o *memoryOutbox, n int, eventType, name string) (ids []string) {
	for i := range n {
		id := o.put("bus", fmt.Sprint("cs_", name, i), ofType(eventType))
		o.mu.Lock()
		o.find(id).event.Type = eventType
		o.mu.Unlock()
		ids = append(ids, id)
	}
	return ids
}

// TestOneSubjectOfARealServerDelaysNoOther has a subject that no stream takes, and
// streams that are full for one subject, and read-only.
func TestOneSubjectOfARealServerDelaysNoOther(t *testing.T) {
	t.Parallel()
	paid := jetstream.StreamConfig{Name: "PAID", Subjects: []string{"checkout.*.paid"}}
	expired := func(change func(*jetstream.StreamConfig)) *jetstream.StreamConfig {
		c := jetstream.StreamConfig{Name: "EXPIRED", Subjects: []string{"checkout.*.expired"}, Discard: jetstream.DiscardNew}
		change(&c)
		return &c
	}
	for _, c := range []struct {
		name   string
		stream *jetstream.StreamConfig
		mend   func(*jetstream.StreamConfig)
		says   string
	}{
		{name: "no stream", says: "no stream takes the subject"},
		{name: "full stream", says: "maximum messages exceeded", stream: expired(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }),
			mend: func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 }},
		{name: "full subject", says: "maximum messages per subject exceeded",
			stream: expired(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 1, true }),
			mend:   func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = -1, false }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := brokertest.Start(t, brokertest.Options{})
			nc, _ := listenerOf(t, s.URL, "none")
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			stream(t, nc, paid)
			if c.stream != nil {
				stream(t, nc, *c.stream)
				if _, err := js.Publish(t.Context(), "checkout.main.expired", nil); err != nil {
					t.Fatal(err)
				}
			}
			d := natsDestination(s.URL)
			o := newOutbox()
			waiting := putType(o, 81, event.Expired, "expired")
			r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: newNATS(t, d, nil)})
			stop := run(t, r)
			defer stop()
			eventually(t, "blocked subject", func() bool { return r.Status()[0].BlockedAll == 1 })
			began := time.Now()
			order := putType(o, 1, event.Paid, "paid")[0]
			r.Wake("bus")
			eventually(t, "payment", func() bool { return o.get(order).Status == event.StatusAccepted })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the payment took %s", took)
			}
			status := r.Status()[0]
			if b := status.Blocked[0]; status.State != publish.StateWaiting || b.Subject != "checkout.main.expired" || !strings.Contains(b.Why, c.says) {
				t.Errorf("status %+v", status)
			}
			if c.stream == nil {
				stream(t, nc, *expired(func(*jetstream.StreamConfig) {}))
			} else {
				c.mend(c.stream)
				update(t, js, *c.stream)
			}
			eventually(t, "end of what waited", func() bool { return o.pending() == 0 })
			for _, id := range waiting {
				if d := o.get(id); d.Slots != 0 {
					t.Errorf("%s used %d slots", id, d.Slots)
				}
			}
		})
	}
}

// TestAStreamThatNeverAcknowledges is named, and gets each message once, also after
// a restart.
func TestAStreamThatNeverAcknowledges(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	nc, _ := listenerOf(t, s.URL, "none")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	config := jetstream.StreamConfig{Name: "MUTE", Subjects: []string{"checkout.>"}, NoAck: true, Duplicates: 100 * time.Millisecond}
	kept := stream(t, nc, config)
	d := natsDestination(s.URL)
	o := newOutbox()
	ids := putType(o, 20, event.Paid, "paid")
	r := relay(t, o, publish.Options{}, publish.Lane{Destination: d, Publisher: newNATS(t, d, nil)})
	for range 2 {
		stop := run(t, r)
		eventually(t, "name of the cause", func() bool {
			b := r.Status()[0].Blocked
			return len(b) == 1 && strings.Contains(b[0].Why, "stream MUTE never acknowledges (no_ack)")
		})
		eventually(t, "three questions", func() bool {
			return time.Until(r.Status()[0].Blocked[0].Next) > 2*time.Second
		})
		stop()
	}
	info, err := kept.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := info.State.Msgs; n == 0 || n > 16 { // as many as go at once before the first is missed
		t.Errorf("the stream holds %d messages of %d deliveries", n, len(ids))
	}
	seen := make(map[string]int)
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		m, err := kept.GetMsg(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if id := m.Header.Get("Nats-Msg-Id"); seen[id] > 0 {
			t.Errorf("%s is stored twice", id)
		} else {
			seen[id]++
		}
	}
	config.NoAck = false
	update(t, js, config)
	stop := run(t, r)
	defer stop()
	eventually(t, "end of what waited", func() bool { return o.pending() == 0 })
}

// A subscriber hides that no stream takes a subject: nobody says so, and the server
// is asked.
func TestASubjectThatOnlySubscribersTakeIsBlocked(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	listener(t, s.URL)
	p := newNATS(t, natsDestination(s.URL), nil)
	r := p.Publish(t.Context(), message(event.Paid))
	if r.Outcome != event.OutcomeUnavailable || r.Subject != "checkout.main.paid" || r.Unsent || !strings.Contains(r.Error, "only subscribers take the subject") {
		t.Errorf("result %+v", r)
	}
}

// Who may not ask which stream it is hears so: that is what is to be granted.
func TestNATSSaysThatItMayNotAskForTheStream(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{{Name: "u", Password: "p", Publish: []string{"checkout.>"}}}})
	url := strings.Replace(s.URL, "nats://", "nats://u:p@", 1)
	listener(t, url)
	r := newNATS(t, natsDestination(url), nil).Publish(t.Context(), message(event.Paid))
	const want = "the server does not say which: permission denied by the NATS server: to publish to $JS.API.>"
	if r.Outcome != event.OutcomeUnavailable || !strings.HasSuffix(r.Error, want) {
		t.Errorf("result %+v", r)
	}
}
