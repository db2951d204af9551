package rules

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
)

// Bounds of what hears tries: conditions are short, and a runaway one ends soon.
const (
	mostTried  = 2000
	mostFailed = 50
	mostValues = 8 // of a condition, of each kind
)

// hears says whether an enabled rule with on: system holds for some event of a type
// about a subject: for a sample of it, with the values in it that the condition asks for.
func (s *Set) hears(rule, eventType, subject string) bool {
	i := slices.IndexFunc(s.system, func(r *compiled) bool { return r.rule.Name == rule })
	if i < 0 || !slices.Contains(s.system[i].types, eventType) {
		return false
	}
	r := s.system[i]
	if r.expression == nil {
		return true
	}
	sample := event.SampleEvent(eventType)
	sample.Subject = subject
	tried, failed := 0, 0
	for _, data := range r.expression.bendData(sample.System, subject) {
		for _, at := range r.expression.times(sample.Time) {
			e := sample
			e.Time, e.System = at, data
			holds, err := r.run(newSystemView(&e, at))
			if holds && err == nil {
				return true
			}
			if err != nil {
				failed++
			}
			if tried++; tried == mostTried || failed == mostFailed {
				return false
			}
		}
	}
	return false
}

// times are when a sample happens: at one time, or at several of the day and of the week
// where the condition may ask for that.
func (x *expression) times(at time.Time) []time.Time {
	list := []time.Time{at}
	if strings.Contains(x.canonical, "time") || strings.Contains(x.canonical, "now") {
		for range 8 {
			at = at.Add(27 * time.Hour)
			list = append(list, at)
		}
	}
	return list
}

// Members of the data of the program's own events that can have any value.
var (
	freeTexts   = []string{"summary", "reason", "error", "by", "since", "down_for"}
	freeNumbers = []string{"failures", "pending", "refused"}
)

// bendData is the data of a sample about a subject, and the same with each value that the
// condition asks for in the members that can have it.
func (x *expression) bendData(sample json.RawMessage, subject string) (list []json.RawMessage) {
	var data map[string]any
	if json.Unmarshal(sample, &data) != nil {
		return nil
	}
	for _, member := range []string{"destination", "account"} {
		if _, ok := data[member]; ok {
			data[member] = subject
		}
	}
	texts := []any{nil, strings.Join(x.texts, " ")}
	for _, text := range x.texts[:min(len(x.texts), mostValues)] {
		texts = append(texts, text)
	}
	numbers := []any{nil, 0, 1, 1_000_000}
	for _, n := range x.numbers[:min(len(x.numbers), mostValues)] {
		numbers = append(numbers, n-1, n, n+1)
	}
	for _, text := range texts {
		for _, number := range numbers {
			for _, members := range append([][]string{freeNumbers}, []string{"failures"}, []string{"pending"}, []string{"refused"}) {
				bent := maps.Clone(data)
				set(bent, freeTexts, text)
				set(bent, members, number)
				encoded, err := json.Marshal(bent)
				if err == nil && !slices.ContainsFunc(list, func(other json.RawMessage) bool { return string(other) == string(encoded) }) {
					list = append(list, encoded)
				}
			}
		}
	}
	return list
}

// set gives the members that are there a value; nil: they keep theirs.
func set(data map[string]any, members []string, value any) {
	for _, name := range members {
		if _, ok := data[name]; ok && value != nil {
			data[name] = value
		}
	}
}
