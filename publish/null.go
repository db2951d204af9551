package publish

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
)

// Null is empty for every function of a template: the functions of text/template
// that would print <nil> or <no value>, or fail on null, are replaced here. Their
// other results and errors are those of text/template.

// nullFunctions are the functions of text/template that make no text.
func nullFunctions() template.FuncMap {
	return template.FuncMap{
		"len": length, "index": indexed, "slice": sliced,
		"eq": equalsAny, "ne": func(a, b any) (bool, error) { equal, err := equals(a, b); return !equal, err },
		"lt": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c < 0 }) },
		"le": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c <= 0 }) },
		"gt": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c > 0 }) },
		"ge": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c >= 0 }) },
	}
}

// printable gives the functions that print null as "" and objects and lists as
// JSON, as an insertion does.
func printable(values []any) []any {
	shown := make([]any, len(values))
	for i, v := range values {
		switch v.(type) {
		case nil, map[string]any, []any:
			shown[i] = text(v)
		default:
			shown[i] = v
		}
	}
	return shown
}

// blank is null for printf: nothing under every verb, as wide as asked.
type blank struct{}

// Format implements fmt.Formatter.
func (blank) Format(f fmt.State, _ rune) {
	if width, ok := f.Width(); ok {
		_, _ = io.WriteString(f, strings.Repeat(" ", width))
	}
}

// printf is fmt.Sprintf. With a sample (strict) it refuses a format that does
// not fit its values, since fmt would write the mistake into the body.
func (x *execution) printf(format any, values ...any) (string, error) {
	if format == nil {
		return "", nil
	}
	shown := printable(values)
	for i, v := range values {
		if v == nil {
			shown[i] = blank{}
		}
	}
	pattern := text(format)
	s := fmt.Sprintf(pattern, shown...)
	if x.strict && strings.Contains(s, "%!") && !strings.Contains(pattern, "%%!") {
		return "", errors.New("printf: the format does not fit the values")
	}
	return x.made(s, nil)
}

func length(v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case string:
		return len(v), nil
	case map[string]any:
		return len(v), nil
	case []any:
		return len(v), nil
	}
	return 0, errors.New("len: this value has no length")
}

// indexed follows keys into objects and lists. What is not there in an object
// or in an empty list is null.
func indexed(v any, keys ...any) (any, error) {
	for _, key := range keys {
		if v == nil || key == nil {
			return nil, nil
		}
		switch base := v.(type) {
		case map[string]any:
			name, ok := key.(string)
			if !ok {
				return nil, errors.New("index: the members of an object have names, not numbers")
			}
			v = base[name]
		case []any:
			i, ok := numeric(key)
			if !ok {
				return nil, errors.New("index: the elements of a list have numbers, not names")
			}
			if len(base) == 0 {
				return nil, nil
			}
			if i != float64(int(i)) || i < 0 || int(i) >= len(base) {
				return nil, errors.New("index out of range")
			}
			v = base[int(i)]
		default:
			return nil, errors.New("index: this value has no elements")
		}
	}
	return v, nil
}

// sliced is a part of a text, in bytes, or of a list.
func sliced(v any, bounds ...any) (any, error) {
	size, err := length(v)
	if _, object := v.(map[string]any); err != nil || object || len(bounds) > 2 {
		return nil, errors.New("slice: takes a text or a list, and at most two bounds")
	}
	at := [2]int{0, size}
	for i, bound := range bounds {
		if v == nil || bound == nil {
			return nil, nil
		}
		n, ok := numeric(bound)
		if !ok || n != float64(int(n)) || n < 0 || int(n) > size {
			return nil, errors.New("slice: index out of range")
		}
		at[i] = int(n)
	}
	if at[0] > at[1] {
		return nil, errors.New("invalid slice index")
	}
	if list, ok := v.([]any); ok {
		return list[at[0]:at[1]], nil
	}
	return text(v)[at[0]:at[1]], nil
}

func equalsAny(first any, others ...any) (bool, error) {
	if len(others) == 0 {
		return false, errors.New("eq: takes two values or more")
	}
	for _, other := range others {
		if equal, err := equals(first, other); equal || err != nil {
			return equal, err
		}
	}
	return false, nil
}

// equals holds null and the empty text for equal.
func equals(a, b any) (bool, error) {
	if a == nil || b == nil {
		return (a == nil || a == "") && (b == nil || b == ""), nil
	}
	first, ok := a.(bool)
	if second, both := b.(bool); ok && both {
		return first == second, nil
	}
	c, err := compare(a, b)
	return c == 0 && err == nil, err
}

// ordered says whether two values stand in an order. Null stands in none.
func ordered(a, b any, in func(int) bool) (bool, error) {
	if a == nil || b == nil {
		return false, nil
	}
	c, err := compare(a, b)
	return err == nil && in(c), err
}

var errIncompatible = errors.New("incompatible types for comparison: numbers are written without quotes")

func compare(a, b any) (int, error) {
	for _, v := range []any{a, b} {
		switch v.(type) {
		case map[string]any, []any:
			return 0, errors.New("these values cannot be compared")
		}
	}
	if first, ok := integer(a); ok {
		if second, ok := integer(b); ok {
			return cmp.Compare(first, second), nil
		}
	}
	if first, ok := numeric(a); ok {
		if second, ok := numeric(b); ok {
			return cmp.Compare(first, second), nil
		}
		return 0, errIncompatible
	}
	first, ok := a.(string)
	second, both := b.(string)
	if !ok || !both {
		return 0, errIncompatible
	}
	return cmp.Compare(first, second), nil
}

// integer reads the integers of a template's data and literals.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// numeric reads every number of a template's data and literals.
func numeric(v any) (float64, bool) {
	if n, ok := integer(v); ok {
		return float64(n), true
	}
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}
