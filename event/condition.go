package event

import "time"

// Kinds of conditions.
const (
	ConditionAccount = "account"
	ConditionRule    = "rule"
	ConditionStore   = "store"
	// ConditionRecovered is no trouble: its Since is when the owner was told last that an account
	// is well again. It is always Untold, so that nothing shows it as an open alert.
	ConditionRecovered = "recovered"
)

// Condition is a state of the program that its owner has been told of, and is
// told of again when it ends. That of a rule or an account is kept from its first
// failure on, before its owner hears of it, so that it is counted over restarts.
// ConditionRecovered is kept after the end of one.
type Condition struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"` // which one
	Since   time.Time `json:"since"`
	Why     string    `json:"why"`

	// Untold says that it has not lasted, or failed, enough for its owner to hear of it;
	// Last is when it was last seen so; Away is the part of the time since Since in which
	// the program did not run, of an account that is untold.
	Untold bool          `json:"untold,omitempty"`
	Last   time.Time     `json:"last,omitzero"`
	Away   time.Duration `json:"away,omitempty"`
	// Cause is what somebody must mend, of an account: its key is refused, or shows other
	// sessions; both, each told once, where they take turns. Relapse says that it failed soon after it was told to be well.
	Cause   string `json:"cause,omitempty"`
	Relapse bool   `json:"relapse,omitempty"`
	// Of an account that relapsed: Well is how long it has been well since its last trouble,
	// WellAt when it was last seen well, and WellBefore what WellAt was when its owner was last
	// told of a trouble.
	Well       time.Duration `json:"well,omitempty"`
	WellAt     time.Time     `json:"well_at,omitzero"`
	WellBefore time.Time     `json:"well_before,omitzero"`

	// Of a rule, which is kept when the rule works again.
	Failures  int    `json:"failures,omitempty"`   // in a row
	Recent    int    `json:"recent,omitempty"`     // each less than RuleQuiet after the one before it
	Failed    int    `json:"failed,omitempty"`     // of all; Since is the first of Recent, or of those in a row
	LastEvent string `json:"last_event,omitempty"` // the event that it failed on
	Identity  string `json:"identity,omitempty"`   // a rule with another meaning starts afresh
}

// Recovered is what is stored of an account with the event that tells that it is well.
func Recovered(account string, now time.Time) Condition {
	return Condition{Kind: ConditionRecovered, Subject: account, Since: now.UTC(), Untold: true}
}

// Told is the condition of an account once its owner is told of it. It is a relapse if it began
// within a time after the owner was told that the account is well: recovered is what was stored
// then, or the zero Condition.
func (c Condition) Told(recovered Condition, within time.Duration) Condition {
	c.Untold, c.Last, c.Away, c.Relapse = false, time.Time{}, 0, c.Since.Sub(recovered.Since) < within
	return c
}

// TakenUp is what the next process makes of a stored ConditionRecovered. If our clock was ahead
// when it was stored, its time lies in the future, and counts as now.
func (c Condition) TakenUp(now time.Time) Condition {
	c.Since = Sooner(c.Since, now.UTC())
	return c
}

// Reason says why it is, or why an account that is polled again is still watched.
func (c *Condition) Reason() string {
	if c.Relapse {
		return "it failed again soon after it was well, which is over once it has been well for ten minutes; the last trouble: " + c.Why
	}
	return c.Why
}

// RuleQuiet ends the condition of a rule: once its expression works again, the rule
// counts as failing until this long after its last failure, and as well from then on.
const RuleQuiet = 24 * time.Hour

// Open says whether the owner was told of the condition and it is not over.
func (c *Condition) Open(now time.Time) bool {
	return !c.Untold && (c.Kind != ConditionRule || c.Failures > 0 || now.Sub(c.Last) < RuleQuiet)
}
