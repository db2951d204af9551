// Package null has the functions of text/template that make no text, for which null is
// empty: they would fail on it there. Their other results and errors are the same.
package null

import (
	"cmp"
	"encoding/json"
	"errors"
)

// Functions are what templates call, by their names.
func Functions() map[string]any {
	return map[string]any{
		"len": length, "index": indexed, "slice": sliced,
		"eq": equalsAny, "ne": func(a, b any) (bool, error) { equal, err := equals(a, b); return !equal, err },
		"lt": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c < 0 }) },
		"le": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c <= 0 }) },
		"gt": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c > 0 }) },
		"ge": func(a, b any) (bool, error) { return ordered(a, b, func(c int) bool { return c >= 0 }) },
	}
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
	s, _ := v.(string) // what has a length is one, or a list, or null
	return s[at[0]:at[1]], nil
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
	if first, ok := Integer(a); ok {
		if second, ok := Integer(b); ok {
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

// Integer reads the integers of a template's data and literals.
func Integer(v any) (int64, bool) {
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
	if n, ok := Integer(v); ok {
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
