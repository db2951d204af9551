package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
		list := NewList(secrets...)
		one := rapid.SampledFrom(secrets).Draw(t, "echoed")
		way := rapid.SampledFrom([]string{"plain", "JSON", "PHP", "every", "HTML", "HTML hex", "URL", "twice", "thrice"}).Draw(t, "way")
		before := strings.Repeat(" .", rapid.IntRange(0, 60).Draw(t, "before"))
		text := []byte(before + escapers[way](one) + " ." + rapid.StringMatching(`[ .,;:<>{}()a-c]*`).Draw(t, "after"))
		size := rapid.IntRange(0, len(text)).Draw(t, "cut at")
		cut := size < len(text)
		clean := string(Redact(text[:size], cut, list))
		for range escapeDepth + 1 {
			if strings.Contains(clean, one) {
				t.Fatalf("%q survives in %q", one, clean)
			}
			left := strings.ReplaceAll(clean, Redacted, "")
			if n := common([]byte(strings.TrimLeft(left, " .")), []byte(one)); n > leastHidden && len(one) > n {
				t.Fatalf("%q, the beginning of %q, survives in %q", one[:n], one, clean)
			}
			decoded, _ := unescape([]byte(clean), nil, len(clean))
			clean = string(decoded)
		}
	})
}

func TestTextWithoutSecretsIsUnchanged(t *testing.T) {
	list := NewList("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter22", "/c/pay/cs_1")
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
		if got := Redact(text, true, list); !bytes.Equal(got, was) || !bytes.Equal(text, was) {
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
		if got := string(Redact([]byte(text), false)); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
	if got := string(Redact([]byte("mail buyer@exam"), true)); got != "mail <redacted>" {
		t.Errorf("cut: %q", got)
	}
}

func TestFormsOfEscapes(t *testing.T) {
	list := NewList("pässword+of Jane_Q:")
	for _, text := range []string{
		"p%C3%A4ssword%2Bof+Jane%5FQ%3A", "p%c3%a4ssword%2bof%20Jane_Q%3a", `p\xc3\xa4ssword+of Jane_Q:`, `p\u00e4ssword\u002bof Jane_Q:`,
		"p&auml;ssword&plus;of Jane&lowbar;Q&colon;", "p&#228;ssword&#43;of Jane&UnderBar;Q&#x3a", "p%26auml%3Bssword%26plus%3Bof+Jane_Q%3A",
	} {
		if got := string(Redact([]byte("<"+text+">"), false, list)); got != "<"+Redacted+">" {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"a":"token\u0053ECRET\/01 %40 &#x2F; b@c.de"}`), true)
	f.Add([]byte("tokenSECR\\u00"), true)
	list := NewList("tokenSECRET/01")
	f.Fuzz(func(t *testing.T, text []byte, cut bool) {
		clean := Redact(bytes.Clone(text), cut, list)
		if bytes.Contains(clean, list[0].text) {
			t.Errorf("%q survives in %q", text, clean)
		}
	})
}
