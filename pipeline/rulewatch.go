package pipeline

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/rules"
)

// failuresToTell is on how many events in a row a rule must fail before its
// owner is told. It is never switched off.
const failuresToTell = 10

// RuleWatch counts on how many events in a row each rule failed, over restarts:
// the counts are committed with the events. A rule that does not fail costs
// nothing. All methods may be called concurrently.
type RuleWatch struct {
	identity func(rule string) string
	tell     func(c event.Condition) event.Notice
	log      *slog.Logger

	some atomic.Bool // whether there are rows
	mu   sync.Mutex  // guards rows, and is held from counting to the end of the commit
	rows map[string]event.Condition
}

// Verdict is what the rules made of an event.
type Verdict struct {
	Event  string // its id
	About  string // its session, or what a system event is about
	Result rules.Result
}

// NewRuleWatch goes on from what is stored. Identity tells what a rule means, ""
// if there is none of that name; tell makes the event for its owner. Stale are
// the conditions of rules that are gone or mean something else now, which are
// counted afresh.
func NewRuleWatch(stored []event.Condition, identity func(rule string) string, tell func(event.Condition) event.Notice, log *slog.Logger) (w *RuleWatch, stale []event.Condition) {
	w = &RuleWatch{identity: identity, tell: tell, log: log, rows: make(map[string]event.Condition)}
	for _, c := range stored {
		switch {
		case c.Kind != event.ConditionRule:
		case c.Identity != "" && c.Identity == identity(c.Subject):
			w.rows[c.Subject] = c
		default:
			stale = append(stale, c)
		}
	}
	w.some.Store(len(w.rows) > 0)
	return w, stale
}

// Concerns says whether the outcome of an event changes any count.
func (w *RuleWatch) Concerns(result *rules.Result) bool {
	return len(result.Errors) > 0 || w.some.Load()
}

// Count adds to a transaction what verdicts, in the order of their events,
// change. The caller commits it and then calls done, whatever came of that;
// until then others wait.
func (w *RuleWatch) Count(verdicts []Verdict, tx *event.Tx) (done func(committed bool)) {
	w.mu.Lock()
	rows, touched := maps.Clone(w.rows), make(map[string]bool)
	now := time.Now().UTC()
	for i := range verdicts {
		v := &verdicts[i]
		for rule := range rows {
			if v.Result.Passed(rule) {
				delete(rows, rule)
				touched[rule] = true
			}
		}
		for _, failed := range v.Result.Errors {
			row, counted := w.fail(rows[failed.Rule], failed, v.Event, now), rows[failed.Rule]
			if counted.Failures < failuresToTell && row.Failures == failuresToTell {
				row.Untold = false
				if n := w.tell(row); n.Event.ID != "" {
					tx.Notices = append(tx.Notices, n)
				}
			}
			rows[failed.Rule] = row
			touched[failed.Rule] = true
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(touched)) {
		row, fails := rows[rule]
		if fails {
			tx.Raised = append(tx.Raised, row)
		} else if was, stored := w.rows[rule]; stored {
			tx.Cleared = append(tx.Cleared, was)
		}
	}
	return func(committed bool) {
		if committed {
			w.logFailures(verdicts)
			w.report(rows)
			w.rows = rows
			w.some.Store(len(rows) > 0)
		}
		w.mu.Unlock()
	}
}

// fail adds a failure to a rule's row.
func (w *RuleWatch) fail(row event.Condition, failed event.RuleError, eventID string, now time.Time) event.Condition {
	if row.Failures == 0 {
		row = event.Condition{
			Kind: event.ConditionRule, Subject: failed.Rule, Since: now, Untold: true, Identity: w.identity(failed.Rule),
		}
	}
	row.Failures++
	row.Why, row.LastEvent, row.Last = failed.Error, eventID, now
	return row
}

// logFailures logs what failed; a rule that fails on each event is summed up.
func (w *RuleWatch) logFailures(verdicts []Verdict) {
	for i := range verdicts {
		for _, failed := range verdicts[i].Result.Errors {
			w.log.LogAttrs(context.Background(), slog.LevelWarn, "a rule failed on an event and did not match it; once it is mended: notifier replay --rule "+failed.Rule+" --failed", loglimit.Repeats("rule failed "+failed.Rule),
				slog.String("rule", failed.Rule), slog.String("event", verdicts[i].Event), slog.String("about", verdicts[i].About), slog.String("error", failed.Error))
		}
	}
}

// report logs which rules began and ceased to be failing.
func (w *RuleWatch) report(rows map[string]event.Condition) {
	for rule, row := range rows {
		if was := w.rows[rule]; !row.Untold && (was.Failures == 0 || was.Untold) {
			w.log.Error("a rule failed on ten events in a row: nothing matches it, so nothing is sent by it, until it is mended", "rule", rule, "failures_in_a_row", row.Failures, "error", row.Why)
		}
	}
	for rule, was := range w.rows {
		if row, fails := rows[rule]; !was.Untold && (!fails || row.Untold) {
			w.log.Info("rule is well again", "rule", rule, "failures_in_a_row", was.Failures)
		}
	}
}
