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

// failuresToTell is on how many events a rule must fail before its owner is told: in a
// row, or with less than event.RuleQuiet between one and the next. It is never switched
// off.
const failuresToTell = 10

// RuleWatch counts on how many events each rule failed, over restarts: the counts
// are committed with the events. A rule that does not fail costs nothing. All
// methods may be called concurrently.
type RuleWatch struct {
	identity func(rule string) string
	tell     func(c event.Condition) event.Notice
	log      *slog.Logger

	some atomic.Bool // whether a rule failed when it was last evaluated
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
// the conditions of rules that are gone or mean something else now, or that failed
// last before kept, which are counted afresh.
func NewRuleWatch(stored []event.Condition, kept time.Time, identity func(rule string) string, tell func(event.Condition) event.Notice, log *slog.Logger) (w *RuleWatch, stale []event.Condition) {
	w = &RuleWatch{identity: identity, tell: tell, log: log, rows: make(map[string]event.Condition)}
	for _, c := range stored {
		switch {
		case c.Kind != event.ConditionRule:
		case c.Identity != "" && c.Identity == identity(c.Subject) && c.Last.After(kept):
			c.Failed, c.Recent = max(c.Failed, c.Failures), max(c.Recent, c.Failures) // of a version that stored neither
			w.rows[c.Subject] = c
		default:
			stale = append(stale, c)
		}
	}
	w.some.Store(someFail(w.rows))
	return w, stale
}

func someFail(rows map[string]event.Condition) bool {
	for _, row := range rows {
		if row.Failures > 0 {
			return true
		}
	}
	return false
}

// Concerns says whether the outcome of an event may change any count: that of one
// that passes does once another one has failed, of the same page too.
func (w *RuleWatch) Concerns(result *rules.Result) bool {
	if len(result.Errors) > 0 {
		w.some.Store(true)
	}
	return w.some.Load()
}

// Count adds to a transaction what verdicts, in the order of their events,
// change. The caller commits it and then calls done, whatever came of that;
// until then others wait.
func (w *RuleWatch) Count(verdicts []Verdict, tx *event.Tx) (done func(committed bool)) {
	w.mu.Lock()
	rows, touched, told := maps.Clone(w.rows), make(map[string]bool), make(map[string]bool)
	now := time.Now().UTC()
	for i := range verdicts {
		v := &verdicts[i]
		for rule, row := range rows {
			if row.Failures > 0 && v.Result.Passed(rule) {
				row.Failures = 0
				rows[rule], touched[rule] = row, true
			}
		}
		for _, failed := range v.Result.Errors {
			row := w.fail(rows[failed.Rule], failed, v.Event, now)
			rows[failed.Rule], touched[failed.Rule] = row, true
			if row.Failures == failuresToTell || row.Untold && row.Recent >= failuresToTell {
				told[failed.Rule] = true
			}
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(touched)) {
		row := rows[rule]
		if told[rule] { // with what holds after the last of the verdicts
			row.Untold = false
			if n := w.tell(row); n.Event.ID != "" {
				tx.Notices = append(tx.Notices, n)
			}
			rows[rule] = row
		}
		tx.Raised = append(tx.Raised, row)
	}
	return func(committed bool) {
		if committed {
			w.logFailures(verdicts)
			w.report(rows)
			w.rows = rows
			w.some.Store(someFail(rows))
		}
		w.mu.Unlock()
	}
}

// fail adds a failure to a rule's row.
func (w *RuleWatch) fail(row event.Condition, failed event.RuleError, eventID string, now time.Time) event.Condition {
	switch {
	case row.Failed == 0:
		row = event.Condition{
			Kind: event.ConditionRule, Subject: failed.Rule, Since: now, Untold: true, Identity: w.identity(failed.Rule),
		}
	case now.Sub(row.Last) >= event.RuleQuiet:
		row.Recent = 0
		if row.Failures == 0 {
			row.Since, row.Untold = now, true
		}
	}
	row.Failures++
	row.Recent++
	row.Failed++
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

// report logs which rules began to be failing, and which got through an event after a
// long row of failures.
func (w *RuleWatch) report(rows map[string]event.Condition) {
	for rule, row := range rows {
		was := w.rows[rule]
		switch {
		case was.Failures < failuresToTell && row.Failures >= failuresToTell:
			w.log.Error("a rule failed on ten events in a row: nothing matches it, so nothing is sent by it, until it is mended", "rule", rule, "failures_in_a_row", row.Failures, "error", row.Why)
		case !row.Untold && (was.Failed == 0 || was.Untold):
			w.log.Error("a rule failed on ten events within a day of each other, though not on all: nothing is sent by it for these; once it is mended: notifier replay --rule "+rule+" --failed", "rule", rule, "failures", row.Recent, "error", row.Why)
		case was.Failures >= failuresToTell && row.Failures == 0:
			w.log.Info("a failing rule got through an event again", "rule", rule, "failures_in_a_row", was.Failures)
		}
	}
}
