package checkout

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// What is written is stored, hashed and compared with what was written years ago:
// the writer must agree with the plain one below, byte for byte.
func TestWriterAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := anyMembers(4).Draw(t, "members")
		compareWriters(t, members)
	})
}

func FuzzWriter(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","b":{"created":1709889908000,"z":[],"a":{}},"":"","created":"1"}`,
		`{"\u2028":"\u2029","e":"\u00e2\u0080","\ud800":"\ufffd<&>","q":"\"\\\b\f\n\u0000\u007f"}`,
		`{"n":[-0,0,1e5,1.50,-1,"-0","00","9223372036854775808","-9223372036854775808"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if members, err := decodeObject(raw); err == nil {
			compareWriters(t, members)
		}
	})
}

func compareWriters(t interface {
	Helper()
	Fatalf(string, ...any)
}, members map[string]any) {
	t.Helper()
	var want bytes.Buffer
	same := func(what string, got []byte) {
		t.Helper()
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%s\n     %s\nnot  %s", what, got, want.Bytes())
		}
		want.Reset()
	}
	for _, fields := range [][]field{sessionShape.fields, presentFields(members)} {
		var w writer
		w.object(members, fields)
		referenceObject(&want, members, fields)
		same("object", w.out)
	}
	var w writer
	w.canonical(members)
	referenceCanonical(&want, members)
	same("canonical", w.out)
	want.Write(referenceEncode(members))
	same("encode", encode(members))
}

// anyMembers generates what decode may return, with names and texts that are
// treated specially.
func anyMembers(depth int) *rapid.Generator[map[string]any] {
	names := rapid.OneOf(rapid.SampledFrom([]string{"id", "created", "url", "metadata", "line_items", "", "zz"}), anyText())
	return rapid.MapOfN(names, anyValue(depth), 0, 6)
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(), // of any runes
		rapid.SampledFrom([]string{"", "0", "-0", "7", "-7", "+7", "007", "1709889908000", "1709889908", "9223372036854775807",
			"9223372036854775808", "-9223372036854775808", "-9223372036854775809", "2024-03-08T09:25:08Z", "a\u2028b", "â", "<&>", "\x00", "\x7f", "\"\\"}),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) }),
	)
}

func anyValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		anyText().AsAny(),
		rapid.Custom(func(t *rapid.T) any {
			return json.Number(strconv.FormatInt(rapid.Int64().Draw(t, "integer"), 10))
		}),
		rapid.Custom(func(t *rapid.T) any {
			f := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "number")
			return json.Number(strconv.FormatFloat(f, 'e', -1, 64))
		}),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Custom(func(t *rapid.T) any { return anyMembers(depth-1).Draw(t, "object") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.SliceOfN(anyValue(depth-1), 0, 4).Draw(t, "array") }))
	}
	return rapid.OneOf(leaves...)
}

// The writer as it was at first.

// referenceObject writes the given fields in their order, null where absent, and
// then the unknown ones by name.
func referenceObject(b *bytes.Buffer, members map[string]any, fields []field) {
	b.WriteByte('{')
	documented := make(map[string]bool, len(fields))
	for i, f := range fields {
		documented[f.name] = true
		if i > 0 {
			b.WriteByte(',')
		}
		referenceMember(b, f.name, members[f.name])
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if documented[name] {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		referenceMember(b, name, members[name])
	}
	b.WriteByte('}')
}

func referenceMember(b *bytes.Buffer, name string, value any) {
	b.Write(referenceEncode(name))
	b.WriteByte(':')
	b.Write(referenceEncode(value))
}

// referenceEncode writes a value that decode has read: it cannot fail.
func referenceEncode(v any) json.RawMessage {
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

// referenceEmpty says whether a value is equal to a missing one.
func referenceEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if !referenceEmpty(member) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(element any) bool { return !referenceEmpty(element) })
	}
	return v == nil || v == ""
}

// referenceCanonical writes what counts of a value: members sorted, without those
// that are empty, numbers as numbers and creation times in seconds also where no
// schema says so, so that two writings of the same content are the same bytes.
func referenceCanonical(b *bytes.Buffer, v any) {
	if referenceEmpty(v) {
		b.WriteString("null")
		return
	}
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value := v[name]
			if referenceEmpty(value) {
				continue
			}
			if t, ok := readTime(value); ok && name == "created" {
				value = json.Number(strconv.FormatInt(t.Unix(), 10))
			}
			b.Write(referenceEncode(name))
			b.WriteByte(':')
			referenceCanonical(b, value)
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, value := range v {
			referenceCanonical(b, value)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case string:
		if isInteger(v) {
			b.WriteString(v)
		} else {
			b.Write(referenceEncode(v))
		}
	case json.Number:
		b.WriteString(number(v.String()))
	default:
		b.Write(referenceEncode(v))
	}
}
