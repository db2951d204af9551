package publish

import (
	"encoding/json"
	"fmt"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// templateData is what templates and subjects see. Everything is a map or a
// plain value, integers as int64, so that they compare with literals.
func templateData(m *Message, omit []string, link string) (map[string]any, error) {
	e := &m.Event
	object, err := checkout.Omit(e.Object, omit)
	if err != nil {
		return nil, err
	}
	session, err := plainObject(object)
	if err != nil {
		return nil, err
	}
	was, err := e.PreviousObject()
	if err != nil {
		return nil, fmt.Errorf("reading the earlier session: %w", err)
	}
	previous := make(map[string]any, len(session))
	if was == nil {
		for name := range session {
			previous[name] = nil // zero values at first sight
		}
	} else {
		if was, err = checkout.Omit(was, omit); err != nil {
			return nil, err
		}
		if previous, err = plainObject(was); err != nil {
			return nil, err
		}
	}
	about, err := eventData(e, omit)
	if err != nil {
		return nil, err
	}
	labels := make(map[string]any, len(m.Delivery.Labels))
	for name, value := range m.Delivery.Labels {
		labels[name] = value
	}
	return map[string]any{
		"Account": e.Account, "Change": event.Short(e.Type), "Rule": ruleOf(&m.Delivery), "Labels": labels, "Link": link,
		"Event": about, "Session": session, "Previous": previous, "Alert": map[string]any{},
	}, nil
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
	members, _ := v.(map[string]any)
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
