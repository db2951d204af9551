package event

import "time"

// Act is what a person does to deliveries, alone or through a job.
type Act struct {
	At    time.Time // now
	Actor string
	// Job is the redrive or replay that works for them; "" if they named the
	// delivery. It leaves alone what it made pending once, and what was finished
	// after Before, when it was planned: so it may begin again. What seems to be
	// finished after At was so by a clock that was ahead.
	Job    string
	Before time.Time
	// IfStatus is the status without which a retry does nothing; "": any.
	IfStatus Status
	// Audit returns what is written down of the deliveries that were changed, in
	// the same transaction; it may be nil, and may be called more than once.
	Audit func(changed []Delivery) AuditEntry
	// Tell returns what the owner hears of them, as Audit does.
	Tell func(changed []Delivery) []Notice
}

// MayReopen says whether the act is about a finished delivery, still.
func (a *Act) MayReopen(d *Delivery) bool {
	return d.Status != StatusPending && (a.Job == "" || d.Job != a.Job) &&
		(a.Before.IsZero() || d.Finished.Before(a.Before) || d.Finished.After(a.At.Add(ClockSlack)))
}

// Replay is a past event on its way to destinations, again or for the first time.
type Replay struct {
	// Event is one of the store, or a copy of one, which has an id of its own and
	// names the other in ReplayOf.
	Event Event
	// Deliveries of the event: those that the store has are made pending again,
	// the others are new.
	Deliveries []Delivery
	// OnlyNew leaves those that the store has alone.
	OnlyNew bool
}

// ClockSlack is by how much the times of one moment may differ.
const ClockSlack = time.Second
