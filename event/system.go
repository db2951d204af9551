package event

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SystemPrefix begins the type of every event that is the program's own.
const SystemPrefix = "notifier."

// SystemSource is the source of the program's own events.
const SystemSource = "/notifier"

// The types of the program's own events.
const (
	DeliveryDead         = SystemPrefix + "delivery.dead"
	DestinationFailing   = SystemPrefix + "destination.failing"
	DestinationRecovered = SystemPrefix + "destination.recovered"
	DestinationPaused    = SystemPrefix + "destination.paused"
	AccountFailing       = SystemPrefix + "account.failing"
	AccountRecovered     = SystemPrefix + "account.recovered"
	RuleFailing          = SystemPrefix + "rule.failing"
	StoreLowSpace        = SystemPrefix + "store.low_space"
)

// SubjectStore is the subject of events about the store.
const SubjectStore = "store"

// SystemTypes lists the types of the program's own events.
func SystemTypes() []string {
	return []string{
		DeliveryDead, DestinationFailing, DestinationRecovered, DestinationPaused,
		AccountFailing, AccountRecovered, RuleFailing, StoreLowSpace,
	}
}

// IsSystemType says whether a type is one of SystemTypes.
func IsSystemType(name string) bool { return slices.Contains(SystemTypes(), name) }

// IsSystem says whether the event is the program's own.
func (e *Event) IsSystem() bool { return strings.HasPrefix(e.Type, SystemPrefix) && len(e.System) > 0 }

// NewSystem makes one of the program's own events. Subject is the destination,
// account, rule or SubjectStore; about tells two events of one type, subject and
// time apart, and may be empty. Data must be a JSON object with a summary.
func NewSystem(eventType, subject, about string, at time.Time, data any) (Event, error) {
	raw, err := Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("encoding the data of %s: %w", eventType, err)
	}
	at = at.UTC()
	return Event{
		ID:   "evt_" + digest(eventType, subject, about, at.Format(time.RFC3339Nano)),
		Type: eventType, Subject: subject, Time: at, OccurredBefore: at, Revision: 1, Position: 1, System: raw,
	}, nil
}

// NewRuleFailing makes the event that tells of the condition of a rule that fails.
func NewRuleFailing(c Condition) (Event, error) {
	data := RuleFailingData{Rule: c.Subject, Failures: c.Failures, Error: c.Why, Event: c.LastEvent}
	often := "in a row"
	if c.Recent > c.Failures {
		data.Failures, often = c.Recent, "since "+FormatTime(c.Since)+", though not on all"
	}
	data.Summary = fmt.Sprintf("Rule %q failed on %d events %s: %s. What it should send for these is missing, perhaps orders to be shipped. Mend it and restart notifier; then notifier replay --rule %[1]s --failed sends what was missed.",
		c.Subject, data.Failures, often, Brief(c.Why))
	return NewSystem(RuleFailing, c.Subject, "", c.Last, data)
}
