package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
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

	// Stored says that the event was read from the store, which keeps JSON valid and
	// compact: it is then not looked through again.
	Stored bool `json:"-"`
}

// Attribute is one context attribute of a CloudEvent.
type Attribute struct{ Name, Value string }

// Attributes lists the context attributes of an event that are strings, in the
// order of the body, specversion first; livemode, which only events of a session
// have, is a boolean there.
func (e *Event) Attributes() []Attribute {
	return e.appendAttributes(make([]Attribute, 0, mostAttributes))
}

const mostAttributes = 10

func (e *Event) appendAttributes(list []Attribute) []Attribute {
	if e.IsSystem() {
		return append(list, []Attribute{
			{"specversion", SpecVersion},
			{"id", e.ID},
			{"source", SystemSource},
			{"type", e.Type},
			{"subject", e.Subject},
			{"time", FormatTime(e.Time)},
			{"datacontenttype", DataContentType},
		}...)
	}
	return append(list, []Attribute{
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
	}...)
}

// Sequence orders the events of one session.
func (e *Event) Sequence() string { return fmt.Sprintf("%010d-%02d", e.Revision, e.Position) }

// Data renders the event's `data`: the whole body in CloudEvents binary mode.
// Fields named in omit are left out of the session.
func (e *Event) Data(m Match, omit []string) ([]byte, error) {
	return e.appendData(make([]byte, 0, e.size(m)), m, omit)
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
	b := append(make([]byte, 0, e.size(m)), '{')
	for _, a := range e.appendAttributes(make([]Attribute, 0, mostAttributes)) {
		b = append(appendText(append(appendText(b, a.Name), ':'), a.Value), ',')
		if a.Name == "account" {
			b = append(strconv.AppendBool(append(b, `"livemode":`...), e.Livemode), ',')
		}
	}
	b, err := e.appendData(append(b, `"data":`...), m, omit)
	if err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

// PreviousObject is the session as it was before the event, in the published
// schema; nil at first sight.
func (e *Event) PreviousObject() (json.RawMessage, error) {
	if e.FirstSight() || e.IsSystem() {
		return nil, nil
	}
	return checkout.Previous(e.Object, e.PreviousAttributes)
}

// Marshal writes a value as JSON in which raw JSON keeps its bytes: the default
// escaping of HTML would change them.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
