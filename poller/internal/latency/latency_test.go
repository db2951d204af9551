package latency_test

import (
	"testing"
	"testing/synctest"
	"time"

	"checkout-notifier/poller/internal/latency"
)

const timeout = 30 * time.Second

func answered(l *latency.Latency, took time.Duration) (late bool) {
	return l.Note(took, timeout, true, false)
}

func failed(l *latency.Latency, took, within time.Duration) { l.Note(took, within, false, true) }

func TestBrief(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		note  func(l *latency.Latency)
		brief time.Duration
	}{
		"nothing was asked": {func(*latency.Latency) {}, 2 * time.Second},
		"fast answers":      {func(l *latency.Latency) { answered(l, time.Second) }, 2 * time.Second},
		"slow answers":      {func(l *latency.Latency) { answered(l, 4*time.Second) }, 6 * time.Second},
		"the slowest counts": {func(l *latency.Latency) {
			answered(l, 4*time.Second)
			answered(l, time.Second)
		}, 6 * time.Second},
		"no longer than others":   {func(l *latency.Latency) { answered(l, 25*time.Second) }, timeout},
		"failures tell nothing":   {func(l *latency.Latency) { failed(l, 4*time.Second, timeout) }, 2 * time.Second},
		"less than an hour ago":   {func(l *latency.Latency) { answers(l, 0, 59) }, 6 * time.Second},
		"more than an hour ago":   {func(l *latency.Latency) { answers(l, 50, 60) }, 6 * time.Second},
		"more than two hours ago": {func(l *latency.Latency) { answers(l, 0, 121) }, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := latency.New(timeout)
				scene.note(l)
				if got := l.Brief(); got != scene.brief {
					t.Errorf("brief is %s, want %s", got, scene.brief)
				}
			})
		})
	}
}

// answers notes a fast answer a minute, and a slow one after some of them.
func answers(l *latency.Latency, before, after int) {
	for i := range before + after {
		if i == before {
			answered(l, 4*time.Second)
		}
		answered(l, time.Second)
		time.Sleep(time.Minute)
	}
	answered(l, time.Second)
}

func TestAnswerThatIsLate(t *testing.T) {
	t.Parallel()
	l := latency.New(timeout)
	if answered(l, 2*time.Second) || !answered(l, 4*time.Second) || answered(l, 4*time.Second) {
		t.Error("an answer is late that took longer than others are waited for")
	}
}

func TestHangs(t *testing.T) {
	t.Parallel()
	for name, scene := range map[string]struct {
		note          func(l *latency.Latency)
		hangs, cutOff bool
	}{
		"nothing was asked": {func(*latency.Latency) {}, false, false},
		"fails at once":     {func(l *latency.Latency) { failed(l, time.Second, timeout) }, false, false},
		"fails late":        {func(l *latency.Latency) { failed(l, 3*time.Second, timeout) }, true, false},
		"is not answered":   {func(l *latency.Latency) { failed(l, timeout, timeout) }, true, false},
		"is cut off":        {func(l *latency.Latency) { failed(l, 3*time.Second, 3*time.Second) }, true, true},
		"fails as late as slow answers come": {func(l *latency.Latency) {
			answered(l, 4*time.Second)
			failed(l, 5*time.Second, timeout)
		}, false, false},
		"failed late two hours ago": {func(l *latency.Latency) {
			failed(l, 3*time.Second, timeout)
			time.Sleep(2*time.Hour - time.Second)
		}, true, false},
		"failed late long ago": {func(l *latency.Latency) {
			failed(l, 3*time.Second, timeout)
			time.Sleep(2 * time.Hour)
		}, false, false},
		"is not made":              {func(l *latency.Latency) { failed(l, -1, timeout) }, false, false},
		"fails for another reason": {func(l *latency.Latency) { l.Note(timeout, timeout, false, false) }, false, false},
		"is said to":               {(*latency.Latency).Hung, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := latency.New(timeout)
				scene.note(l)
				if l.Hangs() != scene.hangs || l.TakeCutOff() != scene.cutOff || l.TakeCutOff() {
					t.Errorf("hangs: %t", l.Hangs())
				}
			})
		})
	}
}
