package publish_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// patience is the timeout where a receiver is expected to use it up: one deadline,
// whatever it does. Elsewhere something else must end the attempt first, on a busy
// machine too.
const (
	patience = 500 * time.Millisecond
	plenty   = 20 * time.Second
)

// hostility is something that a receiver may do to us, and the limits of what
// comes of it.
type hostility struct {
	name    string
	tls     *tls.Config    // nil: plain HTTP
	receive func(net.Conn) // a connection, TLS included; it is closed afterwards
	change  func(*publish.Destination)

	accept bool   // the outcome: accepted, or else refused
	class  string // of the refusal
	status int
	lost   bool // the contact failed
	note   string
	answer int  // bytes kept, -1: some
	slow   bool // it takes the whole timeout
	final  bool
}

const (
	// most is all memory that an attempt may take, what the collector has long
	// got back included, and that of the receiver in the same process.
	most = 16 << 20
	// slack is for a machine that has better things to do.
	slack = 5 * time.Second

	cutNote    = "the answer was cut"
	packedNote = "the answer came compressed, unasked"
	anyNote    = "*"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

func hostilities(t *testing.T) []hostility {
	list := []hostility{
		{name: "status 300", receive: says("HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n"), class: publish.ClassStatus, status: 300},
		{name: "status 304", receive: says("HTTP/1.1 304 Not Modified\r\n\r\n"), class: publish.ClassStatus, status: 304},
		{name: "redirect to what is no URL", receive: says("HTTP/1.1 302 Found\r\nLocation: http://[::1/s3cret\r\nContent-Length: 0\r\n\r\n"),
			change: func(d *publish.Destination) { d.Retry.FinalStatuses = []int{302} }, class: publish.ClassStatus, status: 302, final: true},
		{name: "status 999", receive: says("HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"), class: publish.ClassStatus, status: 999},
		// After a 101 the body is the bare connection, which knows no deadline.
		{name: "switching protocols", receive: says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), class: publish.ClassStatus, status: 101},
		{name: "a flood of 1xx", receive: floods("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), class: publish.ClassConnect, lost: true},
		{name: "1xx and no answer", receive: says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"), class: publish.ClassTimeout, slow: true},
		{name: "1xx, then an answer", receive: says("HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok"), accept: true, status: 200, answer: 2},

		{name: "a head byte by byte", receive: drips("", ok+"Content-Length: 0\r\n\r\n"), class: publish.ClassTimeout, slow: true},
		{name: "a body byte by byte", receive: drips(ok+"Content-Length: 900\r\n\r\n", strings.Repeat("x", 900)), accept: true, status: 200, note: cutNote, answer: -1, slow: true},
		{name: "a refusal byte by byte", receive: drips("HTTP/1.1 503 No\r\nContent-Length: 900\r\n\r\n", strings.Repeat("x", 900)), class: publish.ClassStatus, status: 503, note: cutNote, answer: -1, slow: true},
		{name: "a body without end", receive: floods(ok+"Content-Length: 99999999999\r\n\r\n", strings.Repeat("x", 4096)), accept: true, status: 200, answer: 4096},
		{name: "chunks without end", receive: floods(ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("e", 2000)+"\r\nx\r\n"), accept: true, status: 200, note: cutNote, answer: -1},
		{name: "a refusal without end", receive: floods("HTTP/1.1 500 No\r\n\r\n", strings.Repeat("x", 4096)), class: publish.ClassStatus, status: 500, answer: 4096},
		{name: "headers without end", receive: floods(ok, "X-A: b\r\n"), class: publish.ClassConnect, lost: true},
		{name: "a header without end", receive: floods(ok+"X-A: ", strings.Repeat("x", 4096)), class: publish.ClassConnect, lost: true},
		{name: "a status line without end", receive: floods("HTTP/1.1 200 ", strings.Repeat("x", 4096)), class: publish.ClassConnect, lost: true},
		{name: "trailers without end", receive: floods(ok+"Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nok\r\n0\r\n", "X-A: b\r\n"), accept: true, status: 200, note: cutNote, answer: 2},
		{name: "a bomb of gzip", receive: says(ok + "Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + bomb(t)), accept: true, status: 200, note: packedNote, answer: 4096},

		{name: "garbage", receive: says(strings.Repeat("\x01", 60_000) + "\r\n\r\n"), class: publish.ClassConnect, lost: true},
		{name: "garbage as a header", receive: says(ok + strings.Repeat("h", 60_000) + "\r\n\r\n"), class: publish.ClassConnect, lost: true},
		{name: "status -200", receive: says("HTTP/1.1 -20 OK\r\n\r\n"), class: publish.ClassConnect, lost: true},
		{name: "status 2000", receive: says("HTTP/1.1 2000 OK\r\n\r\n"), class: publish.ClassConnect, lost: true},
		{name: "two lengths", receive: says(ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), class: publish.ClassConnect, lost: true},
		{name: "two answers", receive: says("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n"), class: publish.ClassStatus, status: 503},

		{name: "reset when accepted", receive: reset, class: publish.ClassConnect, lost: true},
		{name: "reset after the request", receive: then(writes(""), reset), class: publish.ClassConnect, lost: true},
		{name: "reset amid the head", receive: then(writes("HTTP/1.1 200 OK\r\nContent-"), reset), class: publish.ClassConnect, lost: true},
		{name: "reset amid the body", receive: then(writes(ok+"Content-Length: 900\r\n\r\npart"), reset), accept: true, status: 200, note: cutNote, answer: -1},
		{name: "closed when accepted", receive: func(net.Conn) {}, class: publish.ClassConnect, lost: true},
		{name: "closed after the request", receive: writes(""), class: publish.ClassConnect, lost: true},
		{name: "closed amid the head", receive: writes("HTTP/1.1 200 OK\r\nContent-"), class: publish.ClassConnect, lost: true},
		{name: "closed amid the body", receive: writes(ok + "Content-Length: 900\r\n\r\npart"), accept: true, status: 200, note: cutNote, answer: 4},
		{name: "silent", receive: says(""), class: publish.ClassTimeout, slow: true},
		{name: "takes nothing and says nothing", receive: waits, class: publish.ClassTimeout, slow: true},
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		list = append(list, hostility{name: fmt.Sprint("status ", status), class: publish.ClassStatus, status: status,
			receive: says(fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n", status, unreached(t)))})
	}
	return append(append(list, badTLS(t)...), hostileHTTP2(t)...)
}

// TestHostileReceivers says for everything that a receiver may do: what comes
// of it, by when, in how much memory, and that nothing is left behind.
func TestHostileReceivers(t *testing.T) {
	quiet(t)
	for _, h := range hostilities(t) {
		t.Run(h.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			address, gone := stranger(t, h.tls, h.receive)
			d := httpDestination("http://" + address + "/t0ken-in-path")
			if h.tls != nil || h.class == publish.ClassTLS {
				d.URL = "https" + d.URL[len("http"):]
				d.TLS.CA = trusted(t)
			}
			d.Timeout = plenty
			if h.slow {
				d.Timeout = patience
			}
			if h.change != nil {
				h.change(&d)
			}
			p := newHTTP(t, d, publish.HTTPOptions{})
			var memory [2]runtime.MemStats
			runtime.ReadMemStats(&memory[0])
			began := time.Now()
			r := p.Publish(t.Context(), message(event.Paid))
			took := time.Since(began)
			runtime.ReadMemStats(&memory[1])
			checkHostile(t, h, r)
			if took > d.Timeout+slack || !h.slow && took > slack || h.slow && took < d.Timeout/2 {
				t.Errorf("it took %s", took)
			}
			if n := memory[1].TotalAlloc - memory[0].TotalAlloc; n > most {
				t.Errorf("it took %d bytes of memory", n)
			}
			p.Close(t.Context())
			gone()
			settled(t, before)
		})
	}
}

func checkHostile(t *testing.T, h hostility, r publish.Result) {
	t.Helper()
	outcome, contact := event.OutcomeRefused, publish.ContactMade
	if h.accept {
		outcome = event.OutcomeAccepted
	}
	if h.lost {
		contact = publish.ContactFailed
	}
	note := r.Note == h.note || h.note == anyNote
	if r.Outcome != outcome || r.Class != h.class || r.StatusCode != h.status || r.Contact != contact || r.Final != h.final || !note {
		t.Errorf("result %+v", r)
	}
	if len(r.Answer) != h.answer && h.answer >= 0 || len(r.Answer) > 4096 {
		t.Errorf("%d bytes kept", len(r.Answer))
	}
	if (r.Error == "") != h.accept || len(r.Error) > 500 || strings.Contains(r.Error, "t0ken") || strings.Contains(r.Error, "s3cret") {
		t.Errorf("error %q", r.Error)
	}
	if h.note == packedNote && !bytes.HasPrefix(r.Answer, []byte("\x1f\x8b")) {
		t.Errorf("not the bytes as they came: %q", r.Answer[:20])
	}
}

// quiet keeps net/http from logging what it did not ask for, as the program
// does in main.
func quiet(t *testing.T) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

// settled waits until nothing runs that did not run before.
func settled(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(slack); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("goroutines are left behind:\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// bomb is little gzip that becomes 50 MB.
func bomb(t *testing.T) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range 50 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// unreached is an address that nobody may connect to.
func unreached(t *testing.T) string {
	return listen(t, func(c net.Conn) {
		t.Error("a redirect was followed")
		c.Close()
	})
}

// TestHostileProxies: a proxy that takes the connection holds no attempt, no
// goroutine and no connection longer than a receiver could.
func TestHostileProxies(t *testing.T) {
	for _, c := range []struct {
		name, scheme, target, class string
		receive                     func(net.Conn)
		slow                        bool
	}{
		{"silent SOCKS", "socks5", "http", publish.ClassTimeout, waits, true},
		{"silent SOCKS to TLS", "socks5", "https", publish.ClassTimeout, waits, true},
		{"SOCKS byte by byte", "socks5", "http", publish.ClassTimeout, func(c net.Conn) {
			for _, err := io.WriteString(c, "\x05\x00\x05\x00\x00\x03\xff"); err == nil; _, err = io.WriteString(c, "x") {
				time.Sleep(20 * time.Millisecond)
			}
		}, true},
		{"SOCKS garbage", "socks5", "http", publish.ClassConnect, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, false},
		{"silent CONNECT", "http", "https", publish.ClassTimeout, waits, true},
		{"CONNECT byte by byte", "http", "https", publish.ClassTimeout, drips("", ok+"\r\n"), true},
		{"CONNECT without end", "http", "https", publish.ClassConnect, floods("HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("x", 4096)), false},
		{"CONNECT refused", "http", "https", publish.ClassConnect, writes("HTTP/1.1 407 t0ken\r\nContent-Length: 0\r\n\r\n"), false},
		{"CONNECT to garbage", "http", "https", publish.ClassTLS, writes("HTTP/1.1 200 OK\r\n\r\nSSH-2.0-OpenSSH_9.9\r\n"), false},
		{"silent HTTP", "http", "http", publish.ClassTimeout, says(""), true},
		{"TLS that is none", "https", "https", publish.ClassTLS, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, false},
		{"TLS without end", "https", "https", publish.ClassTimeout, waits, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			address, gone := stranger(t, nil, c.receive)
			d := httpDestination(c.target + "://shop.example/t0ken")
			d.Proxy = secret.String(c.scheme + "://user:t0ken@" + address)
			d.Timeout = plenty
			if c.slow {
				d.Timeout = patience
			}
			p := newHTTP(t, d, publish.HTTPOptions{})
			began := time.Now()
			r := p.Publish(t.Context(), message(event.Paid))
			if took := time.Since(began); took > d.Timeout+slack || c.slow && took < patience/2 {
				t.Errorf("it took %s", took)
			}
			if r.Outcome != event.OutcomeRefused || r.Class != c.class || r.Final || strings.Contains(r.Error, "t0ken") || strings.Contains(r.Error, "127.0.0.1") {
				t.Errorf("result %+v", r)
			}
			gone() // by itself: nobody closes what a proxy holds
			settled(t, before)
		})
	}
}
