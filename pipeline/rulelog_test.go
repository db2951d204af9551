package pipeline_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/pipeline"
	"checkout-notifier/rules"
)

// lockedText is what the log said since it was taken last. Timers write to it, too.
type lockedText struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// A rule that fails is never silent, and does not flood the log either: not when
// it fails on each event, nor when it fails on every second one.
func TestFailuresOfRulesAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text lockedText
		log := slog.New(loglimit.New(slog.NewTextHandler(&text, nil)))
		watch, _ := pipeline.NewRuleWatch(nil, time.Time{}, func(rule string) string { return rule }, func(event.Condition) event.Notice { return event.Notice{} }, log)
		n := 0
		fail := func(rule string, committed bool) {
			n++
			v := pipeline.Verdict{Event: fmt.Sprintf("evt_%d", n), About: "cs_1", Result: rules.Result{Errors: []event.RuleError{{Rule: rule, Error: "a value has the wrong type"}}}}
			watch.Count([]pipeline.Verdict{v}, new(event.Tx))(committed)
		}
		expect := func(step string, want ...string) {
			t.Helper()
			synctest.Wait() // summaries are written by timers
			var lines []string
			said := text.take()
			for line := range strings.Lines(said) {
				if strings.Contains(line, "a rule failed on an event and did not match it") {
					lines = append(lines, line)
				}
			}
			if len(lines) != len(want) {
				t.Errorf("%s: %d lines, want %d:\n%s", step, len(lines), len(want), said)
			}
			for i, part := range want {
				if i < len(lines) && (!strings.Contains(lines[i], part) || !strings.Contains(lines[i], "level=WARN")) {
					t.Errorf("%s: %q is not in %s", step, part, lines[i])
				}
			}
		}
		for range 786 {
			fail("each", true)
			time.Sleep(17 * time.Millisecond)
		}
		expect("on each event", "rule=each event=evt_1 about=cs_1")
		for range 300 {
			fail("second", true)
			watch.Count([]pipeline.Verdict{{Event: "evt_good"}}, new(event.Tx))(true)
		}
		expect("on every second event", "rule=second event=evt_787")
		fail("other", false)
		expect("not committed")
		time.Sleep(time.Minute)
		synctest.Wait()
		expect("after a minute", "repeated=785", "repeated=299")
		time.Sleep(time.Hour)
		fail("each", true)
		expect("after a quiet time", "rule=each event=evt_1088")
		loglimit.Flush(log)
	})
}
