package publish

import (
	"encoding/json"
	"fmt"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// The names at the top of what templates see.
const (
	nameAccount  = "Account"
	nameChange   = "Change"
	nameRule     = "Rule"
	nameLabels   = "Labels"
	nameLink     = "Link"
	nameEvent    = "Event"
	nameSession  = "Session"
	namePrevious = "Previous"
	nameAlert    = "Alert"
)

// templateData is what templates and subjects see, as far as this one needs it:
// to read a session takes longer than all the rest. Everything is a map or a
// plain value, integers as int64, so that they compare with literals.
func templateData(m *Message, needs needs, omit []string, link string) (map[string]any, error) {
	e := &m.Event
	labels := make(map[string]any, len(m.Delivery.Labels))
	for name, value := range m.Delivery.Labels {
		labels[name] = value
	}
	data := map[string]any{
		nameAccount: accountOf(e), nameChange: event.Short(e.Type), nameRule: ruleOf(&m.Delivery), nameLabels: labels, nameLink: link,
	}
	var err error
	if needs.name(nameEvent) {
		if data[nameEvent], err = eventData(e, omit); err != nil {
			return nil, err
		}
	}
	if needs.name(nameAlert) {
		if data[nameAlert], err = plainObject(e.System); err != nil {
			return nil, err
		}
	}
	if !needs.name(nameSession) && !needs.name(namePrevious) {
		return data, nil
	}
	if e.IsSystem() {
		data[nameSession], data[namePrevious] = map[string]any{}, map[string]any{}
		return data, nil
	}
	object, err := checkout.Omit(e.Object, omit)
	if err != nil {
		return nil, err
	}
	session, err := plainObject(object)
	if err != nil {
		return nil, err
	}
	data[nameSession] = session
	if needs.name(namePrevious) {
		if data[namePrevious], err = previousData(e, session, omit); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// accountOf is the account that an event is about, "" if there is none.
func accountOf(e *event.Event) string {
	if e.Account == "" && strings.HasPrefix(e.Type, event.SystemPrefix+"account.") {
		return e.Subject
	}
	return e.Account
}

// previousData is the session before the event: all null at first sight.
func previousData(e *event.Event, session map[string]any, omit []string) (map[string]any, error) {
	was, err := e.PreviousObject()
	if err != nil {
		return nil, fmt.Errorf("reading the earlier session: %w", err)
	}
	if was == nil {
		previous := make(map[string]any, len(session))
		for name := range session {
			previous[name] = nil
		}
		return previous, nil
	}
	if was, err = checkout.Omit(was, omit); err != nil {
		return nil, err
	}
	return plainObject(was)
}

func eventData(e *event.Event, omit []string) (map[string]any, error) {
	data := map[string]any{
		"ID": e.ID, "Type": e.Type, "Time": event.FormatTime(e.Time), "Revision": int64(e.Revision), "Reason": e.Reason,
		"Inferred": e.Inferred, "Unexpected": e.Unexpected, "Async": e.Async,
		"Field": nil, "From": nil, "To": nil,
	}
	if e.Change == nil {
		return data, nil
	}
	data["Field"] = e.Change.Field
	for _, name := range omit {
		if name == e.Change.Field {
			return data, nil
		}
	}
	var err error
	if data["From"], err = plainValue(e.Change.From); err != nil {
		return nil, fmt.Errorf("reading the change: %w", err)
	}
	if data["To"], err = plainValue(e.Change.To); err != nil {
		return nil, fmt.Errorf("reading the change: %w", err)
	}
	return data, nil
}

func plainObject(raw json.RawMessage) (map[string]any, error) {
	v, err := plainValue(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	members, ok := v.(map[string]any)
	if !ok {
		members = map[string]any{} // the program's own events are about no session, and others are no alerts
	}
	return members, nil
}

func plainValue(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	v, err := checkout.Decode(raw)
	if err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
	case map[string]any:
		for name, member := range v {
			v[name] = plain(member)
		}
	case []any:
		for i, element := range v {
			v[i] = plain(element)
		}
	}
	return v
}
