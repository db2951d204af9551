package publish

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/publish/internal/sign"
	"checkout-notifier/secret"
)

const (
	leastValue = 6 // of a header or a query: "eu" is no secret, and in every answer
	leastToken = 8
	longToken  = 24 // a word of that length that no hyphen divides is a token, too
)

// secretsOf lists what a receiver learns from a destination's configuration
// and no attempt may keep.
func secretsOf(dest Destination) secret.List {
	texts := []string{dest.Auth.Bearer.Reveal(), dest.Auth.Basic.Password.Reveal(), dest.RoutingKey.Reveal()}
	for _, s := range dest.Secrets {
		texts = append(texts, s.Reveal(), strings.TrimPrefix(s.Reveal(), sign.Prefix))
	}
	if basic := dest.Auth.Basic; basic.Username != "" {
		texts = append(texts, base64.StdEncoding.EncodeToString([]byte(basic.Username+":"+basic.Password.Reveal())))
		if basic.Password == "" {
			texts = append(texts, basic.Username) // then the name is the key
		}
	}
	for name, value := range dest.Headers {
		if !strings.HasPrefix(http.CanonicalHeaderKey(name), "Accept") {
			texts = append(texts, valueAndTokens(value.Reveal())...)
		}
	}
	texts = append(texts, secretsOfURL(dest.URL.Reveal())...)
	texts = append(texts, secretsOfURL(dest.Proxy.Reveal())...)
	return secret.NewList(secret.Encoded(texts...)...)
}

// valueAndTokens returns a value, and what looks like a token in it: a receiver
// may repeat "abc123" of "Token abc123" or "session=abc123".
func valueAndTokens(value string) []string {
	if len(value) < leastValue {
		return nil
	}
	texts := []string{value}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t;,=:\"", r) }) {
		if isToken(part) {
			texts = append(texts, part)
		}
	}
	return texts
}

// isToken says whether a word is rather made by a machine than by a person.
func isToken(word string) bool {
	digits := strings.ContainsAny(word, "0123456789")
	return len(word) >= leastToken && digits || len(word) >= longToken && !strings.ContainsAny(word, "-_.")
}

// secretsOfURL lists user name and password, query and tokens in the path, as
// they are and decoded.
func secretsOfURL(text string) []string {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return nil
	}
	var texts []string
	if u.User != nil {
		password, _ := u.User.Password()
		texts = append(texts, password, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		if password == "" {
			texts = append(texts, u.User.Username())
		}
	}
	for _, path := range []string{u.Path, u.EscapedPath()} {
		for segment := range strings.SplitSeq(path, "/") {
			if isToken(segment) {
				texts = append(texts, segment)
			}
		}
	}
	for _, part := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, paired := strings.Cut(part, "=")
		if !paired {
			value = name
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		for _, one := range []string{value, plain} {
			texts = append(texts, valueAndTokens(one)...)
		}
	}
	return texts
}

// signaturesOf lists the signatures that a request carries.
func signaturesOf(request http.Header) secret.List {
	var texts []string
	for _, value := range []string{request.Get("Webhook-Signature"), request.Get("Stripe-Signature")} {
		for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' }) {
			if part = strings.TrimPrefix(part, "v1="); len(part) > longToken {
				texts = append(texts, part)
			}
		}
	}
	return secret.NewList(texts...)
}

// person is who a session, or a part of it, tells of.
type person struct {
	Name    string `json:"name"`
	Email   string `json:"email"`
	Phone   string `json:"phone"`
	Address struct {
		Line1 string `json:"line1"`
		Line2 string `json:"line2"`
	} `json:"address"`
}

func (p *person) texts() []string {
	var texts []string
	for _, text := range []string{p.Name, p.Email, p.Phone, p.Address.Line1, p.Address.Line2} {
		if len(text) >= leastValue {
			texts = append(texts, text)
		}
	}
	return texts
}

// privateOf lists what an event says of the customer: how to pay in their
// stead, and who they are.
func privateOf(e *event.Event) secret.List {
	var texts []string
	for _, raw := range []json.RawMessage{e.Object, e.PreviousAttributes} {
		var session struct {
			URL             string `json:"url"`
			CustomerEmail   string `json:"customer_email"`
			CustomerDetails person `json:"customer_details"`
			Shipping        person `json:"shipping"`
		}
		// A member of another type is passed over, and the rest is filled in.
		_ = json.Unmarshal(raw, &session)
		texts = append(texts, payLink(session.URL), session.CustomerEmail)
		texts = append(texts, session.CustomerDetails.texts()...)
		texts = append(texts, session.Shipping.texts()...)
	}
	return secret.NewList(texts...)
}

// payLink returns what of a link leads to the payment: all but the host, which
// other links share.
func payLink(link string) string {
	_, rest, _ := strings.Cut(link, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 && len(rest)-i >= leastToken {
		return rest[i:]
	}
	return link
}
