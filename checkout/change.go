package checkout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Change is one top-level field that differs between two looks. From and To
// are JSON values, null where the field was absent.
type Change struct {
	Field    string
	From, To json.RawMessage
}

var null = json.RawMessage("null")

// Changes lists the top-level fields in which two objects made by Parse differ,
// in the order of the published schema, unknown fields last by name. Missing,
// null, "", and an object or array of nothing but these are equal at every depth,
// times that differ by a rounding of their unit are equal, and a rotating url is
// not a change.
func Changes(from, to json.RawMessage) ([]Change, error) {
	if bytes.Equal(from, to) {
		return nil, nil
	}
	before, err := decodeObject(from)
	if err != nil {
		return nil, fmt.Errorf("reading the earlier look: %w", err)
	}
	after, err := decodeObject(to)
	if err != nil {
		return nil, fmt.Errorf("reading the later look: %w", err)
	}
	var changes []Change
	compare := func(name string, k kind) {
		if equal(before[name], after[name]) || (k == kindTime && equalTimes(before[name], after[name])) {
			return
		}
		changes = append(changes, Change{Field: name, From: encode(before[name]), To: encode(after[name])})
	}
	unknown := make(map[string]bool)
	for name := range before {
		unknown[name] = true
	}
	for name := range after {
		unknown[name] = true
	}
	for _, f := range sessionShape.fields {
		delete(unknown, f.name)
		if f.name != FieldURL {
			compare(f.name, f.shape.kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		compare(name, kindAny)
	}
	return changes, nil
}

// PreviousAttributes is what the changed fields were before: of an object only
// the members that changed, an array whole. No change gives {}.
func PreviousAttributes(changes []Change) (json.RawMessage, error) {
	previous := make(map[string]any, len(changes))
	for _, c := range changes {
		from, err := Decode(c.From)
		if err != nil {
			return nil, fmt.Errorf("reading the earlier %s: %w", c.Field, err)
		}
		to, err := Decode(c.To)
		if err != nil {
			return nil, fmt.Errorf("reading the later %s: %w", c.Field, err)
		}
		previous[c.Field] = changedMembers(from, to)
	}
	return encode(previous), nil
}

func changedMembers(from, to any) any {
	before, ok := from.(map[string]any)
	if !ok {
		return from
	}
	after, ok := to.(map[string]any)
	if !ok && !Empty(to) { // an empty value has no members
		return from
	}
	changed := make(map[string]any)
	for name, value := range before {
		// Compared under its name, which may say that it is a time.
		if !equal(map[string]any{name: value}, map[string]any{name: after[name]}) {
			changed[name] = changedMembers(value, after[name])
		}
	}
	for name, value := range after {
		if _, had := before[name]; !had && !Empty(value) {
			changed[name] = nil
		}
	}
	return changed
}

// Previous undoes PreviousAttributes: the earlier object, from the later one
// and what the changed fields were before.
func Previous(object, previousAttributes json.RawMessage) (json.RawMessage, error) {
	members, err := decodeObject(object)
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	attributes, err := decodeObject(previousAttributes)
	if err != nil {
		return nil, fmt.Errorf("reading previous_attributes: %w", err)
	}
	for name, value := range attributes {
		members[name] = restore(members[name], value)
	}
	var w writer
	w.object(members, sessionShape.fields)
	return w.out, nil
}

func restore(present, previous any) any {
	now, ok := present.(map[string]any)
	if !ok {
		return previous
	}
	was, ok := previous.(map[string]any)
	if !ok {
		return previous
	}
	for name, value := range was {
		now[name] = restore(now[name], value)
	}
	return now
}

// Omit returns the object without some of its top-level fields.
func Omit(object json.RawMessage, fields []string) (json.RawMessage, error) {
	if len(fields) == 0 {
		return object, nil
	}
	if rest, ok := omitVerbatim(object, fields); ok {
		return rest, nil
	}
	return omitDecoded(object, fields)
}

func omitDecoded(object json.RawMessage, fields []string) (json.RawMessage, error) {
	members, err := decodeObject(object)
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	for _, name := range fields {
		delete(members, name)
	}
	var w writer
	w.object(members, presentFields(members))
	return w.out, nil
}

func presentFields(members map[string]any) []field {
	var present []field
	for _, f := range sessionShape.fields {
		if _, ok := members[f.name]; ok {
			present = append(present, f)
		}
	}
	return present
}

// Fields lists the documented top-level fields in the order of the schema.
func Fields() []string {
	names := make([]string, len(sessionShape.fields))
	for i, f := range sessionShape.fields {
		names[i] = f.name
	}
	return names
}

// ContentHash identifies a field's value: equal for values that are no change
// from one another.
func ContentHash(value json.RawMessage) (uint64, error) {
	v, err := Decode(value)
	if err != nil {
		return 0, fmt.Errorf("reading a value: %w", err)
	}
	var w writer
	w.canonical(v)
	return hash(w.out), nil
}

// ContentText writes the value of a top-level field in the one way that all
// values have that are no change from one another, but for roundings of times.
// It is JSON, and that of what Parse gives for a value without empty members.
func ContentText(name string, value json.RawMessage) (string, error) {
	v, err := Decode(value)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return string(encode(sessionShape.member(name).content(v))), nil
}

// content is a value without what is empty, nil if that is all of it. Where the
// schema has no type that tells a number from a text, an integer is a text: in
// metadata, that is what it nearly always is.
func (s *shape) content(v any) any {
	switch v := v.(type) {
	case map[string]any:
		filled := make(map[string]any, len(v))
		for name, member := range v {
			of := s.member(name)
			if _, isTime := readTime(member); isTime && name == fieldCreated {
				of, member = &shape{kind: kindTime}, seconds(member)
			}
			if value := of.content(member); value != nil {
				filled[name] = value
			}
		}
		if len(filled) > 0 {
			return filled
		}
	case []any:
		of := s.elem
		if of == nil {
			of = &anything
		}
		elements, filled := make([]any, len(v)), false
		for i := range v {
			elements[i] = of.content(v[i])
			filled = filled || elements[i] != nil
		}
		if filled {
			return elements
		}
	case json.Number:
		return s.integer(number(string(v)), v)
	case string:
		if v != "" {
			return s.integer(v, v)
		}
	default:
		return v
	}
	return nil
}

// integer brings an integer to the type that it has in this place.
func (s *shape) integer(text string, other any) any {
	numeric := s.kind == kindInteger || s.kind == kindTime
	switch {
	case !isInteger(text):
		if _, isNumber := other.(json.Number); isNumber {
			return json.Number(text)
		}
		return other
	case numeric:
		return json.Number(text)
	}
	return text
}

// Empty says whether a decoded value is equal to a missing one: null, "", or a
// list or an object of nothing but these.
func Empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(element any) bool { return !Empty(element) })
	case map[string]any:
		for _, member := range v {
			if !Empty(member) {
				return false
			}
		}
		return true
	}
	return false
}

func equal(a, b any) bool {
	if identical(a, b) {
		return true
	}
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.out = w.out[:0]
	w.canonical(a)
	middle := len(w.out)
	w.canonical(b)
	return bytes.Equal(w.out[:middle], w.out[middle:])
}

// identical is a quick yes: most fields have no members, and are as they were.
func identical(a, b any) bool {
	switch a.(type) {
	case nil, bool, string, json.Number:
		return a == b
	}
	return false
}

// equalTimes allows for the API's two roundings of a time that it once sends
// in milliseconds and once in seconds.
func equalTimes(a, b any) bool {
	from, ok := readTime(a)
	if !ok {
		return false
	}
	to, ok := readTime(b)
	return ok && from.Sub(to).Abs() <= time.Second
}
