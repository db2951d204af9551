package publish_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	stripewebhook "github.com/stripe/stripe-go/v84/webhook"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// served runs a server with a certificate of our authority, over HTTP/2 if asked.
func served(t *testing.T, change func(*httptest.Server), handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{issue(t, nil)}}
	if change != nil {
		change(s)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// pair writes a client's certificate and key to files.
func pair(t *testing.T) publish.TLS {
	t.Helper()
	certificate := issue(t, nil)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return publish.TLS{CA: trusted(t), Cert: writePEM(t, "CERTIFICATE", certificate.Certificate[0]), Key: writePEM(t, "PRIVATE KEY", key)}
}

func TestAuthentication(t *testing.T) {
	url, got := callback(t, nil)
	for want, auth := range map[string]publish.Auth{
		"":                       {},
		"Bearer t0ken":           {Bearer: "t0ken"},
		"Basic dXNlcjpwYTpzcw==": {Basic: publish.BasicAuth{Username: "user", Password: "pa:ss"}},
		"Basic a2V5Og==":         {Basic: publish.BasicAuth{Username: "key"}},
	} {
		d := httpDestination(url)
		d.Auth = auth
		if r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
			t.Errorf("result %+v", r)
		}
		if header := (<-got).header.Get("Authorization"); header != want {
			t.Errorf("Authorization: %q, want %q", header, want)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	var names []string
	s := served(t, func(s *httptest.Server) {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(ours(t).certificate)
	}, func(_ http.ResponseWriter, r *http.Request) {
		names = append(names, r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	d := httpDestination(s.URL)
	d.TLS = pair(t)
	p := newHTTP(t, d, publish.HTTPOptions{})
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || len(names) != 1 || names[0] != "receiver" {
		t.Errorf("result %+v, names %v", r, names)
	}
	if err := p.Reach(t.Context()); err != nil {
		t.Errorf("Reach: %v", err)
	}
	d.TLS.Cert, d.TLS.Key = "", ""
	if r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeRefused || r.StatusCode != 0 {
		t.Errorf("without a certificate: %+v", r)
	}
}

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

// Every secret signs, by the rules of both schemes as their authors wrote them
// down; the id stays over attempts, and the time is each attempt's own.
func TestSignaturesOverAttempts(t *testing.T) {
	target, got := callback(t, nil)
	d := httpDestination(target)
	d.Format, d.Secrets = publish.FormatStripe, []secret.String{secretA, secretB}
	p, m := newHTTP(t, d, publish.HTTPOptions{}), message(event.Fulfillable)
	times := make(map[string]bool)
	for len(times) < 2 { // until a second begins
		before := time.Now().Unix()
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
			t.Fatalf("result %+v", r)
		}
		q := <-got
		stamp := q.header.Get("Webhook-Timestamp")
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || seconds < before || seconds > time.Now().Unix() || q.header.Get("Webhook-Id") != m.Delivery.ID || strings.Contains(m.Delivery.ID, ".") {
			t.Fatalf("webhook-id %q, webhook-timestamp %q", q.header.Get("Webhook-Id"), stamp)
		}
		if !times[stamp] {
			checkSignatures(t, q, d.Secrets)
		}
		times[stamp] = true
	}
}

func checkSignatures(t *testing.T, q request, secrets []secret.String) {
	t.Helper()
	standard := strings.Fields(q.header.Get("Webhook-Signature"))
	parts := strings.Split(q.header.Get("Stripe-Signature"), ",")
	if len(standard) != len(secrets) || len(parts) != len(secrets)+1 || parts[0] != "t="+q.header.Get("Webhook-Timestamp") {
		t.Fatalf("signatures %v and %v", standard, parts)
	}
	for i, s := range secrets {
		verifier, err := standardwebhooks.NewWebhook(s.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		alone := q.header.Clone()
		alone.Set("Webhook-Signature", standard[i])
		if err := verifier.Verify(q.body, alone); err != nil {
			t.Errorf("Standard Webhooks, secret %d alone: %v", i, err)
		}
		if err := stripewebhook.ValidatePayload(q.body, parts[0]+","+parts[i+1], s.Reveal()); err != nil {
			t.Errorf("Stripe, secret %d alone: %v", i, err)
		}
		if sum, err := hex.DecodeString(strings.TrimPrefix(parts[i+1], "v1=")); err != nil || len(sum) != 32 {
			t.Errorf("%s is no SHA-256 in hex", parts[i+1])
		}
		if verifier.Verify(append(q.body, ' '), q.header) == nil || stripewebhook.ValidatePayload(append(q.body, ' '), strings.Join(parts, ","), s.Reveal()) == nil {
			t.Error("another body is verified")
		}
	}
}

func TestOmittedFieldsStayHere(t *testing.T) {
	target, got := callback(t, nil)
	for _, format := range []string{publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack} {
		d := httpDestination(target)
		d.Format, d.Omit = format, []string{"url", "customer_details", "customer_email", "shipping"}
		if r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Fulfillable)); r.Outcome != event.OutcomeAccepted {
			t.Fatalf("result %+v", r)
		}
		body := string((<-got).body)
		for _, text := range []string{"pay.example", "buyer@", "A. Buyer", "Main Street", `"url":"https`, "customer_details"} {
			if strings.Contains(body, text) {
				t.Errorf("%s: %q is in %s", format, text, body)
			}
		}
	}
}

// publishMany makes deliveries at a concurrency, and returns how many
// connections the server has accepted.
func publishMany(t *testing.T, p publish.Publisher, accepted *atomic.Int32, deliveries, concurrency int) int32 {
	t.Helper()
	work := make(chan struct{}, deliveries)
	for range deliveries {
		work <- struct{}{}
	}
	close(work)
	var g sync.WaitGroup
	for range concurrency {
		g.Go(func() {
			for range work {
				if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted || r.Note != "" {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
	g.Wait()
	return accepted.Load()
}

func TestConnectionsAreKept(t *testing.T) {
	const concurrency = 8
	for _, size := range []int{0, 2, 4096, 7000} { // a longer rest is not read, and its connection is given up
		for _, scheme := range []string{"http", "https", "HTTP/2"} {
			t.Run(fmt.Sprintf("%s, %d bytes", scheme, size), func(t *testing.T) {
				var accepted atomic.Int32
				protocols := make(chan string, 1000)
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					protocols <- r.Proto
					w.Write(make([]byte, size))
				}))
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						accepted.Add(1)
					}
				}
				d, want := publish.Destination{}, "HTTP/1.1"
				if scheme == "http" {
					s.Start()
					d = httpDestination(s.URL)
				} else {
					if scheme == "HTTP/2" {
						s.EnableHTTP2, want = true, "HTTP/2.0"
					}
					s.StartTLS()
					d = httpDestination(s.URL)
					d.TLS.CA = authority(t, s)
				}
				t.Cleanup(s.Close)
				d.Concurrency, d.Timeout = concurrency, time.Minute
				p := newHTTP(t, d, publish.HTTPOptions{})
				// While the first ones connect, a delivery may take a connection that
				// another has done with, and leave its own over.
				first := publishMany(t, p, &accepted, 100, concurrency)
				if all := publishMany(t, p, &accepted, 400, concurrency); first > 2*concurrency || all > first {
					t.Errorf("%d connections for 100 deliveries, and %d for 400 more", first, all-first)
				}
				for range 500 {
					if proto := <-protocols; proto != want {
						t.Fatalf("%s, not %s", proto, want)
					}
				}
			})
		}
	}
}

// Over HTTP/2 a slow delivery holds up no other on the same connection.
func TestHTTP2Multiplexes(t *testing.T) {
	const concurrency = 8
	var accepted, requests atomic.Int32
	all := make(chan struct{})
	s := served(t, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				accepted.Add(1)
			}
		}
	}, func(http.ResponseWriter, *http.Request) {
		switch requests.Add(1) {
		case 1:
			return
		case 1 + concurrency:
			close(all)
		}
		<-all
	})
	d := httpDestination(s.URL)
	d.TLS.CA, d.Concurrency, d.Timeout = trusted(t), concurrency, time.Minute
	p := newHTTP(t, d, publish.HTTPOptions{})
	publishMany(t, p, &accepted, 1, 1)
	if n := publishMany(t, p, &accepted, concurrency, concurrency); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestFilesThatAreNoCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s3cret.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("s3cret")}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]publish.TLS{"CA": {CA: file}, "pair": {Cert: file, Key: file}} {
		d := httpDestination("https://shop.example")
		d.TLS = files
		renderer, err := publish.NewRenderer(d, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{}); err == nil || !strings.Contains(err.Error(), "tls.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
