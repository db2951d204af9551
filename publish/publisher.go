// Package publish relays what the store holds for each destination to HTTP
// callbacks and NATS subjects, until it is accepted or buried.
//
// It promises that every attempt is written down before it is sent and every
// result after, that a destination delays no other, and that the events of one
// session reach a destination in their order unless one that went ahead says
// so. It drops no delivery but what would undo what a later one did to an incident,
// never follows a redirect, never changes an event, and lets no secret, URL or body into a
// log or an error.
package publish

import (
	"context"
	"time"

	"checkout-notifier/event"
)

// Publisher sends messages to one destination.
//
// Publish blocks until the fate of the message is known, at the latest shortly
// after ctx ends, and may be called from several goroutines. It does not retry:
// that is the relay's business.
type Publisher interface {
	Publish(ctx context.Context, m Message) Result
}

// Prober is a Publisher that knows of itself that it cannot send now. The relay
// asks before it takes a delivery, so that an outage leaves no trace on any.
type Prober interface {
	Available(ctx context.Context) error
}

// Waker is a Publisher that knows when it may be able to send again. OnReady sets
// what it calls then, from any goroutine; it is called before the first Publish.
type Waker interface {
	OnReady(f func())
}

// Router is a Publisher that sends each message to a subject, of which some may
// take nothing while others do. Its errors are those of Publish.
type Router interface {
	Subject(m Message) (string, error)
}

// Pager is a Publisher some of whose messages open incidents, and others close them.
// Incident returns which one a message is about, "" if none, and what it does to it.
type Pager interface {
	Incident(m Message) (key, action string)
}

// Complainer is a Publisher that goes on although something is not as it was
// configured: Complaint says what, redacted, "" if nothing is. Lost is when it was found
// that readers of the destination have lost what it held, if that is what it says.
type Complainer interface {
	Complaint() (what string, lost time.Time)
}

// Closer is a Publisher that holds a connection. Close hands over what is on
// its way, bounded by ctx, and is called when no Publish is running.
type Closer interface {
	Close(ctx context.Context) error
}

// Message is one delivery to be rendered and sent.
type Message struct {
	Event    event.Event
	Delivery event.Delivery
	Probe    bool     // its subject took nothing when it was tried last
	Stored   bool     // the event is as the store keeps it, see event.Match
	Siblings []string // see event.Job
}

// Match is what the body says of the delivery.
func (m *Message) Match() event.Match {
	return event.Match{Rules: m.Delivery.Rules, Labels: m.Delivery.Labels, Overtook: m.Delivery.Overtook, Stored: m.Stored}
}

// Contact says what an attempt showed of the way to the destination. The up
// clock of a destination runs from a contact made to the next one that failed.
type Contact uint8

// The contacts.
const (
	ContactNone   Contact = iota // nothing was learned
	ContactMade                  // the destination was reached
	ContactFailed                // it was not
)

// The classes of failed attempts.
const (
	ClassDNS            = "dns"
	ClassConnect        = "connect"
	ClassTLS            = "tls"
	ClassTimeout        = "timeout"
	ClassRefusedAddress = "refused_address"
	ClassStatus         = "status"
	ClassBody           = "body" // of ours, too large
	ClassRender         = "render"
	ClassNATS           = "nats"
)

// Result is what came of one message.
type Result struct {
	Outcome    event.Outcome // accepted, refused or unavailable
	Contact    Contact
	Class      string // "" when accepted
	StatusCode int    // of HTTP, 0 without an answer
	Error      string // redacted, "" when accepted
	Answer     []byte // the first 4 KiB
	Note       string
	Headers    map[string]string // of the answer, that help to find out what went wrong

	// Subject is set if the destination is there, and takes nothing for this subject.
	Subject    string
	Unsent     bool          // nothing of the message can have left: there was no connection
	RetryAfter time.Duration // asked for by the destination, 0 when it did not
	Throttled  bool          // RetryAfter holds for the whole destination
	Final      bool          // another attempt would end the same way
	Gone       bool          // the destination says that it is no more
}

// refusedFinally is the result of a message that was never sent.
func refusedFinally(class string, err error) Result {
	return Result{Outcome: event.OutcomeRefused, Class: class, Error: truncate(reasonLimit, err.Error()), Final: true}
}
