package publish_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// answers runs a server that reads a request, writes a text that need not be
// HTTP, and keeps the connection open until the other side closes it.
func answers(t *testing.T, text string) (url string) {
	t.Helper()
	return "http://" + listen(t, func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
	})
}

// publishWithin fails a test whose destination holds the publisher.
func publishWithin(t *testing.T, limit time.Duration, p publish.Publisher) publish.Result {
	t.Helper()
	done := make(chan publish.Result, 1)
	go func() { done <- p.Publish(t.Context(), message(event.Paid)) }()
	select {
	case r := <-done:
		return r
	case <-time.After(limit):
		t.Fatal("the receiver holds the publisher")
	}
	return publish.Result{}
}

func TestRedirectToWhatIsNoURL(t *testing.T) {
	d := httpDestination(answers(t, "HTTP/1.1 302 Found\r\nLocation: http://[::1/s3cret\r\nContent-Length: 0\r\n\r\n"))
	d.Retry.FinalStatuses = []int{302}
	r := publishWithin(t, 10*time.Second, newHTTP(t, d, publish.HTTPOptions{}))
	if r.StatusCode != 302 || r.Class != publish.ClassStatus || r.Contact != publish.ContactMade || !r.Final || strings.Contains(r.Error, "s3cret") {
		t.Errorf("result %+v", r)
	}
}

// After a 101 the body is the bare connection, which knows no deadline.
func TestSwitchingProtocolsHoldsNobody(t *testing.T) {
	d := httpDestination(answers(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	d.Timeout = 2 * time.Second
	r := publishWithin(t, 10*time.Second, newHTTP(t, d, publish.HTTPOptions{}))
	if r.Outcome != event.OutcomeRefused || r.StatusCode != 101 {
		t.Errorf("result %+v", r)
	}
}

// What is no HTTP is quoted in the error, and the error is stored and logged
// with every attempt.
func TestGarbageIsNotKeptWhole(t *testing.T) {
	for name, text := range map[string]string{
		"status line": strings.Repeat("\x01", 60_000) + "\r\n\r\n",
		"header":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("h", 60_000) + "\r\n\r\n",
	} {
		r := publishWithin(t, 10*time.Second, newHTTP(t, httpDestination(answers(t, text)), publish.HTTPOptions{}))
		if r.Outcome != event.OutcomeRefused || r.Class != publish.ClassConnect || len(r.Error) > 4<<10 {
			t.Errorf("%s: %s, %s, %d bytes of error", name, r.Outcome, r.Class, len(r.Error))
		}
	}
}

// A server that accepts and never shakes hands must not be left with a
// connection, and a goroutine, of every attempt.
func TestHandshakeThatNeverEndsLeavesNothing(t *testing.T) {
	closed := make(chan struct{}, 10)
	address := listen(t, func(c net.Conn) {
		io.Copy(io.Discard, c)
		c.Close()
		closed <- struct{}{}
	})
	d := httpDestination("https://" + address)
	d.Timeout = 200 * time.Millisecond
	p := newHTTP(t, d, publish.HTTPOptions{})
	for range 3 {
		if r := publishWithin(t, 10*time.Second, p); r.Class != publish.ClassTimeout || r.Contact != publish.ContactFailed {
			t.Errorf("result %+v", r)
		}
	}
	for range 3 {
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatal("a connection stays open after its request was given up")
		}
	}
}

// fragile relays to a server until cut is called: what was connected by then
// stays open and silent, as after the failure of a machine on the way.
func fragile(t *testing.T, server string) (address string, cut func()) {
	t.Helper()
	var age atomic.Int64
	relay := func(to, from net.Conn, born int64) {
		defer to.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if age.Load() == born {
				to.Write(buffer[:n])
			}
		}
	}
	address = listen(t, func(c net.Conn) {
		up, err := net.Dial("tcp", server)
		if err != nil {
			t.Errorf("dialling the server: %v", err)
			return
		}
		born := age.Load()
		go relay(c, up, born)
		relay(up, c, born)
	})
	return address, func() { age.Add(1) }
}

func TestDeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	protocols := make(chan string, 100)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	address, cut := fragile(t, s.Listener.Addr().String())
	d := httpDestination("https://" + address)
	d.TLS.CA = authority(t, s)
	d.Timeout = 2 * time.Second // enough to connect
	p := newHTTP(t, d, publish.HTTPOptions{})
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || <-protocols != "HTTP/2.0" {
		t.Fatalf("result %+v", r)
	}
	cut()
	for range 20 {
		if p.Publish(t.Context(), message(event.Paid)).Outcome == event.OutcomeAccepted {
			return
		}
	}
	t.Error("every request goes over the dead connection")
}
