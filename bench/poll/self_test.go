package poll_test

import (
	"slices"
	"testing"
	"time"

	"checkout-notifier/event"
)

func testOptions() options {
	return options{days: 0.1, sessions: 500, history: 3 * day, unpaidFor: 14 * day, seed: 7}
}

// Each thing that the oracle must object to is objected to, once.
func TestOracle(t *testing.T) {
	start := origin.UnixMilli()
	a := &api{sessions: []session{
		{id: 1, created: start - 1000_000, visible: start - 1000_000, complete: start + 900_000, settled: start + 900_000, end: paid},
		{id: (start + 60_000 - idEpoch) << idShift, created: start + 60_000, visible: start + 60_000, settled: start + 1800_000, end: expired},
	}}
	after := func(d time.Duration) int64 { return origin.Add(d).UnixMilli() }
	tests := []struct {
		name string
		tell func(c *oracle)
		want string
	}{
		{"all is well", func(*oracle) {}, ""},
		{"told too early", func(c *oracle) { c.told[1] = 1; c.tell(1, expiry, after(29*time.Minute)) }, "false"},
		{"told what never happens", func(c *oracle) { c.tell(1, settledPaid, after(time.Hour)) }, "false"},
		{"announced although silent", func(c *oracle) { c.tell(0, created, after(time.Hour)) }, "false"},
		{"a step back", func(c *oracle) {
			c.hear(&event.Event{Session: "cs_1", Type: event.Regressed}, after(time.Hour))
		}, "false"},
		{"an unknown session", func(c *oracle) {
			c.hear(&event.Event{Session: "cs_2", Type: event.Created}, after(time.Hour))
		}, "false"},
		{"told twice", func(c *oracle) { c.tell(1, created, after(2*time.Hour)) }, "doubled"},
		{"told in the wrong order", func(c *oracle) { c.told[0] = 1 << fulfillable; c.tell(0, settledPaid, after(time.Hour)) }, "disorder"},
		{"seen before it happened", func(c *oracle) {
			c.told[0] = 0
			c.hear(&event.Event{Session: "cs_1", Type: event.Completed, OccurredBefore: origin}, after(time.Hour))
		}, "undated"},
		{"silence", func(c *oracle) { c.told[1] = 0 }, "never seen"},
		{"silence about an end", func(c *oracle) { c.told[0] &^= 1 << fulfillable }, "missed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newOracle(a, testOptions())
			c.begin(origin, origin)
			for k := completed; k < unresolved; k++ {
				if at, ok := a.sessions[0].when(k); ok {
					c.tell(0, k, at+5000)
				}
			}
			c.tell(1, created, after(2*time.Minute))
			if tt.name != "told too early" {
				c.tell(1, expiry, after(time.Hour))
			}
			tt.tell(c)
			c.check(origin.Add(3 * time.Hour))
			got := map[string]bool{
				"false": c.False > 0, "doubled": c.Doubled > 0, "disorder": c.Disorder > 0,
				"undated": c.Undated > 0, "never seen": c.NeverSeen > 0, "missed": c.Missed > 0,
			}
			if (tt.want == "" && c.faults() > 0) || (tt.want != "" && !got[tt.want]) {
				t.Errorf("got %v, want %q: %v", got, tt.want, c.Examples)
			}
		})
	}
}

// A chain of pages shows what there is at that time above the bound, once, from
// new to old.
func TestList(t *testing.T) {
	o := testOptions()
	a := newAPI(o, plan(o))
	for _, back := range []time.Duration{0, time.Hour, 60 * time.Hour} {
		asOf, bound := origin.Add(time.Hour).UnixMilli(), origin.Add(-back).Unix()
		var want, got []int
		for i := range slices.Backward(a.sessions) {
			if s := &a.sessions[i]; s.created <= asOf && s.visible <= asOf && s.shownCreated() >= bound*1000 {
				want = append(want, i)
			}
		}
		q := query{gte: bound, limit: 7}
		for more := true; more; {
			var page []int
			page, more = a.list(q, asOf, nil)
			if len(page) == 0 || (more && len(page) != q.limit) {
				t.Fatalf("a page of %d, more %v", len(page), more)
			}
			got = append(got, page...)
			q.after = a.sessions[page[len(page)-1]].id
		}
		if !slices.Equal(got, want) {
			t.Errorf("a chain down to %s shows %d sessions, want %d", back, len(got), len(want))
		}
	}
}

// The traffic is what it is said to be.
func TestTraffic(t *testing.T) {
	o := testOptions()
	o.sessions = 20_000
	all := plan(o)
	counts := make(map[status]float64)
	late, pending := 0.0, 0.0
	for i := range all {
		s := &all[i]
		counts[s.end]++
		if s.visible > s.created {
			late++
		}
		if s.complete != s.settled && s.end == paid || s.end == absent {
			pending++
		}
	}
	n := float64(len(all))
	for what, got := range map[string][3]float64{
		"expired": {counts[expired] / n, 0.29, 0.31}, "paid or free": {(counts[paid] + counts[free]) / n, 0.68, 0.70},
		"never": {counts[absent] / n, 0.007, 0.013}, "late": {late / n, 0.003, 0.007}, "asynchronous": {pending / n, 0.09, 0.11},
	} {
		if got[0] < got[1] || got[0] > got[2] {
			t.Errorf("%s: a share of %.4f, want %g to %g", what, got[0], got[1], got[2])
		}
	}
}
