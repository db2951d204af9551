// Package secret holds the string type of everything that must not be read by
// accident: API keys, signing secrets, tokens, and URLs that carry any of them.
//
// A String prints, logs and marshals as "<redacted>"; Reveal is the only way to
// its text, so that a search for Reveal finds every place where a secret
// leaves the program. Redact takes secrets out of what others wrote, such as the
// answer of a receiver that echoes its request; a List's Message makes of such a
// text what may be shown.
package secret

import (
	"log/slog"
	"net/url"
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
