package checkout

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

func hash(content []byte) uint64 { return xxhash.Sum64(content) }

// writeObject writes the given fields in their order, null where absent, and
// then the unknown ones by name.
func writeObject(b *bytes.Buffer, members map[string]any, fields []field) {
	b.WriteByte('{')
	documented := make(map[string]bool, len(fields))
	for i, f := range fields {
		documented[f.name] = true
		if i > 0 {
			b.WriteByte(',')
		}
		writeMember(b, f.name, members[f.name])
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if documented[name] {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		writeMember(b, name, members[name])
	}
	b.WriteByte('}')
}

func writeMember(b *bytes.Buffer, name string, value any) {
	b.Write(encode(name))
	b.WriteByte(':')
	b.Write(encode(value))
}

// encode writes a value that decode has read: it cannot fail.
func encode(v any) json.RawMessage {
	if v == nil {
		return null
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return null
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// writeCanonical writes what counts of a value: members sorted, without those
// that are null or "", numbers as numbers and creation times in seconds also
// where no schema says so, so that two writings of the same content are the
// same bytes.
func writeCanonical(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value := v[name]
			if value == nil || value == "" {
				continue
			}
			if t, ok := readTime(value); ok && name == "created" {
				value = json.Number(strconv.FormatInt(t.Unix(), 10))
			}
			b.Write(encode(name))
			b.WriteByte(':')
			writeCanonical(b, value)
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, value := range v {
			writeCanonical(b, value)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case string:
		switch {
		case v == "":
			b.WriteString("null")
		case isInteger(v):
			b.WriteString(v)
		default:
			b.Write(encode(v))
		}
	default:
		b.Write(encode(v))
	}
}

// isInteger says whether a text is an integer as JSON writes it.
func isInteger(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == text
}
