package check

import (
	"reflect"
	"slices"

	"checkout-notifier/rules/schema"
)

// fieldNames lists the fields of a type of the schema by the names of the API.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, schema.FieldName(t.Field(i)))
	}
	return names
}

// otherWords are what is written for these in other languages.
var otherWords = map[string]string{
	"old": "previous", "before": "previous", "prev": "previous", "exists": "has", "isset": "has", "defined": "has", "True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "AND": "and", "OR": "or", "NOT": "not", "IN": "in",
}

// suggestName proposes something in scope for an unknown name; called says that
// it was written as a function.
func (c *Checker) suggestName(name string, called bool) string {
	if word := otherWords[name]; word != "" && (!c.system || !slices.Contains(sessionNames, word)) {
		return word
	}
	if called {
		return Closest(name, slices.DeleteFunc(slices.Clone(functionNames), func(f string) bool { return c.system && slices.Contains(sessionNames, f) }))
	}
	if c.system {
		if isField(schema.SystemType, name) {
			return "event." + name
		}
		return Closest(name, []string{"event"})
	}
	switch {
	case isField(schema.SessionType, name):
		return "session." + name
	case isField(schema.EventType, name):
		return "event." + name
	}
	if near := Closest(name, []string{"event", "session", "previous"}); near != "" {
		return near
	}
	if field := suggestField(schema.SessionType, name); field != "" {
		return "session." + field
	}
	return ""
}

func isField(t reflect.Type, name string) bool {
	_, ok := schema.FieldByName(t, name)
	return ok
}
