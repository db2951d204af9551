package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish/internal/sign"
	"checkout-notifier/secret"
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
	dialer    *dialer
	renderer  *Renderer
	signer    sign.Signer
	url       *url.URL // of every request: nobody changes it
	header    http.Header
	agent     string
	timeout   time.Duration
	final     []int
	secrets   secret.List // what no attempt may keep
	barred    bool        // the URL, behind a proxy, names what network.refuse_private forbids
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
	h.signer, err = sign.New(dest.Secrets)
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
	h.transport, h.dialer, err = newTransport(dest, guard, o.Network)
	note(err)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if o.Network.RefusePrivate && dest.Proxy != "" {
		h.barred = !guard.permitsHost(h.url.Hostname())
	}
	return h, nil
}

// checkURL never quotes what it checks: the URL may carry a token.
func checkURL(key, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, fmt.Errorf("%s: not an http or https URL", key)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s: names no host", key)
	case u.User != nil:
		return nil, fmt.Errorf("%s: put user name and password under auth", key)
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port is none
	return u, nil
}

// Publish implements Publisher: one POST, within the destination's timeout.
func (h *HTTP) Publish(ctx context.Context, m Message) Result {
	if h.barred {
		return refusedFinally(ClassRefusedAddress, ErrRefusedAddress)
	}
	body, err := h.renderer.Render(m)
	if err != nil {
		return renderFailed(err, &m.Event)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	trace := &trace{cancel: cancel}
	request, err := http.NewRequestWithContext(trace.on(ctx), http.MethodPost, "", bytes.NewReader(body.Content))
	if err != nil {
		return refusedFinally(ClassRender, fmt.Errorf("building the request: %w", err))
	}
	request.URL = h.url // checked, and parsed once
	request.Header = h.headers(m.Delivery.ID, body, time.Now().Unix())
	said := &exchange{secrets: h.secrets, event: &m.Event, header: request.Header}
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		r := trace.classify(ctx, err)
		r.Error = string(said.redact([]byte(r.Error), true))
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
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	trace := &trace{cancel: cancel}
	conn, err := h.transport.NewClientConn(trace.on(ctx), h.url.Scheme, net.JoinHostPort(h.url.Hostname(), h.url.Port()))
	if err != nil {
		if errors.Is(err, ErrRefusedAddress) {
			return ErrRefusedAddress
		}
		return errors.New(string(secret.Redact([]byte(trace.classify(ctx, err).Error), true, h.secrets)))
	}
	defer func() { _ = conn.Close() }()
	if h.url.Scheme != "https" {
		return nil // it was opened and can be used, which is all there is to know
	}
	// In TLS 1.3 a server that misses our certificate says so after the handshake.
	refused := make(chan struct{}, 1)
	conn.SetStateHook(func(*http.ClientConn) {
		select {
		case refused <- struct{}{}:
		default:
		}
	})
	timer := time.NewTimer(alertWait)
	defer timer.Stop()
	for conn.Err() == nil {
		select {
		case <-refused:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return errors.New(string(secret.Redact([]byte(trace.classify(ctx, conn.Err()).Error), true, h.secrets)))
}

// alertWait is how long a server may take to refuse a handshake that we think is over.
const alertWait = time.Second

// renderFailed is the result for a body or a subject that cannot be made. A
// function of a template quotes what it cannot take, which may be private.
func renderFailed(err error, e *event.Event) Result {
	class := ClassRender
	if errors.Is(err, ErrTooLarge) {
		class = ClassBody
	}
	r := refusedFinally(class, err)
	r.Error = string(secret.Redact([]byte(r.Error), true, privateOf(e)))
	return r
}

func (h *HTTP) headers(id string, body Body, seconds int64) http.Header {
	header := h.header.Clone()
	header.Set("Content-Type", body.ContentType)
	header.Set("User-Agent", h.agent)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", strconv.FormatInt(seconds, 10))
	if signature := h.signer.Standard(id, seconds, body.Content); signature != "" {
		header.Set("Webhook-Signature", signature)
	}
	if body.Format == FormatStripe {
		if signature := h.signer.Stripe(seconds, body.Content); signature != "" {
			header.Set("Stripe-Signature", signature)
		}
	}
	return header
}

// Close implements Closer: it closes the connections.
func (h *HTTP) Close(context.Context) error {
	h.transport.CloseIdleConnections() // and gives up dialling
	h.dialer.close()
	return nil
}
