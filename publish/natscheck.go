package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of Check.
var (
	// ErrMute is for a stream that never acknowledges.
	ErrMute = errors.New("never counts as delivered")
	// ErrNotTaken is for messages that the server would not take.
	ErrNotTaken = errors.New("would not be taken")
)

// Check asks the server, without publishing, whether it would take some messages,
// and acknowledge them. ensures says that the stream is made, or brought up to
// date, before the first message. What the server does not tell, or must not, is
// no error, and is named in unknown. Errors: ErrMute, ErrNotTaken; the latter a line
// for each subject.
func (p *NATSPublisher) Check(ctx context.Context, samples []Message, ensures bool) (unknown string, err error) {
	l, err := p.conn.open(p)
	if err != nil {
		return "", err
	}
	if !l.nc.HeadersSupported() {
		return "", fmt.Errorf("what is sent %w: the server takes no headers", ErrNotTaken)
	}
	const publishing = "whether it may publish there"
	if !p.dest.JetStream {
		return publishing, nil
	}
	if err := p.mutes(ctx, l); err != nil {
		return "", err
	}
	var asked []string
	var refused []error
	for i := range samples {
		subject, err := p.renderer.Subject(samples[i])
		if err != nil || slices.Contains(asked, subject) {
			continue // a check of the configuration says why
		}
		asked = append(asked, subject)
		info, err := ask(ctx, l, func(ctx context.Context) (*jetstream.StreamInfo, error) { return streamInfo(ctx, l.js, subject) })
		known, wrong := p.judgeStream(subject, info, err, ensures)
		switch {
		case wrong != nil:
			refused = append(refused, fmt.Errorf("%w%s", wrong, l.named()))
		case !known && refused == nil:
			return "whether a stream takes what is sent (" + streamTrouble(err) + "), and " + publishing, nil
		}
		if errors.Is(err, context.DeadlineExceeded) {
			break // so would be the others
		}
	}
	return publishing, errors.Join(refused...)
}

// judgeStream says whether what the server answered about a subject tells
// anything, and what is wrong by it.
func (p *NATSPublisher) judgeStream(subject string, info *jetstream.StreamInfo, asked error, ensures bool) (known bool, err error) {
	name := p.dest.Stream.Name
	trouble := func(format string, args ...any) (bool, error) {
		return true, fmt.Errorf("what is sent to %s %w: %s", subject, ErrNotTaken, fmt.Sprintf(format, args...))
	}
	switch {
	case errors.Is(asked, jetstream.ErrStreamNotFound) && ensures:
		return true, nil
	case errors.Is(asked, jetstream.ErrStreamNotFound):
		return trouble("no stream takes the subject")
	case errors.Is(asked, jetstream.ErrJetStreamNotEnabled), errors.Is(asked, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(asked, nats.ErrNoResponders):
		return trouble("the server has no JetStream, or not for this account")
	case errors.Is(asked, errDeniedReply):
		return trouble("%s", streamTrouble(asked))
	case errors.Is(asked, context.DeadlineExceeded): // so would be the acknowledgements
		return trouble("%s: is it permitted to subscribe to the inbox where answers go?", streamTrouble(asked))
	case asked != nil:
		return false, nil //nolint:nilerr // without the right to ask nothing is known
	case name != "" && info.Config.Name != name:
		return trouble("the subject belongs to the stream %s, not to %s", info.Config.Name, name)
	}
	return true, nil
}

// mutes finds a stream that takes subjects of the destination and never
// acknowledges.
func (p *NATSPublisher) mutes(ctx context.Context, l *link) error {
	mute, _ := ask(ctx, l, func(ctx context.Context) (mute, err error) { // what it answers is all that matters
		for _, pattern := range p.renderer.subjectPatterns() {
			names := l.js.StreamNames(ctx, jetstream.WithStreamListSubject(pattern))
			for name := range names.Name() {
				stream, err := l.js.Stream(ctx, name)
				if err == nil && stream.CachedInfo().Config.NoAck && mute == nil {
					mute = fmt.Errorf("what is sent to %s %w: %s", pattern, ErrMute, neverAcknowledges(name))
				}
			}
			if err := names.Err(); err != nil {
				return mute, err
			}
		}
		return mute, nil
	})
	return mute
}
