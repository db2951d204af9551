package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/event"
)

// Errors that end the wait for the server's word.
var (
	// ErrDenied is returned when the server refuses a publish for want of permission.
	ErrDenied = errors.New("permission denied by the NATS server")

	errNotConnected = errors.New("not connected to NATS")
	errLost         = errors.New("the connection to NATS was lost before it answered")
	errNoStream     = errors.New("no stream takes the subject, or it has no leader")
	errNoAnswer     = fmt.Errorf("no acknowledgement within %s", ackTimeout)
	errOthers       = fmt.Errorf("%w (a subscriber answers on this subject, but no stream acknowledges)", errNoAnswer)
	errNoPong       = fmt.Errorf("no answer from the server within %s", ackTimeout)
	errDeniedReply  = fmt.Errorf("%w: to subscribe to the inbox where acknowledgements go", ErrDenied)
)

// Codes of JetStream's answers to a publish.
const (
	codeAccountLimit    jetstream.ErrorCode = 10002
	codeNoLeader        jetstream.ErrorCode = 10008
	codeResources       jetstream.ErrorCode = 10023
	codeMemory          jetstream.ErrorCode = 10028
	codeStorage         jetstream.ErrorCode = 10047
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeWrongStream     jetstream.ErrorCode = 10060
	codeStoreFailed     jetstream.ErrorCode = 10077
	codeSealed          jetstream.ErrorCode = 10109
)

// failed judges an error of a publish. What another try may mend by itself
// finds the destination unavailable, or the subject alone if it is the server that
// says so; what somebody must mend is a refusal.
func (p *NATSPublisher) failed(m *Message, subject string, l *link, err error) Result {
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, ErrDenied):
		return refusedByNATS(p.denial(m, err) + l.named())
	case errors.Is(err, nats.ErrMaxPayload):
		r := tooLarge(fmt.Sprintf("the message is over the server's maximum of %d bytes", l.nc.MaxPayload()))
		r.Contact = ContactNone // the client kept it back
		return r
	case errors.As(err, &answer):
		return p.answered(subject, answer)
	case errors.Is(err, errNoStream):
		p.ensured.Store(false)
		return blocked(subject, p.noStream(subject, l))
	case notSent(err):
		if !errors.Is(err, errNotConnected) {
			err = l.why()
		}
		r := unavailable(err.Error())
		r.Unsent = true
		return r
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoPong):
		err = errors.New(errNoPong.Error() + l.named())
	}
	return unavailable(reasonOf(err))
}

// notSent says whether the client kept a message back for want of a connection.
func notSent(err error) bool {
	return errors.Is(err, errNotConnected) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining)
}

// denial names the pattern of the subject and not the subject: what is inserted
// may be of a customer.
func (p *NATSPublisher) denial(m *Message, err error) string {
	if errors.Is(err, errDeniedReply) {
		return err.Error()
	}
	way, _ := p.renderer.choose(m) // it was rendered before
	if pattern, ok := way.subject.subjectPattern(); ok {
		return fmt.Sprintf("%v: to publish to %s", ErrDenied, pattern)
	}
	return fmt.Sprintf("%v: to publish to the subject", ErrDenied)
}

// notListed is said of a subject that the stream lacks, as the configuration does.
const notListed = "no stream takes the subject, and stream.subjects do not name it: add it there, or leave stream.subjects out"

func (p *NATSPublisher) noStream(subject string, l *link) string {
	text := errNoStream.Error()
	switch listed := slices.ContainsFunc(p.subjects, func(pattern string) bool { return covers(pattern, subject) }); {
	case p.dest.Stream.Ensure && !listed && !p.ensureOff.lasts(): // the stream is as the configuration says
		text = notListed
	case p.dest.Stream.Name != "":
		text += ": is there a stream " + p.dest.Stream.Name + "?"
	}
	if l.retiring.Load() {
		text += " (the server is shutting down)"
	}
	if complaint, _ := p.Complaint(); complaint != "" {
		text += " (" + complaint + ")"
	}
	return text + l.named()
}

// answered judges what a stream, or the server for it, said to a publish.
func (p *NATSPublisher) answered(subject string, a *jetstream.APIError) Result {
	why := "the stream does not take it"
	switch a.ErrorCode {
	case codeMessageTooLarge:
		return tooLarge("the message is over the stream's maximum")
	case codeWrongStream:
		return refusedByNATS("the subject belongs to another stream than " + p.dest.Stream.Name)
	case codeStoreFailed:
		why = "the stream does not take it, it may be full"
	case codeSealed:
		why = "the stream is read-only"
	case codeAccountLimit:
		why = "the account's storage is used up"
	case codeResources, codeMemory, codeStorage:
		why = "the server's storage is used up"
	case codeNoLeader:
		why = "the stream has no leader at present"
	}
	return blocked(subject, truncate(reasonLimit, why+": "+a.Description))
}

// blocked is the answer of a server that takes nothing for a subject.
func blocked(subject, why string) Result {
	return Result{
		Outcome: event.OutcomeUnavailable, Contact: ContactMade, Class: ClassNATS, Error: why, Subject: subject,
		Unsent: true, // nobody has it
	}
}

func refusedByNATS(why string) Result {
	return Result{Outcome: event.OutcomeRefused, Contact: ContactMade, Class: ClassNATS, Error: why}
}

// tooLarge is a refusal that is about the message and not about the destination.
func tooLarge(why string) Result {
	r := refusedByNATS(why)
	r.Class = ClassBody
	return r
}

func unavailable(why string) Result {
	return Result{Outcome: event.OutcomeUnavailable, Contact: ContactFailed, Class: ClassNATS, Error: why}
}
