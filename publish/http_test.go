package publish_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	stripewebhook "github.com/stripe/stripe-go/v84/webhook"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

var (
	secretA = secret.String("whsec_" + base64.StdEncoding.EncodeToString([]byte("aaaaaaaaaaaaaaaaaaaaaaaa")))
	secretB = secret.String("whsec_" + base64.StdEncoding.EncodeToString([]byte("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")))
)

func message(eventType string) publish.Message {
	e := event.SampleEvent(eventType)
	return publish.Message{Event: e, Delivery: event.Delivery{
		ID: event.DeliveryID(e.ID, "shop", ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Destination: "shop", Rules: []string{"ship", "audit"}, Labels: map[string]string{"severity": "page"},
		Overtook: []string{"evt_before"},
	}}
}

func httpDestination(url string) publish.Destination {
	d := publish.DefaultHTTP()
	d.Name, d.URL, d.Timeout = "shop", secret.String(url), 5*time.Second
	return d
}

func newHTTP(t *testing.T, d publish.Destination, o publish.HTTPOptions) *publish.HTTP {
	t.Helper()
	renderer, err := publish.NewRenderer(d, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := publish.NewHTTP(d, renderer, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// nobody listens there, unlike at a port that was free a moment ago.
const nobody = "http://127.0.0.1:1"

// request is what a callback got.
type request struct {
	method string
	header http.Header
	body   []byte
}

// callback answers with a handler and hands on each request.
func callback(t *testing.T, handler http.HandlerFunc) (url string, got chan request) {
	t.Helper()
	got = make(chan request, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		got <- request{r.Method, r.Header, body}
		if handler != nil {
			handler(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestHTTPRequest(t *testing.T) {
	url, got := callback(t, nil)
	d := httpDestination(url)
	d.Secrets = []secret.String{secretA, secretB}
	d.Headers = map[string]secret.String{"X-Shop": "eu"}
	d.Auth.Bearer = "t0ken"
	m := message(event.Paid)
	before := time.Now().Unix()
	r := newHTTP(t, d, publish.HTTPOptions{Version: "1.2.3"}).Publish(t.Context(), m)
	if r.Outcome != event.OutcomeAccepted || r.StatusCode != 200 || r.Contact != publish.ContactMade || r.Error != "" {
		t.Fatalf("result %+v", r)
	}
	q := <-got
	want := map[string]string{
		"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": "notifier/1.2.3",
		"Webhook-Id": m.Delivery.ID, "X-Shop": "eu", "Authorization": "Bearer t0ken", "Accept-Encoding": "", "Stripe-Signature": "",
	}
	for name, value := range want {
		if q.header.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, q.header.Get(name), value)
		}
	}
	if q.method != http.MethodPost {
		t.Errorf("method %s", q.method)
	}
	if n := len(strings.Fields(q.header.Get("Webhook-Signature"))); n != 2 {
		t.Errorf("%d signatures for two secrets", n)
	}
	for _, s := range d.Secrets {
		verifier, err := standardwebhooks.NewWebhook(s.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(q.body, q.header); err != nil {
			t.Errorf("Standard Webhooks: %v", err)
		}
	}
	var seconds int64
	if _, err := fmt.Sscan(q.header.Get("Webhook-Timestamp"), &seconds); err != nil || seconds < before || seconds > time.Now().Unix() {
		t.Errorf("webhook-timestamp %q", q.header.Get("Webhook-Timestamp"))
	}
	checkCloudEvent(t, q.body, m)
}

// checkCloudEvent parses a structured body with the CloudEvents SDK.
func checkCloudEvent(t *testing.T, body []byte, m publish.Message) {
	t.Helper()
	parsed := cloudevents.New()
	if err := json.Unmarshal(body, &parsed); err != nil {
		t.Fatalf("the SDK does not read the body: %v\n%s", err, body)
	}
	if err := parsed.Validate(); err != nil {
		t.Errorf("the SDK finds the body invalid: %v", err)
	}
	got := []any{parsed.ID(), parsed.Source(), parsed.Type(), parsed.Subject(), parsed.Extensions()["livemode"], parsed.Extensions()["account"]}
	want := []any{m.Event.ID, "/wooshpay/accounts/main", m.Event.Type, m.Event.Session, true, "main"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	checkData(t, parsed.Data(), m)
}

func checkData(t *testing.T, data []byte, m publish.Message) {
	t.Helper()
	var got struct {
		Object struct {
			ID     string `json:"id"`
			Amount int64  `json:"amount_total"`
		} `json:"object"`
		Match event.Match `json:"match"`
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("data: %v\n%s", err, data)
	}
	if got.Object.ID != m.Event.Session || got.Object.Amount != 12900 {
		t.Errorf("object %+v", got.Object)
	}
	if diff := cmp.Diff(m.Match(), got.Match); diff != "" {
		t.Errorf("match (-want +got):\n%s", diff)
	}
}

func TestStripeRequest(t *testing.T) {
	url, got := callback(t, nil)
	d := httpDestination(url)
	d.Format, d.APIVersion = publish.FormatStripe, "2026-08-27.basil"
	d.Secrets = []secret.String{secretA, secretB}
	p := newHTTP(t, d, publish.HTTPOptions{})
	for _, c := range []struct {
		eventType, want string
		async           bool
	}{
		{event.Fulfillable, "checkout.session.completed", false},
		{event.Fulfillable, "checkout.session.async_payment_succeeded", true},
		{event.Paid, "checkout.session.paid", false},
		{event.Paid, "checkout.session.async_payment_succeeded", true},
		{event.Completed, "checkout.session.completed", false},
		{event.Expired, "checkout.session.expired", false},
	} {
		m := message(c.eventType)
		m.Event.Async = c.async
		if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
			t.Fatalf("result %+v", r)
		}
		q := <-got
		for _, s := range d.Secrets {
			parsed, err := stripewebhook.ConstructEventWithOptions(q.body, q.header.Get("Stripe-Signature"), s.Reveal(),
				stripewebhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true, Tolerance: time.Minute})
			if err != nil {
				t.Fatalf("stripe-go: %v", err)
			}
			if string(parsed.Type) != c.want || parsed.ID != m.Event.ID || parsed.APIVersion != d.APIVersion ||
				parsed.Created != m.Event.Time.Unix() || !parsed.Livemode || parsed.Object != "event" {
				t.Errorf("%s async %v: %+v", c.eventType, c.async, parsed)
			}
			if parsed.Data.Object["currency"] != "usd" || parsed.Data.Object["amount_total"] != 12900.0 {
				t.Errorf("object %v", parsed.Data.Object)
			}
		}
		if q.header.Get("Content-Type") != "application/json" || q.header.Get("Webhook-Id") != m.Delivery.ID {
			t.Errorf("headers %v", q.header)
		}
	}
}

func TestHTTPStatuses(t *testing.T) {
	status, headers := 200, map[string]string{}
	url, _ := callback(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			io.WriteString(w, strings.Repeat("x", 10_000))
		}
	})
	d := httpDestination(url)
	d.Retry.FinalStatuses = []int{422}
	p := newHTTP(t, d, publish.HTTPOptions{})
	for _, c := range []struct {
		status     int
		retryAfter string
		want       publish.Result
		atLeast    time.Duration
	}{
		{status: 200, want: publish.Result{Outcome: event.OutcomeAccepted}},
		{status: 204, want: publish.Result{Outcome: event.OutcomeAccepted}},
		{status: 301, want: publish.Result{Outcome: event.OutcomeRefused}},
		{status: 307, want: publish.Result{Outcome: event.OutcomeRefused}},
		{status: 400, want: publish.Result{Outcome: event.OutcomeRefused}},
		{status: 410, want: publish.Result{Outcome: event.OutcomeRefused, Gone: true}},
		{status: 422, want: publish.Result{Outcome: event.OutcomeRefused, Final: true}},
		{status: 429, retryAfter: "17", want: publish.Result{Outcome: event.OutcomeRefused, Throttled: true, RetryAfter: 17 * time.Second}},
		{status: 503, retryAfter: "17", want: publish.Result{Outcome: event.OutcomeRefused, RetryAfter: 17 * time.Second}},
		{status: 503, retryAfter: "99999999999999999999", want: publish.Result{Outcome: event.OutcomeRefused, RetryAfter: (1<<31 - 1) * time.Second}},
		{status: 503, retryAfter: "soon", want: publish.Result{Outcome: event.OutcomeRefused}},
		{status: 503, retryAfter: time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), want: publish.Result{Outcome: event.OutcomeRefused}, atLeast: 59 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.retryAfter), func(t *testing.T) {
			status, headers = c.status, map[string]string{"Location": url, "Retry-After": c.retryAfter}
			got := p.Publish(t.Context(), message(event.Paid))
			if got.StatusCode != c.status || got.Contact != publish.ContactMade || len(got.Answer) > 4096 {
				t.Errorf("status %d, contact %d, %d bytes kept", got.StatusCode, got.Contact, len(got.Answer))
			}
			if got.Outcome == event.OutcomeRefused && got.Class != publish.ClassStatus {
				t.Errorf("class %q", got.Class)
			}
			if c.atLeast > 0 && (got.RetryAfter < c.atLeast || got.RetryAfter > time.Hour) {
				t.Errorf("RetryAfter %s", got.RetryAfter)
			}
			if c.atLeast == 0 && got.RetryAfter != c.want.RetryAfter {
				t.Errorf("RetryAfter %s", got.RetryAfter)
			}
			if got.Outcome != c.want.Outcome || got.Final != c.want.Final || got.Throttled != c.want.Throttled || got.Gone != c.want.Gone {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A date in Retry-After is the receiver's: our clock, or one of the receiver's that
// is wrong, makes no pause longer.
func TestRetryAfterCountsFromTheAnswersDate(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	for _, wrong := range []time.Duration{-20 * time.Hour, 20 * time.Hour} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Add(wrong).Format(http.TimeFormat))
			w.Header().Set("Retry-After", now.Add(wrong+time.Minute).Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
		}))
		got := newHTTP(t, httpDestination(server.URL), publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
		server.Close()
		if got.RetryAfter != time.Minute {
			t.Errorf("clocks apart by %s: RetryAfter %s", wrong, got.RetryAfter)
		}
	}
}

func TestHTTPFailures(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	hang := make(chan struct{})
	slow, _ := callback(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) }) // before the server closes, which waits
	broken := listen(t, func(c net.Conn) {
		bufio.NewReader(c).ReadString('\n')
		c.Close()
	})
	for _, c := range []struct {
		name, url, class string
		contact          publish.Contact
	}{
		{"no such host", "http://host.invalid/tok3n", publish.ClassDNS, publish.ContactFailed},
		{"nobody listens", nobody + "/tok3n", publish.ClassConnect, publish.ContactFailed},
		{"unknown authority", secure.URL + "/tok3n", publish.ClassTLS, publish.ContactFailed},
		{"no TLS there", strings.Replace(slow, "http:", "https:", 1) + "/tok3n", publish.ClassTLS, publish.ContactFailed},
		{"no answer", slow + "/tok3n", publish.ClassTimeout, publish.ContactMade},
		{"connection cut", "http://" + broken + "/tok3n", publish.ClassConnect, publish.ContactFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := httpDestination(c.url)
			d.Timeout = 20 * time.Second
			if c.class == publish.ClassTimeout {
				d.Timeout = 2 * time.Second // enough to connect
			}
			r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
			if r.Outcome != event.OutcomeRefused || r.Class != c.class || r.Contact != c.contact || r.Final || r.StatusCode != 0 {
				t.Errorf("result %+v", r)
			}
			if r.Error == "" || strings.Contains(r.Error, "tok3n") {
				t.Errorf("error %q", r.Error)
			}
		})
	}
}

// listen runs a raw server.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func TestSlowAnswerIsCutButAccepted(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	url, _ := callback(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		<-hang
	})
	t.Cleanup(func() { close(hang) }) // before the server closes, which waits
	d := httpDestination(url)
	d.Timeout = 2 * time.Second // enough for the part
	r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
	if r.Outcome != event.OutcomeAccepted || string(r.Answer) != "part" || r.Note == "" {
		t.Errorf("result %+v", r)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	second, reached := callback(t, nil)
	first, _ := callback(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, second, http.StatusTemporaryRedirect)
	})
	r := newHTTP(t, httpDestination(first), publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid))
	if r.StatusCode != 307 || r.Outcome != event.OutcomeRefused || len(reached) != 0 {
		t.Errorf("result %+v, %d requests at the target", r, len(reached))
	}
}

