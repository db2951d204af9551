package publish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"checkout-notifier/event"
)

// mostConnections is how many new connections a request may use up. A receiver
// that says goodbye instead of answering (GOAWAY) gets the request again on
// another one at once, which net/http would repeat until the deadline.
const mostConnections = 3

// trace notes how far a request got, to tell its failures apart. The transport
// calls it from several goroutines.
type trace struct {
	cancel      context.CancelFunc // gives the request up
	secured     atomic.Bool        // a TLS handshake was begun
	connected   atomic.Bool        // the request had a connection
	connections atomic.Int32
}

// on returns the context of the request, which ends with ctx.
func (t *trace) on(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeStart: t.securing, GotConn: t.got})
}

func (t *trace) securing() { t.secured.Store(true) }

func (t *trace) got(info httptrace.GotConnInfo) {
	t.connected.Store(true)
	_ = info.Conn.SetDeadline(time.Time{}) // one of dialling, see newTransport
	if !info.Reused && t.connections.Add(1) > mostConnections {
		t.cancel()
	}
}

// over says whether the time of a context has come, even if nobody has told it yet:
// a connection has a deadline at nearly the same moment, and what it cuts off may
// look like a broken answer.
func over(ctx context.Context) bool {
	deadline, set := ctx.Deadline()
	return ctx.Err() != nil || set && !time.Now().Before(deadline)
}

// classify names what went wrong with a request that had no answer.
func (t *trace) classify(ctx context.Context, err error) Result {
	r := Result{Outcome: event.OutcomeRefused, Contact: ContactFailed, Unsent: !t.connected.Load()}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		network     net.Error
	)
	switch {
	case errors.Is(err, ErrRefusedAddress):
		return refusedFinally(ClassRefusedAddress, ErrRefusedAddress)
	case t.connections.Load() > mostConnections:
		r.Class, r.Error = ClassConnect, "the connection was closed before an answer, again and again"
	case errors.As(err, &dns):
		r.Class, r.Error = ClassDNS, "the host name was not resolved: "+dns.Err
	case over(ctx) || errors.As(err, &network) && network.Timeout():
		r.Class, r.Error = ClassTimeout, "no answer within the timeout"
		if t.connected.Load() {
			r.Contact = ContactMade // it listens, and is slow
		}
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record), errors.As(err, &alert):
		r.Class, r.Error = ClassTLS, reasonOf(err)
	case t.connected.Load():
		r.Class, r.Error = ClassConnect, "the connection broke before an answer: "+reasonOf(err)
	case t.secured.Load():
		r.Class, r.Error = ClassTLS, reasonOf(err)
	default:
		r.Class, r.Error = ClassConnect, reasonOf(err)
	}
	switch {
	case !t.connected.Load() && strings.Contains(err.Error(), "malformed HTTP"): // before there is a connection only a proxy speaks HTTP
		r.Error = "the proxy does not answer in HTTP: " + r.Error
	case ofProxy(err):
		r.Error = "the proxy cannot be reached: " + r.Error
	}
	return r
}

// ofProxy says whether it was the way to the destination's proxy that failed.
func ofProxy(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "proxyconnect" // that is how net/http says so
}
