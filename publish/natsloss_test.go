package publish_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
)

// shaky relays to a server and breaks all connections with every cut.
func shaky(t *testing.T, server string) (address string, cut func()) {
	t.Helper()
	var connections sync.Map
	address = listen(t, func(c net.Conn) {
		up, err := net.Dial("tcp", server)
		if err != nil {
			c.Close()
			return
		}
		connections.Store(c, true)
		go func() {
			io.Copy(c, up)
			c.Close()
		}()
		io.Copy(up, c)
		up.Close()
	})
	return address, func() {
		connections.Range(func(c, _ any) bool {
			connections.Delete(c)
			return c.(net.Conn).Close() == nil
		})
	}
}

// TestCoreLosesNothingWithItsConnection breaks the connection between messages
// and the PINGs that ask for them: what counts as accepted must have arrived.
func TestCoreLosesNothingWithItsConnection(t *testing.T) {
	const workers, each = 16, 700
	const last = "checkout.last"
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	nc, err := nats.Connect(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	arrived, done := map[string]bool{}, make(chan struct{})
	if _, err := nc.Subscribe("checkout.>", func(m *nats.Msg) {
		if arrived[m.Header.Get(nats.MsgIdHdr)] = true; m.Subject == last {
			close(done)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	address, cut := shaky(t, strings.TrimPrefix(s.URL, "nats://"))
	// Under two names, so that the client need not wait before it reconnects.
	d := natsDestination("nats://" + address + ",nats://" + strings.Replace(address, "127.0.0.1", "localhost", 1))
	d.JetStream = false
	p := newNATS(t, d, nil)
	id := func(worker, n int) string { return fmt.Sprintf("dlv_%d_%d", worker, n) }
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for n := range each {
				m := message(event.Paid)
				m.Delivery.ID = id(worker, n)
				for p.Publish(t.Context(), m).Outcome != event.OutcomeAccepted {
					time.Sleep(time.Millisecond) // the client reconnects in its own time
				}
			}
		})
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		wg.Wait()
	}()
	cuts := time.NewTicker(30 * time.Millisecond)
	defer cuts.Stop()
	for running := true; running; {
		select {
		case <-cuts.C:
			cut()
		case <-stop:
			running = false
		}
	}
	if err := nc.Publish(last, nil); err != nil {
		t.Fatal(err)
	}
	<-done
	for worker := range workers {
		for n := range each {
			if !arrived[id(worker, n)] {
				t.Errorf("%s was accepted and did not arrive", id(worker, n))
			}
		}
	}
}
