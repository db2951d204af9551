package publish

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"checkout-notifier/broker/brokertest"
	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// TestStrictConnEndsWithAFailedWrite has a peer that reads nothing, so that the
// write ends with its deadline and not a byte was taken.
func TestStrictConnEndsWithAFailedWrite(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	c := strictConn{near}
	if err := c.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if err := c.SetWriteDeadline(time.Time{}); err == nil {
		t.Error("the connection is open")
	}
}

// TestFailedPublishesLeaveNothingBehind fails thousands in each way and looks at
// what the link still holds.
func TestFailedPublishesLeaveNothingBehind(t *testing.T) {
	s := brokertest.Start(t, brokertest.Options{})
	d := DefaultNATS()
	d.Name, d.NATS.Server = "bus", secret.String(s.URL)
	connections := NewConnections(nil)
	prepare := func(jetStream bool) *NATSPublisher {
		d.Subject, d.JetStream = "nowhere.{{ .Change }}", jetStream
		renderer, err := NewRenderer(d, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewNATS(d, renderer, connections)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		return p
	}
	stream, core := prepare(true), prepare(false)
	m := Message{Event: event.SampleEvent(event.Paid), Delivery: event.Delivery{ID: "dlv_1"}}
	many := func(p *NATSPublisher, bound time.Duration, says string) {
		t.Helper()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), bound)
					r := p.Publish(ctx, m)
					cancel()
					broken := strings.Contains(r.Error, "broken pipe") // written while the server stopped
					if says != "" && !strings.Contains(r.Error, says) && !broken {
						t.Errorf("result %+v", r)
					}
				}
			})
		}
		wg.Wait()
	}
	if r := core.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	many(stream, time.Minute, "no stream takes the subject")
	before := runtime.NumGoroutine()
	many(stream, 50*time.Microsecond, "")
	many(core, 50*time.Microsecond, "")
	l := stream.link.Load()
	s.Stop()
	many(stream, time.Minute, "connect")
	many(core, time.Minute, "connect")
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.waiting); n > 0 {
		t.Errorf("%d still wait", n)
	}
	if n := len(l.stream.parcels) + len(l.core.parcels); n > 0 {
		t.Errorf("%d are still to be sent", n)
	}
	if n := runtime.NumGoroutine(); n > before+10 { // some are the client's, which reconnects
		t.Errorf("%d goroutines, before %d", n, before)
	}
}
