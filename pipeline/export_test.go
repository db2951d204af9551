package pipeline

import (
	"maps"
	"slices"
	"strings"

	"checkout-notifier/event"
)

// Failing lists the rules that failed, by name.
func (w *RuleWatch) Failing() []event.Condition {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Values(w.rows), func(a, b event.Condition) int { return strings.Compare(a.Subject, b.Subject) })
}
