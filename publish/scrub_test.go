package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// escapers are the ways in which an echo of a request is written.
var escapers = map[string]func(string) string{
	"plain": func(s string) string { return s },
	"JSON":  jsonText,
	"PHP":   func(s string) string { return strings.ReplaceAll(jsonText(s), "/", `\/`) },
	"every": func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, `\u%04x`, s[i])
		}
		return b.String()
	},
	"HTML": html.EscapeString,
	"HTML hex": func(s string) string {
		return strings.NewReplacer("/", "&#x2F;", "+", "&#43;", "=", "&#x3D;", "@", "&#64;").Replace(s)
	},
	"URL":   url.QueryEscape,
	"twice": func(s string) string { return html.EscapeString(jsonText(s)) },
	"thrice": func(s string) string {
		return url.QueryEscape(html.EscapeString(strings.ReplaceAll(jsonText(s), "/", `\/`)))
	},
}

func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b[1 : len(b)-1])
}

var secretText = rapid.StringMatching(`[A-Za-z0-9+/=_.~!%&"\\#-]{6,90}`)

// Wherever a secret stands in an answer, however it is written, and wherever
// the answer is cut, nothing that it could be known by is left.
func TestNoSecretSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretText, 1, 4).Draw(t, "secrets")
		list := hide(secrets...)
		one := rapid.SampledFrom(secrets).Draw(t, "echoed")
		way := rapid.SampledFrom([]string{"plain", "JSON", "PHP", "every", "HTML", "HTML hex", "URL", "twice", "thrice"}).Draw(t, "way")
		before := strings.Repeat(" .", rapid.IntRange(0, 60).Draw(t, "before"))
		text := []byte(before + escapers[way](one) + " ." + rapid.StringMatching(`[ .,;:<>{}()a-c]*`).Draw(t, "after"))
		size := rapid.IntRange(0, len(text)).Draw(t, "cut at")
		cut := size < len(text)
		clean := string(scrub(text[:size], cut, list))
		for range escapeDepth + 1 {
			if strings.Contains(clean, one) {
				t.Fatalf("%q survives in %q", one, clean)
			}
			left := strings.ReplaceAll(clean, secret.Redacted, "")
			if n := common([]byte(strings.TrimLeft(left, " .")), []byte(one)); n > leastHidden && len(one) > n {
				t.Fatalf("%q, the beginning of %q, survives in %q", one[:n], one, clean)
			}
			decoded, _ := unescape([]byte(clean), nil, len(clean))
			clean = string(decoded)
		}
	})
}

func TestTextWithoutSecretsIsUnchanged(t *testing.T) {
	list := hide("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter22", "/c/pay/cs_1")
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.StringMatching(`([ -?A-Z\[-~]|[äöü]|\\u00[0-9a-f]{2}|%[2-7][0-9]|&amp;|\\/){0,80}`).Draw(t, "text"))
		was := bytes.Clone(text)
		plain := was
		for range escapeDepth + 1 {
			for _, h := range list {
				if bytes.Contains(plain, h.text[:min(leastHidden, len(h.text))]) {
					t.Skip("holds something to hide")
				}
			}
			if bytes.IndexByte(plain, '@') >= 0 {
				t.Skip("may hold an address")
			}
			plain, _ = unescape(plain, nil, len(plain))
		}
		if got := scrub(text, true, list); !bytes.Equal(got, was) || !bytes.Equal(text, was) {
			t.Fatalf("%q became %q", was, got)
		}
	})
}

func TestMailAddressesAreHidden(t *testing.T) {
	for text, want := range map[string]string{
		"mail buyer@example.com.":            "mail <redacted>.",
		"<o.b+x@mail.example.co.uk>,c@d.org": "<<redacted>>,<redacted>",
		`{"to":"buyer\u0040example.com"}`:    `{"to":"<redacted>"}`,
		"q=buyer%40example.com&x=1":          "q=<redacted>&x=1",
		"björn@exämple.de":                   "<redacted>",
		"https://u:p@host.example/x":         "https://u:<redacted>/x",
		"lodash@4.17.21 @scope/x a @ b @":    "lodash@4.17.21 @scope/x a @ b @",
		"root@localhost":                     "root@localhost",
	} {
		if got := string(scrub([]byte(text), false)); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
	if got := string(scrub([]byte("mail buyer@exam"), true)); got != "mail <redacted>" {
		t.Errorf("cut: %q", got)
	}
}

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
	got := string(scrub(text, false, secretsOf(d)))
	if strings.Contains(got, "SECRET") || strings.Contains(got, "U0VDUkVU") || strings.Contains(got, "NFQ1JFV") || strings.Contains(got, "dXNlcjpw") {
		t.Errorf("left: %s", got)
	}
	for _, word := range []string{"/hooks/v1/", "shop.example", "eu", "user"} {
		if !strings.Contains(got, word) {
			t.Errorf("%s is gone: %s", word, got)
		}
	}
}

func TestWhatARequestHides(t *testing.T) {
	e := SampleEvent(event.Fulfillable)
	header := http.Header{"Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,AAAAfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
		"Stripe-Signature": {"t=1,v1=" + strings.Repeat("ab12", 16)}}
	x := exchange{event: &e, header: header}
	text := fmt.Sprintf("%s %s %v", e.Object, header["Stripe-Signature"], header["Webhook-Signature"])
	got := string(x.scrub([]byte(text), false))
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
	e := SampleEvent(event.Paid)
	x := exchange{secrets: hide("tokenSECRET01"), event: &e}
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
		if n := testing.AllocsPerRun(100, func() { x.scrub(text, false) }); n != 0 {
			t.Errorf("%q costs %v allocations", text, n)
		}
	}
	x.headers(http.Header{"Date": {"Thu, 26 Nov 2026 10:20:38 GMT"}, "Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}})
	if x.private != nil {
		t.Error("ordinary headers make it take the session apart")
	}
}

func ordinary() *exchange {
	e := SampleEvent(event.Paid)
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

func BenchmarkScrub(b *testing.B) {
	e := SampleEvent(event.Paid)
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
				ordinary.scrub(c.text, false)
			}
		})
	}
}

var ordinarySecrets = slices.Clip(secretsOf(echoed()))

func FuzzScrub(f *testing.F) {
	f.Add([]byte(`{"a":"token\u0053ECRET\/01 %40 &#x2F; b@c.de"}`), true)
	f.Add([]byte("tokenSECR\\u00"), true)
	list := hide("tokenSECRET/01")
	f.Fuzz(func(t *testing.T, text []byte, cut bool) {
		clean := scrub(bytes.Clone(text), cut, list)
		if bytes.Contains(clean, list[0].text) {
			t.Errorf("%q survives in %q", text, clean)
		}
	})
}
