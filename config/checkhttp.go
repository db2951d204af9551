package config

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

func (l *loader) checkHTTP(path string, d *publish.Destination) {
	if at := join(path, "url"); l.required(at, d.URL.Reveal()) {
		if u := l.webURL(at, d.URL.Reveal(), "http", "https"); u != nil {
			if u.User != nil {
				l.errorf(at, codeSecret, "%s must not contain a user name: put it under auth", at)
			}
			if u.Scheme == "http" && !private(u.Hostname()) {
				l.warnf(at, codePlainHTTP, "%s sends customers' data over plain HTTP to a public network", at)
			}
			if l.config.Network.RefusePrivate && !d.PermitsHost(u.Hostname()) {
				l.warnf(at, codePrivate, "%s names an address that network.refuse_private forbids: each delivery would be a dead letter at once, unless allow_networks has it", at)
			}
		}
	}
	l.checkSecrets(path, d)
	l.checkHeaders(path, d)
	l.checkAuth(path, d.Auth)
	l.checkTLS(join(path, "tls"), d.TLS.CA, d.TLS.Cert, d.TLS.Key)
	if proxy := d.Proxy.Reveal(); proxy != "" {
		l.webURL(join(path, "proxy"), proxy, "http", "https", "socks5", "socks5h")
	}
	l.between(join(path, "timeout"), d.Timeout, time.Millisecond, longestTimeout)
	l.checkFormatKeys(path, d)
	for i, status := range d.Retry.FinalStatuses {
		at := index(join(path, "retry.final_statuses"), i)
		l.within(at, status, leastStatus, greatestStatus)
		if slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, status) || status >= http.StatusInternalServerError {
			l.warnf(at, codeGivesUp, "%s: a receiver that answers %d is in trouble for a while, and what it refuses then would be a dead letter at once: leave %[2]d out, so that it is tried again", at, status)
		}
	}
	l.oneOf(join(path, "retry.on_gone"), d.Retry.OnGone, publish.OnGoneRetry, publish.OnGonePause)
	if at := join(path, "allow_networks"); len(d.AllowNetworks) > 0 && !l.config.Network.RefusePrivate {
		l.warnf(at, codePrivate, "%s restricts nothing: it lists exceptions of network.refuse_private, which is off", at)
	}
	for i, network := range d.AllowNetworks {
		at := index(join(path, "allow_networks"), i)
		if _, err := netip.ParsePrefix(network); err != nil {
			l.errorf(at, codeValue, "%s must be a network in CIDR form, such as 10.0.0.0/8", at)
		}
	}
}

// checkFormatKeys checks the keys that belong to one format.
func (l *loader) checkFormatKeys(path string, d *publish.Destination) {
	formats := []string{d.Format}
	for _, rule := range l.config.Rules {
		if slices.Contains(rule.To, d.Name) && rule.Format != "" {
			formats = append(formats, rule.Format)
		}
	}
	if slices.Contains(formats, publish.FormatPagerDuty) {
		l.required(join(path, "routing_key"), d.RoutingKey.Reveal())
	} else if d.RoutingKey != "" {
		l.errorf(join(path, "routing_key"), codeConflict, "%s.routing_key has no effect without format pagerduty", path)
	}
	if d.APIVersion != "" && !slices.Contains(formats, publish.FormatStripe) {
		l.errorf(join(path, "api_version"), codeConflict, "%s.api_version has no effect without format stripe", path)
	}
}

func (l *loader) checkSecrets(path string, d *publish.Destination) {
	for i, text := range d.Secrets {
		l.checkSigningSecret(index(join(path, "secrets"), i), text)
	}
	signed := d.Format == publish.FormatCloudEvents || d.Format == publish.FormatStripe
	if len(d.Secrets) == 0 && signed && !l.untouchable(join(path, "secrets")) {
		l.warnf(join(path, "url"), codeUnsigned, "%s has no secrets: its receiver cannot tell our callbacks from others", destinationName(path, d))
	}
}

