package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/checkout"
)

// The fixed attributes of our CloudEvents (version 1.0.2 of the specification).
const (
	SpecVersion     = "1.0"
	SourcePrefix    = "/wooshpay/accounts/"
	SessionSchema   = "https://notifier.invalid/schemas/checkout.session/v1"
	DataContentType = "application/json"
)

// timeFormat keeps milliseconds and drops trailing zeros.
const timeFormat = "2006-01-02T15:04:05.999Z07:00"

// FormatTime writes a time as our bodies do: UTC with at most milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

// Match is the part of a body that depends on the delivery.
type Match struct {
	Rules    []string          `json:"rules"`
	Labels   map[string]string `json:"labels"`
	Overtook []string          `json:"overtook"`
}

// Attribute is one context attribute of a CloudEvent.
type Attribute struct{ Name, Value string }

// Attributes lists the context attributes of an event that are strings, in the
// order of the body, specversion first; livemode, which only events of a session
// have, is a boolean there.
func (e *Event) Attributes() []Attribute {
	if e.IsSystem() {
		return []Attribute{
			{"specversion", SpecVersion},
			{"id", e.ID},
			{"source", SystemSource},
			{"type", e.Type},
			{"subject", e.Subject},
			{"time", FormatTime(e.Time)},
			{"datacontenttype", DataContentType},
		}
	}
	return []Attribute{
		{"specversion", SpecVersion},
		{"id", e.ID},
		{"source", SourcePrefix + e.Account},
		{"type", e.Type},
		{"subject", e.Session},
		{"time", FormatTime(e.Time)},
		{"datacontenttype", DataContentType},
		{"dataschema", SessionSchema},
		{"account", e.Account},
		{"sequence", e.Sequence()},
	}
}

// Sequence orders the events of one session.
func (e *Event) Sequence() string { return fmt.Sprintf("%010d-%02d", e.Revision, e.Position) }

// data is the `data` member of a session event.
type data struct {
	Object             json.RawMessage `json:"object"`
	PreviousAttributes json.RawMessage `json:"previous_attributes"`
	Change             *Change         `json:"change"`
	Revision           int             `json:"revision"`
	Inferred           bool            `json:"inferred"`
	Unexpected         bool            `json:"unexpected"`
	Async              bool            `json:"async"`
	Reason             string          `json:"reason"`
	OccurredAfter      string          `json:"occurred_after,omitempty"`
	OccurredBefore     string          `json:"occurred_before"`
	Match              Match           `json:"match"`
}

// Data renders the event's `data`: the whole body in CloudEvents binary mode.
// Fields named in omit are left out of the session.
func (e *Event) Data(m Match, omit []string) ([]byte, error) {
	m = Match{Rules: orEmpty(m.Rules), Labels: m.Labels, Overtook: orEmpty(m.Overtook)}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	if e.IsSystem() {
		return e.systemData(m)
	}
	object, previous, err := e.omit(omit)
	if err != nil {
		return nil, err
	}
	change := e.Change
	if change != nil && slices.Contains(omit, change.Field) {
		change = &Change{Field: change.Field}
	}
	d := data{
		Object: object, PreviousAttributes: previous, Change: change,
		Revision: e.Revision, Inferred: e.Inferred, Unexpected: e.Unexpected, Async: e.Async, Reason: e.Reason,
		OccurredBefore: FormatTime(e.OccurredBefore),
		Match:          m,
	}
	if !e.OccurredAfter.IsZero() {
		d.OccurredAfter = FormatTime(e.OccurredAfter)
	}
	return marshal(d)
}

// systemData is the `data` of one of the program's own events: what it was made
// with, and the match behind it.
func (e *Event) systemData(m Match) ([]byte, error) {
	match, err := marshal(m)
	if err != nil {
		return nil, err
	}
	object := bytes.TrimSpace(e.System)
	if len(object) < 2 || object[0] != '{' {
		return nil, fmt.Errorf("the data of event %s is no object", e.ID)
	}
	var b bytes.Buffer
	b.Write(object[:len(object)-1])
	if len(object) > 2 {
		b.WriteByte(',')
	}
	b.WriteString(`"match":`)
	b.Write(match)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// omit leaves fields out of everything that quotes the session.
func (e *Event) omit(fields []string) (object, previous json.RawMessage, err error) {
	if object, err = checkout.Omit(e.Object, fields); err != nil {
		return nil, nil, err
	}
	previous, err = checkout.Omit(e.PreviousAttributes, fields)
	return object, previous, err
}

// CloudEvent renders the event in CloudEvents 1.0 JSON (structured mode).
func (e *Event) CloudEvent(m Match, omit []string) ([]byte, error) {
	data, err := e.Data(m, omit)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, a := range e.Attributes() {
		name, value := quote(a.Name), quote(a.Value)
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
		b.WriteByte(',')
		if a.Name == "account" {
			fmt.Fprintf(&b, `"livemode":%t,`, e.Livemode)
		}
	}
	b.WriteString(`"data":`)
	b.Write(data)
	b.WriteByte('}')
	return b.Bytes(), nil
}

// PreviousObject is the session as it was before the event, in the published
// schema; nil at first sight.
func (e *Event) PreviousObject() (json.RawMessage, error) {
	if e.FirstSight() || e.IsSystem() {
		return nil, nil
	}
	return checkout.Previous(e.Object, e.PreviousAttributes)
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func quote(s string) []byte {
	text, _ := marshal(s) // a string always marshals
	return text
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
