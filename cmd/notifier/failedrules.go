package main

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"checkout-notifier/event"
)

// ruleReport is a rule that failed on events of this process.
type ruleReport struct {
	Rule      string    `json:"rule"`
	Failures  int       `json:"failures"`
	LastError string    `json:"last_error"`
	LastEvent string    `json:"last_event"`
	Last      time.Time `json:"last"`
}

// failedRules keeps for the status what the log said once: which rules failed,
// and therefore did not match. It is safe for concurrent use.
type failedRules struct {
	mu     sync.Mutex // guards byName
	byName map[string]ruleReport
}

func newFailedRules() *failedRules { return &failedRules{byName: make(map[string]ruleReport)} }

// note takes in what was just committed.
func (f *failedRules) note(events []event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range events {
		for _, failed := range events[i].RuleErrors {
			r := f.byName[failed.Rule]
			f.byName[failed.Rule] = ruleReport{
				Rule: failed.Rule, Failures: r.Failures + 1, LastError: failed.Error, LastEvent: events[i].ID, Last: time.Now().UTC(),
			}
		}
	}
}

// list returns the rules that failed, by name.
func (f *failedRules) list() []ruleReport {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.byName), func(a, b ruleReport) int { return cmp.Compare(a.Rule, b.Rule) })
}
