package publish_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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
	if err := newHTTP(t, d, publish.HTTPOptions{}).Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("Reach without a certificate: %v", err)
	}
}

// A certificate is renewed by writing its files anew; what is half written, or
// gone, leaves the old one.
func TestClientCertificateIsRenewed(t *testing.T) {
	var serials []string
	s := served(t, func(s *httptest.Server) {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(ours(t).certificate)
	}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		serials = append(serials, r.TLS.PeerCertificates[0].SerialNumber.String())
	})
	d := httpDestination(s.URL)
	d.TLS = pair(t)
	p := newHTTP(t, d, publish.HTTPOptions{})
	renewed := pair(t)
	for _, change := range []func(){
		func() {},
		func() { write(t, d.TLS.Cert, "-----BEGIN") },
		func() { rename(t, renewed.Cert, d.TLS.Cert); rename(t, renewed.Key, d.TLS.Key) },
		func() { os.Remove(d.TLS.Key) },
	} {
		change()
		if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
			t.Fatalf("result %+v", r)
		}
	}
	if len(serials) != 4 || serials[0] != serials[1] || serials[1] == serials[2] || serials[2] != serials[3] {
		t.Errorf("serial numbers %v", serials)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
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
	for _, size := range []int{0, 7000} { // a longer rest is not read, and its connection is given up
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
				// another has done with, and leave its own over. On a machine that is
				// too busy to finish writing in time, net/http gives one up, and one
				// that nobody comes to use is closed.
				first := publishMany(t, p, &accepted, 100, concurrency)
				if all := publishMany(t, p, &accepted, 400, concurrency); first > 3*concurrency || all > first+3*concurrency {
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

// A receiver need not close a connection that nobody uses: it might do so just
// as a request is on its way.
func TestIdleConnectionsAreClosedBeforeTheReceiverDoes(t *testing.T) {
	const usual = 5 * time.Second // how long a receiver keeps one
	closed := make(chan struct{})
	var once sync.Once
	s := served(t, func(s *httptest.Server) {
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				once.Do(func() { close(closed) })
			}
		}
	}, func(http.ResponseWriter, *http.Request) {})
	d := httpDestination(s.URL)
	d.TLS.CA = trusted(t)
	p := newHTTP(t, d, publish.HTTPOptions{})
	idle := time.Now()
	if r := p.Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Fatalf("result %+v", r)
	}
	select {
	case <-closed:
		if kept := time.Since(idle); kept < time.Second {
			t.Errorf("closed after %s", kept)
		}
	case <-time.After(2 * usual): // a busy machine is late
		t.Errorf("still open after %s", 2*usual)
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
