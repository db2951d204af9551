package publish

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// The objects whose names are the operator's or the merchant's.
const (
	ownerLabels   = nameLabels
	ownerSession  = nameSession + ".metadata"
	ownerPrevious = namePrevious + ".metadata"
)

// noName is the error of a name that is not there.
type noName struct {
	path  []string
	known []string // what is there; of a sample only
	owner string   // one of the above, of a sample only, or ""
	there string   // the path that was meant; of a sample only, or ""
}

// Error implements error.
func (e *noName) Error() string {
	text := "there is no " + strings.Join(e.path, ".")
	if e.there != "" {
		text += ", but " + e.there
	}
	return text
}

// topNames are those that every template sees; the data of one has what it uses.
var topNames = []string{
	nameAccount, nameChange, nameRule, nameLabels, nameLink, nameEvent, nameSession, namePrevious, nameAlert,
}

// missing is the error of the last name of a path, which these members do not have.
func (x *execution) missing(path []string, members map[string]any) error {
	e := &noName{path: path}
	if !x.strict {
		return e
	}
	e.owner = x.owner(members)
	e.known = slices.Sorted(maps.Keys(members))
	name := path[len(path)-1]
	if _, top := members[nameLabels]; top {
		e.known, e.there = topNames, ofSession(name)
		return e
	}
	switch {
	case path[0] != nameEvent || len(path) != 2:
	case strings.HasPrefix(name, nameChange):
		e.there = ".Event.Field, .Event.From and .Event.To"
	case slices.Contains(topNames, name):
		e.there = "." + name
	}
	for _, member := range e.known {
		inner, _ := members[member].(map[string]any)
		if x.owner(inner) != "" {
			continue // a sample has every name there
		}
		if _, ok := inner[name]; ok && e.there != "" {
			e.there = "" // two are no hint
			break
		} else if ok {
			e.there = "." + strings.Join(append(slices.Clone(path[:len(path)-1]), member, name), ".")
		}
	}
	return e
}

// ofSession is how a template names a field of the session, "" for what is none.
func ofSession(name string) string {
	if !slices.Contains(checkout.Fields(), name) {
		return ""
	}
	return "." + nameSession + "." + name
}

// documented are the names of all members of a session and of what it holds, at any depth.
var documented = sync.OnceValue(func() map[string]bool {
	names := make(map[string]bool)
	var note func(v any)
	note = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				names[name] = true
				if name != "metadata" {
					note(member)
				}
			}
		case []any:
			for _, element := range v {
				note(element)
			}
		}
	}
	session, _ := plainValue(json.RawMessage(event.SampleSession)) // the tests read it
	note(session)
	return names
})

// leftOut says whether a missing member is one that the API documents, and may leave out
// instead of sending null, wherever a template meets it: in a list, in a variable.
func (x *execution) leftOut(name string, members map[string]any) bool {
	return !x.strict && documented()[name] && x.owner(members) == ""
}

// owner says whose the names of an object are: one of the above, or "".
func (x *execution) owner(members map[string]any) string {
	if x.free == nil {
		x.free = freeNames(x.data)
	}
	return x.free[reflect.ValueOf(members).Pointer()]
}

// freeNames finds the objects whose names are free, however a template gets there.
func freeNames(data map[string]any) map[uintptr]string {
	free := make(map[uintptr]string)
	note := func(v any, owner string) map[string]any {
		members, ok := v.(map[string]any)
		if ok && members != nil {
			free[reflect.ValueOf(members).Pointer()] = owner
		}
		return members
	}
	note(data[nameLabels], ownerLabels)
	for name, owner := range map[string]string{nameSession: ownerSession, namePrevious: ownerPrevious} {
		if session, ok := data[name].(map[string]any); ok {
			note(session["metadata"], owner)
		}
	}
	return free
}
