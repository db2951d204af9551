package main

import (
	"context"
	"math"
	"time"

	"checkout-notifier/event"
)

// paced holds a job to its rate: so many deliveries a second, a few at once.
type paced struct {
	rate float64 // 0: as fast as it goes
	next time.Time
}

const (
	mostAtOnce = 500 // in one transaction
	stepsEach  = 5   // a second, where the rate allows several at once
)

// atOnce is how many go together.
func (p *paced) atOnce() int {
	if p.rate == 0 {
		return mostAtOnce
	}
	return min(max(1, int(p.rate/stepsEach)), mostAtOnce)
}

// wait waits until n more may follow those that have gone.
func (p *paced) wait(ctx context.Context, n int) error {
	if p.rate == 0 || n == 0 {
		return ctx.Err()
	}
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	timer := time.NewTimer(time.Until(p.next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// takes is how long n of them take, in whole seconds.
func takes(n int, rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(math.Ceil(float64(n)/rate)) * time.Second
}

// redeliveryReport says how far a redrive or a replay is.
type redeliveryReport struct {
	Examined  int           `json:"examined"` // dead letters, or events
	Matched   int           `json:"matched"`  // of these
	Total     int           `json:"total"`    // deliveries that were counted before it began
	Done      int           `json:"done"`     // made due
	Skipped   int           `json:"skipped"`  // were no longer to be made, or are waiting anyway
	Rate      float64       `json:"rate"`     // a second, 0: as fast as it goes
	Remaining event.Seconds `json:"remaining_seconds,omitempty"`
	ETA       time.Time     `json:"eta,omitzero"`
}

// estimate fills in when the job will be done.
func (r *redeliveryReport) estimate(now time.Time) {
	left := takes(max(0, r.Total-r.Done-r.Skipped), r.Rate)
	r.Remaining, r.ETA = 0, time.Time{}
	if left > 0 {
		r.Remaining, r.ETA = event.Seconds(left), now.Add(left).UTC().Truncate(time.Second)
	}
}

// redeliveryPlan is what a redrive or a replay would do.
type redeliveryPlan struct {
	DryRun     bool       `json:"dry_run"`
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

	shipping map[string]int // of AcceptedBefore, the events by which goods may be shipped, by type
}
