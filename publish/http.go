package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	responseHeaders = 64 << 10
	receiveBuffer   = 256 << 10
	writeBuffer     = 16 << 10
	idleTimeout     = 90 * time.Second
)

// HTTPOptions are what HTTP publishers share.
type HTTPOptions struct {
	Version  string // of the program, for User-Agent
	Network  Network
	Resolver *net.Resolver // of host names; nil: the system's
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
	secrets   []hidden // what no attempt may keep
	barred    bool     // the URL, behind a proxy, names what network.refuse_private forbids
}

// NewHTTP checks a destination of type http, reads its certificates and builds
// its own transport. It does not connect. Its errors quote no secret.
func NewHTTP(dest Destination, renderer *Renderer, o HTTPOptions) (*HTTP, error) {
	h := &HTTP{
		renderer: renderer, timeout: dest.Timeout, final: dest.Retry.FinalStatuses, secrets: secretsOf(dest),
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
	guard, err := newGuard(net.Dialer{Timeout: dest.Timeout, Resolver: o.Resolver}, dest.AllowNetworks)
	note(err)
	h.transport, err = newTransport(dest, guard, o.Network)
	note(err)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if o.Network.RefusePrivate && dest.Proxy != "" {
		u, err := url.Parse(h.url)
		h.barred = err != nil || !guard.permitsHost(u.Hostname())
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

func newTransport(dest Destination, guard *guard, network Network) (*http.Transport, error) {
	config, err := clientTLS(dest.TLS)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		DialContext:            guard.dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dest.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           dest.Concurrency,
		MaxIdleConnsPerHost:    dest.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: responseHeaders,
		WriteBufferSize:        writeBuffer,
		HTTP2: &http.HTTP2Config{
			// All requests share one connection of HTTP/2. If nobody is left at its
			// other end, they would time out on it until the kernel notices.
			SendPingTimeout: dest.Timeout, PingTimeout: dest.Timeout,
			// What is sent is kept until it is read, and little of it is read.
			MaxReceiveBufferPerStream: 2 * answerRead, MaxReceiveBufferPerConnection: receiveBuffer,
		},
	}
	if dest.Proxy != "" {
		return t, throughProxy(t, dest)
	}
	if network.RefusePrivate {
		t.DialContext = guard.dial
	}
	return t, nil
}

// throughProxy sends everything through the destination's proxy. The operator
// has named it, so that its address is none to be refused.
func throughProxy(t *http.Transport, dest Destination) error {
	u, err := url.Parse(dest.Proxy.Reveal())
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("proxy: not an http, https or socks5 URL")
	}
	t.Proxy = http.ProxyURL(u)
	// The transport goes on dialling after the request was given up, so that
	// another one may have the connection; a proxy that takes it and says nothing
	// would keep it. The trace takes the deadline off when a request gets it.
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn, conn.SetDeadline(time.Now().Add(dest.Timeout))
	}
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
		if response.StatusCode != http.StatusOK {
			return proxyRefusal(response.StatusCode)
		}
		return nil
	}
	return nil
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
	if h.barred {
		return refusedFinally(ClassRefusedAddress, ErrRefusedAddress)
	}
	body, err := h.renderer.Render(m)
	if err != nil {
		return renderFailed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	trace := &trace{}
	traced, done := trace.on(ctx)
	defer done()
	request, err := http.NewRequestWithContext(traced, http.MethodPost, h.url, bytes.NewReader(body.Content))
	if err != nil {
		return refusedFinally(ClassRender, errors.New("building the request: the URL cannot be used"))
	}
	request.Header = h.headers(m.Delivery.ID, body, time.Now().Unix())
	said := &exchange{secrets: h.secrets, event: &m.Event, header: request.Header}
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		r := trace.classify(ctx, err)
		r.Error = string(said.scrub([]byte(r.Error), true))
		return r
	}
	defer response.Body.Close()
	return h.answer(response, said)
}

// Reach connects to the destination as a delivery would, through its proxy and
// with its certificates, and sends nothing. Its errors quote no secret.
func (h *HTTP) Reach(ctx context.Context) error {
	if h.barred {
		return ErrRefusedAddress
	}
	u, err := url.Parse(h.url)
	if err != nil {
		return errors.New("the URL cannot be used")
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	trace := &trace{}
	traced, done := trace.on(ctx)
	defer done()
	conn, err := h.transport.NewClientConn(traced, u.Scheme, net.JoinHostPort(u.Hostname(), u.Port()))
	if err != nil {
		r := trace.classify(ctx, err)
		return errors.New(r.Class + ": " + string(scrub([]byte(r.Error), true, h.secrets)))
	}
	// It was opened and can be used, which is all there is to know.
	_ = conn.Close()
	return nil
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

// Close implements Closer: it closes the connections that are idle.
func (h *HTTP) Close(context.Context) error {
	h.transport.CloseIdleConnections()
	return nil
}
