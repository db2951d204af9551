package deliver_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// bus is a JetStream destination.
func bus(name, url string, concurrency int) publish.Destination {
	d := publish.DefaultNATS()
	d.Name, d.Subject, d.Concurrency = name, "checkout.{{ .Account }}.{{ .Change }}", concurrency
	d.NATS.Server = secret.String(url)
	d.Stream = publish.Stream{Name: "CHECKOUT", Ensure: true, Replicas: 1, DuplicateWindow: time.Hour}
	return d
}

// async publishes parcels with an id each, so many at once.
func async(t *testing.T, js jetstream.JetStream, list []parcel, round int) {
	t.Helper()
	for i := range list {
		m := &nats.Msg{Subject: "checkout.main.paid", Data: list[i].body, Header: nats.Header{}}
		m.Header.Set(nats.MsgIdHdr, fmt.Sprint(list[i].id, "-", round))
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("acknowledgements are missing")
	}
}

// TestJetStream measures what a stream of a local server is sent in a second.
func TestJetStream(t *testing.T) {
	n, times := size()
	o := newOutside(t)
	list := parcels(t, n)
	const window = 256
	nc, err := nats.Connect(o.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(window), jetstream.WithPublishAsyncErrHandler(
		func(_ jetstream.JetStream, _ *nats.Msg, err error) { t.Error(err) }))
	if err != nil {
		t.Fatal(err)
	}
	shop := newNotifier(t)
	shop.fill(t, page, "warm", time.Time{})
	shop.drain(t, page, bus("warm", o.nats, window)) // makes the stream
	var bare, notified measured
	for round := range times {
		bare.measure(func() { async(t, js, list, round) })
		shop.fill(t, n, "bus", time.Time{})
		notified.measure(func() { shop.drain(t, n, bus("bus", o.nats, window)) })
	}
	t.Logf("JetStream, %d in flight: bare %.0f/s (%.0f us CPU), notifier %.0f/s (%.0f us CPU): %.2f (goal 0.75)", window,
		bare.rate(n), bare.micros(n), notified.rate(n), notified.micros(n), notified.rate(n)/bare.rate(n))
}
