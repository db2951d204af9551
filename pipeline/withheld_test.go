package pipeline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// What was withheld of a session, because the account's start seemed later, is
// announced once the start is put right: once, and with the ids that it would have had.
func TestWithheld(t *testing.T) {
	looks := []poller.Batch{
		batch(time.Hour, session(t, "cs_1", "complete", "", "")),
		batch(2*time.Hour, session(t, "cs_1", "complete", "paid", "")),
		batch(3*time.Hour, session(t, "cs_1", "complete", "paid", `,"customer":"cus_1"`)),
		batch(4*time.Hour, session(t, "cs_1", "complete", "paid", `,"customer":"cus_2"`)),
		batch(5*time.Hour, session(t, "cs_1", "complete", "paid", `,"customer":"cus_2"`)),
	}
	told := func(prepare func(i int, b *poller.Batch)) (types []string, ids map[string]string) {
		m := &memory{snapshots: map[string]event.Snapshot{}}
		p := newPipeline(t, m, everything())
		ids = make(map[string]string)
		for i, b := range looks {
			prepare(i, &b)
			for range 2 {
				if _, err := p.Handle(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range m.events {
			types = append(types, event.Short(m.events[i].Type))
			if e := &m.events[i]; e.Type != event.Updated {
				ids[e.Type] = e.ID
			}
		}
		if s := m.snapshots["cs_1"]; s.Silent || len(s.Withheld) > 0 || s.Counts[event.Fulfillable] != 1 {
			t.Errorf("silent %t, withheld %v, counts %v", s.Silent, s.Withheld, s.Counts)
		}
		return types, ids
	}
	_, want := told(func(int, *poller.Batch) {})
	types, got := told(func(i int, b *poller.Batch) {
		b.Account.ByClock, b.Account.Start = true, t0.Add(30*time.Minute)
		if i >= 3 {
			b.Account.Start = t0.Add(-time.Hour)
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"updated", "created", "completed", "paid", "fulfillable", "updated"}, types); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// What the pass showed by which the start was fixed existed, also if a clock was wrong.
func TestNothingOfTheFirstPassIsWithheld(t *testing.T) {
	m := &memory{snapshots: map[string]event.Snapshot{}}
	p := newPipeline(t, m, everything())
	for i := range 2 {
		b := batch(time.Duration(i+1)*time.Hour, session(t, "cs_1", "complete", "paid", ""))
		b.Account.ByClock = true
		if b.Starting = i == 0; b.Starting {
			b.Account.Start = t0.Add(30 * time.Minute)
		}
		if _, err := p.Handle(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.events) > 0 {
		t.Errorf("%d events", len(m.events))
	}
}
