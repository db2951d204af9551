package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/event"
)

// ackTimeout bounds the wait for the server: for a stream's acknowledgement,
// for a PONG, for the answer about a stream.
const ackTimeout = 5 * time.Second

// Names of headers; NATS tells lower from upper case.
const (
	headerContentType       = "Content-Type"
	headerBinaryContentType = "content-type"
	headerAttribute         = "ce-"
	contentStructured       = "application/cloudevents+json"
	noteDuplicate           = "duplicate"
)

// NATSPublisher publishes messages to NATS subjects, through a stream's
// acknowledgement or, in core NATS, up to the server. It is safe for concurrent
// use and implements Publisher, Prober and Closer.
type NATSPublisher struct {
	dest     Destination
	renderer *Renderer
	conn     *connection
	subjects []string // that the stream must have, when it is to be ensured

	mu      sync.Mutex // guards ensured
	ensured bool
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

// Available implements Prober: nil while the server is connected and, where it
// is to be ensured, the stream is there.
func (p *NATSPublisher) Available(ctx context.Context) error {
	_, js, err := p.conn.open(p)
	if err != nil {
		return err
	}
	return p.ensure(ctx, js)
}

// Publish implements Publisher.
func (p *NATSPublisher) Publish(ctx context.Context, m Message) Result {
	message, err := p.message(m)
	if err != nil {
		return renderFailed(err)
	}
	nc, js, err := p.conn.open(p)
	if err != nil {
		return unavailable(err.Error())
	}
	if err := p.ensure(ctx, js); err != nil {
		return unavailable(err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	ctx, done := p.conn.watch(ctx, message.Subject)
	defer done()
	if p.dest.JetStream {
		return p.publishStream(ctx, js, message, nc.MaxPayload())
	}
	return p.publishCore(ctx, nc, message)
}

func (p *NATSPublisher) publishCore(ctx context.Context, nc *nats.Conn, message *nats.Msg) Result {
	connections := nc.Stats().Reconnects
	err := ctx.Err()
	if err == nil {
		err = nc.PublishMsg(message)
	}
	if err == nil {
		err = nc.FlushWithContext(ctx)
	}
	if err == nil && nc.Stats().Reconnects != connections {
		err = errLost // the PONG may speak for the new connection, the message for the old
	}
	if err == nil {
		p.conn.settle(ctx, nc) // a denial comes before the PONG
		if cause := context.Cause(ctx); errors.Is(cause, ErrDenied) {
			err = cause
		}
	}
	if err != nil {
		return p.failed(ctx, err, nc.MaxPayload())
	}
	return Result{Outcome: event.OutcomeAccepted, Contact: ContactMade}
}

func (p *NATSPublisher) publishStream(ctx context.Context, js jetstream.JetStream, message *nats.Msg, limit int64) Result {
	if err := p.conn.deaf(); err != nil {
		return p.failed(ctx, err, limit)
	}
	var options []jetstream.PublishOpt
	if p.dest.Stream.Name != "" {
		options = append(options, jetstream.WithExpectStream(p.dest.Stream.Name))
	}
	ack, err := js.PublishMsg(ctx, message, options...)
	if err != nil {
		return p.failed(ctx, err, limit)
	}
	r := Result{Outcome: event.OutcomeAccepted, Contact: ContactMade}
	if ack.Duplicate {
		r.Note = noteDuplicate
	}
	return r
}

// message renders a delivery into what goes over the wire.
func (p *NATSPublisher) message(m Message) (*nats.Msg, error) {
	subject, err := p.renderer.Subject(m)
	if err != nil {
		return nil, err
	}
	message := &nats.Msg{Subject: subject, Header: nats.Header{}}
	message.Header.Set(nats.MsgIdHdr, m.Delivery.ID)
	if p.renderer.choose(&m).format != FormatCloudEvents || p.dest.Mode == ModeStructured {
		body, err := p.renderer.Render(m)
		if err != nil {
			return nil, err
		}
		message.Data = body.Content
		contentType := body.ContentType
		if body.Format == FormatCloudEvents {
			contentType = contentStructured
		}
		message.Header.Set(headerContentType, contentType)
		return message, nil
	}
	body, err := p.renderer.RenderData(m)
	if err != nil {
		return nil, err
	}
	message.Data = body.Content
	message.Header.Set(headerBinaryContentType, body.ContentType)
	for _, a := range m.Event.Attributes() {
		message.Header.Set(headerAttribute+a.Name, headerText(a.Value))
	}
	if !m.Event.IsSystem() {
		message.Header.Set(headerAttribute+"livemode", strconv.FormatBool(m.Event.Livemode))
	}
	return message, nil
}

// headerText writes an attribute's value as a CloudEvents header: what is not
// printable ASCII, and the space, quote and percent sign, as %XX.
func headerText(value string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Error codes of JetStream's answers to a publish.
const (
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeWrongStream     jetstream.ErrorCode = 10060
)

// failed judges an error of a publish. What another try may mend by itself
// finds the destination unavailable; what somebody must mend is a refusal.
func (p *NATSPublisher) failed(ctx context.Context, err error, limit int64) Result {
	if cause := context.Cause(ctx); errors.Is(cause, ErrDenied) {
		err = cause
	}
	refusal := Result{Outcome: event.OutcomeRefused, Contact: ContactMade, Class: ClassNATS}
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, ErrDenied):
		refusal.Error = err.Error()
	case errors.Is(err, nats.ErrMaxPayload):
		refusal.Error = fmt.Sprintf("the message is over the server's maximum of %d bytes", limit)
	case errors.As(err, &answer) && answer.ErrorCode == codeMessageTooLarge:
		refusal.Error = "the message is over the stream's maximum"
	case errors.As(err, &answer) && answer.ErrorCode == codeWrongStream:
		refusal.Error = "the subject belongs to another stream than " + p.dest.Stream.Name
	case errors.As(err, &answer):
		return unavailable("the stream does not take it: " + answer.Description)
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		p.mu.Lock()
		p.ensured = false
		p.mu.Unlock()
		return unavailable("no stream takes the subject")
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable(fmt.Sprintf("no acknowledgement within %s", ackTimeout))
	default:
		return unavailable(reasonOf(err))
	}
	return refusal
}

func unavailable(why string) Result {
	return Result{Outcome: event.OutcomeUnavailable, Contact: ContactFailed, Class: ClassNATS, Error: why}
}

// Close implements Closer. The last user of a shared connection drains it.
func (p *NATSPublisher) Close(ctx context.Context) error { return p.conn.release(ctx, p) }
