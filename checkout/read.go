package checkout

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// read brings a value into its documented type. A value that cannot be brought
// there is reported with ok false: at the top as null, because rules and
// templates rely on the types of the top; further down untouched, because a
// reader can still make sense of it (an expanded product, say).
func read(s shape, v any, top bool) (value any, ok bool) {
	if v == nil || v == "" {
		return nil, true
	}
	switch s.kind {
	case kindString:
		value, ok = readString(v, top)
	case kindInteger:
		value, ok = readInteger(v)
	case kindBoolean:
		value, ok = readBoolean(v)
	case kindTime:
		var t time.Time
		if t, ok = readTime(v); ok {
			value = json.Number(strconv.FormatInt(t.Unix(), 10))
		}
	case kindMap:
		value, ok = v.(map[string]any)
	case kindObject:
		value, ok = readObject(s, v)
	case kindArray:
		value, ok = readArray(s, v)
	case kindAny:
		return v, true
	}
	switch {
	case ok:
		return value, true
	case s.kind >= kindMap && Empty(v): // [] for {}, say
		return nil, true
	case !top:
		return v, true
	}
	return nil, false
}

func readObject(s shape, v any) (any, bool) {
	members, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	for _, f := range s.fields {
		if member, present := members[f.name]; present {
			members[f.name], _ = read(f.shape, member, false)
		}
	}
	return members, true
}

func readArray(s shape, v any) (any, bool) {
	elements, ok := v.([]any)
	if !ok {
		return nil, false
	}
	for i := range elements {
		elements[i], _ = read(*s.elem, elements[i], false)
	}
	return elements, true
}

// readString also takes a number, and at the top an expanded object, of which
// the documented value is the id.
func readString(v any, top bool) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return number(v.String()), true // 20.0 says what 20 says
	case map[string]any:
		if id, ok := v["id"].(string); ok && top {
			return id, true
		}
	}
	return nil, false
}

// Integer reads a decoded value as the API writes integers, which is as a number
// or as text, see readInteger. It never rounds.
func Integer(v any) (n json.Number, ok bool) {
	value, ok := readInteger(v)
	if !ok {
		return "", false
	}
	return value.(json.Number), true
}

// Seconds reads a decoded value as the API writes times, in whole seconds since
// the epoch.
func Seconds(v any) (n json.Number, ok bool) {
	t, ok := readTime(v)
	if !ok {
		return "", false
	}
	return json.Number(strconv.FormatInt(t.Unix(), 10)), true
}

// readInteger takes integers as number or string. A text with a decimal point is none,
// not even "20.00": an API that writes that may well count in major units.
func readInteger(v any) (any, bool) {
	if text, ok := v.(string); ok && strings.Contains(text, ".") {
		return nil, false
	}
	return readWhole(v)
}

// readWhole takes integers of any length, as number or string, and decimals
// without a fraction. It never rounds: half a cent makes no sense.
func readWhole(v any) (any, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	default:
		return nil, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return json.Number(strconv.FormatInt(n, 10)), true
	}
	if len(text) > 64 { // longer than any exact amount, and "1e999999999" is short
		return nil, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) >= 1<<53 {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return nil, false
	}
	return json.Number(r.Num().String()), true
}

func readBoolean(v any) (any, bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b, true
		}
	}
	return nil, false
}

// The units of a time are told apart by magnitude: the documented seconds stay
// below 1e11 until the year 5138, the observed milliseconds are above it since
// 1973. Later times make no sense.
const millisecondsFrom = 1e11

// readTime takes seconds or milliseconds, as number or string, and RFC 3339.
func readTime(v any) (time.Time, bool) {
	if text, ok := v.(string); ok {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC(), t.Unix() > 0 && t.Unix() < millisecondsFrom
		}
	}
	number, ok := readWhole(v)
	if !ok {
		return time.Time{}, false
	}
	n, err := number.(json.Number).Int64()
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	t := time.Unix(n, 0)
	if n >= millisecondsFrom {
		t = time.UnixMilli(n)
	}
	return t.UTC(), t.Unix() < millisecondsFrom
}

// The API's ids are Snowflakes: milliseconds since this epoch stand above the
// low 22 bits (observed, not documented).
const (
	snowflakeEpoch = 1288834974657
	snowflakeShift = 22
)

// IDTime returns the time inside a session's id, a hint only: ok is false for
// an id that does not look like the observed ones.
func IDTime(id string) (t time.Time, ok bool) {
	digits := id[strings.LastIndexByte(id, '_')+1:]
	if len(digits) < 17 || len(digits) > 19 {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(n>>snowflakeShift + snowflakeEpoch).UTC(), true
}
