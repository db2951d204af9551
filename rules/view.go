package rules

import (
	"encoding/json"
	"strconv"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules/schema"
)

// view is one event as the rules look at it. Session and previous session are
// decoded when the first rule needs them, and once for all rules.
type view struct {
	event        *event.Event
	previousJSON json.RawMessage
	now          time.Time
	state        *state
	env          env       // of an event of a session
	system       systemEnv // of one of the program's own

	object     map[string]any // the decoded session
	unreadable uint64         // fields of the session, see readSession
	sessionErr error
	decoded    bool

	previousUnreadable uint64
	previousErr        error
	previousDecoded    bool

	attributes        map[string]any // previous_attributes
	attributesErr     error
	attributesDecoded bool
}

func newView(e *event.Event, previous json.RawMessage, now time.Time) *view {
	v := &view{event: e, previousJSON: previous, now: now}
	v.state = &state{view: v}
	v.env = env{Event: newEventFields(e), Session: new(schema.Session), Previous: new(schema.Session), State: v.state}
	return v
}

// scope is the env of the view's kind of event.
func (v *view) scope() any {
	if v.system.State != nil {
		return &v.system
	}
	return &v.env
}

func (v *view) decodeSession() error {
	if v.decoded {
		return v.sessionErr
	}
	v.decoded = true
	if v.system.State != nil {
		v.object, v.sessionErr = decodeObject(v.event.System)
		return v.sessionErr
	}
	if v.object, v.sessionErr = decodeObject(v.event.Object); v.sessionErr == nil {
		v.env.Session, v.unreadable = readSession(v.object)
	}
	return v.sessionErr
}

func (v *view) decodePrevious() error {
	if v.previousDecoded {
		return v.previousErr
	}
	v.previousDecoded = true
	if len(v.previousJSON) == 0 || string(v.previousJSON) == "null" {
		return nil // first sight
	}
	var members map[string]any
	if members, v.previousErr = decodeObject(v.previousJSON); v.previousErr == nil {
		v.env.Previous, v.previousUnreadable = readSession(members)
	}
	return v.previousErr
}

func (v *view) decodeAttributes() error {
	if v.attributesDecoded {
		return v.attributesErr
	}
	v.attributesDecoded = true
	if len(v.event.PreviousAttributes) > 0 {
		v.attributes, v.attributesErr = decodeObject(v.event.PreviousAttributes)
	}
	return v.attributesErr
}

// prepare decodes what an expression looks at and fails if it cannot be
// trusted: a zero in the place of an unreadable value would be a lie.
func (v *view) prepare(u *uses) error {
	if u.object || u.session != 0 {
		if v.decodeSession() != nil {
			if v.system.State != nil {
				return evalError("the event's data cannot be read")
			}
			return evalError("the session cannot be read")
		}
		if bad := v.unreadable & u.session; bad != 0 {
			return evalError("session." + unreadableName(bad) + " cannot be read")
		}
	}
	if u.previous != 0 {
		if v.decodePrevious() != nil {
			return evalError("the previous session cannot be read")
		}
		if bad := v.previousUnreadable & u.previous; bad != 0 {
			return evalError("previous." + unreadableName(bad) + " cannot be read")
		}
	}
	if u.changed && v.decodeAttributes() != nil {
		return evalError("the previous attributes cannot be read")
	}
	return nil
}

func unreadableName(fields uint64) string {
	for i := range schema.SessionType.NumField() {
		if fields&(1<<i) != 0 {
			return schema.FieldName(schema.SessionType.Field(i))
		}
	}
	return ""
}

// at is the value at a path of the session, nil if there is none.
func (v *view) at(path []string) any { return lookUp(v.object, path) }

func lookUp(value any, path []string) any {
	for _, name := range path {
		switch container := value.(type) {
		case map[string]any:
			value = container[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(container) {
				return nil
			}
			value = container[i]
		default:
			return nil
		}
	}
	return value
}

func (v *view) has(path []string) bool { return !checkout.Empty(v.at(path)) }

// changed says whether the value at a path differs from the look before; at
// first sight, whether there is one.
// previous_attributes has the former value of every changed field, of an object
// only the members that changed. Where the former value was no object, or the
// present one is none, the members are what is left to compare.
func (v *view) changed(path []string) (bool, error) { //nolint:unparam // one signature for all look-ups
	if v.event.FirstSight() {
		return v.has(path), nil
	}
	var was any = v.attributes
	for _, name := range path {
		members, ok := was.(map[string]any)
		if !ok {
			return v.has(path), nil // there was no such member before
		}
		if was, ok = members[name]; !ok {
			return false, nil
		}
	}
	return !checkout.Empty(was) || v.has(path), nil
}

// rawValue turns decoded JSON into what expressions compute with: integers and
// floats instead of numbers as text.
func rawValue(s *state, v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, evalError("raw of a number that is too large")
		}
		return f, nil
	case []any:
		if err := s.allocateN(len(v), elementBytes); err != nil {
			return nil, err
		}
		list := make([]any, len(v))
		for i, element := range v {
			var err error
			if list[i], err = rawValue(s, element); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		if err := s.allocateN(len(v), 8*elementBytes); err != nil {
			return nil, err
		}
		members := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if members[name], err = rawValue(s, member); err != nil {
				return nil, err
			}
		}
		return members, nil
	}
	return v, nil
}
