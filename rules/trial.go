package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"

	"github.com/expr-lang/expr/file"
)

// Conditions are tried with samples, as templates are: one that fails there fails
// on events of real sessions, where it matches nothing.

// sample is a made-up event, and how a condition that fails with it is said to fail.
type sample struct {
	view *view
	says string
}

// Kinds of samples, from the most usual one on.
var kinds = []struct {
	says string
	bend func(session map[string]any)
}{
	{"with a sample that has every documented field the rule fails here: %s", func(map[string]any) {}},
	{"with a sample that has no line items the rule fails here: %s; write any(…), or ask for the length before", func(session map[string]any) {
		session["line_items"] = nil
	}},
	{"with a sample that has null where the API may send it the rule fails here: %s", func(session map[string]any) {
		for name := range session {
			if !slices.Contains([]string{"id", "object", "created", "status", "payment_status", "livemode"}, name) {
				session[name] = nil
			}
		}
	}},
}

// samplesOf makes the samples of a type of event.
func samplesOf(eventType string) (list []sample) {
	e := event.SampleEvent(eventType)
	if e.IsSystem() {
		return []sample{{newSystemView(&e, e.Time), kinds[0].says}}
	}
	for _, kind := range kinds {
		bent := e
		bent.Object = bend(e.Object, kind.bend)
		previous, err := bent.PreviousObject()
		if err == nil {
			list = append(list, sample{newView(&bent, previous, e.Time), kind.says})
		}
	}
	return list
}

func bend(object json.RawMessage, how func(session map[string]any)) json.RawMessage {
	v, err := checkout.Decode(object)
	session, ok := v.(map[string]any)
	if err != nil || !ok {
		return object
	}
	how(session)
	bent, err := json.Marshal(session)
	if err != nil {
		return object
	}
	return bent
}

// try warns of a condition that fails with a sample of what the rule hears of, unless
// something was said of what may be missing.
func (c *checkers) try(r *compiled) {
	said := func(p Problem) bool {
		return p.Rule == c.at && p.Key == "when" && slices.Contains([]string{CodeMissing, CodeMisleading, CodeNeverMatches}, p.Code)
	}
	if r.expression == nil || r.expression.constant || slices.ContainsFunc(c.problems, said) {
		return
	}
	for _, t := range r.known() {
		if c.samples[t] == nil {
			c.samples[t] = samplesOf(t)
		}
		for _, s := range c.samples[t] {
			_, err := r.run(s.view)
			var at *file.Error
			if !errors.As(err, &at) {
				continue
			}
			says := fmt.Sprintf(s.says, failure(causeOf(at)))
			if strings.Contains(says, ": int of ") {
				says += `; ask before: … matches "^[0-9]+$" and int(…)`
			}
			c.warnAt(r.rule.When, at.From, CodeMissing, says)
			return
		}
	}
}
