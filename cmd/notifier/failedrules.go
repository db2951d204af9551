package main

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"checkout-notifier/event"
)

// ruleReport is a rule that failed on events of this process, or on all that it
// was evaluated on of late.
type ruleReport struct {
	Rule      string    `json:"rule"`
	Failing   bool      `json:"failing"`           // so often in a row that its owner was told
	Failures  int       `json:"failures"`          // of this process, or in a row if those are more
	InARow    int       `json:"failures_in_a_row"` // over restarts
	Since     time.Time `json:"since,omitzero"`    // the first of the row
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

// merge adds the rules that failed in this process to those that are stored
// because they failed last, and returns all by name.
func (f *failedRules) merge(stored []ruleReport) []ruleReport {
	f.mu.Lock()
	all := maps.Clone(f.byName)
	f.mu.Unlock()
	for _, s := range stored {
		r, known := all[s.Rule]
		if !known {
			r = s
		}
		r.Failing, r.InARow, r.Since, r.Failures = s.Failing, s.InARow, s.Since, max(r.Failures, s.InARow)
		all[s.Rule] = r
	}
	return slices.SortedFunc(maps.Values(all), func(a, b ruleReport) int { return cmp.Compare(a.Rule, b.Rule) })
}
