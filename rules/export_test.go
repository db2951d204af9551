package rules

import (
	"encoding/json"
	"time"

	"checkout-notifier/event"
)

// MatchWithoutIndex evaluates every rule of the event's type and account: what
// Match must agree with.
func (s *Set) MatchWithoutIndex(e *event.Event, previous json.RawMessage, now time.Time) Result {
	v := newView(e, previous, now)
	var all []int32
	for i, r := range s.rules {
		if r.admits(e) {
			all = append(all, int32(i))
		}
	}
	return evaluate(v, s.rules, all)
}

func (r *compiled) admits(e *event.Event) bool {
	eventType, account := false, false
	for _, t := range r.types {
		eventType = eventType || t == e.Type || t == "" && !knownTypes[e.Type]
	}
	for _, a := range r.accounts {
		account = account || a == "" || a == e.Account
	}
	return eventType && account
}

// Candidates counts the rules that the index leaves.
func (s *Set) Candidates(e *event.Event) int {
	return len(s.index.candidates(newView(e, nil, time.Time{})))
}
