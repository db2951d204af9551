package publish_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// proxy is an HTTP or SOCKS proxy that wants a user name and a password, and
// finds every host at one address.
type proxy struct {
	target string
	used   atomic.Int32
}

const proxyUser, proxyPassword = "user", "pa/ss w0rd"

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	if r.Header.Get("Proxy-Authorization") != want {
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		return
	}
	p.used.Add(1)
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(w, "nobody there", http.StatusBadGateway)
		return
	}
	defer up.Close()
	if r.Method != http.MethodConnect {
		r.Header.Del("Proxy-Authorization")
		r.Write(up)
		response, err := http.ReadResponse(bufio.NewReader(up), r)
		if err != nil {
			http.Error(w, "no answer", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
		return
	}
	down, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	join(up, down)
}

func join(a, b net.Conn) {
	go func() {
		io.Copy(a, b)
		a.Close()
	}()
	io.Copy(b, a)
}

// socks serves RFC 1928 with the user names of RFC 1929.
func (p *proxy) socks(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	take := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(r, b)
		return b
	}
	take(int(take(2)[1]))
	c.Write([]byte{5, 2})
	user := take(int(take(2)[1]))
	password := take(int(take(1)[0]))
	if string(user) != proxyUser || string(password) != proxyPassword {
		c.Write([]byte{1, 1})
		return
	}
	c.Write([]byte{1, 0})
	if head := take(4); head[3] != 3 { // the name is the proxy's to look up
		return
	}
	take(int(take(1)[0]) + 2)
	p.used.Add(1)
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer up.Close()
	c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(up, readerConn{c, r})
}

func TestProxies(t *testing.T) {
	answer := func(http.ResponseWriter, *http.Request) {}
	secure := served(t, func(s *httptest.Server) {
		s.TLS.Certificates = []tls.Certificate{issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"shop.example"} })}
	}, answer)
	plain, got := callback(t, nil)
	plain = strings.TrimPrefix(plain, "http://")
	for _, target := range []string{"http", "https"} {
		for _, scheme := range []string{"http", "https", "socks5", "socks5h"} {
			t.Run(scheme+" to "+target, func(t *testing.T) {
				p := &proxy{target: plain}
				if target == "https" {
					p.target = secure.Listener.Addr().String()
				}
				var address string
				switch scheme {
				case "http":
					s := httptest.NewServer(p)
					t.Cleanup(s.Close)
					address = s.Listener.Addr().String()
				case "https":
					address = served(t, nil, p.ServeHTTP).Listener.Addr().String()
				default:
					address = listen(t, p.socks)
				}
				d := httpDestination(target + "://shop.example/hook")
				d.TLS.CA = trusted(t)
				d.Proxy = secret.String((&url.URL{Scheme: scheme, Host: address, User: url.UserPassword(proxyUser, proxyPassword)}).String())
				through := newHTTP(t, d, publish.HTTPOptions{})
				if r := through.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || p.used.Load() != 1 {
					t.Errorf("result %+v, the proxy was used %d times", r, p.used.Load())
				}
				if err := through.Reach(t.Context()); err != nil {
					t.Errorf("Reach: %v", err)
				}
				if target == "http" {
					if q := <-got; q.header.Get("Proxy-Authorization") != "" || q.header.Get("Webhook-Id") == "" || len(got) > 0 {
						t.Errorf("the receiver got %v, and %d more", q.header, len(got))
					}
				}
				d.Proxy = secret.String(scheme + "://user:wrong@" + address)
				r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
				if r.Outcome != event.OutcomeRefused || r.Error == "" || strings.Contains(r.Error, "wrong") {
					t.Errorf("with a wrong password: %+v", r)
				}
				if scheme == "http" && target == "https" && (r.Error != "the proxy answered 407" || !r.Unsent) {
					t.Errorf("with a wrong password: %+v", r)
				}
			})
		}
	}
}

func TestProxyThatIsAway(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		d := httpDestination("http://shop.invalid/hook")
		d.Proxy = secret.String(strings.Replace(nobody, "http", scheme, 1))
		r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
		if !strings.HasPrefix(r.Error, "the proxy cannot be reached: ") {
			t.Errorf("%s: %q does not say whom to look for", scheme, r.Error)
		}
		if r.Class != publish.ClassConnect || r.Contact != publish.ContactFailed || strings.Contains(r.Error, "127.0.0.1") || strings.Contains(r.Error, "shop.invalid") {
			t.Errorf("%s: result %+v", scheme, r)
		}
	}
}

const inEnvironment = "NOTIFIER_TEST_TARGETS"

// TestEnvironment needs a process of its own: proxies and certificates of the
// environment are read once. An https server of the system's authority and one
// of the destination's are both trusted, and no proxy is taken from the
// environment: it would have answered for a host that does not exist.
func TestEnvironment(t *testing.T) {
	if targets := os.Getenv(inEnvironment); targets != "" {
		checkInEnvironment(t, strings.Fields(targets))
		return
	}
	asked := make(chan struct{}, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(proxy.Close)
	systems := served(t, nil, func(http.ResponseWriter, *http.Request) {})
	own := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(own.Close)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnvironment$")
	command.Env = append(os.Environ(), "SSL_CERT_FILE="+trusted(t), "SSL_CERT_DIR="+t.TempDir(),
		inEnvironment+"="+systems.URL+" "+own.URL+" "+authority(t, own))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		command.Env = append(command.Env, name+"="+proxy.URL)
	}
	if out, err := command.CombinedOutput(); err != nil || len(asked) > 0 {
		t.Errorf("%v, the environment's proxy was asked %d times\n%s", err, len(asked), out)
	}
}

func checkInEnvironment(t *testing.T, targets []string) {
	for _, target := range targets[:2] {
		d := httpDestination(target)
		d.TLS.CA = targets[2]
		if r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
			t.Errorf("%s: %+v", target, r)
		}
	}
	for _, scheme := range []string{"http", "https"} {
		p := newHTTP(t, httpDestination(scheme+"://host.invalid"), publish.HTTPOptions{})
		if r := p.Publish(t.Context(), message(event.Paid)); r.Class != publish.ClassDNS {
			t.Errorf("%s: %+v", scheme, r)
		}
		if err := p.Reach(t.Context()); err == nil {
			t.Error("a host that does not exist was reached")
		}
	}
}
