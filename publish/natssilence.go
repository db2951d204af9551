package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Who hears nothing of a message cannot tell a server that hangs from a stream that
// is overloaded, from one that was told never to acknowledge, or from subscribers
// that take the subject beside no stream. The server can be asked.

// askAgain is how long no question about streams is asked after one was denied.
const askAgain = 10 * time.Minute

// unanswered judges a message that was not acknowledged in time. A server that
// answers a PING is there, and it is the subject that takes nothing. silence is
// errNoAnswer, or errOthers.
func (p *NATSPublisher) unanswered(ctx context.Context, l *link, subject string, silence error) Result {
	p.ensured.Store(false) // with a subscriber there nobody says that the stream is gone
	if err := l.ping(ctx); err != nil {
		return unavailable(errNoAnswer.Error() + ", and the server does not answer either" + l.named())
	}
	var why string
	switch stream, err := p.streamOf(ctx, l, subject); {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		why = fmt.Sprintf("%s: only subscribers take the subject, and no stream", silence)
	case err != nil:
		why = fmt.Sprintf("%s: the stream is overloaded, or was told never to acknowledge (no_ack), or only subscribers take the subject, and no stream; the server does not say which: %s", silence, streamTrouble(err))
	case stream.Config.NoAck:
		why = neverAcknowledges(stream.Config.Name)
	default:
		why = fmt.Sprintf("%s: the stream %s is overloaded, or a majority of its copies is down", silence, stream.Config.Name)
	}
	r := blocked(subject, why)
	r.Unsent = false // it may be stored
	return r
}

// mute returns the name of the stream that takes a subject and never acknowledges,
// "" if there is none or nobody tells.
func (p *NATSPublisher) mute(ctx context.Context, l *link, subject string) (name string) {
	stream, err := p.streamOf(ctx, l, subject)
	if err != nil || !stream.Config.NoAck {
		return ""
	}
	return stream.Config.Name
}

// neverAcknowledges says what is wrong with a stream.
func neverAcknowledges(stream string) string {
	return fmt.Sprintf("stream %s never acknowledges (no_ack): set no_ack to false", stream)
}

// subjectPatterns are the patterns of all subjects that can be told without an
// event.
func (r *Renderer) subjectPatterns() (patterns []string) {
	for _, way := range r.ways() {
		if pattern, ok := way.subject.subjectPattern(); ok {
			patterns = addSubject(patterns, pattern)
		}
	}
	slices.Sort(patterns)
	return patterns
}

// streamOf asks the server for the stream that takes a subject.
func (p *NATSPublisher) streamOf(ctx context.Context, l *link, subject string) (info *jetstream.StreamInfo, err error) {
	if p.discreet.lasts() {
		return nil, ErrDenied
	}
	info, err = ask(ctx, l, func(ctx context.Context) (*jetstream.StreamInfo, error) { return streamInfo(ctx, l.js, subject) })
	if errors.Is(err, ErrDenied) {
		p.discreet.begin(askAgain)
	}
	return info, err
}

func streamInfo(ctx context.Context, js jetstream.JetStream, subject string) (*jetstream.StreamInfo, error) {
	name, err := js.StreamNameBySubject(ctx, subject)
	if err != nil {
		return nil, err
	}
	return namedInfo(ctx, js, name)
}

func namedInfo(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
