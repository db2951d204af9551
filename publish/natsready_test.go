package publish_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// TestNATSSaysWhenItIsReady starts without a server, and loses the one it gets:
// whoever waits is told at once, not at the next probe.
func TestNATSSaysWhenItIsReady(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url, move := movable(t, "nats://127.0.0.1:1")
	p := newNATS(t, natsDestination(url), nil)
	ready := make(chan struct{}, 100)
	p.OnReady(func() { ready <- struct{}{} })
	for range 3 {
		if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeUnavailable || !r.Unsent || !strings.HasPrefix(r.Error, "not connected to NATS") {
			t.Errorf("without a server: %+v", r)
		}
	}
	for _, id := range []string{"dlv_1", "dlv_2"} {
		server := brokertest.Start(t, brokertest.Options{StoreDir: dir})
		if id == "dlv_1" {
			nc, _ := listener(t, server.URL)
			stream(t, nc, checkoutStream(nil))
		}
		move(server.URL)
		select {
		case <-ready:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was told")
		}
		if err := p.Available(t.Context()); err != nil {
			t.Errorf("told that it is ready: %v", err)
		}
		m := message(event.Paid)
		m.Delivery.ID = id
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted || r.Note != "" {
			t.Errorf("when it is ready: %+v", r)
		}
		server.Stop()
		eventually(t, "outage", func() bool { return p.Available(t.Context()) != nil })
	}
}

// TestNATSHearsOfAGrant denies the inbox and then the subject, and grants each
// under way: nothing is sent whose acknowledgement nobody would hear, and no
// restart is needed.
func TestNATSHearsOfAGrant(t *testing.T) {
	t.Parallel()
	all := brokertest.User{Name: "all", Password: "p"}
	user := func(publish, subscribe string) brokertest.User {
		return brokertest.User{Name: "u", Password: "p", Publish: []string{publish}, Subscribe: []string{subscribe}}
	}
	s := brokertest.Start(t, brokertest.Options{Users: []brokertest.User{all, user("checkout.>", "other.>")}})
	nc, err := nats.Connect(strings.Replace(s.URL, "nats://", "nats://all:p@", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	kept := stream(t, nc, checkoutStream(nil))
	p := newNATS(t, natsDestination(strings.Replace(s.URL, "nats://", "nats://u:p@", 1)), nil)
	refused := func(says string) {
		t.Helper()
		for range 3 {
			if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeRefused || !strings.Contains(r.Error, says) {
				t.Errorf("result %+v", r)
			}
		}
	}
	refused("to subscribe to the inbox")
	s.Allow(all, user("nothing", "_INBOX.>"))
	awaitNATS(t, p)
	refused("to publish to checkout.*.*")
	info, err := kept.Info(t.Context())
	if err != nil || info.State.Msgs != 0 {
		t.Errorf("the stream holds %d messages of refused deliveries, %v", info.State.Msgs, err)
	}
	s.Allow(all, user("checkout.>", "_INBOX.>"))
	awaitNATS(t, p)
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || r.Note != "" {
		t.Errorf("when both are granted: %+v", r)
	}
}

// TestNATSOfAServerThatReadsNothing has a server that neither reads nor answers:
// what the caller's context says holds nevertheless.
func TestNATSOfAServerThatReadsNothing(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.Options{})
	nc, _ := listener(t, broker.URL)
	stream(t, nc, checkoutStream(nil))
	var stuck sync.RWMutex
	url := "nats://" + listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", strings.TrimPrefix(broker.URL, "nats://"))
		if err != nil {
			return
		}
		defer up.Close()
		go io.Copy(c, up)
		piece := make([]byte, 4<<10)
		for {
			n, err := c.Read(piece)
			if err != nil {
				return
			}
			stuck.RLock()
			up.Write(piece[:n])
			stuck.RUnlock()
		}
	})
	for _, jetStream := range []bool{true, false} {
		d := natsDestination(url)
		d.JetStream, d.Format, d.Template = jetStream, publish.FormatTemplate, strings.Repeat("y", 900<<10)
		p := newNATS(t, d, nil)
		if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
			t.Fatalf("result %+v", r)
		}
		stuck.Lock()
		var wg sync.WaitGroup
		for range 16 { // more than the sockets hold
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				start := time.Now()
				if r := p.Publish(ctx, message(event.Paid)); r.Outcome != event.OutcomeUnavailable {
					t.Errorf("result %+v", r)
				}
				if took := time.Since(start); took >= ackTimeout {
					t.Errorf("it took %s", took)
				}
			})
		}
		wg.Wait()
		stuck.Unlock()
	}
}

// TestCoreSharesPings counts the PINGs that many messages need.
func TestCoreSharesPings(t *testing.T) {
	t.Parallel()
	const callers, each = 100, 10
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	var pings atomic.Int64
	url := "nats://" + listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "nats://"))
		if err != nil {
			return
		}
		defer up.Close()
		go io.Copy(c, up)
		io.Copy(io.MultiWriter(up, counter{&pings, []byte("PING\r\n")}), c)
	})
	d := natsDestination(url)
	d.JetStream = false
	p := newNATS(t, d, nil)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
	wg.Wait()
	if n := pings.Load(); n > callers*each/4 {
		t.Errorf("%d PINGs for %d messages", n, callers*each)
	}
}

// counter counts a word in what is written to it, as long as no piece ends
// within the word.
type counter struct {
	n    *atomic.Int64
	word []byte
}

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(bytes.Count(p, c.word)))
	return len(p), nil
}
