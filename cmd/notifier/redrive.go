package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

// jobRedrive is the kind of the jobs that make dead letters pending again.
const jobRedrive = "redrive"

// letterFilter is which dead letters are meant, as it is stored with a job.
type letterFilter struct {
	IDs         []string  `json:"ids,omitempty"`
	Destination string    `json:"destination,omitempty"`
	Account     string    `json:"account,omitempty"`
	Session     string    `json:"session,omitempty"`
	Type        string    `json:"type,omitempty"`
	Rule        string    `json:"rule,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	All         bool      `json:"all,omitempty"`
	Before      time.Time `json:"before,omitzero"` // when it was planned

	concerns func(*event.Delivery) bool // whether a job is about one that matches; nil: about all
}

type redriveParams struct {
	letterFilter
	Rate float64 `json:"rate"`
}

func (f *letterFilter) query() state.Query {
	q := state.Query{
		Destination: f.Destination, Account: f.Account, Session: f.Session, Rule: f.Rule,
		Since: f.Since, Until: f.Until, ByEnd: true, Status: event.StatusDead,
	}
	if f.Type != "" {
		q.Types = strings.Split(f.Type, ",")
	}
	return q
}

func (f *letterFilter) means(q *state.Query, d *event.Delivery) bool {
	return q.MatchDelivery(d) && (f.concerns == nil || f.concerns(d))
}

// text tells of a filter in the audit log.
func (f *letterFilter) text() string { return string(marshalPlain(f)) }

// chosen checks the names in a selection. One that is named by its id must be a
// dead letter.
func (l *ledger) chosen(ctx context.Context, s *admin.Selection) (*letterFilter, error) {
	if err := l.check(ctx, &admin.Query{Destination: s.Destination, Account: s.Account, Session: s.Session, Rule: s.Rule}); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	act := event.Act{At: now, Before: earlier(s.Before, now)}
	f := &letterFilter{
		Destination: s.Destination, Account: s.Account, Session: s.Session, Type: s.Type, Rule: s.Rule,
		Since: s.Since, Until: s.Until, All: s.All, Before: act.Before, concerns: act.MayReopen,
	}
	for _, id := range s.IDs {
		d, found, err := l.store.Delivery(ctx, id)
		if err != nil || !found || d.Status != event.StatusDead {
			return nil, l.unknown("dead letter", id, err)
		}
		if !slices.Contains(f.IDs, id) {
			f.IDs = append(f.IDs, id)
		}
	}
	return f, nil
}

// earlier is the earlier of two times; zero is none.
func earlier(t, now time.Time) time.Time {
	if t.IsZero() || t.After(now) {
		return now
	}
	return t
}

// eachLetter calls do with the dead letters of a filter, oldest first within a
// destination, a few at once; examined is how many it looked at for them.
func (l *ledger) eachLetter(ctx context.Context, f *letterFilter, atOnce int, do func(letters []event.Delivery, examined int) error) error {
	q := f.query()
	if len(f.IDs) > 0 {
		return l.eachNamed(ctx, f, atOnce, do)
	}
	destinations := []string{f.Destination}
	if f.Destination == "" {
		states, err := l.store.Destinations(ctx)
		if err != nil {
			return l.note(err)
		}
		destinations = names(states, func(s event.DestinationState) string { return s.Name })
	}
	for _, name := range destinations {
		for after := uint64(0); ; {
			rows, err := l.store.DeadLetters(ctx, name, after, atOnce)
			if err != nil {
				return l.note(err)
			}
			var letters []event.Delivery
			for _, row := range rows {
				after = row.Sequence
				if f.means(&q, &row.Delivery) {
					letters = append(letters, row.Delivery)
				}
			}
			if err := do(letters, len(rows)); err != nil {
				return err
			}
			if len(rows) < atOnce {
				break
			}
		}
	}
	return nil
}

func (l *ledger) eachNamed(ctx context.Context, f *letterFilter, atOnce int, do func([]event.Delivery, int) error) error {
	q := f.query()
	var letters []event.Delivery
	for _, id := range f.IDs {
		d, found, err := l.store.Delivery(ctx, id)
		if err != nil {
			return l.note(err)
		}
		if found && f.means(&q, &d) {
			letters = append(letters, d)
		}
	}
	slices.SortStableFunc(letters, func(a, b event.Delivery) int { return a.Created.Compare(b.Created) })
	for part := range slices.Chunk(letters, atOnce) {
		if err := do(part, len(part)); err != nil {
			return err
		}
	}
	return nil
}

// countLetters says what a filter chooses.
func (l *ledger) countLetters(ctx context.Context, f *letterFilter) (*redeliveryPlan, error) {
	plan := &redeliveryPlan{DryRun: true, Before: f.Before, Types: map[string]int{}}
	lines := make(map[string]*planLine)
	err := l.eachLetter(ctx, f, jobs.MostAtOnce, func(letters []event.Delivery, examined int) error {
		plan.Examined += examined
		plan.Matched += len(letters)
		for i := range letters {
			lineOf(lines, letters[i].Destination).Deliveries++
			plan.Types[letters[i].EventType]++
		}
		return ctx.Err()
	})
	plan.Deliveries = plan.Matched
	return plan, cmp.Or(err, l.conclude(ctx, plan, lines))
}

func lineOf(lines map[string]*planLine, destination string) *planLine {
	if lines[destination] == nil {
		lines[destination] = &planLine{Destination: destination}
	}
	return lines[destination]
}

// conclude sorts the lines of a plan, and adds warnings.
func (l *ledger) conclude(ctx context.Context, plan *redeliveryPlan, lines map[string]*planLine) error {
	stands, err := l.stands(ctx)
	plan.By, plan.Warnings = []planLine{}, []string{}
	for _, line := range slices.SortedFunc(maps.Values(lines), func(a, b *planLine) int { return cmp.Compare(a.Destination, b.Destination) }) {
		plan.By = append(plan.By, *line)
		switch state := stands[line.Destination].State; {
		case !l.configured(line.Destination):
			plan.Warnings = append(plan.Warnings, line.Destination+" is not in the configuration: what is made due for it waits until it is")
		case state == publish.StatePaused:
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s is paused: what is made due for it waits until notifier destinations resume %[1]s", line.Destination))
		case state == publish.StateFailing:
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s is failing: what is made due for it waits until a probe is accepted; notifier destinations resume %[1]s sends one at once", line.Destination))
		}
		if len(line.shipping) > 0 {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s has already accepted events by which goods may be shipped (%s) and would get them again: make sure that it recognises an id that it has seen, or it may ship twice",
				line.Destination, tally(line.shipping)))
		}
	}
	return l.note(err)
}

// PlanRedrive implements admin.Redeliveries.
func (d *daemon) PlanRedrive(ctx context.Context, o admin.Redrive) (any, error) {
	f, err := d.chosen(ctx, &o.Selection)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	plan, err := d.countLetters(ctx, f)
	plan.Rate, plan.Takes = o.Rate, event.Seconds(jobs.Takes(plan.Deliveries, o.Rate))
	return plan, whyEnded(ctx, err)
}

// StartRedrive implements admin.Redeliveries.
func (d *daemon) StartRedrive(ctx context.Context, o admin.Redrive, actor string) (string, any, error) {
	f, err := d.chosen(ctx, &o.Selection)
	if err != nil {
		return "", nil, err
	}
	job, err := d.jobs.Start(ctx, jobRedrive, redriveParams{letterFilter: *f, Rate: o.Rate}, actor)
	return job.ID, job, jobError(err)
}

// runRedrive is a job. What it made pending carries its id, and what died since
// it was asked for is none of its business: so it may begin again.
func (d *daemon) runRedrive(ctx context.Context, job jobs.Job, report func(any)) (any, error) {
	var params redriveParams
	if err := json.Unmarshal(job.Params, &params); err != nil {
		return nil, fmt.Errorf("reading the parameters: %w", err)
	}
	params.concerns = func(x *event.Delivery) bool {
		act := d.actOf(&job, params.Before)
		return act.MayReopen(x)
	}
	before, err := d.madeBefore(ctx, &job)
	if err != nil {
		return nil, err
	}
	plan, err := d.countLetters(ctx, &params.letterFilter)
	if err != nil {
		return nil, err
	}
	n := len(before)
	r := redeliveryReport{Examined: n, Matched: n, Done: n, Total: n + plan.Deliveries, Rate: params.Rate}
	pace := &jobs.Pace{Rate: params.Rate}
	err = d.eachLetter(ctx, &params.letterFilter, pace.AtOnce(), func(letters []event.Delivery, examined int) error {
		done, err := d.store.Redrive(ctx, names(letters, func(x event.Delivery) string { return x.ID }), d.actOf(&job, params.Before))
		if err != nil {
			return err
		}
		d.wakeFor(done)
		r.Examined, r.Matched = r.Examined+examined, r.Matched+len(letters)
		r.Done += len(done)
		r.estimate(time.Now())
		report(r)
		return pace.Wait(ctx, len(done))
	})
	return r.end(err)
}

// madeBefore returns the ids of what a job that begins again had made due before
// its process ended: they carry its id, written with the change itself.
func (d *daemon) madeBefore(ctx context.Context, job *jobs.Job) (map[string]bool, error) {
	if job.Restarts == 0 {
		return nil, nil
	}
	made := make(map[string]bool)
	q := state.Query{Job: job.ID, Limit: jobs.MostAtOnce}
	for {
		rows, next, err := d.store.SearchDeliveries(ctx, q)
		if err != nil {
			return nil, d.note(err)
		}
		for i := range rows {
			made[rows[i].Delivery.ID] = true
		}
		if next == 0 {
			return made, ctx.Err()
		}
		q.Before = next
	}
}

// actOf is what a job does in the name of whoever asked for it. That is audited
// with the job. A job of an earlier version does not say when it was planned.
func (d *daemon) actOf(job *jobs.Job, planned time.Time) event.Act {
	return event.Act{At: time.Now().UTC(), Actor: job.Actor, Job: job.ID, Before: earlier(planned, job.Created)}
}

// wakeFor makes the relay look at deliveries that were made due.
func (d *daemon) wakeFor(deliveries []event.Delivery) {
	for _, name := range slices.Compact(names(deliveries, func(x event.Delivery) string { return x.Destination })) {
		d.relay.Wake(name)
	}
}
