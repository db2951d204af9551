package rules

import (
	"bytes"
	"encoding/json"

	"checkout-notifier/event"
	"checkout-notifier/rules/schema"
)

// env is what an expression sees. It is a struct, not a map, so that expr
// refuses a field that does not exist and a comparison of different types when
// the rules are loaded. Session and Previous are never nil.
type env struct {
	Event    *schema.Event   `expr:"event"`
	Session  *schema.Session `expr:"session"`
	Previous *schema.Session `expr:"previous"`
	// State carries the budget and the functions' data. Its name is refused in
	// the operator's text: only rewritten calls can name it.
	State *state `expr:"__state"`
}

// systemEnv is what the expression of a rule with on: system sees.
type systemEnv struct {
	Event *schema.SystemEvent `expr:"event"`
	State *state              `expr:"__state"` // as in env
}

func newEventFields(e *event.Event) *schema.Event {
	f := &schema.Event{
		ID: e.ID, Type: e.Type, Time: e.Time, Account: e.Account, Revision: e.Revision,
		Inferred: e.Inferred, Unexpected: e.Unexpected, Async: e.Async, Reason: e.Reason,
	}
	if c := e.Change; c != nil {
		f.Change.Field, f.Change.From, f.Change.To = c.Field, valueText(c.From), valueText(c.To)
	}
	return f
}

// valueText is the text of a JSON string, nothing for null, which equals "",
// and the JSON itself of anything else.
func valueText(value json.RawMessage) string {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || string(value) == "null" {
		return ""
	}
	var text string
	if value[0] == '"' && json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
