package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"checkout-notifier/checkout"
)

// Bodies are made by appending: nine tenths of one are JSON that was checked
// when it was stored, and encoding/json would read all of it again, more than
// once. The result is what encoding/json gives, byte for byte.

const envelope = 1024 // of a body without what it quotes, about

func (e *Event) size(m Match) int {
	size := envelope + len(e.Object) + len(e.PreviousAttributes) + len(e.System)
	if e.Change != nil {
		size += len(e.Change.From) + len(e.Change.To)
	}
	for name, value := range m.Labels {
		size += len(name) + len(value)
	}
	return size
}

// appendData appends the `data` member of an event.
func (e *Event) appendData(b []byte, m Match, omit []string) ([]byte, error) {
	if e.IsSystem() {
		return e.appendSystem(b, m)
	}
	object, previous, err := e.omit(omit)
	if err != nil {
		return nil, err
	}
	if b, err = appendRaw(append(b, `{"object":`...), object, m.Stored); err != nil {
		return nil, err
	}
	if b, err = appendRaw(append(b, `,"previous_attributes":`...), previous, m.Stored); err != nil {
		return nil, err
	}
	if b, err = appendChange(append(b, `,"change":`...), e.Change, omit, m.Stored); err != nil {
		return nil, err
	}
	b = strconv.AppendInt(append(b, `,"revision":`...), int64(e.Revision), 10)
	b = strconv.AppendBool(append(b, `,"inferred":`...), e.Inferred)
	b = strconv.AppendBool(append(b, `,"unexpected":`...), e.Unexpected)
	b = strconv.AppendBool(append(b, `,"async":`...), e.Async)
	b = appendText(append(b, `,"reason":`...), e.Reason)
	if !e.OccurredAfter.IsZero() {
		b = appendTime(append(b, `,"occurred_after":`...), e.OccurredAfter)
	}
	b = appendTime(append(b, `,"occurred_before":`...), e.OccurredBefore)
	b = appendMatch(append(b, `,"match":`...), m)
	return append(b, '}'), nil
}

// appendSystem appends the `data` of one of the program's own events: what it
// was made with, and the match behind it.
func (e *Event) appendSystem(b []byte, m Match) ([]byte, error) {
	object := bytes.TrimSpace(e.System)
	if len(object) < 2 || object[0] != '{' {
		return nil, fmt.Errorf("the data of event %s is no object", e.ID)
	}
	b = append(b, object[:len(object)-1]...)
	if len(object) > 2 {
		b = append(b, ',')
	}
	return append(appendMatch(append(b, `"match":`...), m), '}'), nil
}

func appendChange(b []byte, c *Change, omit []string, compact bool) ([]byte, error) {
	if c == nil {
		return append(b, "null"...), nil
	}
	from, to := c.From, c.To
	if slices.Contains(omit, c.Field) {
		from, to = nil, nil
	}
	b = appendText(append(b, `{"field":`...), c.Field)
	b, err := appendRaw(append(b, `,"from":`...), from, compact)
	if err != nil {
		return nil, err
	}
	if b, err = appendRaw(append(b, `,"to":`...), to, compact); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

func appendMatch(b []byte, m Match) []byte {
	b = appendTexts(append(b, `{"rules":`...), m.Rules)
	b = append(b, `,"labels":{`...)
	names := make([]string, 0, len(m.Labels))
	for name := range m.Labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, name), ':'), m.Labels[name])
	}
	b = appendTexts(append(b, `},"overtook":`...), m.Overtook)
	return append(b, '}')
}

func appendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, text := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return append(b, ']')
}

// appendRaw appends JSON without white space. compact says that it is known to have
// none, and to be JSON.
func appendRaw(b []byte, raw json.RawMessage, compact bool) ([]byte, error) {
	switch {
	case raw == nil:
		return append(b, "null"...), nil
	case compact || checkout.IsCompact(raw):
		return append(b, raw...), nil
	}
	rest := bytes.NewBuffer(b)
	if err := json.Compact(rest, raw); err != nil {
		return nil, err
	}
	return rest.Bytes(), nil
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), timeFormat), '"')
}

// appendText appends a string. What encoding/json escapes is left to it.
func appendText(b []byte, s string) []byte {
	const lastASCII = 0x7f
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > lastASCII || c == '"' || c == '\\' {
			text, _ := Marshal(s) // a string always marshals
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
