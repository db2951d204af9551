package event

import "time"

// Tx is what one page of looks changes. It is committed whole or not at all.
type Tx struct {
	Account    string
	Snapshots  []Snapshot
	Events     []Event    // in order; each is stored even if nobody hears of it
	Deliveries []Delivery // each of an event of this Tx

	Notices []Notice     // the program's own events
	Raised  []Condition  // what its owner is told of by them
	Cleared []Condition  // what is over
	Audit   []AuditEntry // who asked for it
}

// Empty says whether there is nothing to commit.
func (t *Tx) Empty() bool {
	return len(t.Snapshots)+len(t.Events)+len(t.Deliveries)+len(t.Notices)+len(t.Raised)+len(t.Cleared)+len(t.Audit) == 0
}

// DestinationState is what is remembered of a destination, whether the
// configuration names it or not.
type DestinationState struct {
	Name     string        `json:"name"`
	UpClock  time.Duration `json:"up_clock"`       // time during which it could be reached
	UpAt     time.Time     `json:"up_at,omitzero"` // when, by our clock, UpClock was read; zero where an earlier version stored it
	Pending  int           `json:"pending"`
	Dead     int           `json:"dead"`
	Standing Standing      `json:"standing,omitzero"`

	// What follows is not stored: it is worked out when the state is read.
	OldestPending time.Time `json:"-"`
	Refused       int       `json:"-"` // of Pending, those that were refused before; MostRefused means that many or more
	// Refusals has a value for each of the Refused that is about an order and was tried
	// OftenRefused times at least.
	Refusals  []Refusal `json:"-"`
	NextRetry time.Time `json:"-"` // when the first of the Refused is due again
}

// Refusal is when a delivery was refused.
type Refusal struct {
	First time.Time     // since it was made, or made pending again
	Up    time.Duration // the destination's UpClock at the first refusal while the breaker was closed
	Last  time.Time     // zero while it is tried again
}

// Up notes how far the up clock was at a time.
func (d *DestinationState) Up(clock time.Duration, at time.Time) {
	if clock >= d.UpClock {
		d.UpClock, d.UpAt = clock, at
	}
}

// Look is what is asked of the deliveries of a destination that are due at Now.
type Look struct {
	Now    time.Time
	Newest int       // how many that were never refused nor sent again, those that became due last
	After  time.Time // Newest leaves out what was due by then
	First  int       // how many others that were never refused nor sent again, the longest due

	SentAgain int                          // how many that are sent again and were not refused since, the longest due
	Again     int                          // how many that were refused before, the longest due
	Skip      func(deliveryID string) bool // leaves some out; may be nil
}

// MostRefused bounds how many deliveries are counted in DestinationState.Refused.
const MostRefused = 1000

// OftenRefused is how many attempts make a delivery one of DestinationState.Refusals.
const OftenRefused = 3

