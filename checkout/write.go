package checkout

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

func hash(content []byte) uint64 { return xxhash.Sum64(content) }

// documented holds the names of the top-level fields.
var documented = func() map[string]bool {
	names := make(map[string]bool, len(sessionShape.fields))
	for _, f := range sessionShape.fields {
		names[f.name] = true
	}
	return names
}()

// writer writes values that decode has read, byte for byte as encoding/json
// does without its escapes for HTML.
type writer struct {
	out  []byte
	keys []string // a stack: those of an object above those of the objects around it
}

// writers are those of Parse, which needs one at a time and often.
var writers = sync.Pool{New: func() any { return new(writer) }}

// object writes the given documented fields in their order, null where absent,
// and then the unknown ones by name.
func (w *writer) object(members map[string]any, fields []field) {
	w.byte('{')
	empty := true
	member := func(name string) {
		if !empty {
			w.byte(',')
		}
		empty = false
		w.text(name)
		w.byte(':')
		w.value(members[name])
	}
	for _, f := range fields {
		member(f.name)
	}
	unknown := func(name string, _ any) bool { return !documented[name] }
	w.eachMember(members, unknown, func(name string, _ any) { member(name) })
	w.byte('}')
}

// eachMember calls do with the members of an object that include accepts, in the
// order of their names.
func (w *writer) eachMember(members map[string]any, include func(name string, value any) bool, do func(name string, value any)) {
	from := len(w.keys)
	for name, value := range members {
		if include(name, value) {
			w.keys = append(w.keys, name)
		}
	}
	keys := w.keys[from:]
	slices.Sort(keys)
	for _, name := range keys {
		do(name, members[name])
	}
	w.keys = w.keys[:from]
}

func all(string, any) bool { return true }

// says leaves out what is most often equal to a missing member.
func says(_ string, value any) bool { return value != nil && value != "" }

func (w *writer) byte(c byte) { w.out = append(w.out, c) }

func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.out = append(w.out, "null"...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case json.Number:
		w.out = append(w.out, v...)
	case string:
		w.text(v)
	case []any:
		w.byte('[')
		for i, element := range v {
			if i > 0 {
				w.byte(',')
			}
			w.value(element)
		}
		w.byte(']')
	case map[string]any:
		w.byte('{')
		start := len(w.out)
		w.eachMember(v, all, func(name string, value any) {
			if len(w.out) > start {
				w.byte(',')
			}
			w.text(name)
			w.byte(':')
			w.value(value)
		})
		w.byte('}')
	default:
		w.out = append(w.out, standard(v)...)
	}
}

// text writes a string. What encoding/json escapes is left to it.
func (w *writer) text(s string) {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == '"' || c == '\\' || c == lineSeparators {
			w.out = append(w.out, standard(s)...)
			return
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(s) {
		w.out = append(w.out, standard(s)...)
		return
	}
	w.out = append(append(append(w.out, '"'), s...), '"')
}

// lineSeparators is the first byte of U+2028 and U+2029, which JavaScript does
// not allow in a string.
const lineSeparators = 0xe2

// standard is how encoding/json writes a value that decode has read: it cannot fail.
func standard(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return null
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// encode returns a value that decode has read as JSON.
func encode(v any) json.RawMessage {
	if v == nil {
		return null
	}
	var w writer
	w.value(v)
	return w.out
}

// canonical writes what counts of a value, so that two writings of the same
// content are the same bytes: members sorted, without those that are empty,
// numbers as numbers and creation times in seconds also where no schema says so.
// An empty value, which is null, "", or an object or array of nothing but empty
// ones, is written as null, and filled is false.
func (w *writer) canonical(v any) (filled bool) {
	start := len(w.out)
	switch v := v.(type) {
	case map[string]any:
		w.byte('{')
		w.eachMember(v, says, func(name string, value any) {
			before := len(w.out)
			w.text(name)
			w.byte(':')
			if name == fieldCreated {
				value = seconds(value)
			}
			if !w.canonical(value) {
				w.out = w.out[:before]
				return
			}
			filled = true
			w.byte(',')
		})
		w.byte('}')
	case []any:
		w.byte('[')
		for _, value := range v {
			filled = w.canonical(value) || filled
			w.byte(',')
		}
		w.byte(']')
	case string:
		filled = v != ""
		if isInteger(v) {
			w.out = append(w.out, v...)
		} else {
			w.text(v)
		}
	case json.Number:
		filled = true
		w.out = append(w.out, number(string(v))...)
	default:
		filled = v != nil
		w.value(v)
	}
	if !filled {
		w.out = append(w.out[:start], null...)
	}
	return filled
}

// seconds brings a time to seconds; what is none stays as it is.
func seconds(value any) any {
	if t, ok := readTime(value); ok {
		return json.Number(strconv.FormatInt(t.Unix(), 10))
	}
	return value
}

// isInteger says whether a text is an integer as JSON writes it.
func isInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > longestInteger || (digits[0] == '0' && text != "0") {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}
