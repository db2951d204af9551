package publish

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// reasonLimit is how much of an error's text is kept: a certificate may bring
// a thousand names.
const reasonLimit = 500

// proxyRefusal is the status of a proxy that opened no way.
type proxyRefusal int

// Error implements error. What else the proxy said may be an echo.
func (status proxyRefusal) Error() string { return "the proxy answered " + strconv.Itoa(int(status)) }

// quoted is what errors quote: mostly what the other side sent, which may be an
// echo of our request.
var quoted = regexp.MustCompile(`\s*"(?:[^"\\]|\\.)*"?`)

// reasonOf is the innermost part of a network error: what happened, without
// the addresses and names around it, and without what the other side sent.
func reasonOf(err error) string {
	var refusal proxyRefusal
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		return "the port speaks plain HTTP, not TLS"
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	for errors.As(err, &op) && op.Err != nil { // that of a proxy wraps that of the dial
		err = op.Err
	}
	text := err.Error()
	text = text[:min(len(text), 8*reasonLimit)] // one that quotes may be as long as all headers together
	return truncate(reasonLimit, quoted.ReplaceAllString(strings.ToValidUTF8(text, ""), ""))
}

// Describe says in few words why an attempt failed: its status where it had an
// answer, and its class unless the text names that itself.
func Describe(class string, status int, text string) string {
	if status != 0 {
		text = strings.TrimSpace(fmt.Sprintf("status %d %s", status, http.StatusText(status)))
	}
	named := strings.HasPrefix(text, class+" ") || strings.Contains(" "+text, " "+class+": ")
	if class == "" || named {
		return text
	}
	return class + ": " + text
}

func describe(r Result) string { return Describe(r.Class, r.StatusCode, r.Error) }