// authority writes the certificate of a test server to a file.
func authority(t *testing.T, s *httptest.Server) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOwnAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	d := httpDestination(s.URL)
	d.TLS.CA = authority(t, s)
	if r := newHTTP(t, d, publish.HTTPOptions{}).Publish(t.Context(), message(event.Paid)); r.Outcome != event.OutcomeAccepted {
		t.Errorf("result %+v", r)
	}
}

func TestNewHTTPRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*publish.Destination){
		"no URL":            func(d *publish.Destination) { d.URL = "" },
		"scheme":            func(d *publish.Destination) { d.URL = "ftp://shop.example/s3cret" },
		"no host":           func(d *publish.Destination) { d.URL = "http:///s3cret" },
		"control character": func(d *publish.Destination) { d.URL = "http://shop.example/s3cret\x7f" },
		"password in URL":   func(d *publish.Destination) { d.URL = "https://u:s3cret@shop.example" },
		"secret":            func(d *publish.Destination) { d.Secrets = []secret.String{"whsec_s3cret"} },
		"short secret":      func(d *publish.Destination) { d.Secrets = []secret.String{"whsec_czNjcmV0"} },
		"host header":       func(d *publish.Destination) { d.Headers = map[string]secret.String{"host": "s3cret"} },
		"webhook header":    func(d *publish.Destination) { d.Headers = map[string]secret.String{"Webhook-Id": "s3cret"} },
		"hop-by-hop":        func(d *publish.Destination) { d.Headers = map[string]secret.String{"transfer-encoding": "s3cret"} },
		"header name":       func(d *publish.Destination) { d.Headers = map[string]secret.String{"a b": "s3cret"} },
		"header value":      func(d *publish.Destination) { d.Headers = map[string]secret.String{"A": "s3cret\r\nB: c"} },
		"two auths": func(d *publish.Destination) {
			d.Auth = publish.Auth{Bearer: "s3cret", Basic: publish.BasicAuth{Username: "u"}}
		},
		"networks":     func(d *publish.Destination) { d.AllowNetworks = []string{"10.0.0.1"} },
		"proxy":        func(d *publish.Destination) { d.Proxy = "s3cret" },
		"half a pair":  func(d *publish.Destination) { d.TLS.Cert = "cert.pem" },
		"missing CA":   func(d *publish.Destination) { d.TLS.CA = "/nowhere/ca.pem" },
		"no timeout":   func(d *publish.Destination) { d.Timeout = 0 },
		"on_gone":      func(d *publish.Destination) { d.Retry.OnGone = "stop" },
		"final status": func(d *publish.Destination) { d.Retry.FinalStatuses = []int{200} },
	} {
		t.Run(name, func(t *testing.T) {
			d := httpDestination("https://shop.example/hook")
			change(&d)
			renderer, err := publish.NewRenderer(d, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = publish.NewHTTP(d, renderer, publish.HTTPOptions{})
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestBodyOverTheLimitIsFinal(t *testing.T) {
	url, got := callback(t, nil)
	m := message(event.Paid)
	m.Event.Object = json.RawMessage(`{"id":"cs_1","metadata":{"x":"` + strings.Repeat("y", 1<<20) + `"}}`)
	r := newHTTP(t, httpDestination(url), publish.HTTPOptions{}).Publish(t.Context(), m)
	if r.Class != publish.ClassBody || !r.Final || !strings.Contains(r.Error, "1 MiB") || len(got) != 0 {
		t.Errorf("result %+v", r)
	}
	renderer, err := publish.NewRenderer(httpDestination(url), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := renderer.Render(m); !errors.Is(err, publish.ErrTooLarge) {
		t.Errorf("Render: %v", err)
	}
}
