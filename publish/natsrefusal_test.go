package publish_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func TestNATSRefusalsAndOutages(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{MaxPayload: 16 << 10, Users: []brokertest.User{
		{Name: "all", Password: "p"},
		{Name: "other", Password: "p", Publish: []string{"other.>"}, Subscribe: []string{"_INBOX.>"}},
		{Name: "deaf", Password: "p", Publish: []string{"checkout.>"}, Subscribe: []string{"other.>"}},
	}})
	as := func(user string) string { return strings.Replace(s.URL, "nats://", "nats://"+user+":p@", 1) }
	nc, _ := listener(t, as("all"))
	stream(t, nc, jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}})
	stream(t, nc, jetstream.StreamConfig{Name: "FULL", Subjects: []string{"full.>"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	stream(t, nc, jetstream.StreamConfig{Name: "SMALL", Subjects: []string{"small.>"}, MaxMsgSize: 100})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "full.x", nil); err != nil {
		t.Fatal(err)
	}
	sealed := stream(t, nc, jetstream.StreamConfig{Name: "SEALED", Subjects: []string{"sealed.>"}})
	config := sealed.CachedInfo().Config
	config.Sealed = true
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	large := message(event.Paid)
	large.Event.Object = json.RawMessage(`{"id":"cs_1","metadata":{"x":"` + strings.Repeat("y", 20<<10) + `"}}`)

	for _, c := range []struct {
		name, user, subject string
		core                bool
		stream              string
		m                   *publish.Message
		want                event.Outcome
		says                string
		class               string // if not nats: it is about the message
	}{
		{name: "wrong stream", user: "all", subject: "checkout.x", stream: "FULL", want: event.OutcomeRefused, says: "another stream than FULL"},
		{name: "over the server's maximum", user: "all", subject: "checkout.x", m: &large, want: event.OutcomeRefused, says: "maximum of 16384 bytes", class: publish.ClassBody},
		{name: "over it, core", user: "all", subject: "checkout.x", core: true, m: &large, want: event.OutcomeRefused, says: "maximum of 16384 bytes", class: publish.ClassBody},
		{name: "over the stream's maximum", user: "all", subject: "small.x", want: event.OutcomeRefused, says: "stream's maximum", class: publish.ClassBody},
		{name: "publish denied", user: "other", subject: "checkout.x", want: event.OutcomeRefused, says: "permission denied"},
		{name: "publish denied, core", user: "other", subject: "checkout.x", core: true, want: event.OutcomeRefused, says: "permission denied"},
		{name: "answers denied", user: "deaf", subject: "checkout.x", want: event.OutcomeRefused, says: "permission denied"},
		{name: "no stream", user: "all", subject: "nowhere.x", want: event.OutcomeUnavailable, says: "no stream"},
		{name: "full", user: "all", subject: "full.y", want: event.OutcomeUnavailable, says: "maximum messages"},
		{name: "read-only", user: "all", subject: "sealed.y", want: event.OutcomeUnavailable, says: "sealed"},
		{name: "unknown user", user: "nobody", subject: "checkout.x", want: event.OutcomeUnavailable, says: "not connected"},
		{name: "allowed", user: "deaf", subject: "checkout.x", core: true, want: event.OutcomeAccepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := natsDestination(as(c.user))
			d.Subject, d.JetStream, d.Stream.Name = c.subject, !c.core, c.stream
			m := message(event.Paid)
			if c.m != nil {
				m = *c.m
			}
			start := time.Now()
			r := newNATS(t, d, nil).Publish(t.Context(), m)
			if r.Outcome != c.want || !strings.Contains(r.Error, c.says) || r.Final {
				t.Errorf("result %+v", r)
			}
			kept := strings.Contains(c.says, "bytes")                           // by the client
			blocked := r.Outcome == event.OutcomeUnavailable && c.user == "all" // by the server, for this subject
			if want := r.Outcome != event.OutcomeUnavailable && !kept || blocked; (r.Contact == publish.ContactMade) != want {
				t.Errorf("contact %d with outcome %s", r.Contact, r.Outcome)
			}
			if (r.Subject == c.subject) != blocked || (r.Subject != "") != blocked || blocked && !r.Unsent {
				t.Errorf("blocked subject %q, unsent: %t", r.Subject, r.Unsent)
			}
			if want := cmp.Or(c.class, publish.ClassNATS); r.Outcome != event.OutcomeAccepted && r.Class != want {
				t.Errorf("class %s, want %s", r.Class, want)
			}
			if took := time.Since(start); took >= ackTimeout {
				t.Errorf("it took %s: the server's word was not heard", took)
			}
		})
	}
}

func TestCoreDenialsOfManyAtOnce(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true, Users: []brokertest.User{
		{Name: "u", Password: "p", Publish: []string{"checkout.allowed.>"}},
	}})
	d := natsDestination(strings.Replace(s.URL, "nats://", "nats://u:p@", 1))
	d.JetStream = false
	d.Subject = "checkout.{{ .Account }}.{{ .Session.id }}"
	p := newNATS(t, d, nil)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			m := message(event.Paid)
			want := event.OutcomeRefused
			m.Event.Account = "denied"
			if i%2 == 0 {
				m.Event.Account, want = "allowed", event.OutcomeAccepted
			}
			m.Event.Object = json.RawMessage(fmt.Sprintf(`{"id":"cs_%d"}`, i))
			if r := p.Publish(t.Context(), m); r.Outcome != want {
				t.Errorf("message %d: %+v", i, r)
			}
		})
	}
	wg.Wait()
}