// Standing is the health of a destination, as it is stored for the time after a restart:
// failures, breaker, pauses, and what was told of them.
type Standing struct {
	// Version grows with every change, so that a later standing is never
	// overwritten by an earlier one.
	Version uint64 `json:"version"`
	// Changed is when it was to be stored, by our clock; zero where an earlier
	// version stored it.
	Changed time.Time `json:"changed,omitzero"`

	Failures     int       `json:"failures,omitempty"`      // attempts in a row that failed
	Excused      int       `json:"excused,omitempty"`       // of them, those that say nothing of the destination as a whole
	FailedFirst  string    `json:"failed_first,omitempty"`  // the session or subject of the first of the others
	FailedSince  time.Time `json:"failed_since,omitzero"`   // when the first of all was
	FailedOthers bool      `json:"failed_others,omitempty"` // the others are of more than one session or subject
	Why          string    `json:"why,omitempty"`           // the last of them failed; redacted
	Refusal      string    `json:"refusal,omitempty"`       // the last answer that refused a delivery, also after others were accepted; redacted
	RefusedAt    time.Time `json:"refused_at,omitzero"`     // when Refusal came; zero where an earlier version stored it
	// RowSince is when the first of Failures was: FailedSince may be before an outage that
	// began another row. Zero where an earlier version stored it.
	RowSince time.Time `json:"row_since,omitzero"`
	// FailedAway is the part of the time since FailedSince in which the program did not run.
	FailedAway  time.Duration `json:"failed_away,omitempty"`
	LastSuccess time.Time     `json:"last_success,omitzero"`
	// SuccessUp is the destination's up-clock at LastSuccess: see Delivery.HeldAt.
	SuccessUp time.Duration `json:"success_up,omitempty"`

	Unreached    bool    `json:"unreached,omitempty"`     // the last attempt did not get there
	Down         Trouble `json:"down,omitzero"`           // it can take nothing at all, and is only probed
	DownFailures int     `json:"down_failures,omitempty"` // since then
	Lost         bool    `json:"lost,omitempty"`          // the publisher knew that of itself
	Blocked      Trouble `json:"blocked,omitzero"`        // it takes nothing for some subjects

	Broken     time.Time `json:"broken,omitzero"`  // since when the breaker is open; zero: it is closed
	Probes     int       `json:"probes,omitempty"` // that failed since then
	NextProbe  time.Time `json:"next_probe,omitzero"`
	Recovering bool      `json:"recovering,omitempty"` // the breaker has closed, and what waits is not all due yet
	// Opened is when the breaker opened last, and Relapse says that this was soon after it
	// had closed. Unsettled is when it closed last or, if that is later, when a delivery that
	// had waited for it to close was refused last. All are zero where an earlier version
	// stored them.
	Opened    time.Time `json:"opened,omitzero"`
	Relapse   bool      `json:"relapse,omitempty"`
	Unsettled time.Time `json:"unsettled,omitzero"`
	// Judging is since when every refusal under the open breaker was about the message (a
	// 422, say), so that the destination itself may be well; zero: the last one was not.
	Judging time.Time `json:"judging,omitzero"`
	// RefusedTypes are the types of events that were refused since the breaker opened,
	// and when last; and while it is closed those that were then, if others were taken.
	// A standing is copied: the map never changes.
	RefusedTypes map[string]time.Time `json:"refused_types,omitempty"`

	Throttled time.Time `json:"throttled,omitzero"` // until then it wants nothing

	Paused    time.Time `json:"paused,omitzero"` // since when; zero: it is not
	PausedBy  string    `json:"paused_by,omitempty"`
	PausedWhy string    `json:"paused_why,omitempty"`

	// Announced is since when it fails, as its owner was told; zero: the owner
	// believes it well. Recovered is when the owner was told so last.
	Announced time.Time `json:"announced,omitzero"`
	Recovered time.Time `json:"recovered,omitzero"`
	// Well is since when it has been well again, of one that failed again soon after its
	// owner was told that it is well, and was told so: this is over once it was for long enough.
	Well Trouble `json:"well,omitzero"`
	// AnnouncedSubjects says that it takes nothing for some subjects, and else is well.
	AnnouncedSubjects bool `json:"announced_subjects,omitempty"`
	// AnnouncedRefused says that it refuses some deliveries again and again, and else is well.
	AnnouncedRefused bool `json:"announced_refused,omitempty"`
	// AnnouncedBoth says that the owner heard of both since then, that it refuses some and that
	// it fails altogether: where they take turns each is told once.
	AnnouncedBoth bool `json:"announced_both,omitempty"`
}

// Trouble is something that is told of, or its end, only once it has lasted. It is stored, so that
// this needs no program that runs all the time.
type Trouble struct {
	Since time.Time     `json:"since,omitzero"` // zero: there is none
	Away  time.Duration `json:"away,omitempty"` // of the time since then, in which the program did not run
}

// IsOpen says whether there is trouble.
func (t Trouble) IsOpen() bool { return !t.Since.IsZero() }

// Lasted is for how long there was trouble while the program ran.
func (t Trouble) Lasted(now time.Time) time.Duration { return now.Sub(t.Since) - t.Away }

// TakenUp is what the next process makes of it: it was known to run last at a time.
func (t Trouble) TakenUp(ran, now time.Time) Trouble {
	switch {
	case !t.IsOpen() || ran.IsZero():
	case t.Since.After(now): // our clock was ahead
		t = Trouble{Since: now}
	case ran.Before(t.Since):
		t.Away = now.Sub(t.Since)
	default:
		t.Away += max(0, now.Sub(ran))
	}
	return t
}

// Notice is one of the program's own events with who hears of it.
type Notice struct {
	Event      Event
	Deliveries []Delivery
}

// StandingChange is a change of a destination's standing, with all that its owner is to
// hear before a later one is stored.
type StandingChange struct {
	Destination string
	UpClock     time.Duration
	Standing    Standing
	Notices     []Notice
	Audit       *AuditEntry // who did it; nil: nobody
}

// AuditEntry is one act of a person.
type AuditEntry struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`            // such as destination.pause
	Subject string    `json:"subject,omitempty"` // what it was done to
	Detail  string    `json:"detail,omitempty"`
}
