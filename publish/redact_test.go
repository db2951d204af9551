package publish

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// echoed is a destination whose every secret holds the word SECRET.
func echoed() Destination {
	d := DefaultHTTP()
	d.Name = "shop"
	d.URL = "https://shop.example/hooks/v1/pathSECRET01/x?token=querySECRET%2B02&v=1"
	d.Secrets = []secret.String{"whsec_c2lnbmluZ1NFQ1JFVDAzLWFuZC1zby1vbg=="}
	d.Headers = map[string]secret.String{"X-Key": "headerSECRET04", "Cookie": "a=1; session=cookieSECRET05", "X-Shop": "eu"}
	d.Auth.Basic = BasicAuth{Username: "user", Password: "passwordSECRET06"}
	d.RoutingKey = "routingSECRET07"
	d.Proxy = "http://user:proxySECRET08@proxy.example:3128"
	return d
}

func TestWhatADestinationHides(t *testing.T) {
	d := echoed()
	text := []byte(`POST /hooks/v1/pathSECRET01/x?token=querySECRET%2B02&v=1 querySECRET+02 headerSECRET04
session=cookieSECRET05 passwordSECRET06 dXNlcjpwYXNzd29yZFNFQ1JFVDA2 routingSECRET07 proxySECRET08
c2lnbmluZ1NFQ1JFVDAzLWFuZC1zby1vbg== shop.example hooks v1 eu user`)
	got := string(secret.Redact(text, false, secretsOf(d)))
	if strings.Contains(got, "SECRET") || strings.Contains(got, "U0VDUkVU") || strings.Contains(got, "NFQ1JFV") || strings.Contains(got, "dXNlcjpw") {
		t.Errorf("left: %s", got)
	}
	for _, word := range []string{"/hooks/v1/", "shop.example", "eu", "user"} {
		if !strings.Contains(got, word) {
			t.Errorf("%s is gone: %s", word, got)
		}
	}
}

// A receiver may answer with the whole request in Base64, or with a part of it in hex.
func TestADestinationHidesWhatIsEncoded(t *testing.T) {
	request := []byte("POST / X-Key: headerSECRET04 user:passwordSECRET06 routingSECRET07")
	text := fmt.Sprintf("%s %x %X", base64.StdEncoding.EncodeToString(request), request[8:], request[8:])
	got := string(secret.Redact([]byte(text), false, secretsOf(echoed())))
	for _, left := range []string{"NFQ1JF", "U0VDUkV", "TRUNSRV", "534543524554"} {
		if strings.Contains(got, left) {
			t.Errorf("%s is left: %s", left, got)
		}
	}
	if n := strings.Count(got, secret.Redacted); n != 9 {
		t.Errorf("%d of 9 are hidden: %s", n, got)
	}
}

func TestWhatARequestHides(t *testing.T) {
	e := event.SampleEvent(event.Fulfillable)
	header := http.Header{"Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,AAAAfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
		"Stripe-Signature": {"t=1,v1=" + strings.Repeat("ab12", 16)}}
	x := exchange{event: &e, header: header}
	text := fmt.Sprintf("%s %s %v", e.Object, header["Stripe-Signature"], header["Webhook-Signature"])
	got := string(x.redact([]byte(text), false))
	for _, word := range []string{"pI4=", "ab12", "/cs_2031282752732528640", "buyer@example.com", "A. Buyer", "+4930000000", "Main Street 1"} {
		if strings.Contains(got, word) {
			t.Errorf("%s is left: %s", word, got)
		}
	}
	if !strings.Contains(got, `"client_reference_id":"order-1001"`) || !strings.Contains(got, `"id":"cs_2031282752732528640"`) {
		t.Errorf("too much is gone: %s", got)
	}
}

func TestTellingHeaders(t *testing.T) {
	e := event.SampleEvent(event.Paid)
	x := exchange{secrets: secret.NewList("tokenSECRET01"), event: &e}
	all := http.Header{"Set-Cookie": {"a=b"}, "Content-Type": {"text/html"}, "Location": {"https://u:p@login.example:8443/x?y=tokenSECRET01"},
		"Www-Authenticate": {"Bearer error=tokenSECRET01"}, "Server": {strings.Repeat("s", 5000)}, "Cf-Ray": {"7d\xff1"}, "X-Request-Id": {""}}
	got := x.headers(all)
	want := map[string]string{"content-type": "text/html", "location": "https://login.example:8443",
		"www-authenticate": "Bearer error=<redacted>", "server": strings.Repeat("s", 256), "cf-ray": "7d1"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, name := range telling {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("%s is never found: headers are named %s", name, http.CanonicalHeaderKey(name))
		}
		all[name] = []string{"1"}
	}
	if got := x.headers(all); len(got) != answerHeaders {
		t.Errorf("%d headers kept", len(got))
	}
	for location, want := range map[string]string{"/login?t=1": "the same host", "//a.example/x": "//a.example", "http://[::1/x": "not a URL"} {
		if got := hostOf(location); got != want {
			t.Errorf("%s: %s, not %s", location, got, want)
		}
	}
}

func TestOrdinaryAnswersAreNotCopied(t *testing.T) {
	x := ordinary()
	for _, text := range [][]byte{nil, []byte("ok"), []byte(`{"received":true}`), []byte(`{"ok": true}` + "\n")} {
		if n := testing.AllocsPerRun(100, func() { x.redact(text, false) }); n != 0 {
			t.Errorf("%q costs %v allocations", text, n)
		}
	}
	x.headers(http.Header{"Date": {"Thu, 26 Nov 2026 10:20:38 GMT"}, "Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}})
	if x.private != nil {
		t.Error("ordinary headers make it take the session apart")
	}
}

func ordinary() *exchange {
	e := event.SampleEvent(event.Paid)
	return &exchange{secrets: secretsOf(echoed()), event: &e, header: http.Header{}}
}

func BenchmarkAnswerHeaders(b *testing.B) {
	x := ordinary()
	all := http.Header{"Date": {"Thu, 26 Nov 2026 10:20:38 GMT"}, "Content-Type": {"application/json; charset=utf-8"}, "Server": {"nginx"}, "Content-Length": {"17"}}
	b.ReportAllocs()
	for b.Loop() {
		x.headers(all)
	}
}

func BenchmarkRedact(b *testing.B) {
	e := event.SampleEvent(event.Paid)
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"ordinary", []byte(`{"received":true}`)}, {"page", bytes.Repeat([]byte("<p>Something is wrong &amp; nobody knows.</p>\n"), 180)}, {"echo", e.Object},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ordinary := exchange{secrets: ordinarySecrets, event: &e, header: http.Header{}}
				ordinary.redact(c.text, false)
			}
		})
	}
}

var ordinarySecrets = slices.Clip(secretsOf(echoed()))
