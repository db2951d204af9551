package checkout

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// What we wrote ourselves is sent as it stands. A verbatim looks, in one pass
// and without memory, whether that is what reading and writing it again would
// give; of all else it says that it does not know.
type verbatim struct {
	data  []byte
	at    int
	depth int
	// canonical asks for what writer writes, but for the order of the topmost
	// members; without it, only for JSON without white space.
	canonical bool
}

// IsCompact says whether a text is a JSON value without white space. It may say
// no of one that is unusual.
func IsCompact(raw []byte) bool {
	v := verbatim{data: raw}
	return v.value() && v.at == len(raw)
}

func (v *verbatim) value() bool {
	if v.at >= len(v.data) {
		return false
	}
	switch v.data[v.at] {
	case '"':
		return v.text()
	case '{':
		return v.object(nil)
	case '[':
		return v.list(']', v.value)
	}
	return v.scalar()
}

// object passes over an object and hands each name and the member's place on.
// The names of a canonical one rise, unless somebody else looks at their order.
func (v *verbatim) object(each func(name []byte, from, to int) bool) bool {
	var last []byte
	first := true
	return v.list('}', func() bool {
		from := v.at
		if !v.text() {
			return false
		}
		name := v.data[from+1 : v.at-1]
		if v.canonical && each == nil && !first && bytes.Compare(last, name) >= 0 {
			return false
		}
		first, last = false, name
		if !v.next(':') || !v.value() {
			return false
		}
		return each == nil || each(name, from, v.at)
	})
}

// list passes over what stands between brackets, with commas between the parts.
func (v *verbatim) list(end byte, part func() bool) bool {
	v.at++
	if v.depth++; v.depth > deepest {
		return false
	}
	if !v.next(end) {
		for {
			if !part() {
				return false
			}
			if v.next(end) {
				break
			}
			if !v.next(',') {
				return false
			}
		}
	}
	v.depth--
	return true
}

func (v *verbatim) next(c byte) bool {
	if v.at >= len(v.data) || v.data[v.at] != c {
		return false
	}
	v.at++
	return true
}

// text passes over the string whose first quote is next.
func (v *verbatim) text() bool {
	if v.at >= len(v.data) || v.data[v.at] != '"' {
		return false
	}
	start := v.at + 1
	for i := start; ; {
		i = endOfPlain(v.data, i)
		if i >= len(v.data) {
			return false
		}
		switch v.data[i] {
		case '"':
			v.at = i + 1
			return !v.canonical || isPlain(v.data[start:i])
		case '\\':
			size := escapeSize(v.data[i:])
			if v.canonical || size == 0 {
				return false
			}
			i += size
		default:
			return false // a control character
		}
	}
}

// endOfPlain returns the place of the next quote, backslash or control
// character, len(data) if there is none.
func endOfPlain(data []byte, i int) int {
	const controls = ones * ' '
	for ; i+8 <= len(data); i += 8 {
		word := binary.LittleEndian.Uint64(data[i:])
		x, y := word^quotes, word^escapes
		if found := ((x-ones)&^x | (y-ones)&^y | (word-controls)&^word) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && data[i] != '"' && data[i] != '\\' && data[i] >= ' ' {
		i++
	}
	return i
}

// isPlain says whether encoding/json writes a text as it is.
func isPlain(text []byte) bool {
	ascii := true
	for _, c := range text {
		if c == lineSeparators {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(text)
}

// escapeSize returns the length of the escape at the beginning, 0 if it is none.
func escapeSize(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		const size = 6
		if len(data) < size {
			return 0
		}
		for _, c := range data[2:size] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return size
	}
	return 0
}

// scalar passes over a number or a word.
func (v *verbatim) scalar() bool {
	start := v.at
	for v.at < len(v.data) && classes[v.data[v.at]] == classScalar {
		v.at++
	}
	raw := v.data[start:v.at]
	if isShortInteger(raw) {
		return true
	}
	switch string(raw) {
	case "true", "false", "null":
		return true
	}
	return json.Valid(raw)
}

// isShortInteger is a quick yes for most numbers.
func isShortInteger(raw []byte) bool {
	if len(raw) == 0 || (raw[0] == '0' && len(raw) > 1) {
		return false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// positions are those of the documented top-level fields in the schema.
var positions = func() map[string]int {
	at := make(map[string]int, len(sessionShape.fields))
	for i, f := range sessionShape.fields {
		at[f.name] = i
	}
	return at
}()

// omitVerbatim is Omit for an object that we wrote ourselves; ok is false for
// any other.
func omitVerbatim(object json.RawMessage, fields []string) (rest json.RawMessage, ok bool) {
	v := verbatim{data: object, canonical: true}
	if len(object) == 0 || object[0] != '{' {
		return nil, false
	}
	rest = append(make(json.RawMessage, 0, len(object)), '{')
	last, lastUnknown := -1, []byte(nil)
	ok = v.object(func(name []byte, from, to int) bool {
		at, known := positions[string(name)]
		switch {
		case known && (at <= last || lastUnknown != nil):
			return false
		case known:
			last = at
		case lastUnknown != nil && bytes.Compare(lastUnknown, name) >= 0:
			return false
		default:
			lastUnknown = name
		}
		for _, field := range fields {
			if string(name) == field {
				return true
			}
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(rest, object[from:to]...)
		return true
	})
	return append(rest, '}'), ok && v.at == len(object)
}
