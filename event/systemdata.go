package event

import (
	"fmt"
	"strings"
	"time"
)

// The data of the program's own events. Every member is always there, so that a
// template which renders one event of a type renders all of them. Times are
// written by FormatTime, spans by FormatSpan; texts that others wrote are
// redacted by whoever fills them in.

// The statuses of an event that opens an incident, and of one that closes it.
const (
	StatusFiring   = "firing"
	StatusResolved = "resolved"
)

// DeliveryDeadData is the data of DeliveryDead.
type DeliveryDeadData struct {
	Summary     string   `json:"summary"`
	Destination string   `json:"destination"`
	Delivery    string   `json:"delivery"`
	Event       string   `json:"event"`
	EventType   string   `json:"event_type"`
	Account     string   `json:"account"`
	Session     string   `json:"session"` // "" for one of the program's own events
	Rules       []string `json:"rules"`
	Reason      string   `json:"reason"`
	Attempts    int      `json:"attempts"`
	Class       string   `json:"class"`       // of the last attempt
	StatusCode  int      `json:"status_code"` // of its answer, 0 without one
	// Status is StatusFiring, or StatusResolved in the message that closes the
	// incident once the delivery was accepted after all, or was purged.
	Status string `json:"status"`
}

// DestinationFailingData is the data of DestinationFailing.
type DestinationFailingData struct {
	Summary     string `json:"summary"`
	Destination string `json:"destination"`
	Since       string `json:"since"`
	Failures    int    `json:"failures"` // attempts in a row
	Reason      string `json:"reason"`   // of the last of them
	Pending     int    `json:"pending"`
	Refused     int    `json:"refused"` // deliveries that it refused while it takes others and that wait for another try, MostRefused at most; else 0
}

// DestinationRecoveredData is the data of DestinationRecovered.
type DestinationRecoveredData struct {
	Summary     string `json:"summary"`
	Destination string `json:"destination"`
	Since       string `json:"since"` // it failed, or was paused
	DownFor     string `json:"down_for"`
	Refused     int    `json:"refused"` // deliveries that it refused before and that wait for another try, MostRefused at most
}

// StillRefuses adds to the data of a destination that takes deliveries again how many
// it refused before that wait for another try.
func (d *DestinationRecoveredData) StillRefuses(n int) {
	if d.Refused = n; n > 0 {
		d.Summary = strings.TrimSuffix(d.Summary, ".") + "; " + RefusedWait(n) + "."
	}
}

// RefusedWait says what n of DestinationState.Refused wait for.
func RefusedWait(n int) string {
	switch {
	case n == 1:
		return "1 that it refused still waits for another try"
	case n < MostRefused:
		return fmt.Sprintf("%d that it refused still wait for another try", n)
	}
	return fmt.Sprintf("at least %d that it refused still wait for another try", MostRefused)
}

// DestinationPausedData is the data of DestinationPaused.
type DestinationPausedData struct {
	Summary     string `json:"summary"`
	Destination string `json:"destination"`
	By          string `json:"by"`
	Reason      string `json:"reason"`
	Pending     int    `json:"pending"`
}

// AccountFailingData is the data of AccountFailing.
type AccountFailingData struct {
	Summary string `json:"summary"`
	Account string `json:"account"`
	Since   string `json:"since"`
	Error   string `json:"error"`
}

// AccountRecoveredData is the data of AccountRecovered.
type AccountRecoveredData struct {
	Summary string `json:"summary"`
	Account string `json:"account"`
	Since   string `json:"since"` // it failed
	DownFor string `json:"down_for"`
}

// RuleFailingData is the data of RuleFailing.
type RuleFailingData struct {
	Summary  string `json:"summary"`
	Rule     string `json:"rule"`
	Failures int    `json:"failures"` // in a row, or with less than a day between them
	Error    string `json:"error"`
	Event    string `json:"event"` // the last one on which it failed
}

// StoreLowSpaceData is the data of StoreLowSpace.
type StoreLowSpaceData struct {
	Summary    string `json:"summary"`
	Path       string `json:"path"`
	FreeBytes  int64  `json:"free_bytes"`
	StoreBytes int64  `json:"store_bytes"`
}

// FormatSpan writes how long something lasted, to the second: 1h2m3s.
func FormatSpan(d time.Duration) string { return max(0, d).Round(time.Second).String() }

// NewPurged makes the event that tells of a dead letter that somebody gave up.
func NewPurged(d *Delivery, now time.Time) (Event, error) {
	return NewSystem(DeliveryDead, d.Destination, d.ID+"/purged", now, Revived(d, "is given up: "+Brief(d.Reason)))
}
