package state

import (
	"bytes"
	"encoding/json"
	"errors"

	"checkout-notifier/event"
)

// encoder writes the rows of a page as event.Marshal does. A session's object stands in
// its snapshot and in each of its events: it is checked and compacted once.
type encoder struct{ compacted map[place][]byte }

// place is where an object lies in memory: nobody changes it while it is written.
type place struct {
	first *byte
	n     int
}

func newEncoder() encoder { return encoder{compacted: make(map[place][]byte)} }

func (e *encoder) snapshot(s *event.Snapshot) ([]byte, error) {
	hollow := *s
	hollow.Object = hole
	return e.fill(&hollow, s.Object)
}

// hole is written in the place of the object. Before it a record has no member of
// this name and no quote that is not escaped.
var (
	hole       = json.RawMessage("0")
	holeMember = []byte(`"object":0`)
)

func (e *encoder) fill(hollow any, object json.RawMessage) ([]byte, error) {
	compact, err := e.compact(object)
	if err != nil {
		return nil, err
	}
	row, err := event.Marshal(hollow)
	if err != nil {
		return nil, err
	}
	at := bytes.Index(row, holeMember) + len(holeMember) - len(hole)
	full := make([]byte, 0, len(row)+len(compact))
	full = append(full, row[:at]...)
	full = append(full, compact...)
	return append(full, row[at+len(hole):]...), nil
}

func (e *encoder) compact(object json.RawMessage) ([]byte, error) {
	if object == nil {
		return []byte("null"), nil
	}
	if len(object) == 0 {
		return nil, errEmptyObject
	}
	at := place{first: &object[0], n: len(object)}
	if known, ok := e.compacted[at]; ok {
		return known, nil
	}
	var b bytes.Buffer
	b.Grow(len(object))
	if err := json.Compact(&b, object); err != nil {
		return nil, err
	}
	e.compacted[at] = b.Bytes()
	return b.Bytes(), nil
}

var errEmptyObject = errors.New("the object is empty")
