package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/event"
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
// no error, and is named in said, as is a subject that a sample cannot fill in, and
// a stream that forgets ids too soon.
// Errors: ErrMute, ErrNotTaken; the latter a line for each reason, with its subjects.
func (p *NATSPublisher) Check(ctx context.Context, samples []Message, ensures bool) (said string, err error) {
	l, err := p.conn.open(p)
	if err != nil {
		return "", err
	}
	if !l.nc.HeadersSupported() {
		return "", fmt.Errorf("what is sent %w: the server takes no headers", ErrNotTaken)
	}
	const unsure, publishing = "could not be checked: ", "whether it may publish there"
	if !p.dest.JetStream {
		return unsure + publishing, nil
	}
	if err := p.mutes(ctx, l); err != nil {
		return "", err
	}
	subjects, gaps := p.sampleSubjects(samples)
	unknown := strings.Join(append([]string{publishing}, gaps...), "; ")
	if len(subjects) == 0 && p.dest.Stream.Name != "" {
		subjects = []string{""} // the stream itself
	}
	strays := p.renderer.Strays(samples)
	var reasons []string
	refused := make(map[string][]string) // subjects, by reason
	for _, subject := range subjects {
		info, err := ask(ctx, l, func(ctx context.Context) (*jetstream.StreamInfo, error) {
			if subject == "" {
				return namedInfo(ctx, l.js, p.dest.Stream.Name)
			}
			return streamInfo(ctx, l.js, subject)
		})
		known, why := p.judgeStream(subject, info, err, ensures, slices.Contains(strays, subject), l.nc.ConnectedClusterName() != "")
		switch {
		case why != "":
			reasons = appendNew(reasons, why)
			refused[why] = append(refused[why], cmp.Or(subject, "the stream "+p.dest.Stream.Name))
		case !known && reasons == nil:
			return unsure + "whether a stream takes what is sent (" + streamTrouble(err) + "), and " + unknown, nil
		case err != nil && ensures: // what the server and the account take shows only then
			unknown = strings.Join(append([]string{"whether stream " + p.dest.Stream.Name + " can be created or brought up to date", publishing}, gaps...), "; ")
		case info != nil && !ensures && info.Config.Duplicates < p.window(info):
			said = fmt.Sprintf("stream %s recognises a repeat for %s only, and stores later ones again: give it a duplicate window longer than the longest outage, such as %s; ",
				info.Config.Name, info.Config.Duplicates, p.window(info))
		}
		if errors.Is(err, context.DeadlineExceeded) {
			break // so would be the others
		}
	}
	var errs []error
	for _, why := range reasons {
		errs = append(errs, fmt.Errorf("what is sent to %s %w: %s%s", strings.Join(refused[why], ", "), ErrNotTaken, why, l.named()))
	}
	if errs != nil && gaps != nil {
		errs = append(errs, errors.New(strings.Join(gaps, "\n")))
	}
	return said + unsure + unknown, errors.Join(errs...)
}

// window is for how long a stream should recognise ids: no longer than it keeps messages.
func (p *NATSPublisher) window(info *jetstream.StreamInfo) time.Duration {
	return bounded(jetstream.StreamConfig{MaxAge: info.Config.MaxAge, Duplicates: p.dest.Stream.DuplicateWindow}).Duplicates
}

// sampleSubjects are the subjects of some messages, each once. A subject may need what
// a sample lacks, such as a key of the metadata: gaps says so, once for each reason.
func (p *NATSPublisher) sampleSubjects(samples []Message) (subjects, gaps []string) {
	types := make(map[string][]string) // by reason
	for i := range samples {
		subject, err := p.renderer.Subject(samples[i])
		if err == nil {
			subjects = appendNew(subjects, subject)
			continue
		}
		reason := strings.TrimPrefix(err.Error(), "rendering the subject: ")
		types[reason] = appendNew(types[reason], event.Short(samples[i].Event.Type))
	}
	for _, reason := range slices.Sorted(maps.Keys(types)) {
		gaps = append(gaps, fmt.Sprintf("the subject of %s: not checked, because it cannot be rendered for the sample: %s", strings.Join(types[reason], ", "), reason))
	}
	return subjects, gaps
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// judgeStream says whether what the server answered about a subject, or about the
// stream itself if it is "", tells anything, and why it would not be taken, if so.
// stray is one of Strays. Only servers of a cluster keep several copies.
func (p *NATSPublisher) judgeStream(subject string, info *jetstream.StreamInfo, asked error, ensures, stray, cluster bool) (known bool, why string) {
	name := p.dest.Stream.Name
	switch {
	case errors.Is(asked, jetstream.ErrStreamNotFound) && ensures && stray:
		why = notListed
	case errors.Is(asked, jetstream.ErrStreamNotFound) && ensures && p.dest.Stream.Replicas > 1 && !cluster && p.dest.NATS.JetStreamDomain == "": // else another server may keep it
		why = fmt.Sprintf("stream %s is to have replicas: %d, and this server is in no cluster: write replicas: 1, or connect to a cluster", name, p.dest.Stream.Replicas)
	case errors.Is(asked, jetstream.ErrStreamNotFound) && ensures:
	case errors.Is(asked, jetstream.ErrStreamNotFound) && subject == "":
		why = "there is no such stream"
	case errors.Is(asked, jetstream.ErrStreamNotFound):
		why = "no stream takes the subject: create one, or let it be created (stream: {name: …, ensure: true})"
	case errors.Is(asked, jetstream.ErrJetStreamNotEnabled), errors.Is(asked, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(asked, nats.ErrNoResponders):
		why = "the server has no JetStream, or not for this account"
	case errors.Is(asked, errDeniedReply):
		why = streamTrouble(asked)
	case errors.Is(asked, context.DeadlineExceeded): // so would be the acknowledgements
		why = streamTrouble(asked) + ": is it permitted to subscribe to the inbox where answers go?"
	case asked != nil: // without the right to ask nothing is known
		return false, ""
	case name != "" && info.Config.Name != name:
		why = fmt.Sprintf("the subject belongs to the stream %s, not to %s", info.Config.Name, name)
	}
	return true, why
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
