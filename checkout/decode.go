package checkout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// Decode reads one JSON value, numbers exact as json.Number, and nothing behind
// it. What is usual is read in one pass, all else by encoding/json, which also
// knows the errors; the results are the same.
func Decode(raw []byte) (any, error) {
	d := decoder{data: raw}
	if v, ok := d.value(); ok && SkipBlank(raw, d.at) == len(raw) {
		return v, nil
	}
	return decodeStandard(raw)
}

func decodeStandard(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func decodeObject(raw []byte) (map[string]any, error) {
	v, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, ErrNotASession
	}
	return members, nil
}

// decoder reads values, and gives up on all that is unusual.
type decoder struct {
	data  []byte
	at    int
	depth int
}

const (
	deepest        = 100 // sessions have eight levels
	bytesPerMember = 64  // of a whole session, about
)

// names holds the members that the schema knows at any depth, so that their
// names need no memory in each session.
var names = func() map[string]string {
	known := make(map[string]string)
	var add func(s *shape)
	add = func(s *shape) {
		for i := range s.fields {
			known[s.fields[i].name] = s.fields[i].name
			add(&s.fields[i].shape)
		}
		if s.elem != nil {
			add(s.elem)
		}
	}
	add(&sessionShape)
	return known
}()

func (d *decoder) value() (any, bool) {
	d.at = SkipBlank(d.data, d.at)
	if d.at >= len(d.data) || d.depth > deepest {
		return nil, false
	}
	switch d.data[d.at] {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		raw, ok := d.text()
		return string(raw), ok
	}
	return d.scalar()
}

func (d *decoder) object() (any, bool) {
	size := 0
	if d.depth == 0 {
		size = len(d.data) / bytesPerMember
	}
	members := make(map[string]any, size)
	ok := d.list('}', func() bool {
		if d.at >= len(d.data) || d.data[d.at] != '"' {
			return false
		}
		raw, ok := d.text()
		if !ok || !d.passed(':') {
			return false
		}
		name, known := names[string(raw)]
		if !known {
			name = string(raw)
		}
		members[name], ok = d.value()
		return ok
	})
	return members, ok
}

func (d *decoder) array() (any, bool) {
	elements := []any{}
	ok := d.list(']', func() bool {
		element, ok := d.value()
		elements = append(elements, element)
		return ok
	})
	return elements, ok
}

// list reads what stands between brackets, with commas between the parts.
func (d *decoder) list(end byte, part func() bool) bool {
	d.depth++
	d.at++
	if d.passed(end) {
		d.depth--
		return true
	}
	for {
		d.at = SkipBlank(d.data, d.at)
		if !part() {
			return false
		}
		if d.passed(end) {
			d.depth--
			return true
		}
		if !d.passed(',') {
			return false
		}
	}
}

// passed goes behind a byte, if it is the next one that is no white space.
func (d *decoder) passed(c byte) bool {
	d.at = SkipBlank(d.data, d.at)
	if d.at >= len(d.data) || d.data[d.at] != c {
		return false
	}
	d.at++
	return true
}

// text reads the string whose first quote is next. The bytes are the decoder's.
func (d *decoder) text() (raw []byte, ok bool) {
	start := d.at + 1
	end := quoteOrEscape(d.data, start)
	if end >= len(d.data) {
		return nil, false
	}
	if d.data[end] == '\\' {
		return d.escaped()
	}
	raw = d.data[start:end]
	ascii := true
	for _, c := range raw {
		if c < ' ' {
			return nil, false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	d.at = end + 1
	return raw, ascii || utf8.Valid(raw)
}

func (d *decoder) escaped() (raw []byte, ok bool) {
	end := endOfString(d.data, d.at+1)
	if end < 0 {
		return nil, false
	}
	var text string
	if json.Unmarshal(d.data[d.at:end], &text) != nil {
		return nil, false
	}
	d.at = end
	return []byte(text), true
}

// scalar reads anything else.
func (d *decoder) scalar() (any, bool) {
	start := d.at
	for d.at < len(d.data) && classes[d.data[d.at]] == classScalar {
		d.at++
	}
	raw := d.data[start:d.at]
	switch string(raw) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	}
	return json.Number(raw), json.Valid(raw)
}

// deeper says whether the objects and arrays of a value are nested more than most
// levels deep.
func deeper(v any, most int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if deeper(member, most-1) {
				return true
			}
		}
		return most <= 0
	case []any:
		for _, element := range v {
			if deeper(element, most-1) {
				return true
			}
		}
		return most <= 0
	}
	return false
}
