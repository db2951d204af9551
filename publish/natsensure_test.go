package publish_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

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
	// With the last stream the server removes the directory of all, while the next is made.
	stream(t, nc, jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}})
	if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	// The server may still be at work on the files of a stream that was deleted: no other
	// one of its name follows here, but for one that was kept in memory.
	said := &page{}
	d.Stream.Name = "PAYMENTS"
	p := newNATS(t, d, publish.NewConnections(slog.New(slog.NewTextHandler(said, nil))))
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("created by another: %+v", r)
	}
	const gone = "stream MEMORY was gone and is created anew, empty: what it held is lost to its readers; notifier replay --since … --to bus sends it again"
	if text := said.String(); !strings.Contains(text, "stream PAYMENTS is created") || strings.Contains(text, gone) {
		t.Errorf("the first one: the log says:\n%s", text)
	}
	d.Stream.Name, d.Subject = "MEMORY", "memory.{{ .Change }}"
	stream(t, nc, jetstream.StreamConfig{Name: "MEMORY", Subjects: []string{"memory.*"}, Storage: jetstream.MemoryStorage})
	p = newNATS(t, d, publish.NewConnections(slog.New(slog.NewTextHandler(said, nil))))
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || strings.Contains(said.String(), gone) {
		t.Errorf("one that stood: %+v, the log says:\n%s", r, said)
	}
	if err := js.DeleteStream(t.Context(), "MEMORY"); err != nil {
		t.Fatal(err)
	}
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeUnavailable {
		t.Errorf("deleted under way: %+v", r)
	}
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("the next one: %+v", r)
	}
	if text := said.String(); strings.Count(text, gone) != 1 {
		t.Errorf("deleted under way: the log says:\n%s", text)
	}
}

// TestEnsureLeavesAStreamOfOthers has a stream that somebody else looks after,
// and a destination that wishes nothing but its subject.
func TestEnsureLeavesAStreamOfOthers(t *testing.T) {
	broker := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, broker.URL)
	theirs := stream(t, nc, jetstream.StreamConfig{
		Name: "CHECKOUT", Subjects: []string{"orders.>"}, MaxAge: 240 * time.Hour, Duplicates: 3 * time.Hour, Description: "theirs",
	})
	d := natsDestination(broker.URL)
	d.Stream.Name, d.Stream.Ensure = "CHECKOUT", true
	config := func() jetstream.StreamConfig {
		info, err := theirs.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Config
	}
	want := config()
	want.Subjects = []string{"orders.>", "checkout.*.*"}
	accept := func(id string) {
		t.Helper()
		m := message(event.Paid)
		m.Delivery.ID = id
		p := newNATS(t, d, nil)
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted || complaint(p) != "" {
			t.Fatalf("result %+v, complaint %q", r, complaint(p))
		}
	}
	accept("dlv_1")
	if diff := cmp.Diff(want, config()); diff != "" {
		t.Errorf("with the defaults (-want +got):\n%s", diff)
	}
	d.Stream.DuplicateWindow = 4 * time.Hour // what is written counts
	accept("dlv_2")
	want.Duplicates = 4 * time.Hour
	if diff := cmp.Diff(want, config()); diff != "" {
		t.Errorf("with a longer window (-want +got):\n%s", diff)
	}
	d.Stream.DuplicateWindow, d.Stream.MaxAge = 2*time.Hour, 48*time.Hour
	accept("dlv_3")
	want.Duplicates, want.MaxAge = 2*time.Hour, 48*time.Hour
	if diff := cmp.Diff(want, config()); diff != "" {
		t.Errorf("with a shorter window and age (-want +got):\n%s", diff)
	}
}

// A stream that is as the configuration says lacks what stream.subjects lack: that is said,
// and not asked whether the stream is there.
func TestASubjectThatIsNotListedIsSaidToBe(t *testing.T) {
	url := embedded(t)
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	d := natsDestination(url)
	d.Stream.Name, d.Stream.Ensure, d.Stream.Subjects = "CHECKOUT", true, []string{"checkout.*.paid"}
	p := newNATS(t, d, nil)
	const says = "no stream takes the subject, and stream.subjects do not name it: add it there, or leave stream.subjects out (server "
	for _, m := range []publish.Message{message(event.Expired), message(event.Expired)} {
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeUnavailable || !strings.HasPrefix(r.Error, says) {
			t.Errorf("result %+v", r)
		}
	}
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("a listed one: %+v", r)
	}
	// Somebody else may give the stream the subject.
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "CHECKOUT")
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.Subjects = append(config.Subjects, "checkout.*.expired")
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if r := p.Publish(t.Context(), message(event.Expired)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("one that somebody else added: %+v", r)
	}
}

