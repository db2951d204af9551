package publish_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// TestNATSSaysAtOnceWhyItDoesNotConnect asks once: a destination keeps what the
// first look said until its next probe.
func TestNATSSaysAtOnceWhyItDoesNotConnect(t *testing.T) {
	t.Parallel()
	guarded := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{{Name: "u", Password: "p"}}})
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	demandsTLS := listen(t, func(c net.Conn) {
		defer c.Close()
		fmt.Fprintf(c, "INFO {\"server_id\":\"x\",\"tls_required\":true,\"max_payload\":1048576}\r\n")
		_ = tls.Server(c, certified.TLS).Handshake() // the client refuses it
	})
	for name, c := range map[string]struct{ url, want string }{
		"nobody listens":  {"nats://user:s3cret@127.0.0.1:1", "connection refused"},
		"no NATS":         {"nats://user:s3cret@" + listen(t, func(c net.Conn) { c.Close() }), "EOF"},
		"unknown host":    {"nats://user:s3cret@nowhere.invalid:4222", "no such host"},
		"wrong password":  {strings.Replace(guarded.URL, "nats://", "nats://u:s3cret@", 1), "authorization violation"},
		"own certificate": {"nats://user:s3cret@" + demandsTLS, "certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newNATS(t, natsDestination(c.url), nil)
			_, address, _ := strings.Cut(c.url, "@")
			if name == "wrong password" {
				address = strings.TrimPrefix(guarded.URL, "nats://")
			}
			err := p.Available(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "not connected to NATS: "+address+": ") || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Available says %v, want %q", err, c.want)
			}
			if r := p.Publish(t.Context(), message(event.Paid)); !r.Unsent || !strings.Contains(strings.ToLower(r.Error), strings.ToLower(c.want)) || strings.Contains(r.Error, "s3cret") {
				t.Errorf("result %+v, want %q", r, c.want)
			}
		})
	}
}

// TestNATSSaysWhyItLostTheConnection loses the server during a publish, and looks at
// once, before the client has tried to connect again.
func TestNATSSaysWhyItLostTheConnection(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.Options{})
	nc, sub := listener(t, broker.URL)
	stream(t, nc, checkoutStream(func(c *jetstream.StreamConfig) { c.NoAck = true }))
	url, _ := movable(t, broker.URL)
	p := newNATS(t, natsDestination(url), nil)
	if err := p.Available(t.Context()); err != nil {
		t.Fatal(err)
	}
	results := make(chan publish.Result, 1)
	go func() { results <- p.Publish(t.Context(), message(event.Paid)) }()
	next(t, sub)
	broker.Stop()
	if r := <-results; r.Outcome != event.OutcomeUnavailable || r.Error != "the connection to NATS was lost before it answered: "+strings.TrimPrefix(url, "nats://")+": EOF" {
		t.Errorf("result %+v", r)
	}
	if err := p.Available(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "not connected to NATS: ") {
		t.Errorf("Available says %v", err)
	}
}

// TestNATSForgetsAnEarlierCause meets another one.
func TestNATSForgetsAnEarlierCause(t *testing.T) {
	t.Parallel()
	guarded := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{{Name: "u", Password: "p"}}})
	hung, move := movable(t, "nats://127.0.0.1:1")
	p := newNATS(t, natsDestination(strings.Replace(hung, "nats://", "nats://u:s3cret@", 1)), nil)
	for _, step := range []struct{ server, want string }{{"nats://127.0.0.1:1", "EOF"}, {guarded.URL, "authorization violation"}, {"nats://127.0.0.1:1", "EOF"}} {
		move(step.server)
		deadline := time.Now().Add(20 * time.Second)
		for {
			err := p.Available(t.Context())
			if err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(step.want)) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v, want %s", err, step.want)
			}
			time.Sleep(10 * time.Millisecond) // the client tries again in its own time
		}
	}
}

// TestNATSNamesTheServerThatRefuses has one that nobody listens at and one that does not
// let us in. A client tries them in an order that is drawn once, and tells of the one
// that it tried last before it rests, of the other for a moment only: so there are many.
func TestNATSNamesTheServerThatRefuses(t *testing.T) {
	t.Parallel()
	guarded := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{{Name: "u", Password: "p"}}})
	there := strings.TrimPrefix(guarded.URL, "nats://")
	clients := make([]*publish.NATSPublisher, 24)
	for i := range clients {
		clients[i] = newNATS(t, natsDestination("nats://u:s3cret@127.0.0.1:1,nats://u:s3cret@"+there), nil)
	}
	known := map[string]bool{"127.0.0.1:1: connect: connection refused": true, there + ": authorization violation": true}
	missing := maps.Clone(known)
	for deadline := time.Now().Add(20 * time.Second); len(missing) > 0; {
		for _, p := range clients {
			err := p.Available(t.Context())
			if err == nil || time.Now().After(deadline) {
				t.Fatalf("%v, want %v", err, missing)
			}
			text := strings.ToLower(strings.TrimPrefix(err.Error(), "not connected to NATS: "))
			text = strings.ReplaceAll(text, "nats: ", "")
			if delete(missing, text); !known[text] {
				t.Errorf("Available says %v, want one of %v", err, known)
			}
		}
		time.Sleep(10 * time.Millisecond) // the clients try again in their own time
	}
}

// complaining is a receiver about which something is wrong besides what it answers.
type complaining struct{ *receiver }

func (complaining) Complaint() (string, time.Time) {
	return "stream X could not be brought up to date: too many", time.Time{}
}

// TestAComplaintStandsBesideAnotherReason has a refusal of which the complaint may be
// the cause.
func TestAComplaintStandsBesideAnotherReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const complaint = "stream X could not be brought up to date: too many"
		o, to := newOutbox(), &receiver{}
		r, err := publish.NewRelay(o, []publish.Lane{{Destination: exact("bus"), Publisher: complaining{to}}}, publish.Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, r)()
		for _, step := range []struct {
			answer publish.Result
			want   string
		}{
			{accepted(), complaint},
			{refused(500), "status 500 Internal Server Error; " + complaint},
			{publish.Result{Outcome: event.OutcomeRefused, Class: publish.ClassNATS, Error: "no stream (" + complaint + ")"}, "nats: no stream (" + complaint + ")"},
		} {
			to.reply(func(context.Context, int, publish.Message) publish.Result { return step.answer })
			o.put("bus", "cs_"+step.want)
			r.Wake("bus")
			synctest.Wait()
			if s := r.Status()[0]; s.Why != step.want {
				t.Errorf("the state says %q, want %q", s.Why, step.want)
			}
		}
	})
}
