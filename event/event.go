// Package event is what we know and say of a checkout session: the snapshot of
// its last look, the event that a change becomes, the delivery of an event to
// one destination, and the attempts of a delivery.
//
// Ids are derived from content, never from chance or a clock, so that work that
// is done again after a crash names the same things. The package does no I/O
// and reads no clock.
package event

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// TypePrefix begins the type of every event about a session.
const TypePrefix = "checkout.session."

// The types of events about a session, in the order in which one look yields them.
const (
	Created           = TypePrefix + "created"
	Completed         = TypePrefix + "completed"
	Expired           = TypePrefix + "expired"
	NoPaymentRequired = TypePrefix + "no_payment_required"
	Paid              = TypePrefix + "paid"
	Fulfillable       = TypePrefix + "fulfillable"
	Regressed         = TypePrefix + "regressed"
	Updated           = TypePrefix + "updated"
	Unresolved        = TypePrefix + "unresolved"
)

// Types lists the types of events about a session in the order in which one
// look yields them.
func Types() []string {
	return []string{Created, Completed, Expired, NoPaymentRequired, Paid, Fulfillable, Regressed, Updated, Unresolved}
}

// IsType says whether a type, short ("paid") or whole, is one of Types.
func IsType(name string) bool {
	return slices.Contains(Types(), Qualify(name))
}

// Qualify returns the whole name of a type that may be given without its prefix:
// "paid" as "destination.recovered". A name that no type has is one of a session,
// or whole if it has a dot.
func Qualify(name string) string {
	if strings.Contains(name, ".") {
		if system := SystemPrefix + name; IsSystemType(system) {
			return system
		}
		return name
	}
	return TypePrefix + name
}

// TypeNames lists the types of all events as they are given in short: those of
// sessions, then the program's own.
func TypeNames() []string {
	var list []string
	for _, t := range Types() {
		list = append(list, strings.TrimPrefix(t, TypePrefix))
	}
	for _, t := range SystemTypes() {
		list = append(list, strings.TrimPrefix(t, SystemPrefix))
	}
	return list
}

// ParseType reads the name of a type, short or whole, of a session's event or of
// one of the program's own. Everything that takes the name of a type reads it so.
func ParseType(name string) (eventType string, known bool) {
	eventType = Qualify(name)
	return eventType, IsType(eventType) || IsSystemType(eventType)
}

// Short returns the last word of a type: what `change` means in subjects.
func Short(eventType string) string {
	return eventType[strings.LastIndexByte(eventType, '.')+1:]
}

// otherTypes are what the types of a session's events are called elsewhere.
var otherTypes = map[string]string{"changed": "updated", "succeeded": "paid", "payed": "paid", "async_payment_succeeded": "fulfillable", "payment_succeeded": "paid", "payment_intent.succeeded": "paid"} //nolint:misspell // which it is about

// MeantBy is the short name of the type that is called by a name elsewhere, "" if none
// is.
func MeantBy(name string) string { return otherTypes[strings.TrimPrefix(name, TypePrefix)] }

// Reasons of an expiry.
const (
	ReasonManual  = "manual"
	ReasonTimer   = "timer"
	ReasonUnknown = "unknown"
)

// Change is the field that an event is about.
type Change struct {
	Field string          `json:"field"`
	From  json.RawMessage `json:"from"`
	To    json.RawMessage `json:"to"`
}

