package diff_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/diff"
	"checkout-notifier/event"
)

// A value that was left lately by one clock is the past, however wrong the other one
// was when it was left or is now.
func TestPastByEitherClock(t *testing.T) {
	one, two := `,"customer":"a"`, `,"customer":"b"`
	for _, wrong := range []time.Duration{time.Hour, -time.Hour, 20 * 24 * time.Hour, -20 * 24 * time.Hour} {
		for name, bend := range map[string]func(l *diff.Look){
			"the server's": func(l *diff.Look) { l.At = l.At.Add(wrong) },
			"ours":         func(l *diff.Look) { l.Own = l.Own.Add(wrong) },
		} {
			for _, before := range []bool{true, false} {
				look := func(after time.Duration, bent bool) diff.Look {
					now := t0.Add(after)
					l := diff.Look{At: now, Own: now, Pass: now}
					if bent {
						bend(&l)
					}
					return l
				}
				at := func(prev *event.Snapshot, extra string, l diff.Look) diff.Outcome {
					s := session(t, "open", "unpaid", extra)
					o, err := diff.Next(prev, &s, l, policy)
					if err != nil {
						t.Fatal(err)
					}
					return o
				}
				t.Run(fmt.Sprintf("%s by %s, before %t, left", name, wrong, before), func(t *testing.T) {
					prev := first(t, session(t, "open", "unpaid", one), look(0, false)).Snapshot
					prev = at(&prev, two, look(20*time.Minute, before)).Snapshot
					if len(prev.Left) != 1 {
						t.Fatalf("%d values were left, want 1", len(prev.Left))
					}
					if o := at(&prev, one, look(21*time.Minute, !before)); !o.Held {
						t.Errorf("a value left a minute ago is believed: %v", o.Transitions)
					}
				})
				t.Run(fmt.Sprintf("%s by %s, before %t, first sight", name, wrong, before), func(t *testing.T) {
					prev := first(t, session(t, "open", "unpaid", one), look(30*time.Second, before)).Snapshot
					if o := at(&prev, two, look(time.Minute, !before)); !o.Held {
						t.Errorf("another value half a minute after the first sight is believed: %v", o.Transitions)
					}
				})
			}
		}
	}
}

// What both clocks place in the future, or long ago, is no past. Of what an earlier
// version wrote the server's clock alone tells.
func TestNoPastByBothClocks(t *testing.T) {
	const year = 365 * 24 * time.Hour
	hash, err := checkout.ContentHash(json.RawMessage(`"a"`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at, own time.Time
		held    bool
	}{
		"of the future":                   {at: t0.Add(year), own: t0.Add(year)},
		"long ago":                        {at: t0.Add(-time.Hour), own: t0.Add(-year)},
		"of an earlier version, long ago": {at: t0.Add(-time.Hour)},
		"of an earlier version, lately":   {at: t0, held: true},
	} {
		t.Run(name, func(t *testing.T) {
			prev := first(t, session(t, "open", "unpaid", ""), diff.Look{At: t0}).Snapshot
			prev.Left = []event.Left{{Field: "customer", Hash: hash, At: c.at, Own: c.own}}
			was := session(t, "open", "unpaid", `,"customer":"a"`)
			o, err := diff.Next(&prev, &was, diff.Look{At: t0.Add(time.Minute)}, policy)
			if err != nil || o.Held != c.held {
				t.Errorf("held %t, want %t; %v", o.Held, c.held, err)
			}
		})
	}
}

// What a clock that was ahead told of a look is put right no more exactly than the time
// is known now.
func TestLastLookByAClockThatWasAhead(t *testing.T) {
	for late, want := range map[time.Duration]time.Duration{0: -time.Second, 5 * time.Second: -5 * time.Second} {
		prev := event.Snapshot{LookedAt: t0.Add(time.Hour), LookedOwn: t0}
		at := t0.Add(time.Minute).Add(late)
		l := diff.Look{At: at, Asked: at.Add(-late), Own: t0.Add(time.Minute)}
		if got := l.LastLook(&prev, time.Time{}); got.After(t0) || got.Sub(t0) < want {
			t.Errorf("the look of 0s is said to have been at %s", got.Sub(t0))
		}
	}
}
