package secret

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"unicode"
)

const (
	leastRest = 8 // of a key behind its prefix
	mostRead  = 4 << 10
	mostShown = 300 // of a message
)

// OfClient lists what a client tells with each request, and as it looks when the whole
// request is encoded: its key, which goes as the user name of basic authentication,
// and who it is to the proxy that the environment names.
func OfClient(key string) List {
	texts := []string{key, key + ":"}
	if parts := strings.SplitN(key, "_", 3); len(parts) == 3 && len(parts[2]) >= leastRest {
		texts = append(texts, parts[2]) // sk_live_ may be left out
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		proxy := os.Getenv(name)
		user := proxy[:max(0, strings.LastIndexByte(proxy, '@'))]
		if _, rest, found := strings.Cut(user, "//"); found {
			user = rest
		}
		_, password, _ := strings.Cut(user, ":")
		for _, text := range []string{user, password} {
			texts = append(texts, text)
			if plain, err := url.PathUnescape(text); err == nil {
				texts = append(texts, plain)
			}
		}
	}
	return NewList(Encoded(Encoded(texts...)...)...)
}

// masks are what else Message leaves out, and what it writes instead.
var masks = []struct {
	find    *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`//[^\s/?#]*` + Redacted), "//" + Redacted}, // a user name before what Redact took for an address
	{regexp.MustCompile(`\S*@\S*`), "…@…"},
	{regexp.MustCompile(`(?i)([spr]k_|whsec_)\S*`), "${1}…"},
	{regexp.MustCompile(`(//[^\s/?#]*[/?#]|\?|/pay/)\S+`), "${1}…"}, // a path or a query may lead to a payment
}

// Message is what may be shown of what another wrote, an API's error or what was
// taken for its answer: without the texts of the list, without anyone's keys and
// e-mail addresses, and of links the host. Only then is it cut.
func (l List) Message(text string) string {
	text = string(Redact([]byte(text[:min(len(text), mostRead)]), true, l))
	text = graphic(strings.Join(strings.Fields(text), " "))
	for _, m := range masks {
		text = m.find.ReplaceAllString(text, m.instead)
	}
	if len(text) > mostShown {
		text = strings.ToValidUTF8(text[:mostShown], "") + "…"
	}
	return text
}

// graphic marks what a terminal would not show, but act on.
func graphic(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// MaskID is an id as it may be shown: one that is none may be anything. One that is
// longer than the longest possible is cut.
func MaskID(id string, longest int) string {
	const shown = 64
	id = graphic(id)
	if len(id) > longest {
		id = strings.ToValidUTF8(id[:min(shown, len(id))], "") + "…"
	}
	return List(nil).Message(id)
}
