package secret

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// coders encode a whole text.
var coders = map[string]func(string) string{
	"none":          func(s string) string { return s },
	"Base64":        func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"Base64 of URL": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"hex":           func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":           func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
}

func init() {
	escapers["percent"] = func(s string) string { return each("%%%02X", s) }
	escapers["Python"] = func(s string) string { return each(`\x%02x`, s) }
	escapers["HTML numbers"] = func(s string) string { return each("&#%d;", s) }
	escapers["HTML names"] = strings.NewReplacer("_", "&lowbar;", ":", "&colon;", "=", "&equals;", "+", "&plus;").Replace
}

func each(format, s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

var (
	base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{6,}`)
	hexRun    = regexp.MustCompile(`[0-9a-fA-F]{8,}`)
)

// readings are a text and what somebody could read out of it, twice encoded at most.
func readings(text string, depth int) []string {
	all := []string{text}
	if depth == 0 {
		return all
	}
	plain, _ := unescape([]byte(text), nil, len(text))
	more := []string{html.UnescapeString(text), string(plain)}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	for shift := range 4 {
		read := base64Run.ReplaceAllStringFunc(standard, func(run string) string {
			part := run[shift:]
			b, _ := base64.RawStdEncoding.DecodeString(part[:len(part)-len(part)%4+len(part)%4&2])
			return string(b) + " "
		})
		more = append(more, read)
	}
	for shift := range 2 {
		more = append(more, hexRun.ReplaceAllStringFunc(text, func(run string) string {
			b, _ := hex.DecodeString(run[shift : len(run)-(len(run)-shift)%2])
			return string(b) + " "
		}))
	}
	for i, m := range more {
		if m != text && !slices.Contains(more[:i], m) {
			all = append(all, readings(m, depth-1)...)
		}
	}
	return all
}

// However an API writes the key down, and whatever stands around it, not even a part of
// it comes out.
func TestMessageNeverShowsTheKey(t *testing.T) {
	codings, escapings := slices.Sorted(maps.Keys(coders)), slices.Sorted(maps.Keys(escapers))
	rapid.Check(t, func(t *rapid.T) {
		rest := rapid.StringMatching(`[A-Za-z0-9]{16,60}`).Draw(t, "rest")
		key := rapid.SampledFrom([]string{"sk_live_", "sk_test_"}).Draw(t, "mode") + rest
		around := rapid.StringMatching(`[ -~]{0,30}`)
		text := rapid.SampledFrom([]string{key, rest, key + ":"}).Draw(t, "told")
		for _, way := range rapid.SliceOfN(rapid.SampledFrom(codings), 0, 2).Draw(t, "codings") {
			text = coders[way](around.Draw(t, "before") + text + around.Draw(t, "behind"))
		}
		text = escapers[rapid.SampledFrom(escapings).Draw(t, "escaping")](text)
		text = around.Draw(t, "before all") + text + around.Draw(t, "behind all")
		if size := rapid.IntRange(0, len(text)).Draw(t, "cut at"); rapid.Bool().Draw(t, "cut") {
			text = text[:size]
		}
		got := OfClient(key).Message(text)
		for _, reading := range readings(got, 2) {
			for i := 0; i+6 <= len(rest); i++ {
				if strings.Contains(reading, rest[i:i+6]) {
					t.Fatalf("%q of %s is shown by %q, from %q, read as %q", rest[i:i+6], key, got, text, reading)
				}
			}
		}
	})
}

func TestMessage(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://shop:open%20sesame@proxy.example:3128")
	t.Setenv("HTTP_PROXY", "http://me:my pass/word@proxy.example")
	list := OfClient("sk_test_SECRETKEY7777")
	for text, want := range map[string]string{
		"Invalid API key:sk_test_SECRETKEY7777":                     "Invalid API key:<redacted>",
		"Authorization 'Basic c2tfdGVzdF9TRUNSRVRLRVk3Nzc3Og==' no": "Authorization 'Basic <redacted>' no",
		"key SECRETKEY7777": "key <redacted>",
		"sk_live_SECRET123456/pk_live_x,whsec_abc is none": "sk_… is none",
		"SK_LIVE_ABCDEF no":                                      "SK_… no",
		"ask jane@example.com or root@localhost":                 "ask <redacted> or <redacted>",
		"at https://pay.example/c/pay/cs_1?key=K now":            "at https://pay.example/… now",
		"GET /x?key=PAY failed: why?":                            "GET /x?… failed: why?",
		"no such session: cs_1\n\tsee /v1\x1b[2J":                "no such session: cs_1 see /v1\ufffd[2J",
		`proxy "http://me:my pass/word@proxy.example": bad port`: `proxy "http://<redacted>": bad port`,
		"407 c2hvcDpvcGVuIHNlc2FtZQ== for open sesame":           "407 <redacted> for <redacted>",
		strings.Repeat("ä ", 200):                                strings.Repeat("ä ", 100) + "…",
		strings.Repeat("- ", 145) + "sk_test_SECRETKEY7777":      strings.Repeat("- ", 145) + "<redacted>",
	} {
		if got := list.Message(text); got != want {
			t.Errorf("%q became\n%q, not\n%q", text, got, want)
		}
	}
}
