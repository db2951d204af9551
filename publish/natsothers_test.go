package publish_test

import (
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// The publisher's inbox is the reply subject of its messages: each subscriber of their
// subject may answer there, before or after the stream, or where there is none.

// noAcknowledgements are replies that the stream CHECKOUT does not send for a stored
// message.
var noAcknowledgements = map[string]string{
	"nothing":                  "",
	"text":                     "order received",
	"a consumer's":             "+ACK",
	"null":                     "null",
	"a list":                   "[]",
	"a job":                    `{"stream":"JOBS","queued":true}`,
	"another stream":           `{"stream":"JOBS","seq":7}`,
	"no sequence":              `{"stream":"CHECKOUT"}`,
	"sequence 0":               `{"stream":"CHECKOUT","seq":0,"duplicate":true}`,
	"sequence alone":           `{"seq":7}`,
	"an error's text":          `{"error":"no such order"}`,
	"an error like HTTP":       `{"error":{"code":404,"message":"no such order"}}`,
	"an error of a stream":     `{"stream":"CHECKOUT","error":{}}`,
	"a sequence of other type": `{"stream":"CHECKOUT","seq":"7"}`,
}

// respond answers every message below checkout, as services do.
func respond(t *testing.T, url string, texts ...string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	answer := func(m *nats.Msg) {
		for _, text := range texts {
			_ = m.Respond([]byte(text))
		}
	}
	if _, err := nc.Subscribe("checkout.>", answer); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

var replySubject = regexp.MustCompile(`HPUB checkout\S* (\S+) `)

// respondFirst is the address of a server in front of which every message below
// checkout is answered before the server gets it.
func respondFirst(t *testing.T, nc *nats.Conn, server, text string) (url string) {
	t.Helper()
	return "nats://" + listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", strings.TrimPrefix(server, "nats://"))
		if err != nil {
			return
		}
		defer up.Close()
		go io.Copy(c, up)
		piece := make([]byte, 64<<10)
		for {
			n, err := c.Read(piece)
			if err != nil {
				return
			}
			for _, m := range replySubject.FindAllSubmatch(piece[:n], -1) {
				if nc.Publish(string(m[1]), []byte(text)) != nil || nc.Flush() != nil {
					return
				}
			}
			up.Write(piece[:n])
		}
	})
}

// A reply that comes before the stream's acknowledgement does not stand for it: the
// message would be repeated, and stored again after the duplicate window.
func TestNATSWaitsPastRepliesOfOthers(t *testing.T) {
	t.Parallel()
	for name, text := range noAcknowledgements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := brokertest.Start(t, brokertest.Options{})
			nc, _ := listenerOf(t, s.URL, "none")
			kept := stream(t, nc, checkoutStream(nil))
			d := natsDestination(respondFirst(t, nc, s.URL, text))
			d.Stream.Name = "CHECKOUT"
			p := newNATS(t, d, nil)
			for _, note := range []string{"", "duplicate"} {
				start := time.Now()
				if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || r.Note != note {
					t.Errorf("result %+v, want the note %q", r, note)
				}
				if took := time.Since(start); took >= ackTimeout {
					t.Errorf("it took %s: the acknowledgement was not heard", took)
				}
			}
			if info, err := kept.Info(t.Context()); err != nil || info.State.Msgs != 1 {
				t.Errorf("the stream holds %+v, %v", info.State, err)
			}
		})
	}
}

// TestNATSTakesNoReplyOfOthersForAnAcknowledgement has subscribers that answer and no
// stream: the subject is blocked, all else goes on, and nothing is lost.
func TestNATSTakesNoReplyOfOthersForAnAcknowledgement(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	respond(t, s.URL, slices.Collect(maps.Values(noAcknowledgements))...)
	d := natsDestination(s.URL)
	d.Stream.Name = "CHECKOUT"
	p := newNATS(t, d, nil)
	const why = "no acknowledgement within 5s (a subscriber answers on this subject, but no stream acknowledges): only subscribers take the subject, and no stream"
	var wg sync.WaitGroup
	for _, probe := range []bool{false, true} {
		wg.Go(func() {
			m := message(event.Paid)
			m.Probe = probe
			want := publish.Result{Outcome: event.OutcomeUnavailable, Contact: publish.ContactMade, Class: publish.ClassNATS, Error: why, Subject: "checkout.main.paid"}
			if diff := cmp.Diff(want, p.Publish(t.Context(), m)); diff != "" {
				t.Errorf("probe %t (-want +got):\n%s", probe, diff)
			}
		})
	}
	wg.Wait()
}

// A stream that is gone is made anew although a subscriber answers for it.
func TestEnsureMakesAStreamAnewBesideReplies(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.Options{})
	nc, _ := listenerOf(t, s.URL, "none")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	d := natsDestination(s.URL)
	d.Stream.Name, d.Stream.Ensure = "CHECKOUT", true
	p := newNATS(t, d, nil)
	respond(t, s.URL, "order received")
	for _, want := range []event.Outcome{event.OutcomeAccepted, event.OutcomeUnavailable, event.OutcomeAccepted} {
		if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != want {
			t.Errorf("result %+v, want %s", r, want)
		}
		if want == event.OutcomeAccepted {
			if err := js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
				t.Fatal(err)
			}
		}
	}
}
