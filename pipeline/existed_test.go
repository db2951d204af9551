package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"checkout-notifier/event"
)

// A payment_status that the silent first sight of a session lacked existed before it,
// unless it completed, or was shown unpaid, only afterwards.
func TestPaymentStatusThatWasLackingIsSilent(t *testing.T) {
	for name, c := range map[string]struct {
		looks [][2]string // status and payment_status
		told  []string
	}{
		"paid before":            {[][2]string{{"complete", ""}, {"complete", "paid"}}, nil},
		"paid before and seen":   {[][2]string{{"complete", ""}, {"complete", ""}, {"complete", "paid"}}, nil},
		"unpaid at first":        {[][2]string{{"complete", ""}, {"complete", "unpaid"}, {"complete", "paid"}}, []string{event.Paid, event.Fulfillable}},
		"completed later":        {[][2]string{{"open", ""}, {"complete", "paid"}}, []string{event.Completed, event.Paid, event.Fulfillable}},
		"completed, then paid":   {[][2]string{{"open", ""}, {"complete", ""}, {"complete", "paid"}}, []string{event.Completed, event.Paid, event.Fulfillable}},
		"nothing to pay, opened": {[][2]string{{"open", ""}, {"open", "no_payment_required"}, {"complete", "no_payment_required"}}, []string{event.Completed, event.Fulfillable}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{snapshots: map[string]event.Snapshot{}}
			p := newPipeline(t, m, everything())
			for i, look := range c.looks {
				for again := range 2 { // what is doubted is confirmed by the second one
					b := batch(time.Duration(i+1)*time.Hour+time.Duration(again)*20*time.Minute, session(t, "cs_1", look[0], look[1], ""))
					b.Account.Start = t0.Add(30 * time.Minute)
					if _, err := p.Handle(t.Context(), b); err != nil {
						t.Fatal(err)
					}
				}
			}
			var told []string
			for i := range m.events {
				told = append(told, m.events[i].Type)
			}
			if !slices.Equal(told, c.told) {
				t.Errorf("told %v, want %v", told, c.told)
			}
			if last := c.looks[len(c.looks)-1]; last[0] == "complete" && m.snapshots["cs_1"].Counts[event.Fulfillable] != 1 {
				t.Errorf("counts %v", m.snapshots["cs_1"].Counts)
			}
		})
	}
}
