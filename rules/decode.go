package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/rules/schema"
)

var timeType = reflect.TypeFor[time.Time]()

var errNotAnObject = errors.New("not a JSON object")

// decodeObject reads a JSON object, numbers exact. Its errors quote nothing of
// the object.
func decodeObject(raw json.RawMessage) (map[string]any, error) {
	v, err := checkout.Decode(raw)
	if err != nil {
		return nil, errNotAnObject
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, errNotAnObject
	}
	return members, nil
}

// readSession fills a session from its decoded object. Bit i of unreadable is
// set when field i holds, at any depth, a value of another type than the
// documented one: what could not be read is zero there, and a rule that looks
// at the field must fail rather than take the zero for the truth.
func readSession(members map[string]any) (s *schema.Session, unreadable uint64) {
	s = new(schema.Session)
	v := reflect.ValueOf(s).Elem()
	for i := range schema.SessionType.NumField() {
		if !readInto(v.Field(i), members[schema.FieldName(schema.SessionType.Field(i))]) {
			unreadable |= 1 << i
		}
	}
	return s, unreadable
}

// readInto stores a decoded JSON value in a field of an env type and says
// whether all of it fitted. null is the zero value.
func readInto(dst reflect.Value, v any) bool {
	if v == nil {
		return true
	}
	switch dst.Kind() {
	case reflect.String:
		return readText(dst, v)
	case reflect.Int64:
		n, ok := integer(v)
		dst.SetInt(n)
		return ok
	case reflect.Float64:
		f, err := strconv.ParseFloat(scalarText(v), 64)
		if err == nil {
			dst.SetFloat(f)
		}
		return err == nil || v == ""
	case reflect.Bool:
		b, ok := v.(bool)
		dst.SetBool(b)
		return ok || v == ""
	case reflect.Map:
		return readMap(dst, v)
	case reflect.Slice:
		return readSlice(dst, v)
	case reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		return readInto(dst.Elem(), v)
	case reflect.Struct:
		return readStruct(dst, v)
	}
	return false
}

// readText takes strings and numbers, and of an expanded object its id.
func readText(dst reflect.Value, v any) bool {
	if members, ok := v.(map[string]any); ok {
		v = members["id"]
	}
	switch v := v.(type) {
	case string:
		dst.SetString(v)
	case json.Number:
		dst.SetString(v.String())
	default:
		return false
	}
	return true
}

func readMap(dst reflect.Value, v any) bool {
	members, ok := v.(map[string]any)
	if !ok {
		return v == ""
	}
	texts := make(map[string]string, len(members))
	for name, value := range members {
		if value != nil {
			texts[name] = scalarText(value)
		}
	}
	dst.Set(reflect.ValueOf(texts))
	return true
}

func readSlice(dst reflect.Value, v any) bool {
	elements, ok := v.([]any)
	if !ok {
		return v == ""
	}
	list := reflect.MakeSlice(dst.Type(), len(elements), len(elements))
	for i, element := range elements {
		if element == nil && list.Index(i).Kind() == reflect.Pointer {
			element = map[string]any{} // a nil element would fail every predicate
		}
		ok = readInto(list.Index(i), element) && ok
	}
	dst.Set(list)
	return ok
}

func readStruct(dst reflect.Value, v any) bool {
	if dst.Type() == timeType {
		seconds, ok := integer(v)
		if ok && seconds != 0 {
			dst.Set(reflect.ValueOf(time.Unix(seconds, 0).UTC()))
		}
		return ok
	}
	members, ok := v.(map[string]any)
	if !ok {
		return v == ""
	}
	for i := range dst.NumField() {
		ok = readInto(dst.Field(i), members[schema.FieldName(dst.Type().Field(i))]) && ok
	}
	return ok
}

func integer(v any) (int64, bool) {
	if v == "" {
		return 0, true
	}
	switch v.(type) {
	case string, json.Number:
		n, err := strconv.ParseInt(scalarText(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// scalarText is the text of a scalar and the JSON of anything else.
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return ""
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
