package rules

import (
	"reflect"
	"slices"
	"strings"
)

// closest returns the candidate that a misspelt word most likely means, or "":
// rather nothing than a word that was not meant. Candidates are tried in their
// order, so that the answer is stable.
func closest(word string, candidates []string) string {
	return nearest(mostEdits(len(word)), word, candidates)
}

// nearest is closest for another number of slips.
func nearest(edits int, word string, candidates []string) string {
	best, bestDistance := "", edits+1
	for _, candidate := range candidates {
		a, b := strings.ToLower(word), strings.ToLower(candidate)
		d := distance(a, b, bestDistance)
		if d < bestDistance && d < max(len(a), len(b)) && (d < 2 || a[0] == b[0]) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// mostEdits is how many slips of the keyboard a word of a length may have.
// Whoever makes two in a short word gets its first letter right.
func mostEdits(length int) int {
	switch {
	case length < 6:
		return 1
	case length < 9:
		return 2
	}
	return 3
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

// otherWords are what is written for these in other languages.
var otherWords = map[string]string{
	"old": "previous", "before": "previous", "prev": "previous", "exists": "has", "isset": "has", "defined": "has", "True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "AND": "and", "OR": "or", "NOT": "not", "IN": "in",
}

// suggestName proposes something in scope for an unknown name; called says that
// it was written as a function.
func (s *scope) suggestName(name string, called bool) string {
	if word := otherWords[name]; word != "" && (!s.system || !slices.Contains(sessionNames, word)) {
		return word
	}
	if called {
		return closest(name, slices.DeleteFunc(slices.Clone(functionNames), func(f string) bool { return s.system && slices.Contains(sessionNames, f) }))
	}
	if s.system {
		if isField(systemType, name) {
			return "event." + name
		}
		return closest(name, []string{"event"})
	}
	switch {
	case isField(sessionType, name):
		return "session." + name
	case isField(reflect.TypeFor[eventFields](), name):
		return "event." + name
	}
	if near := closest(name, []string{"event", "session", "previous"}); near != "" {
		return near
	}
	if field := suggestField(sessionType, name); field != "" {
		return "session." + field
	}
	return ""
}

func isField(t reflect.Type, name string) bool {
	_, ok := fieldByName(t, name)
	return ok
}
