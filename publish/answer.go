package publish

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/secret"
)

const (
	answerKept = 4 << 10 // of an answer's body, for the record
	answerRead = 8 << 10 // before the connection is given up

	// A shorter text without "//" and "@" repeats no signature, link or address,
	// and is not worth taking the session apart for: a date, a type, an id.
	leastEcho        = 40
	answerHeaders    = 20
	answerHeaderKept = 256
)

// answer judges a response. Its status line decides: a receiver that said 2xx
// has the event, whatever becomes of the rest of its answer.
func (h *HTTP) answer(response *http.Response, said *exchange) Result {
	status := response.StatusCode
	r := Result{Outcome: event.OutcomeAccepted, Contact: ContactMade, StatusCode: status}
	r.Answer, r.Note = said.read(response)
	r.Headers = said.headers(response.Header)
	if status >= 200 && status <= 299 {
		return r
	}
	r.Outcome, r.Class = event.OutcomeRefused, ClassStatus
	r.Error = "answered " + strconv.Itoa(status)
	if status >= 300 && status <= 399 {
		r.Error += ", and redirects are not followed"
	}
	r.RetryAfter = retryAfter(response.Header)
	r.Throttled = status == http.StatusTooManyRequests
	r.Gone = status == http.StatusGone
	r.Final = slices.Contains(h.final, status)
	return r
}

// exchange is a request and what must not be kept of an answer to it.
type exchange struct {
	secrets secret.List // of the destination
	event   *event.Event
	header  http.Header
	private secret.List // of this request, see known
}

// known lists what this request has told the receiver besides the secrets of
// its destination. It is found out when it is needed: hardly ever.
func (x *exchange) known() secret.List {
	if x.private == nil {
		x.private = append(signaturesOf(x.header), privateOf(x.event)...)
	}
	return x.private
}

func (x *exchange) redact(text []byte, cut bool) []byte {
	if len(text) < leastEcho && bytes.IndexByte(text, '@') < 0 && !bytes.Contains(text, []byte("//")) {
		return secret.Redact(text, cut, x.secrets)
	}
	return secret.Redact(text, cut, x.secrets, x.known())
}

// read returns what is kept of an answer's body. A short rest is read so that
// the connection can be used again, and so that a secret is recognised that
// begins in the part that is kept. What comes compressed was not asked for, and
// stays as it is: nothing is ever unpacked.
func (x *exchange) read(response *http.Response) (kept []byte, note string) {
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil, "" // behind it is the bare connection, which no deadline ends
	}
	var body []byte
	var err error
	if response.Body != http.NoBody {
		body, err = io.ReadAll(io.LimitReader(response.Body, answerRead))
	}
	if err != nil {
		note = "the answer was cut"
	} else if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		note = "the answer came compressed, unasked"
	}
	body = x.redact(body, err != nil || len(body) == answerRead)
	return body[:min(len(body), answerKept)], note
}

// telling are the headers of an answer that help to find out what went wrong,
// and by which a receiver finds the request in its own records.
var telling = []string{
	"Content-Type", "Content-Encoding", "Retry-After", "Server", "Date", "Location", "Www-Authenticate", "Proxy-Authenticate", "Allow",
	"X-Request-Id", "Request-Id", "X-Correlation-Id", "Correlation-Id", "X-Trace-Id", "Traceparent", "X-B3-Traceid",
	"Cf-Ray", "X-Amzn-Requestid", "X-Amzn-Trace-Id", "X-Amz-Request-Id", "X-Amz-Cf-Id", "X-Cloud-Trace-Context", "X-Ms-Request-Id",
	"X-Azure-Ref", "X-Vercel-Id", "Fly-Request-Id", "X-Slack-Req-Id", "X-Nf-Request-Id", "X-Runtime-Id",
}

// headers returns what is kept of an answer's headers, by names in lower case.
func (x *exchange) headers(all http.Header) map[string]string {
	var kept map[string]string
	for _, name := range telling {
		values := all[name]
		if len(values) == 0 || values[0] == "" || len(kept) == answerHeaders {
			continue
		}
		value := values[0]
		if name == "Location" {
			value = hostOf(value)
		}
		cut := len(value) > 2*answerHeaderKept
		value = string(x.redact([]byte(value[:min(len(value), 2*answerHeaderKept)]), cut))
		if kept == nil {
			kept = make(map[string]string, 4)
		}
		kept[strings.ToLower(name)] = strings.ToValidUTF8(value[:min(len(value), answerHeaderKept)], "")
	}
	return kept
}

// hostOf returns where a redirect leads, without what its path and query may
// hold.
func hostOf(location string) string {
	u, err := url.Parse(location)
	switch {
	case err != nil:
		return "not a URL"
	case u.Host == "":
		return "the same host"
	case u.Scheme == "":
		return "//" + u.Host
	}
	return u.Scheme + "://" + u.Host
}

// retryAfter reads seconds or an HTTP date, which counts from the answer's own
// Date; anything else asks for nothing.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest that fits
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	from, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		from = time.Now()
	}
	return max(0, at.Sub(from))
}
