package pipeline_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/rules"
)

// A rule that fails is never silent, and does not flood the log either: not when
// it fails on each event, nor when it fails on every second one.
func TestFailuresOfRulesAreLoggedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		watch, _ := pipeline.NewRuleWatch(nil, func(rule string) string { return rule }, func(event.Condition) event.Notice { return event.Notice{} },
			slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		n := 0
		fail := func(rule string, committed bool) {
			n++
			v := pipeline.Verdict{Event: fmt.Sprintf("evt_%d", n), About: "cs_1", Result: rules.Result{Errors: []event.RuleError{{Rule: rule, Error: "a value has the wrong type"}}}}
			watch.Count([]pipeline.Verdict{v}, new(event.Tx))(committed)
		}
		expect := func(step string, warnings, all int) {
			t.Helper()
			if got := strings.Count(log.String(), "level=WARN"); got != warnings {
				t.Errorf("%s: %d warnings, want %d:\n%s", step, got, warnings, log.String())
			}
			if got := strings.Count(log.String(), "rule failed and did not match"); got != all {
				t.Errorf("%s: %d lines, want %d", step, got, all)
			}
			log.Reset()
		}
		for range 786 {
			fail("each", true)
			time.Sleep(17 * time.Millisecond)
		}
		expect("on each event", 10, 786) // 1, 2, 4 … 512
		for range 300 {
			fail("second", true)
			watch.Count([]pipeline.Verdict{{Event: "evt_good"}}, new(event.Tx))(true)
		}
		expect("on every second event", 9, 300)
		fail("each", true)
		expect("shortly after", 0, 1)
		fail("other", false)
		expect("not committed", 0, 0)
		time.Sleep(10 * time.Minute)
		fail("each", true)
		expect("after a while", 1, 1)
	})
}
