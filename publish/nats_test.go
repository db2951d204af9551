package publish_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding/spec"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker"
	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// ackTimeout is how long a publisher waits for a server that says nothing.

const ackTimeout = 5 * time.Second

func embedded(t *testing.T) string {
	t.Helper()
	s, err := broker.New(broker.Config{Listen: "127.0.0.1:0", StoreDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.URL()
}

func natsDestination(url string) publish.Destination {
	d := publish.DefaultNATS()
	d.Name, d.Subject = "bus", "checkout.{{ .Account }}.{{ .Change }}"
	d.NATS.Server = secret.String(url)
	return d
}

func newNATS(t *testing.T, d publish.Destination, connections *publish.Connections) *publish.NATSPublisher {
	t.Helper()
	renderer, err := publish.NewRenderer(d, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if connections == nil {
		connections = publish.NewConnections(nil)
	}
	p, err := publish.NewNATS(d, renderer, connections)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// listener subscribes to everything below checkout.

func listener(t *testing.T, url string) (*nats.Conn, *nats.Subscription) {
	t.Helper()
	return listenerOf(t, url, "checkout.>")
}

func listenerOf(t *testing.T, url, subject string) (*nats.Conn, *nats.Subscription) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return nc, sub
}

func stream(t *testing.T, nc *nats.Conn, config jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func next(t *testing.T, sub *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := sub.NextMsg(30 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNATSBinary(t *testing.T) {
	url := embedded(t)
	nc, sub := listener(t, url)
	s := stream(t, nc, jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}})
	p := newNATS(t, natsDestination(url), nil)
	m := message(event.Paid)
	if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted || r.Note != "" {
		t.Fatalf("result %+v", r)
	}
	got := next(t, sub)
	if got.Subject != "checkout.main.paid" || got.Header.Get("Nats-Msg-Id") != m.Delivery.ID {
		t.Errorf("subject %s, headers %v", got.Subject, got.Header)
	}
	names := []string{"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-datacontenttype", "ce-dataschema", "ce-account", "ce-sequence", "ce-livemode"}
	for _, name := range names {
		if len(got.Header[name]) != 1 {
			t.Errorf("header %s: %q", name, got.Header[name])
		}
	}
	checkBinary(t, got, m)

	if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted || r.Note != "duplicate" {
		t.Errorf("the repeated message: %+v", r)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != 1 {
		t.Errorf("the stream holds %d messages", info.State.Msgs)
	}
}

// checkBinary builds an event from the headers with the CloudEvents SDK.

func checkBinary(t *testing.T, got *nats.Msg, m publish.Message) {
	t.Helper()
	versions := spec.WithPrefix("ce-")
	version := versions.Version(got.Header.Get(versions.PrefixedSpecVersionName()))
	if version == nil {
		t.Fatalf("the SDK knows no version of %v", got.Header)
	}
	parsed := cloudevents.Event{Context: version.NewContext()}
	for name, values := range got.Header {
		if !strings.HasPrefix(name, "ce-") {
			continue
		}
		if attribute := version.Attribute(name); attribute != nil {
			if err := attribute.Set(parsed.Context, values[0]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err := parsed.Context.SetExtension(strings.TrimPrefix(name, "ce-"), values[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := parsed.Validate(); err != nil {
		t.Errorf("the SDK finds the message invalid: %v", err)
	}
	gotten := []any{parsed.ID(), parsed.Source(), parsed.Type(), parsed.Subject(), parsed.DataContentType(), parsed.Extensions()["livemode"], parsed.Extensions()["sequence"], parsed.Time()}
	want := []any{m.Event.ID, "/wooshpay/accounts/main", m.Event.Type, m.Event.Session, "application/json", "true", m.Event.Sequence(), m.Event.Time}
	if diff := cmp.Diff(want, gotten); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	checkData(t, got.Data, m)
}

func TestNATSStructured(t *testing.T) {
	url := embedded(t)
	_, sub := listener(t, url)
	d := natsDestination(url)
	d.Mode, d.JetStream = publish.ModeStructured, false
	m := message(event.Paid)
	if r := newNATS(t, d, nil).Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	got := next(t, sub)
	if got.Header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("headers %v", got.Header)
	}
	checkCloudEvent(t, got.Data, m)
}

// movable is an address that stays while the server behind it is replaced: the

// port of one that has stopped may be somebody else's the next moment.

// The client closes for good on a complaint that it does not know, such as the

// one about a payload that was allowed when it connected.

// TestCoreDenialsOfManyAtOnce sends allowed and denied messages over one

// connection at the same time: none may take another's fate.

// TestConformance holds all publishers to the same promises.
