package rules

import (
	"reflect"
	"slices"
	"strings"
)

// closest returns the candidate that a misspelt word most likely means, or "".
// Candidates are tried in their order, so that the answer is stable.
func closest(word string, candidates []string) string {
	best, bestDistance := "", 2
	if len(word) > 3 {
		bestDistance = (len(word)-1)/3 + 2
	}
	for _, candidate := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(candidate), bestDistance)
		if d < bestDistance && d < max(len(word), len(candidate)) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between two words, and stops counting at limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], limit)
}

// fieldNames lists the fields of an env type by the names of the API.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, fieldName(t.Field(i)))
	}
	return names
}

// suggestField proposes a field of t for a misspelt one, or, for a session,
// the place deeper down where the field really is.
func suggestField(t reflect.Type, name string) string {
	if near := closest(name, fieldNames(t)); near != "" {
		return near
	}
	if t == sessionType {
		return deeper(t, name)
	}
	return ""
}

// deeper finds a field of that very name inside a nested object.
func deeper(t reflect.Type, name string) string {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct || f.Type == timeType {
			continue
		}
		if _, ok := fieldByName(f.Type, name); ok {
			return fieldName(f) + "." + name
		}
	}
	return ""
}

// suggestName proposes something in scope for an unknown name.
func (s *scope) suggestName(name string) string {
	if s.system {
		if _, ok := fieldByName(systemType, name); ok {
			return "event." + name
		}
		return closest(name, slices.DeleteFunc(slices.Clone(scopeNames), func(n string) bool { return slices.Contains(sessionNames, n) }))
	}
	for _, t := range []struct {
		root string
		t    reflect.Type
	}{{"session", sessionType}, {"event", reflect.TypeFor[eventFields]()}} {
		if _, ok := fieldByName(t.t, name); ok {
			return t.root + "." + name
		}
	}
	return closest(name, scopeNames)
}
