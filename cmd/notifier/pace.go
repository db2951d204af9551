package main

import (
	"time"

	"checkout-notifier/event"
	"checkout-notifier/jobs"
)

// redeliveryReport says how far a redrive or a replay is.
type redeliveryReport struct {
	Examined  int           `json:"examined"` // dead letters, or events
	Matched   int           `json:"matched"`  // of these
	Total     int           `json:"total"`    // deliveries that were counted before it began
	Done      int           `json:"done"`     // made due
	Skipped   int           `json:"skipped"`  // of the total, at the end: were no longer to be made
	Rate      float64       `json:"rate"`     // a second, 0: as fast as it goes
	Remaining event.Seconds `json:"remaining_seconds,omitempty"`
	ETA       time.Time     `json:"eta,omitzero"`
}

// estimate fills in when the job will be done.
func (r *redeliveryReport) estimate(now time.Time) {
	left := jobs.Takes(max(0, r.Total-r.Done), r.Rate)
	r.Remaining, r.ETA = 0, time.Time{}
	if left > 0 {
		r.Remaining, r.ETA = event.Seconds(left), now.Add(left).UTC().Truncate(time.Second)
	}
}

// end is what a job returns that ended with err: what it counted and did not make due
// changed before its turn came.
func (r redeliveryReport) end(err error) (any, error) {
	if err == nil {
		r.Skipped, r.Remaining, r.ETA = max(0, r.Total-r.Done), 0, time.Time{}
	}
	return r, err
}

// redeliveryPlan is what a redrive or a replay would do.
type redeliveryPlan struct {
	DryRun     bool       `json:"dry_run"`
	Before     time.Time  `json:"before"`   // what dies, happens or is accepted later is not meant
	Examined   int        `json:"examined"` // dead letters, or events
	Matched    int        `json:"matched"`  // of these
	Deliveries int        `json:"deliveries"`
	By         []planLine `json:"destinations"`

	Types   map[string]int `json:"types"`              // deliveries by the type of their event
	ByRules bool           `json:"by_rules,omitempty"` // what today's rules do not send to a destination is left out
	LeftOut map[string]int `json:"left_out,omitempty"` // deliveries that this leaves out, by the type of their event

	Repaired int           `json:"repaired,omitempty"`      // events on which the rules fail no longer
	Failing  int           `json:"still_failing,omitempty"` // those on which they do
	Rate     float64       `json:"rate"`
	Takes    event.Seconds `json:"takes_seconds"`
	Warnings []string      `json:"warnings"`
}

// planLine is the part of one destination.
type planLine struct {
	Destination    string `json:"destination"`
	Deliveries     int    `json:"deliveries"`
	AcceptedBefore int    `json:"accepted_before"` // of these
	Waiting        int    `json:"waiting"`         // besides these: they are pending anyway
	Purged         int    `json:"purged"`          // besides these: they were given up for good

	shipping map[string]int // of AcceptedBefore, the events by which goods may be shipped, by type
}
