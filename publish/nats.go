package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"checkout-notifier/event"
)

// ackTimeout bounds the wait for the server: for a stream's acknowledgement,
// for a PONG, for the answer about a stream.
const ackTimeout = 5 * time.Second

const noteDuplicate = "duplicate"

// NATSPublisher publishes messages to NATS subjects, through a stream's
// acknowledgement or, in core NATS, up to the server. It is safe for concurrent
// use and implements Publisher, Prober, Waker, Router and Closer.
//
// Any number of Publish may run at once: their messages share the connection's
// writes, and in core NATS its PINGs, so that many cost few round trips. The
// callers bound how many are on their way.
type NATSPublisher struct {
	dest     Destination
	renderer *Renderer
	conn     *connection
	link     atomic.Pointer[link] // that it was given last
	ready    atomic.Pointer[func()]
	subjects []string // that the stream must have, when it is to be ensured

	ensured   atomic.Bool // nothing is to be done about the stream
	ensureOff rest        // until it is tried again
	ensuring  sync.Mutex
	stood     bool // the stream was there, or made; guarded by ensuring
	complaint atomic.Pointer[complaint]
	discreet  rest // from questions about streams, because one was denied
}

// NewNATS checks a destination of type nats and reads its context and
// credentials. It does not connect. Destinations with equal settings share one
// of the connections. Its errors quote no secret.
func NewNATS(dest Destination, renderer *Renderer, connections *Connections) (*NATSPublisher, error) {
	p := &NATSPublisher{dest: dest, renderer: renderer}
	if dest.Mode != ModeBinary && dest.Mode != ModeStructured && dest.Mode != "" {
		return nil, fmt.Errorf("mode: %q is neither binary nor structured", dest.Mode)
	}
	if !dest.JetStream && (dest.Stream.Name != "" || dest.Stream.Ensure) {
		return nil, errors.New("stream: only with jetstream: true")
	}
	if dest.Stream.Ensure {
		var err error
		if p.subjects, err = renderer.streamSubjects(); err != nil {
			return nil, fmt.Errorf("stream: %w", err)
		}
	}
	settings, err := resolveNATS(dest)
	if err != nil {
		return nil, err
	}
	if p.conn, err = connections.get(settings); err != nil {
		return nil, err
	}
	return p, nil
}

// Available implements Prober: nil while the server is connected.
func (p *NATSPublisher) Available(ctx context.Context) error {
	l, err := p.conn.open(p)
	if err != nil {
		return err
	}
	return p.ensure(ctx, l)
}

// OnReady sets what is called whenever the connection has come up or back, so
// that nobody need wait for the next probe. f must not block. The connection is
// made by the first Available or Publish.
func (p *NATSPublisher) OnReady(f func()) { p.ready.Store(&f) }

// complaint is what Complaint says.
type complaint struct {
	text string
	lost time.Time
}

// Complaint implements Complainer: a stream that could not be brought up to date, or, for a
// day, that was gone.
func (p *NATSPublisher) Complaint() (what string, lost time.Time) {
	if c := p.complaint.Load(); c != nil && (c.lost.IsZero() || time.Since(c.lost) < 24*time.Hour) {
		return c.text, c.lost
	}
	return "", time.Time{}
}

// Publish implements Publisher.
func (p *NATSPublisher) Publish(ctx context.Context, m Message) Result {
	message, err := p.message(&m)
	if err != nil {
		return renderFailed(err, &m.Event)
	}
	l, err := p.conn.use(p)
	if err == nil {
		err = p.ensure(ctx, l)
	}
	subject := message.Subject
	if err != nil {
		return p.failed(&m, subject, l, err)
	}
	if ctx.Err() != nil {
		return p.failed(&m, subject, l, context.Cause(ctx))
	}
	if !p.dest.JetStream {
		if err := l.publish(ctx, message); err != nil {
			return p.failed(&m, subject, l, err)
		}
		return Result{Outcome: event.OutcomeAccepted, Contact: ContactMade}
	}
	if m.Probe {
		if name := p.mute(ctx, l, subject); name != "" {
			return blocked(subject, neverAcknowledges(name)) // it would store the message again
		}
	}
	duplicate, err := l.publishAcknowledged(ctx, message)
	if errors.Is(err, errNoAnswer) {
		return p.unanswered(ctx, l, subject, err)
	}
	if err != nil {
		return p.failed(&m, subject, l, err)
	}
	r := Result{Outcome: event.OutcomeAccepted, Contact: ContactMade}
	if duplicate {
		r.Note = noteDuplicate
	}
	return r
}

// Subject implements Router.
func (p *NATSPublisher) Subject(m Message) (string, error) { return p.renderer.Subject(m) }

// Close implements Closer. The last user of a shared connection drains it.
func (p *NATSPublisher) Close(ctx context.Context) error { return p.conn.release(ctx, p) }
