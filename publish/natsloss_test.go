package publish_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
)

// shaky relays to a server. Each connection breaks after it has brought a
// number of pieces, by chance: the next piece is lost.
func shaky(t *testing.T, server string) (address string, broken *atomic.Int32) {
	t.Helper()
	broken = new(atomic.Int32)
	address = listen(t, func(c net.Conn) {
		defer c.Close()
		up, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			io.Copy(c, up)
			c.Close()
		}()
		piece := make([]byte, 64<<10) // holds all that was kept while reconnecting
		for range 3 + rand.IntN(4) {
			n, err := c.Read(piece)
			if err != nil {
				return
			}
			up.Write(piece[:n])
		}
		if _, err := c.Read(piece); err == nil {
			broken.Add(1)
		}
	})
	return address, broken
}

// TestCoreLosesNothingWithItsConnection breaks the connection between messages
// and the PINGs that ask for them: what counts as accepted must have arrived.
// It breaks with what it carries, not with the clock: on a slow machine that
// would leave no time to connect.
func TestCoreLosesNothingWithItsConnection(t *testing.T) {
	t.Parallel()
	const workers, each, breaks = 64, 10, 10
	const last = "checkout.last"
	s := brokertest.Start(t, brokertest.Options{NoJetStream: true})
	nc, sub := listener(t, s.URL)
	address, broken := shaky(t, strings.TrimPrefix(s.URL, "nats://"))
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
					time.Sleep(5 * time.Millisecond) // the client reconnects in its own time
				}
			}
		})
	}
	wg.Wait()
	if n := broken.Load(); n < breaks {
		t.Errorf("the connection broke %d times: the test did not try anything", n)
	}
	if err := nc.Publish(last, nil); err != nil {
		t.Fatal(err)
	}
	arrived := map[string]bool{}
	for m := next(t, sub); m.Subject != last; m = next(t, sub) {
		arrived[m.Header.Get(nats.MsgIdHdr)] = true
	}
	for worker := range workers {
		for n := range each {
			if !arrived[id(worker, n)] {
				t.Errorf("%s was accepted and did not arrive", id(worker, n))
			}
		}
	}
}
