package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

// Whoever reads that less was made due than was will send the rest again, and
// with new ids nobody can tell.
func TestAJobThatWasKilledCountsWhatItHadMadeDue(t *testing.T) {
	redrive := func(o *office, rate float64) (string, any, error) {
		return o.StartRedrive(t.Context(), admin.Redrive{Selection: admin.Selection{All: true}, Rate: rate}, "bob")
	}
	replay := func(newIDs, failed bool) func(o *office, rate float64) (string, any, error) {
		return func(o *office, rate float64) (string, any, error) {
			order := admin.Replay{To: []string{"shop"}, All: true, AllTypes: true, NewIDs: newIDs, Rate: rate}
			if failed {
				order = admin.Replay{Rule: "dear", Failed: true, Rate: rate}
			}
			return o.StartReplay(t.Context(), order, "bob")
		}
	}
	for _, c := range []struct {
		name  string
		start func(o *office, rate float64) (string, any, error)
		to    string
		want  int
	}{
		{"redrive", redrive, "shop", 5},
		{"replay", replay(false, false), "shop", 9},
		{"replay with new ids", replay(true, false), "shop", 9},
		{"replay of what a rule failed on", replay(false, true), "other", 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "n.db")
			o := newOffice(t, path, dearWorks)
			o.happen(9)
			id, _, err := c.start(o, 1)
			if err != nil {
				t.Fatal(err)
			}
			for o.pending()[c.to] < 2 {
				time.Sleep(time.Millisecond)
			}
			// What a kill leaves: the file as it is, with nothing closed.
			left, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o.stop()
			path = filepath.Join(t.TempDir(), "n.db")
			if err := os.WriteFile(path, left, 0o600); err != nil {
				t.Fatal(err)
			}
			o = newOffice(t, path, dearWorks)
			// One of those is accepted before the job goes on, one is dead again.
			items, _, err := o.List(t.Context(), admin.Deliveries, admin.Query{Status: event.StatusPending, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range items.([]deliveryView)[:2] {
				v := event.Verdict{Delivery: d.Delivery, At: time.Now(), Accepted: i == 0}
				if !v.Accepted {
					v.Dead = "again"
				}
				if _, err := o.store.Take(t.Context(), event.Step{Resolved: []event.Verdict{v}}); err != nil {
					t.Fatal(err)
				}
			}
			r := o.await(id)
			made, err := o.madeDueBy(id)
			if r.Done != c.want || r.Total != c.want || r.Skipped != 0 || r.Matched != c.want || made != c.want || err != nil {
				t.Errorf("it says %+v; %d carry its id, %v; want %d", r, made, err, c.want)
			}
			o.stop()
		})
	}
}

// madeDueBy says how many deliveries carry the id of a job.
func (o *office) madeDueBy(job string) (int, error) {
	items, _, err := o.List(o.t.Context(), admin.Deliveries, admin.Query{Job: job, Limit: 100})
	if err != nil {
		return 0, err
	}
	return len(items.([]deliveryView)), nil
}
