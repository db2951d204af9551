package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding/spec"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker"
	"checkout-notifier/broker/brokertest"
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
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync("checkout.>")
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

func TestNATSSaysWhyItDoesNotConnect(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://127.0.0.1:1": "refused",
		"nats://" + listen(t, func(c net.Conn) { c.Close() }): "EOF",
	} {
		p := newNATS(t, natsDestination(url), nil)
		deadline := time.Now().Add(20 * time.Second)
		for {
			err := p.Available(t.Context())
			if err != nil && strings.Contains(err.Error(), want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", url, err)
			}
			time.Sleep(10 * time.Millisecond) // the client tries again in its own time
		}
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

// movable is an address that stays while the server behind it is replaced: the
// port of one that has stopped may be somebody else's the next moment.
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

// The client closes for good on a complaint that it does not know, such as the
// one about a payload that was allowed when it connected.
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
	}{
		{name: "wrong stream", user: "all", subject: "checkout.x", stream: "FULL", want: event.OutcomeRefused, says: "another stream than FULL"},
		{name: "over the server's maximum", user: "all", subject: "checkout.x", m: &large, want: event.OutcomeRefused, says: "maximum of 16384 bytes"},
		{name: "over it, core", user: "all", subject: "checkout.x", core: true, m: &large, want: event.OutcomeRefused, says: "maximum of 16384 bytes"},
		{name: "over the stream's maximum", user: "all", subject: "small.x", want: event.OutcomeRefused, says: "stream's maximum"},
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
			if want := r.Outcome != event.OutcomeUnavailable; (r.Contact == publish.ContactMade) != want {
				t.Errorf("contact %d with outcome %s", r.Contact, r.Outcome)
			}
			if took := time.Since(start); took >= ackTimeout {
				t.Errorf("it took %s: the server's word was not heard", took)
			}
		})
	}
}

// TestCoreDenialsOfManyAtOnce sends allowed and denied messages over one
// connection at the same time: none may take another's fate.
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

func TestEnsureStream(t *testing.T) {
	url := embedded(t)
	nc, _ := listener(t, url)
	d := natsDestination(url)
	d.Stream.Name, d.Stream.Ensure, d.Stream.MaxAge = "CHECKOUT", true, 24*time.Hour
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	config := func() jetstream.StreamConfig {
		s, err := js.Stream(t.Context(), "CHECKOUT")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config
	}
	got := config()
	if diff := cmp.Diff([]string{"checkout.*.*"}, got.Subjects); diff != "" || got.MaxAge != 24*time.Hour || got.Duplicates != time.Hour || got.Replicas != 1 {
		t.Errorf("created with %+v\n%s", got, diff)
	}
	// What others have set stays, theirs and ours stand side by side.
	got.Subjects, got.MaxBytes = append(got.Subjects, "orders.>"), 1<<30
	if _, err := js.UpdateStream(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	d.Stream.MaxAge, d.Stream.DuplicateWindow = 30*time.Minute, time.Hour
	d.Subject = "payments.{{ .Change }}"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Expired)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	got = config()
	if diff := cmp.Diff([]string{"checkout.*.*", "orders.>", "payments.*"}, got.Subjects); diff != "" ||
		got.MaxBytes != 1<<30 || got.MaxAge != 30*time.Minute || got.Duplicates != 30*time.Minute {
		t.Errorf("updated to %+v\n%s", got, diff)
	}
	if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	p := newNATS(t, d, nil)
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("created again: %+v", r)
	}
	if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeUnavailable {
		t.Errorf("deleted under way: %+v", r)
	}
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("the next one: %+v", r)
	}
}