// TestEnsureThatFailsIsAComplaint has streams that cannot be brought up to date.
// Whether messages are taken shows with each of them.
func TestEnsureThatFailsIsAComplaint(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{
		{Name: "all", Password: "p"},
		{Name: "mute", Password: "p", Publish: []string{"checkout.>"}},
		{Name: "deaf", Password: "p", Publish: []string{">"}, Subscribe: []string{"checkout.>"}},
	}})
	as := func(user string) string { return strings.Replace(s.URL, "nats://", "nats://"+user+":p@", 1) }
	nc, err := nats.Connect(as("all"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	stream(t, nc, checkoutStream(nil))
	stream(t, nc, jetstream.StreamConfig{Name: "COPY", Mirror: &jetstream.StreamSource{Name: "CHECKOUT"}})
	for _, c := range []struct {
		name, user, stream, subject string
		complains                   string
		want                        event.Outcome
		says                        string
	}{
		{name: "may not ask", user: "mute", stream: "CHECKOUT", subject: "checkout.x", want: event.OutcomeAccepted,
			complains: "stream CHECKOUT could not be brought up to date: permission denied by the NATS server: to publish to $JS.API"},
		{name: "may not hear", user: "deaf", stream: "CHECKOUT", subject: "checkout.x", want: event.OutcomeRefused,
			complains: "the inbox where answers go", says: "permission denied"},
		{name: "another's subject", user: "all", stream: "MINE", subject: "checkout.x", want: event.OutcomeRefused,
			complains: "subjects overlap with an existing stream", says: "another stream than MINE"},
		{name: "mirror", user: "all", stream: "COPY", subject: "another.x", want: event.OutcomeUnavailable,
			complains: "mirror", says: "no stream takes the subject, or it has no leader: is there a stream COPY? (stream COPY could not be brought up to date: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := natsDestination(as(c.user))
			d.Stream.Name, d.Stream.Ensure, d.Subject = c.stream, true, c.subject
			p := newNATS(t, d, nil)
			start := time.Now()
			for range 2 {
				if err := p.Available(t.Context()); err != nil || !strings.Contains(complaint(p), c.complains) {
					t.Errorf("Available: %v, complaint %q", err, complaint(p))
				}
				if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != c.want || !strings.Contains(r.Error, c.says) {
					t.Errorf("result %+v", r)
				}
			}
			if took := time.Since(start); took >= ackTimeout {
				t.Errorf("it took %s: the server's word was not heard", took)
			}
		})
	}
}

func complaint(p *publish.NATSPublisher) string {
	what, _ := p.Complaint()
	return what
}

// Whoever runs the program hears once that what a stream held is gone, also where it was
// made anew at once, and the status shows it. That a stream is made at first is no loss.
func TestALostStreamIsToldOf(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, s.URL)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	// One in memory: the server may still be at work on the files of one that was deleted.
	stream(t, nc, jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}, Storage: jetstream.MemoryStorage})
	d := natsDestination(s.URL)
	d.Stream.Name, d.Stream.Ensure, d.Ordered = "CHECKOUT", true, false
	o := newOutbox()
	r := relay(t, o, publish.Options{Announce: teller}, publish.Lane{Destination: d, Publisher: newNATS(t, d, nil)})
	stop := run(t, r)
	defer stop()
	deliver := func(session string) {
		t.Helper()
		o.put("bus", session)
		r.Wake("bus")
		eventually(t, "delivery of "+session, func() bool { return o.pending() == 0 })
	}
	deliver("cs_1")
	if types, _ := told(o); len(types) > 0 || r.Status()[0].Why != "" {
		t.Errorf("before, the owner heard %v, status %+v", types, r.Status()[0])
	}
	if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	deliver("cs_2")
	deliver("cs_3")
	const gone = "stream CHECKOUT was gone and is created anew, empty: what it held is lost to its readers; notifier replay --since … --to bus sends it again"
	types, data := told(o)
	if !slices.Equal(types, []string{event.DestinationRecovered}) {
		t.Fatalf("the owner heard %v", types)
	}
	if got := fmt.Sprint(data[0]["summary"]); !strings.HasPrefix(got, "Destination bus takes deliveries again, after ") || !strings.HasSuffix(got, " But "+gone+".") {
		t.Errorf("the owner heard %q", got)
	}
	if s := r.Status()[0]; s.State != publish.StateOK || s.Why != gone {
		t.Errorf("status %+v", s)
	}
}
