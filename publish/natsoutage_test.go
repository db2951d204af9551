package publish_test

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

func TestNATSWithoutServerIsUnavailable(t *testing.T) {
	d := natsDestination("nats://user:s3cret@127.0.0.1:1")
	p := newNATS(t, d, nil)
	err := p.Available(t.Context())
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Available: %v", err)
	}
	r := p.Publish(t.Context(), message(event.Paid))
	if r.Outcome != event.OutcomeUnavailable || r.Contact != publish.ContactFailed || r.Class != publish.ClassNATS || strings.Contains(r.Error, "s3cret") {
		t.Errorf("result %+v", r)
	}
}

func TestNATSComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := brokertest.Start(t, brokertest.Options{StoreDir: dir})
	nc, _ := listener(t, first.URL)
	stream(t, nc, jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}})
	url, move := movable(t, first.URL)
	p := newNATS(t, natsDestination(url), nil)
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("before: %+v", r)
	}
	first.Stop()
	if r := p.Publish(t.Context(), message(event.Expired)); r.Outcome != event.OutcomeUnavailable {
		t.Errorf("without a server: %+v", r)
	}
	move(brokertest.Start(t, brokertest.Options{StoreDir: dir}).URL)
	awaitNATS(t, p)
	if r := p.Publish(t.Context(), message(event.Expired)); r.Outcome != event.OutcomeAccepted || r.Note != "" {
		t.Errorf("after: %+v", r)
	}
}

func movable(t *testing.T, server string) (url string, move func(server string)) {
	t.Helper()
	var target atomic.Value
	move = func(server string) { target.Store(strings.TrimPrefix(server, "nats://")) }
	move(server)
	address := listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", target.Load().(string))
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			io.Copy(c, up)
			c.Close()
		}()
		io.Copy(up, c)
	})
	return "nats://" + address, move
}

func awaitNATS(t *testing.T, p *publish.NATSPublisher) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for p.Available(t.Context()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the connection did not come back")
		}
		time.Sleep(10 * time.Millisecond) // the client reconnects in its own time
	}
}

func TestNATSComesBackFromAComplaint(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	d := natsDestination(s.URL)
	d.JetStream = false
	p := newNATS(t, d, nil)
	large := message(event.Paid)
	large.Event.Object = json.RawMessage(`{"id":"cs_1","metadata":{"x":"` + strings.Repeat("y", 20<<10) + `"}}`)
	if r := p.Publish(t.Context(), large); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	s.Limit(16 << 10)
	if r := p.Publish(t.Context(), large); r.Outcome == event.OutcomeAccepted {
		t.Fatalf("over the new maximum: %+v", r)
	}
	awaitNATS(t, p)
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("the next message: %+v", r)
	}
	if r := p.Publish(t.Context(), large); r.Outcome != event.OutcomeRefused || !strings.Contains(r.Error, "maximum of 16384 bytes") {
		t.Errorf("over the maximum, again: %+v", r)
	}
}