func TestEnsureStreamSaysWhatIsDenied(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{
		{Name: "mute", Password: "p", Publish: []string{"checkout.>"}},
		{Name: "deaf", Password: "p", Publish: []string{">"}, Subscribe: []string{"checkout.>"}},
	}})
	for _, user := range []string{"mute", "deaf"} {
		d := natsDestination(strings.Replace(s.URL, "nats://", "nats://"+user+":p@", 1))
		d.Stream.Name, d.Stream.Ensure = "CHECKOUT", true
		p := newNATS(t, d, nil)
		for range 2 {
			start := time.Now()
			if err := p.Available(t.Context()); !errors.Is(err, publish.ErrDenied) {
				t.Errorf("%s: %v", user, err)
			}
			if took := time.Since(start); took >= ackTimeout {
				t.Errorf("%s: it took %s: the server's word was not heard", user, took)
			}
		}
	}
}

func TestDestinationsShareAConnection(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	connections := publish.NewConnections(nil)
	d := natsDestination(s.URL)
	d.JetStream = false
	a := newNATS(t, d, connections)
	d.Name, d.Subject = "other", "checkout.other"
	b := newNATS(t, d, connections)
	for _, p := range []*publish.NATSPublisher{a, b} {
		if err := p.Available(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Clients(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("after the other one closed: %+v", r)
	}
}

func TestContextFile(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true, Users: []brokertest.User{{Name: "ctx", Password: "p"}}})
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	write := func(name string, content map[string]any) {
		raw, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(home, "nats", "context")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", map[string]any{"url": s.URL, "user": "ctx", "password": "p"})
	write("bad", map[string]any{"url": s.URL, "user": "ctx", "password": "wrong"})
	write("odd", map[string]any{"url": s.URL, "nsc": "nsc://x"})

	d := natsDestination("nats://127.0.0.1:4222")
	d.JetStream, d.NATS.Context = false, "good"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("from the context: %+v", r)
	}
	d.NATS.Context, d.NATS.User, d.NATS.Password = "bad", "ctx", "p"
	if r := newNATS(t, d, nil).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("with keys that win: %+v", r)
	}
	for _, name := range []string{"odd", "missing", "../good"} {
		d.NATS.Context = name
		renderer, err := publish.NewRenderer(d, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publish.NewNATS(d, renderer, publish.NewConnections(nil)); err == nil {
			t.Errorf("context %q is accepted", name)
		}
	}
}

func TestNewNATSRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*publish.Destination){
		"server":          func(d *publish.Destination) { d.NATS.Server = "nats://u:s3cret@" },
		"two credentials": func(d *publish.Destination) { d.NATS.User, d.NATS.Token = "u", "s3cret" },
		"password alone":  func(d *publish.Destination) { d.NATS.Password = "s3cret" },
		"missing creds":   func(d *publish.Destination) { d.NATS.Creds = "/nowhere/x.creds" },
		"missing nkey":    func(d *publish.Destination) { d.NATS.NKey = "/nowhere/x.nk" },
		"missing CA":      func(d *publish.Destination) { d.NATS.CA = "/nowhere/ca.pem" },
		"half a pair":     func(d *publish.Destination) { d.NATS.Cert = "cert.pem" },
		"inbox prefix":    func(d *publish.Destination) { d.NATS.InboxPrefix = "a.>" },
		"mode":            func(d *publish.Destination) { d.Mode = "text" },
		"stream of core":  func(d *publish.Destination) { d.JetStream, d.Stream.Name = false, "X" },
		"ensure, no name": func(d *publish.Destination) { d.Stream.Ensure = true },
		"ensure, branches": func(d *publish.Destination) {
			d.Stream.Name, d.Stream.Ensure, d.Subject = "X", true, "a.{{if .Link}}b{{else}}c{{end}}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := natsDestination("nats://127.0.0.1:4222")
			change(&d)
			renderer, err := publish.NewRenderer(d, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = publish.NewNATS(d, renderer, publish.NewConnections(nil))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func publisher(t *testing.T, d publish.Destination, renderer *publish.Renderer) publish.Publisher {
	t.Helper()
	if d.Type == publish.TypeHTTP {
		p, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, err := publish.NewNATS(d, renderer, publish.NewConnections(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}
