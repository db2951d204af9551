package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"time"
)

// millisFrom is the magnitude from which a Unix time is read as milliseconds:
// as seconds it would be the year 5138.
const millisFrom = 100_000_000_000

// decodeObject reads one JSON object and keeps numbers as they are written.
func decodeObject(body []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decoding JSON: more than one value")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("decoding JSON: not an object")
	}
	return object, nil
}

// normalise returns a deep copy of fields that holds only what decodeObject
// yields: nil, bool, string, json.Number, maps and slices of these.
func normalise(fields Fields) (map[string]any, error) {
	if d, ok := fields["expires_in"].(time.Duration); ok {
		fields = maps.Clone(fields)
		fields["expires_in"] = d.String()
	}
	raw, err := json.Marshal(map[string]any(fields))
	if err != nil {
		return nil, fmt.Errorf("%w fields: %w", ErrInvalid, err)
	}
	if fields == nil {
		return map[string]any{}, nil
	}
	return decodeObject(raw)
}

// toMillis reads a point in time: RFC 3339, or a Unix time in seconds or
// milliseconds, told apart by magnitude, as number or string.
func toMillis(value any) (int64, error) {
	var raw string
	switch v := value.(type) {
	case json.Number:
		raw = v.String()
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t.UnixMilli(), nil
		}
		raw = v
	default:
		return 0, fmt.Errorf("%w time %v: want RFC 3339 or a Unix time", ErrInvalid, value)
	}
	n, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > 1e15 {
		return 0, fmt.Errorf("%w time %q: want RFC 3339 or a Unix time", ErrInvalid, raw)
	}
	if math.Abs(n) < millisFrom {
		n *= 1000
	}
	return int64(math.Round(n)), nil
}

// toDuration reads a Go duration ("90s") or a number of seconds.
func toDuration(value any) (time.Duration, error) {
	raw := ""
	switch v := value.(type) {
	case json.Number:
		raw = v.String()
	case string:
		raw = v
	}
	if d, err := time.ParseDuration(raw); err == nil {
		return d, nil
	}
	d, err := time.ParseDuration(raw + "s")
	if err != nil {
		return 0, fmt.Errorf("%w duration %v: want seconds or a Go duration", ErrInvalid, value)
	}
	return d, nil
}

// isEmpty tells whether the API has nothing to show for a field.
func isEmpty(value any) bool {
	return value == nil || value == ""
}

// text returns value if it is a string, else "".
func text(value any) string {
	s, _ := value.(string)
	return s
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