// destinationName names a destination for people, by its place while it has no name.
func destinationName(path string, d *publish.Destination) string {
	if d.Name == "" {
		return path
	}
	return "destination " + quote(d.Name)
}

// checkSigningSecret says what is wrong with a secret without repeating it.
func (l *loader) checkSigningSecret(path string, text secret.String) {
	if !l.required(path, text.Reveal()) {
		return
	}
	encoded, ok := strings.CutPrefix(text.Reveal(), signingPrefix)
	if !ok {
		l.errorf(path, codeSecret, "%s must begin with whsec_, followed by the Base64 of 24 to 64 bytes", path)
		return
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		l.errorf(path, codeSecret, "%s is not Base64 behind whsec_: make one with echo \"whsec_$(openssl rand -base64 32)\"", path)
	case len(key) < shortestKey || len(key) > longestKey:
		l.errorf(path, codeSecret, "%s holds %d bytes behind whsec_, not %d to %d", path, len(key), shortestKey, longestKey)
	}
}

// reserved are the headers that a delivery sets itself, besides webhook-*.
var reserved = []string{
	"Host", "Content-Type", "Content-Length", "User-Agent", "Stripe-Signature", "Accept-Encoding", "Expect",
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// Limits of headers, as HTTP servers have them.
const (
	mostHeaders        = 50
	longestHeaderValue = 8 << 10
	reservedPrefix     = "Webhook-"
)

func (l *loader) checkHeaders(path string, d *publish.Destination) {
	headers := join(path, "headers")
	if len(d.Headers) > mostHeaders {
		l.errorf(headers, codeValue, "%s has more than %d headers", headers, mostHeaders)
		return
	}
	first := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		at, canonical, value := join(headers, name), textproto.CanonicalMIMEHeaderKey(name), d.Headers[name].Reveal()
		switch {
		case !validHeaderName(name):
			l.errorf(at, codeValue, "%s: %s is no header name", headers, quote(name))
		case slices.Contains(reserved, canonical) || strings.HasPrefix(canonical, reservedPrefix):
			l.errorf(at, codeConflict, "%s: %s is set by every delivery itself", headers, canonical)
		case first[canonical] != "":
			l.errorf(at, codeDuplicate, "%s: %s and %s are the same header", headers, first[canonical], name)
		case canonical == "Authorization" && (d.Auth.Bearer != "" || d.Auth.Basic != publish.BasicAuth{}):
			l.errorf(at, codeConflict, "%s: Authorization is set by auth as well", headers)
		case !validHeaderValue(value) || len(value) > longestHeaderValue:
			l.errorf(at, codeValue, "%s: the value of %s is no header value", headers, canonical)
		}
		first[canonical] = name
	}
}

func validHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// validHeaderValue refuses control characters, and white space at the ends.
func validHeaderValue(value string) bool {
	return strings.TrimSpace(value) == value && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func (l *loader) checkAuth(path string, auth publish.Auth) {
	path = join(path, "auth")
	switch {
	case auth.Bearer != "" && auth.Basic != publish.BasicAuth{}:
		l.errorf(path, codeConflict, "%s takes bearer or basic, not both", path)
	case auth.Basic.Username == "" && auth.Basic.Password != "":
		l.required(join(path, "basic.username"), "")
	case strings.Contains(auth.Basic.Username, ":"):
		l.errorf(join(path, "basic.username"), codeValue, "%s.basic.username must not contain a colon", path)
	case !validHeaderValue(auth.Bearer.Reveal()):
		l.errorf(join(path, "bearer"), codeSecret, "%s.bearer contains a line break or another control character", path)
	case strings.HasPrefix(strings.ToLower(auth.Bearer.Reveal()), "bearer "):
		l.errorf(join(path, "bearer"), codeSecret, "%s.bearer begins with the word Bearer, which is added by itself", path)
	}
}
