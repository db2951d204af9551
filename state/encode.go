package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"

	"checkout-notifier/event"
)

// encoder writes the rows of a page as marshal does. A session's object stands in
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

// event writes an event with its object apart, which whoever reads it copies and
// does not parse.
func (e *encoder) event(x *event.Event) ([]byte, error) {
	var object []byte
	if x.Object != nil {
		var err error
		if object, err = e.compact(x.Object); err != nil {
			return nil, err
		}
	}
	hollow := *x
	hollow.Object = nil
	rest, err := marshal(&hollow)
	if err != nil {
		return nil, err
	}
	row := make([]byte, 0, 1+binary.MaxVarintLen64+len(object)+len(rest))
	row = binary.AppendUvarint(append(row, apart), uint64(len(object)))
	row = append(row, object...)
	return append(row, rest...), nil
}

// apart begins an event that is stored as the length of its object, the object,
// and the JSON of the rest. Schema 1 had JSON alone.
const apart = 0x01

// decodeEvent reads a row of events. What it returns is the caller's.
func decodeEvent(row []byte, e *event.Event) error {
	object, rest, err := splitEvent(row)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(rest, e); err != nil {
		return err
	}
	if len(row) > 0 && row[0] == apart {
		e.Object = bytes.Clone(object)
		if len(object) == 0 {
			e.Object = nil
		}
	}
	return nil
}

// splitEvent takes a row apart without copying: rest is all but the object, or
// the whole row of schema 1.
func splitEvent(row []byte) (object, rest []byte, err error) {
	if len(row) == 0 || row[0] != apart {
		return nil, row, nil
	}
	size, n := binary.Uvarint(row[1:])
	if n <= 0 || size > uint64(len(row)-1-n) {
		return nil, nil, errShortRow
	}
	body := row[1+n:]
	return body[:size], body[size:], nil
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
	row, err := marshal(hollow)
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
