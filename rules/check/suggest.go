package check

import (
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"
)

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
		return spelling.Closest(name, slices.DeleteFunc(slices.Clone(functionNames), func(f string) bool { return c.system && slices.Contains(sessionNames, f) }))
	}
	if c.system {
		if schema.HasField(schema.SystemType, name) {
			return "event." + name
		}
		return spelling.Closest(name, []string{"event"})
	}
	switch {
	case schema.HasField(schema.SessionType, name):
		return "session." + name
	case schema.HasField(schema.EventType, name):
		return "event." + name
	}
	if near := spelling.Closest(name, []string{"event", "session", "previous"}); near != "" {
		return near
	}
	if field := schema.SuggestField(schema.SessionType, name); field != "" {
		return "session." + field
	}
	return ""
}

// ofEnvelope is what a path means that begins with what stands around the session
// elsewhere, as in data.object.status or payload.session.status; "" where that is not
// known.
func ofEnvelope(path []string) string {
	for i := 1; i < len(path); i++ {
		switch name := path[i]; {
		case name == "session" || name == "previous" || name == "event":
			return logic.SpellPath(path[i:])
		case name == "previous_attributes":
			return logic.SpellPath(append([]string{"previous"}, path[i+1:]...))
		case schema.HasField(schema.SessionType, name) && (name != "object" || i == len(path)-1):
			return logic.SpellPath(append([]string{"session"}, path[i:]...))
		case i == 1 && schema.HasField(schema.EventType, name):
			return logic.SpellPath(append([]string{"event"}, path[i:]...))
		}
	}
	for i := 1; i < len(path); i++ {
		if near := schema.NearPath(strings.Join(path[i:], "."), schema.SuggestField); near != "" {
			return "session." + near
		}
	}
	return ""
}

// isEnvelope says whether an unknown name can be what stands around a session: it is
// no object inside of one, and no misspelt word.
func isEnvelope(name string) bool {
	return otherWords[name] == "" && spelling.Closest(name, []string{"event", "session", "previous"}) == "" && !slices.ContainsFunc(schema.Paths(), func(path string) bool { return strings.Contains("."+path, "."+name+".") })
}

// changeNames are what the fields of a change are called elsewhere.
var changeNames = map[string]string{
	"old": "from", "before": "from", "previous": "from", "was": "from", "old_value": "from",
	"new": "to", "after": "to", "current": "to", "now": "to", "value": "to", "new_value": "to",
	"name": "field", "key": "field", "path": "field", "type": "field",
}
