// Package secret holds the string type of everything that must not be read by
// accident: API keys, signing secrets, tokens, and URLs that carry any of them.
//
// A String prints, logs and marshals as "<redacted>"; Reveal is the only way to
// its text, so that a search for Reveal finds every place where a secret
// leaves the program. Redact takes secrets out of what others wrote, such as the
// answer of a receiver that echoes its request.
package secret

import (
	"log/slog"
	"net/url"
	"strings"
	"unicode"
)

// Redacted is what a secret prints as.
const Redacted = "<redacted>"

// String is a secret. Its zero value is "no secret" and prints as "".
type String string

// Reveal returns the secret itself.
func (s String) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s String) String() string {
	if s == "" {
		return ""
	}
	return Redacted
}

// GoString implements fmt.GoStringer, for %#v.
func (s String) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL returns the scheme and host of a URL that may carry a token in its path,
// query or user name: what a log line may say of it.
func (s String) URL() string {
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" {
		return s.String()
	}
	if (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.User == nil {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + "/" + Redacted
}

// MaskMessage shortens a message and hides the keys and e-mail addresses in it: an API
// quotes them ("invalid api key sk_…").
func MaskMessage(message string) string {
	const enough = 300
	if len(message) > enough {
		message = message[:enough]
	}
	words := strings.Fields(message)
	for i, word := range words {
		for _, prefix := range []string{"sk_", "pk_", "rk_", "whsec_"} {
			if at := strings.Index(word, prefix); at >= 0 {
				words[i] = word[:at] + prefix + "…"
			}
		}
		if strings.Contains(words[i], "@") {
			words[i] = "…@…"
		}
	}
	return strings.Join(words, " ")
}

// MaskID is an id as it may be shown: one that is none may be anything. One that is
// longer than the longest possible is cut.
func MaskID(id string, longest int) string {
	const shown = 64
	id = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, id)
	if len(id) > longest {
		id = strings.ToValidUTF8(id[:min(shown, len(id))], "") + "…"
	}
	return MaskMessage(id)
}
