package wooshpay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/poller/wooshpay"
)

// line is a listener whose connections can go dead: the other end takes what is sent and
// answers no more.
type line struct {
	net.Listener
	mu   sync.Mutex
	open []*lineConn
}

type lineConn struct {
	net.Conn
	dead chan struct{}
}

func (l *line) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &lineConn{Conn: conn, dead: make(chan struct{})}
	l.open = append(l.open, c)
	return c, nil
}

func (l *line) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

func (l *line) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		close(c.dead)
	}
}

func (c *lineConn) Write(p []byte) (int, error) {
	select {
	case <-c.dead:
		return len(p), nil
	default:
		return c.Conn.Write(p)
	}
}

// serveLine serves an API over TLS and returns a client of it.
func serveLine(t *testing.T, http2 bool, timeout time.Duration, serve http.HandlerFunc) (*line, *wooshpay.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(serve)
	l := &line{Listener: server.Listener}
	server.Listener, server.EnableHTTP2 = l, http2
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, l, l.accepted())
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	o := wooshpay.Options{BaseURL: server.URL, Key: testKey, ListParams: wooshpay.ParamsBody, Timeout: timeout}
	transport := wooshpay.NewTransport(o)
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	connections := wooshpay.NewConnections(transport)
	t.Cleanup(connections.CloseIdleConnections)
	o.Transport = connections
	c, err := wooshpay.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func list(t *testing.T, c *wooshpay.Client) error {
	page, err := c.List(t.Context(), wooshpay.Query{Limit: 1})
	if err == nil {
		page.Release()
	}
	return err
}

const emptyList = `{"object":"list","data":[],"has_more":false}`

// A connection whose other end is gone without a word is left while a request waits for it,
// not once the kernel gives up after a quarter of an hour.
func TestDeadConnectionIsLeft(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			l, c := serveLine(t, http2, time.Second, func(w http.ResponseWriter, req *http.Request) {
				if http2 != (req.ProtoMajor == 2) {
					t.Errorf("asked over %s", req.Proto)
				}
				_, _ = w.Write([]byte(emptyList))
			})
			if err := list(t, c); err != nil {
				t.Fatal(err)
			}
			l.kill()
			if err := list(t, c); err == nil {
				t.Fatal("a dead connection answered")
			}
			if err := list(t, c); err != nil {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

// A balancer keeps open connections at a server that fails, or that hangs and still answers
// pings, and leads new ones to one that is well.
func TestFailingServerIsLeft(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, hangs := range []bool{false, true} {
			t.Run(fmt.Sprintf("HTTP/2 %t, hangs %t", http2, hangs), func(t *testing.T) {
				timeout := 30 * time.Second
				if hangs {
					timeout = time.Second
				}
				var drained atomic.Int32
				var l *line
				l, c := serveLine(t, http2, timeout, func(w http.ResponseWriter, req *http.Request) {
					if conn := req.Context().Value(l).(int); conn <= int(drained.Load()) {
						if hangs {
							_, _ = io.Copy(io.Discard, req.Body) // only then its end is noticed
							<-req.Context().Done()
						}
						w.WriteHeader(http.StatusServiceUnavailable)
					}
					_, _ = w.Write([]byte(emptyList))
				})
				if err := list(t, c); err != nil {
					t.Fatal(err)
				}
				drained.Store(int32(l.accepted()))
				other := c.WithParams(wooshpay.ParamsQuery)
				if list(t, c) == nil || (!hangs || http2) && list(t, other) == nil { // over HTTP/1.1 what hangs is left at once
					t.Fatal("the failing server answered")
				}
				if err := list(t, c); err != nil {
					t.Errorf("after two failures: %v", err)
				}
			})
		}
	}
}

// What fails now and then, and a session that the API does not know, cost no connection.
func TestConnectionOutlastsSingleFailures(t *testing.T) {
	status := 0
	l, c := serveLine(t, true, 30*time.Second, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(emptyList))
	})
	for range 20 {
		for _, status = range []int{http.StatusOK, http.StatusInternalServerError, http.StatusNotFound, http.StatusInternalServerError} {
			_ = list(t, c)
		}
	}
	if n := l.accepted(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
