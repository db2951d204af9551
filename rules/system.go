package rules

import (
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/rules/check"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/conf"
)

// scope is what the expressions of one kind of rule can name.
type scope struct {
	config  *conf.Config
	checker *check.Checker
	types   *vocabulary
}

func newScopes(names check.Names) map[bool]*scope {
	return map[bool]*scope{
		false: newScope(env{}, &sessionTypes, names),
		true:  newScope(systemEnv{}, &systemTypes, names),
	}
}

func newScope(env any, types *vocabulary, names check.Names) *scope {
	config := newConfig(env)
	return &scope{config, check.New(config, types == &systemTypes, names, types.near), types}
}

// on checks what the rule looks at.
func (c *checkers) on(rule Rule) {
	known := []string{OnEvent, OnSystem}
	if rule.On != "" && !slices.Contains(known, rule.On) {
		c.add(Problem{Key: "on", Index: -1, Code: CodeOn, Suggestion: spelling.Closest(rule.On, known),
			Message: fmt.Sprintf("on must be %s or %s, not %q", OnEvent, OnSystem, rule.On)})
	}
}

func newSystemView(e *event.Event, now time.Time) *view {
	v := &view{event: e, now: now}
	v.state = &state{view: v}
	v.system = systemEnv{Event: &schema.SystemEvent{ID: e.ID, Type: e.Type, Time: e.Time, Subject: e.Subject}, State: v.state}
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