// Event is one transition of one session, fixed when it is committed.
type Event struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Account  string    `json:"account"`
	Session  string    `json:"session"`
	Livemode bool      `json:"livemode"`
	Time     time.Time `json:"time"`     // of the look
	Revision int       `json:"revision"` // of the snapshot
	Position int       `json:"position"` // from 1, within the revision

	Object             json.RawMessage `json:"object"`              // the session at the look
	PreviousAttributes json.RawMessage `json:"previous_attributes"` // {} at first sight
	Change             *Change         `json:"change"`              // nil: several fields

	Inferred       bool      `json:"inferred,omitempty"`
	Unexpected     bool      `json:"unexpected,omitempty"`
	Async          bool      `json:"async,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	OccurredAfter  time.Time `json:"occurred_after,omitzero"` // zero at first sight
	OccurredBefore time.Time `json:"occurred_before"`

	// RuleSet identifies the rules that were in force; RuleErrors says which of
	// them failed on this event and therefore did not match.
	RuleSet    string      `json:"rule_set,omitempty"`
	RuleErrors []RuleError `json:"rule_errors,omitempty"`
	// Suppressed are the matches that led to no delivery.
	Suppressed []Suppression `json:"suppressed,omitempty"`

	// Subject and System belong to the program's own events, which are about no
	// session: what they are about, and their `data`. See NewSystem.
	Subject string          `json:"subject,omitempty"`
	System  json.RawMessage `json:"system,omitempty"`
	// ReplayOf is the id of the event that this one is a copy of, made by a replay
	// with new ids.
	ReplayOf string `json:"replay_of,omitempty"`
}

// RuleError is a rule that failed on an event.
type RuleError struct {
	Rule  string `json:"rule"`
	Error string `json:"error"`
}

// Suppression is a match that led to no delivery.
type Suppression struct {
	Rules       []string `json:"rules"`
	Destination string   `json:"destination"`
	Reason      string   `json:"reason"`
}

// SuppressedSelf is the reason of a match that would have told a destination of
// its own troubles.
const SuppressedSelf = "self"

// FirstSight says whether the event comes from the first look at its session.
func (e *Event) FirstSight() bool { return e.Revision == 1 }

// Delivery is one event on its way to one destination.
type Delivery struct {
	ID          string            `json:"id"`
	EventID     string            `json:"event_id"`
	EventType   string            `json:"event_type"`
	Account     string            `json:"account"`
	Session     string            `json:"session"`
	Destination string            `json:"destination"`
	Rules       []string          `json:"rules"`  // all that matched, in file order
	Labels      map[string]string `json:"labels"` // of all of them, the first wins
	// OwnRule names the rule whose own template, format or subject renders this
	// delivery; "" for the delivery that all other rules share.
	OwnRule string    `json:"own_rule,omitempty"`
	Ordered bool      `json:"ordered"` // waits for earlier events of its session or subject
	Created time.Time `json:"created"`
	Subject string    `json:"subject,omitempty"` // of one of the program's own events

	Status   Status    `json:"status"`
	Due      time.Time `json:"due,omitzero"` // zero while parked behind an earlier event
	Attempts int       `json:"attempts"`     // recorded, whatever came of them
	Slots    int       `json:"slots"`        // attempts that used up a slot of the schedule
	// HeldAt is the destination's up-clock (time during which it could be
	// reached) at the first refusal, of an unordered one, too: order_hold is measured
	// from it.
	HeldAt   *time.Duration `json:"held_at,omitempty"`
	Overtook []string       `json:"overtook,omitempty"` // event ids, fixed at the first attempt that may have arrived
	Finished time.Time      `json:"finished,omitzero"`
	// Reason is why it was given up last, or who purged it, or what made it void; "" once
	// it is accepted.
	// A pending delivery has one if it was a dead letter before.
	Reason string `json:"reason,omitempty"`

	// BlockedSubject is the NATS subject for which the destination took nothing when
	// the delivery was last to be sent; "" if it took or refused it itself. While Due
	// is zero the delivery waits for that subject alone.
	BlockedSubject string `json:"blocked_subject,omitempty"`

	// Actor asked for the next attempt; "" when the schedule does.
	Actor string `json:"actor,omitempty"`
	// Job is the replay or redrive that made it pending last.
	Job string `json:"job,omitempty"`
	// Reopened is when it was made pending again last.
	Reopened time.Time `json:"reopened,omitzero"`
}

// Since is since when the delivery waits.
func (d *Delivery) Since() time.Time {
	if d.Reopened.After(d.Created) {
		return d.Reopened
	}
	return d.Created
}

// SentAgain says whether a person had the delivery made, or made pending again.
func (d *Delivery) SentAgain() bool { return d.Job != "" || !d.Reopened.IsZero() }

// Blocked says whether a pending delivery waits for its subject.
func (d *Delivery) Blocked() bool {
	return d.Status == StatusPending && d.Due.IsZero() && d.BlockedSubject != ""
}

// Repeated says whether the delivery was refused, or blocked, before: first
// attempts do not wait for such.
func (d *Delivery) Repeated() bool { return d.Slots > 0 || d.BlockedSubject != "" }

// Group is what the order of deliveries is kept within, at one destination.
func (d *Delivery) Group() (account, of string) {
	if d.Session == "" {
		return d.Account, d.Subject
	}
	return d.Account, d.Session
}

// Status of a delivery.
type Status string

// A delivery is pending until it is accepted or dead, and neither pending nor
// dead ones are ever pruned. An operator may make a finished one pending again,
// or purge a dead one, which is then kept as long as an accepted one.
const (
	StatusPending  Status = "pending"
	StatusAccepted Status = "accepted"
	StatusDead     Status = "dead"
	StatusPurged   Status = "purged"
)

// Outcome of an attempt.
type Outcome string

// The outcomes. Unknown is the outcome of an attempt that was begun and has no
// result: the process died in between, and the receiver may have seen it.
const (
	OutcomeUnknown     Outcome = "unknown"
	OutcomeAccepted    Outcome = "accepted"
	OutcomeRefused     Outcome = "refused"     // uses a slot
	OutcomeUnavailable Outcome = "unavailable" // the destination waits; uses no slot
)

// Attempt is one request of a delivery. It is written before it is sent.
type Attempt struct {
	DeliveryID string        `json:"delivery_id"`
	N          int           `json:"n"` // from 1
	Started    time.Time     `json:"started"`
	Duration   time.Duration `json:"duration_ns,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	StatusCode int           `json:"status_code,omitempty"`
	Class      string        `json:"class,omitempty"`  // dns, connect, tls, timeout, refused_address, status, body, render, nats
	Error      string        `json:"error,omitempty"`  // redacted
	Answer     []byte        `json:"answer,omitempty"` // at most 4 KiB, secrets and personal data masked
	Note       string        `json:"note,omitempty"`   // such as "duplicate" from a stream
	// Headers are those of the answer that help to find out what went wrong.
	Headers map[string]string `json:"headers,omitempty"`
	Actor   string            `json:"actor,omitempty"` // who asked for it; "": the schedule
	Probe   bool              `json:"probe,omitempty"` // of an open breaker
}

