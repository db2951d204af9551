package rules

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"checkout-notifier/event"

	"github.com/expr-lang/expr/conf"
)

// systemEnv is what the expression of a rule with on: system sees.
type systemEnv struct {
	Event *systemFields `expr:"event"`
	State *state        `expr:"__state"` // as in env
}

type systemFields struct {
	ID      string    `expr:"id" json:"id" doc:"the event's id, the same after a repeat"`
	Type    string    `expr:"type" json:"type" doc:"the whole type, such as notifier.delivery.dead"`
	Time    time.Time `expr:"time" json:"time" doc:"when it was noticed"`
	Subject string    `expr:"subject" json:"subject" doc:"the destination, account or rule that it is about, or store"`
}

var systemType = reflect.TypeFor[systemFields]()

// sessionNames are what only events of a session have.
var sessionNames = []string{"session", "previous", "changed"}

func noSession(name string) string {
	return fmt.Sprintf(`there is no %s here: a system event has no session; what its data holds is read with raw("path")`, name)
}

// scope is what the expressions of one kind of rule can name.
type scope struct {
	config *conf.Config
	system bool
}

func newScopes() map[bool]*scope {
	return map[bool]*scope{
		false: {config: newConfig(env{})},
		true:  {config: newConfig(systemEnv{}), system: true},
	}
}

func (s *scope) types() *vocabulary {
	if s.system {
		return &systemTypes
	}
	return &sessionTypes
}

// on checks what the rule looks at.
func (c *checkers) on(rule Rule) {
	known := []string{OnEvent, OnSystem}
	if rule.On != "" && !slices.Contains(known, rule.On) {
		c.add(Problem{Key: "on", Index: -1, Code: CodeOn, Suggestion: closest(rule.On, known),
			Message: fmt.Sprintf("on must be %s or %s, not %q", OnEvent, OnSystem, rule.On)})
	}
}

func newSystemView(e *event.Event, now time.Time) *view {
	v := &view{event: e, now: now}
	v.state = &state{view: v}
	v.system = systemEnv{Event: &systemFields{ID: e.ID, Type: e.Type, Time: e.Time, Subject: e.Subject}, State: v.state}
	return v
}

// MatchSystem says who hears of one of the program's own events: only rules
// with on: system see it, and they see nothing else. These events are few, so
// that every rule of the type is evaluated.
func (s *Set) MatchSystem(e *event.Event, now time.Time) Result {
	eventType := e.Type
	if !event.IsSystemType(eventType) {
		eventType = "" // of a later version
	}
	var candidates []int32
	for i, r := range s.system {
		if slices.Contains(r.types, eventType) {
			candidates = append(candidates, int32(i))
		}
	}
	return evaluate(newSystemView(e, now), s.system, candidates)
}
