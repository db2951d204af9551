package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"checkout-notifier/event"
)

const (
	answerKept      = 4 << 10 // of an answer's body, for the record
	answerRead      = 8 << 10 // before the connection is given up
	responseHeaders = 64 << 10
	writeBuffer     = 16 << 10
	idleTimeout     = 90 * time.Second
)

// HTTPOptions are what HTTP publishers share.
type HTTPOptions struct {
	Version string // of the program, for User-Agent
	Network Network
}

// HTTP posts messages to a callback. It is safe for concurrent use and
// implements Publisher and Closer.
type HTTP struct {
	// The transport is used without a client: that would read the Location of a
	// redirect, and fail instead of answering where it is not a URL.
	transport *http.Transport
	renderer  *Renderer
	signer    signer
	url       string
	header    http.Header
	agent     string
	timeout   time.Duration
	final     []int
}

// NewHTTP checks a destination of type http, reads its certificates and builds
// its own transport. It does not connect. Its errors quote no secret.
func NewHTTP(dest Destination, renderer *Renderer, o HTTPOptions) (*HTTP, error) {
	h := &HTTP{
		renderer: renderer, timeout: dest.Timeout, final: dest.Retry.FinalStatuses,
		agent: "notifier/" + cmp.Or(o.Version, "dev"),
	}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	var err error
	h.url, err = checkURL("url", dest.URL.Reveal())
	note(err)
	h.signer, err = newSigner(dest.Secrets)
	note(err)
	h.header, err = checkHeaders(dest.Headers, dest.Auth)
	note(err)
	if dest.Timeout <= 0 {
		note(errors.New("timeout: longer than 0"))
	}
	if gone := dest.Retry.OnGone; gone != "" && gone != OnGoneRetry && gone != OnGonePause {
		note(fmt.Errorf("retry.on_gone: %q is neither retry nor pause", gone))
	}
	for _, status := range dest.Retry.FinalStatuses {
		if status < 300 || status > 599 {
			note(fmt.Errorf("retry.final_statuses: %d is not a status of a refusal", status))
		}
	}
	h.transport, err = newTransport(dest, o.Network)
	note(err)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return h, nil
}

// checkURL never quotes what it checks: the URL may carry a token.
func checkURL(key, text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https"):
		return "", fmt.Errorf("%s: not an http or https URL", key)
	case u.Hostname() == "":
		return "", fmt.Errorf("%s: names no host", key)
	case u.User != nil:
		return "", fmt.Errorf("%s: put user name and password under auth", key)
	}
	return text, nil
}

func newTransport(dest Destination, network Network) (*http.Transport, error) {
	// The transport goes on dialling after the request was given up, so that
	// another one may have the connection: dialling has an end of its own.
	dialer := net.Dialer{Timeout: dest.Timeout}
	guard, err := newGuard(dialer, dest.AllowNetworks)
	if err != nil {
		return nil, err
	}
	config, err := clientTLS(dest.TLS)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dest.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           dest.Concurrency,
		MaxIdleConnsPerHost:    dest.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: responseHeaders,
		WriteBufferSize:        writeBuffer,
		// All requests share one connection of HTTP/2. If nobody is left at its
		// other end, they would time out on it until the kernel notices.
		HTTP2: &http.HTTP2Config{SendPingTimeout: dest.Timeout, PingTimeout: dest.Timeout},
	}
	if network.RefusePrivate {
		t.DialContext = guard.dial
	}
	if dest.Proxy != "" {
		u, err := url.Parse(dest.Proxy.Reveal())
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return nil, errors.New("proxy: not an http, https or socks5 URL")
		}
		t.Proxy = http.ProxyURL(u)
	}
	return t, nil
}

// clientTLS reads the PEM files of a destination.
func clientTLS(files TLS) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: no certificate in %s", files.CA)
		}
		config.RootCAs = pool
	}
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("tls: cert and key belong together")
	}
	if files.Cert != "" {
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Publish implements Publisher: one POST, within the destination's timeout.
func (h *HTTP) Publish(ctx context.Context, m Message) Result {
	body, err := h.renderer.Render(m)
	if err != nil {
		return renderFailed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	trace := &trace{}
	request, err := http.NewRequestWithContext(trace.on(ctx), http.MethodPost, h.url, bytes.NewReader(body.Content))
	if err != nil {
		return refusedFinally(ClassRender, errors.New("building the request: the URL cannot be used"))
	}
	request.Header = h.headers(m.Delivery.ID, body, time.Now().Unix())
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		return trace.classify(ctx, err)
	}
	defer response.Body.Close()
	return h.answer(response)
}

// renderFailed is the result for a body that cannot be made.
func renderFailed(err error) Result {
	if errors.Is(err, ErrTooLarge) {
		return refusedFinally(ClassBody, err)
	}
	return refusedFinally(ClassRender, err)
}

func (h *HTTP) headers(id string, body Body, seconds int64) http.Header {
	header := h.header.Clone()
	header.Set("Content-Type", body.ContentType)
	header.Set("User-Agent", h.agent)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", strconv.FormatInt(seconds, 10))
	if signature := h.signer.standard(id, seconds, body.Content); signature != "" {
		header.Set("Webhook-Signature", signature)
	}
	if body.Format == FormatStripe {
		if signature := h.signer.stripe(seconds, body.Content); signature != "" {
			header.Set("Stripe-Signature", signature)
		}
	}
	return header
}

// answer judges a response. Its status line decides: a receiver that said 2xx
// has the event, whatever becomes of the rest of its answer.
func (h *HTTP) answer(response *http.Response) Result {
	var rest io.Reader = response.Body
	if response.StatusCode == http.StatusSwitchingProtocols {
		rest = http.NoBody // behind it is the bare connection, which no deadline ends
	}
	kept, err := io.ReadAll(io.LimitReader(rest, answerKept))
	if err == nil {
		// A short rest is read so that the connection can be used again.
		_, err = io.CopyN(io.Discard, rest, answerRead-answerKept)
	}
	r := Result{
		Outcome: event.OutcomeAccepted, Contact: ContactMade, StatusCode: response.StatusCode, Answer: kept,
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.Note = "the answer was cut"
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return r
	}
	r.Outcome, r.Class = event.OutcomeRefused, ClassStatus
	r.Error = "answered " + strconv.Itoa(response.StatusCode)
	if response.StatusCode >= 300 && response.StatusCode <= 399 {
		r.Error += ", and redirects are not followed"
	}
	r.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	r.Throttled = response.StatusCode == http.StatusTooManyRequests
	r.Gone = response.StatusCode == http.StatusGone
	r.Final = slices.Contains(h.final, response.StatusCode)
	return r
}

// retryAfter reads seconds or an HTTP date; anything else asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest that fits
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// Close implements Closer: it closes the connections that are idle.
func (h *HTTP) Close(context.Context) error {
	h.transport.CloseIdleConnections()
	return nil
}