// RefusedAt is when the attempt ended in a refusal; zero if it did not, or has not yet.
func (a *Attempt) RefusedAt() time.Time {
	if a.Outcome != OutcomeRefused {
		return time.Time{}
	}
	return a.Started.Add(a.Duration)
}

// Job is a due delivery with all that an attempt needs.
type Job struct {
	Delivery Delivery
	Event    Event
	// Earlier are the pending deliveries of events that come before this one, of
	// the same session to the same destination, oldest first; empty when the
	// delivery is not ordered.
	Earlier []Delivery
	// Siblings are the OwnRules of the other deliveries of the event to the destination,
	// "" for the shared one; empty when the delivery has none itself.
	Siblings []string
}

// Verdict is what becomes of a delivery after an attempt, or after it was found
// that it must wait. Exactly one of Accepted, Dead, Void and Retry applies: Retry is
// the time at which it is due again. With none of them the delivery waits: for its
// BlockedSubject, or else for the earlier ones of its session.
type Verdict struct {
	Delivery Delivery // with Attempts, Slots, HeldAt, Overtook and BlockedSubject brought up to date
	Attempt  *Attempt // nil when nothing was sent
	Accepted bool
	Dead     string // the reason, when it is buried
	Void     string // why it is sent no more, when a later one has made it void: it is kept as a purged one
	Retry    time.Time
	At       time.Time     // now
	UpClock  time.Duration // of the destination, to be kept
	Standing Standing      // of the destination after the attempt; what is kept is that of the step
	Notices  []Notice      // what the program's owner hears of the delivery
	// Release, when not zero, is when the next parked event of the same session
	// may be looked at although this one is still pending.
	Release time.Time
}

// Ends says in how many ways the verdict ends the delivery: one at most is right.
func (v *Verdict) Ends() (n int) {
	for _, end := range []bool{v.Accepted, v.Dead != "", v.Void != ""} {
		if end {
			n++
		}
	}
	return n
}

// Begin is an attempt that is about to be made. Its delivery brings the Overtook
// that the attempt is the first to tell, if Overtakes is set.
type Begin struct {
	Delivery  Delivery
	Attempt   Attempt
	Overtakes bool
}

// Unblock makes the first deliveries due that wait for a subject.
type Unblock struct {
	Destination string
	Subject     string
	Limit       int
	Due         time.Time
}

// Step is what is written down at once of the deliveries of a destination, whole
// or not at all, in the order of its members.
type Step struct {
	Standing  *StandingChange // nil: the destination stands as before
	Parked    []Verdict       // that must let earlier ones of their session go first, or wait for their subject
	Resolved  []Verdict       // of attempts that have a result
	Withdrawn []Begin         // attempts that were begun and will not be made
	Begun     []Begin         // attempts that may be made once the step is durable
	Unblocked []Unblock
}

// Empty says whether there is nothing to write down.
func (s *Step) Empty() bool {
	return len(s.Parked)+len(s.Resolved)+len(s.Withdrawn)+len(s.Begun)+len(s.Unblocked) == 0
}

// Stepped is what a step met.
type Stepped struct {
	Woke bool // something that waited for an earlier delivery of its session was given a due time
	// Gone holds the ids of deliveries that are not pending any more: nothing was
	// done to them.
	Gone []string
	// Unblocked holds the ids of what each Unblock of the step made due; fewer than
	// its limit means that nothing waits for its subject any more.
	Unblocked [][]string
}
