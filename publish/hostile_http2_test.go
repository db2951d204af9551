package publish_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// Types, flags and error codes of HTTP/2 (RFC 9113).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameContinuation = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x9

	endStream, endHeaders, acknowledged = 0x1, 0x4, 0x1

	codeInternal, codeRefusedStream, codeCancel = 0x2, 0x7, 0x8
)

// status is a header block with a status alone (RFC 7541).
func status(code string) string { return "\x08\x03" + code }

// h2 is the server's side of a connection of HTTP/2, just enough of it to
// misbehave: it writes frames.
type h2 struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *h2) frame(kind, flags byte, stream uint32, payload string) error {
	head := make([]byte, 9, 9+len(payload))
	head[0], head[1], head[2], head[3], head[4] = byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags
	binary.BigEndian.PutUint32(head[5:], stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.w.Write(append(head, payload...))
	return err
}

func (c *h2) repeat(kind, flags byte, stream uint32, payload string) {
	for c.frame(kind, flags, stream, payload) == nil {
		continue
	}
}

func code(values ...uint32) string {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}

// speaks is a receiver that answers each whole request of HTTP/2 with a script.
func speaks(script func(c *h2, stream uint32)) func(net.Conn) {
	return func(conn net.Conn) {
		r, c := bufio.NewReader(conn), &h2{w: conn}
		if _, err := r.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil || c.frame(frameSettings, 0, 0, "") != nil {
			return
		}
		var scripts sync.WaitGroup
		defer scripts.Wait()
		defer conn.Close() // which ends them
		for {
			var head [9]byte
			if _, err := io.ReadFull(r, head[:]); err != nil {
				return
			}
			if _, err := r.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
				return
			}
			switch kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:]); {
			case kind == frameSettings && flags&acknowledged == 0:
				c.frame(frameSettings, acknowledged, 0, "")
			case (kind == frameData || kind == frameHeaders) && flags&endStream != 0:
				scripts.Go(func() { script(c, stream) })
			}
		}
	}
}

func hostileHTTP2(t *testing.T) []hostility {
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, nil)}, NextProtos: []string{"h2"}}
	begins := func(c *h2, stream uint32) { c.frame(frameHeaders, endHeaders, stream, status("200")) }
	list := []hostility{
		{name: "an answer", accept: true, status: 200, receive: speaks(func(c *h2, s uint32) { c.frame(frameHeaders, endHeaders|endStream, s, status("200")) })},
		{name: "silence", class: publish.ClassTimeout, slow: true, receive: speaks(func(*h2, uint32) {})},
		{name: "GOAWAY instead of an answer, and again", class: publish.ClassConnect, lost: true,
			receive: speaks(func(c *h2, _ uint32) { c.frame(frameGoAway, 0, 0, code(0, 0)+"t0ken") })},
		{name: "GOAWAY, and the connection is closed", class: publish.ClassConnect, lost: true, receive: speaks(func(c *h2, s uint32) {
			c.frame(frameGoAway, 0, 0, code(s, codeInternal)+"t0ken")
			c.w.(io.Closer).Close()
		})},
		{name: "RST_STREAM", class: publish.ClassConnect, lost: true, receive: speaks(func(c *h2, s uint32) { c.frame(frameReset, 0, s, code(codeInternal)) })},
		{name: "REFUSED_STREAM for ever", class: publish.ClassTimeout, slow: true, receive: speaks(func(c *h2, s uint32) { c.frame(frameReset, 0, s, code(codeRefusedStream)) })},
		{name: "RST_STREAM amid the body", accept: true, status: 200, note: cutNote, answer: -1, receive: speaks(func(c *h2, s uint32) {
			begins(c, s)
			c.frame(frameData, 0, s, "part")
			c.frame(frameReset, 0, s, code(codeCancel))
		})},
		{name: "a body byte by byte", accept: true, status: 200, note: cutNote, answer: -1, slow: true, receive: speaks(func(c *h2, s uint32) {
			for begins(c, s); c.frame(frameData, 0, s, "x") == nil; time.Sleep(20 * time.Millisecond) {
				continue
			}
		})},
		{name: "a body as far as the window", accept: true, status: 200, answer: 4096, receive: speaks(func(c *h2, s uint32) {
			begins(c, s)
			c.frame(frameData, 0, s, strings.Repeat("x", 16<<10))
		})},
		{name: "a body beyond the window", accept: true, status: 200, answer: -1, note: anyNote, receive: speaks(func(c *h2, s uint32) {
			begins(c, s)
			c.repeat(frameData, 0, s, strings.Repeat("x", 16<<10))
		})},
		{name: "a flood of 1xx", class: publish.ClassConnect, lost: true, receive: speaks(func(c *h2, s uint32) { c.repeat(frameHeaders, endHeaders, s, status("103")) })},
		{name: "headers without end", class: publish.ClassConnect, lost: true, receive: speaks(func(c *h2, s uint32) {
			c.frame(frameHeaders, 0, s, status("200"))
			c.repeat(frameContinuation, 0, s, "\x00\x01a\x7f\x81\x07"+strings.Repeat("x", 264))
		})},
		{name: "a flood of PING", class: publish.ClassTimeout, slow: true, receive: speaks(func(c *h2, _ uint32) {
			for c.frame(framePing, 0, 0, "12345678") == nil {
				time.Sleep(time.Millisecond)
			}
		})},
		{name: "no settings", class: publish.ClassConnect, lost: true, receive: func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }},
	}
	for i := range list {
		list[i].name, list[i].tls = "HTTP/2: "+list[i].name, config
	}
	return list
}

// What a stream may send before it is read is kept in memory: little.
func TestHTTP2WindowIsSmall(t *testing.T) {
	windows := make(chan uint32, 1)
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, nil)}, NextProtos: []string{"h2"}}
	address, _ := stranger(t, config, func(c net.Conn) {
		start := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")+9)
		if _, err := io.ReadFull(c, start); err != nil {
			return
		}
		settings := make([]byte, start[len(start)-7])
		if _, err := io.ReadFull(c, settings); err != nil {
			return
		}
		for ; len(settings) >= 6; settings = settings[6:] {
			if binary.BigEndian.Uint16(settings) == 4 {
				windows <- binary.BigEndian.Uint32(settings[2:])
			}
		}
	})
	d := httpDestination("https://" + address)
	d.TLS.CA = trusted(t)
	newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
	if window := <-windows; window != 16<<10 {
		t.Errorf("a receiver may send %d bytes unread", window)
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
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(want, func(t *testing.T) {
			protocols := make(chan string, 100)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
			s.EnableHTTP2 = want == "HTTP/2.0"
			s.StartTLS()
			t.Cleanup(s.Close)
			address, cut := fragile(t, s.Listener.Addr().String())
			d := httpDestination("https://" + address)
			d.TLS.CA = authority(t, s)
			d.Timeout = 2 * time.Second // enough to connect
			p := newHTTP(t, d, publish.HTTPOptions{})
			if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || <-protocols != want {
				t.Fatalf("result %+v", r)
			}
			cut()
			for range 20 {
				r := p.Publish(t.Context(), message(event.Paid))
				if r.Outcome == event.OutcomeAccepted {
					return
				}
				if r.Class != publish.ClassTimeout && r.Class != publish.ClassConnect {
					t.Errorf("result %+v", r)
				}
			}
			t.Error("every request goes over the dead connection")
		})
	}
}
