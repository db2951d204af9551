package publish

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"checkout-notifier/secret"
)

// reservedHeaders cannot be configured: they are the transport's or ours.
var reservedHeaders = map[string]string{
	"Host": "the URL says it", "Content-Length": "the body says it", "Content-Type": "see content_type",
	"User-Agent": "it is notifier's", "Stripe-Signature": "it is signed", "Accept-Encoding": "no compression is offered",
	"Connection": "it is hop-by-hop", "Proxy-Connection": "it is hop-by-hop", "Keep-Alive": "it is hop-by-hop",
	"Proxy-Authenticate": "it is hop-by-hop", "Proxy-Authorization": "it is hop-by-hop", "Te": "it is hop-by-hop",
	"Trailer": "it is hop-by-hop", "Transfer-Encoding": "it is hop-by-hop", "Upgrade": "it is hop-by-hop",
	"Expect": "it changes the exchange",
}

const (
	headerLimit      = 50
	headerValueLimit = 8 << 10
)

// checkHeaders turns the configured headers into those of a request.
func checkHeaders(configured map[string]secret.String, auth Auth) (http.Header, error) {
	if len(configured) > headerLimit {
		return nil, fmt.Errorf("headers: at most %d", headerLimit)
	}
	header := make(http.Header, len(configured)+1)
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		value := configured[name].Reveal()
		canonical := http.CanonicalHeaderKey(name)
		reason, reserved := reservedHeaders[canonical]
		switch {
		case !validHeaderName(name):
			problems = append(problems, fmt.Errorf("headers: %q is not a header name", name))
		case reserved:
			problems = append(problems, fmt.Errorf("headers: %s cannot be set: %s", name, reason))
		case strings.HasPrefix(canonical, "Webhook-"):
			problems = append(problems, fmt.Errorf("headers: %s cannot be set: webhook-* are the signature's", name))
		case header[canonical] != nil:
			problems = append(problems, fmt.Errorf("headers: %s is given twice", name))
		case !validHeaderValue(value) || len(value) > headerValueLimit:
			problems = append(problems, fmt.Errorf("headers: the value of %s is not a header value", name))
		default:
			header.Set(name, value)
		}
	}
	if err := setAuthorization(header, auth); err != nil {
		problems = append(problems, err)
	}
	return header, errors.Join(problems...)
}

func setAuthorization(header http.Header, auth Auth) error {
	basic := auth.Basic.Username != "" || auth.Basic.Password != ""
	switch {
	case auth.Bearer == "" && !basic:
		return nil
	case auth.Bearer != "" && basic:
		return errors.New("auth: either bearer or basic")
	case header.Get("Authorization") != "":
		return errors.New("auth: headers already has Authorization")
	case basic && strings.Contains(auth.Basic.Username, ":"):
		return errors.New("auth: a user name has no colon")
	case basic:
		r := http.Request{Header: header}
		r.SetBasicAuth(auth.Basic.Username, auth.Basic.Password.Reveal())
	case !validHeaderValue(auth.Bearer.Reveal()):
		return errors.New("auth: bearer is not a header value")
	default:
		header.Set("Authorization", "Bearer "+auth.Bearer.Reveal())
	}
	return nil
}

// validHeaderName says whether a name is a token of RFC 9110.
func validHeaderName(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// validHeaderValue says whether a value has no control characters and no space
// at its ends.
func validHeaderValue(value string) bool {
	if strings.Trim(value, " \t") != value {
		return false
	}
	for i := range len(value) {
		if c := value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}
