package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// jobReplay is the kind of the jobs that deliver past events again.
const jobReplay = "replay"

// replayParams is what is stored of a replay.
type replayParams struct {
	Events   []string  `json:"events,omitempty"`
	Types    []string  `json:"types,omitempty"`
	Accounts []string  `json:"accounts,omitempty"`
	Session  string    `json:"session,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Failed   bool      `json:"failed,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	All      bool      `json:"all,omitempty"`
	Before   time.Time `json:"before,omitzero"` // when it was planned

	// ByRules leaves out what today's rules do not send to a destination.
	ByRules bool `json:"by_rules,omitempty"`

	To     []string `json:"to,omitempty"`
	NewIDs bool     `json:"new_ids,omitempty"`
	Rate   float64  `json:"rate"`
}

// replayed checks the names in an order for a replay.
func (l *ledger) replayed(ctx context.Context, o *admin.Replay) (*replayParams, error) {
	for _, id := range o.Events {
		if err := l.check(ctx, &admin.Query{Event: id}); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Accounts {
		if err := l.checkAccount(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := l.check(ctx, &admin.Query{Session: o.Session, Rule: o.Rule}); err != nil {
		return nil, err
	}
	for _, name := range o.To {
		if !l.configured(name) {
			return nil, l.unknown("destination", name, nil, l.destinations()...)
		}
	}
	before := earlier(o.Before, time.Now().UTC())
	return &replayParams{
		Events: o.Events, Types: o.Types, Accounts: o.Accounts, Session: o.Session, Rule: o.Rule, Failed: o.Failed,
		Since: o.Since, Until: earlier(o.Until, before), All: o.All, Before: before, To: distinct(o.To), NewIDs: o.NewIDs, Rate: o.Rate,
		ByRules: !o.AllTypes && !chosenOutright(o),
	}, nil
}

// chosenOutright says whether an order names what is to be sent: the events, their
// types, or the rule that they matched.
func chosenOutright(o *admin.Replay) bool {
	return len(o.Events) > 0 || len(o.Types) > 0 || o.Rule != "" || o.Failed
}

func distinct(list []string) (once []string) {
	for _, name := range list {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}

// eachEvent calls do with the events of a replay, oldest first, a few at once.
// Copies, and the program's own events, are meant only where they are named.
func (l *ledger) eachEvent(ctx context.Context, p *replayParams, atOnce int, do func(found []state.FannedOut, examined int) error) error {
	q := state.Query{Types: p.Types, Session: p.Session, Rule: p.Rule, Failed: p.Failed, Since: p.Since, Until: p.Until, Limit: atOnce}
	if len(p.Accounts) == 1 {
		q.Account = p.Accounts[0]
	}
	if len(p.Events) > 0 {
		return l.eachNamedEvent(ctx, p, q, do)
	}
	after, err := l.store.SeekEvents(ctx, q)
	if err != nil {
		return l.note(err)
	}
	for {
		found, examined, next, err := l.store.WalkEvents(ctx, q, after)
		if err != nil {
			return l.note(err)
		}
		found = slices.DeleteFunc(found, func(f state.FannedOut) bool { return !p.means(&f.Event) })
		if err := do(found, examined); err != nil || next == 0 {
			return err
		}
		after = next
	}
}

// means says whether an event that was found by a filter is meant.
func (p *replayParams) means(e *event.Event) bool {
	return e.ReplayOf == "" && (len(p.Accounts) == 0 || slices.Contains(p.Accounts, e.Account)) &&
		(len(p.Types) > 0 || !event.IsSystemType(e.Type))
}

// eachNamedEvent does so with events that are named: a filter beside them holds.
func (l *ledger) eachNamedEvent(ctx context.Context, p *replayParams, q state.Query, do func([]state.FannedOut, int) error) error {
	for _, id := range p.Events {
		e, found, err := l.store.Event(ctx, id)
		if err != nil {
			return l.note(err)
		}
		if !found {
			continue // pruned meanwhile
		}
		deliveries, err := l.store.EventDeliveries(ctx, id)
		if err != nil {
			return l.note(err)
		}
		var list []state.FannedOut
		if q.MatchEvent(&e, deliveries) && (len(p.Accounts) == 0 || slices.Contains(p.Accounts, e.Account)) {
			list = append(list, state.FannedOut{Event: e, Deliveries: deliveries})
		}
		if err := do(list, 1); err != nil {
			return err
		}
	}
	return nil
}

// replayer makes the deliveries of a replay.
type replayer struct {
	replayParams
	job     string          // "" in a plan
	before  map[string]bool // what the job made due before it began again
	matcher interface {
		Match(e *event.Event, previous json.RawMessage, now time.Time) rules.Result
	}
	ordered func(destination string) bool
}

// of returns what an event becomes. With Failed, fails says whether a rule that
// failed on it does so still.
func (r *replayer) of(f *state.FannedOut) (replay event.Replay, fails bool) {
	if r.Failed {
		return r.again(f)
	}
	replay.Event = f.Event
	if r.NewIDs {
		replay.Event.ID, replay.Event.ReplayOf = event.CopyID(f.Event.ID, r.job), f.Event.ID
	}
	sends := r.sends(&f.Event)
	for _, destination := range r.To {
		if r.ByRules && !slices.ContainsFunc(sends, func(t rules.Target) bool { return t.Destination == destination }) {
			continue
		}
		for _, d := range r.template(f, destination, sends) {
			d.Ordered = r.ordered(destination)
			if r.NewIDs {
				d.EventID, d.ID = replay.Event.ID, event.DeliveryID(replay.Event.ID, destination, d.OwnRule)
			}
			replay.Deliveries = append(replay.Deliveries, d)
		}
	}
	return replay, false
}

// sends is what today's rules make of an event, if they are asked.
func (r *replayer) sends(e *event.Event) []rules.Target {
	if !r.ByRules {
		return nil
	}
	previous, err := e.PreviousObject()
	if err != nil {
		return nil // nobody can say what it was
	}
	return r.matcher.Match(e, previous, e.Time).Targets
}

// leftOut is to how many destinations the rules do not send an event.
func (r *replayer) leftOut(replay *event.Replay) int {
	if !r.ByRules {
		return 0
	}
	return len(r.To) - len(distinct(names(replay.Deliveries, func(d event.Delivery) string { return d.Destination })))
}

// dropPurged takes out what was given up for good, and returns it: only an event that is
// named brings it back.
func (r *replayer) dropPurged(replay *event.Replay, f *state.FannedOut) (purged []event.Delivery) {
	if len(r.Events) > 0 || r.Failed {
		return nil
	}
	replay.Deliveries = slices.DeleteFunc(replay.Deliveries, func(d event.Delivery) bool {
		given := slices.ContainsFunc(f.Deliveries, func(x event.Delivery) bool {
			return x.Status == event.StatusPurged && x.Destination == d.Destination && x.OwnRule == d.OwnRule
		})
		if given {
			purged = append(purged, d)
		}
		return given
	})
	return purged
}

// all returns what events become.
func (r *replayer) all(found []state.FannedOut) (replays []event.Replay) {
	for i := range found {
		replay, _ := r.of(&found[i])
		if r.dropPurged(&replay, &found[i]); len(replay.Deliveries) > 0 {
			replays = append(replays, replay)
		}
	}
	return replays
}

// template returns the deliveries that a destination had of an event: those of
// the rule in question, if there are any; or else what the rules send there, or one
// that says which rules matched the event.
func (r *replayer) template(f *state.FannedOut, destination string, sends []rules.Target) []event.Delivery {
	var had, byRule []event.Delivery
	matched, labels := []string{}, map[string]string{}
	for _, d := range f.Deliveries {
		for _, name := range d.Rules {
			if !slices.Contains(matched, name) {
				matched = append(matched, name)
			}
		}
		for name, value := range d.Labels {
			if _, taken := labels[name]; !taken {
				labels[name] = value
			}
		}
		if d.Destination != destination {
			continue
		}
		had = append(had, blank(&f.Event, destination, d.OwnRule, d.Rules, d.Labels))
		if r.Rule != "" && slices.Contains(d.Rules, r.Rule) {
			byRule = append(byRule, had[len(had)-1])
		}
	}
	switch {
	case len(byRule) > 0:
		return byRule
	case len(had) > 0:
		return had
	}
	var fresh []event.Delivery
	for _, t := range sends {
		if t.Destination == destination {
			fresh = append(fresh, blank(&f.Event, destination, t.OwnRule, t.Rules, t.Labels))
		}
	}
	if len(fresh) > 0 {
		return fresh
	}
	return []event.Delivery{blank(&f.Event, destination, "", matched, labels)}
}

// blank is a delivery of which only the store knows what became of it.
func blank(e *event.Event, destination, ownRule string, matched []string, labels map[string]string) event.Delivery {
	return event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ownRule), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Subject: e.Subject, Destination: destination, OwnRule: ownRule, Rules: matched, Labels: labels,
	}
}

// again asks the rules of today that failed on an event. What they match now and
// nobody has is made; what somebody has is left as it is.
func (r *replayer) again(f *state.FannedOut) (replay event.Replay, fails bool) {
	replay = event.Replay{Event: f.Event, OnlyNew: true}
	failed := func(name string) bool {
		return (r.Rule == "" || name == r.Rule) &&
			slices.ContainsFunc(f.Event.RuleErrors, func(x event.RuleError) bool { return x.Rule == name })
	}
	previous, err := f.Event.PreviousObject()
	if err != nil {
		return replay, true
	}
	result := r.matcher.Match(&f.Event, previous, f.Event.Time)
	for _, target := range result.Targets {
		if !slices.ContainsFunc(target.Rules, failed) || (len(r.To) > 0 && !slices.Contains(r.To, target.Destination)) {
			continue
		}
		d := blank(&f.Event, target.Destination, target.OwnRule, target.Rules, target.Labels)
		d.Ordered = r.ordered(target.Destination)
		replay.Deliveries = append(replay.Deliveries, d)
	}
	return replay, slices.ContainsFunc(result.Errors, func(x event.RuleError) bool { return failed(x.Rule) })
}

// countReplay says what a replay would do.
func (d *daemon) countReplay(ctx context.Context, r *replayer) (*redeliveryPlan, error) {
	plan := &redeliveryPlan{DryRun: true, Before: r.Before, Rate: r.Rate, ByRules: r.ByRules, Types: map[string]int{}, LeftOut: map[string]int{}}
	lines := make(map[string]*planLine)
	err := d.eachEvent(ctx, &r.replayParams, jobs.MostAtOnce, func(found []state.FannedOut, examined int) error {
		plan.Examined += examined
		plan.Matched += len(found)
		for i := range found {
			replay, fails := r.of(&found[i])
			if left := r.leftOut(&replay); left > 0 {
				plan.LeftOut[found[i].Event.Type] += left
			}
			for _, d := range r.dropPurged(&replay, &found[i]) {
				lineOf(lines, d.Destination).Purged++
			}
			switch {
			case fails:
				plan.Failing++
			case r.Failed:
				plan.Repaired++
			}
			for j := range replay.Deliveries {
				plan.add(lines, &found[i], &replay, &replay.Deliveries[j], r.before)
			}
		}
		return ctx.Err()
	})
	plan.Takes = event.Seconds(jobs.Takes(plan.Deliveries, r.Rate))
	return plan, cmp.Or(err, d.conclude(ctx, plan, lines))
}

// add counts one delivery of a replay. What the job made due before is its own.
func (p *redeliveryPlan) add(lines map[string]*planLine, f *state.FannedOut, replay *event.Replay, d *event.Delivery, made map[string]bool) {
	line := lineOf(lines, d.Destination)
	before := func(x event.Delivery) bool { return x.Destination == d.Destination && x.OwnRule == d.OwnRule }
	i := slices.IndexFunc(f.Deliveries, before)
	if i >= 0 && replay.Event.ReplayOf == "" && !made[d.ID] && (replay.OnlyNew || f.Deliveries[i].Status == event.StatusPending) {
		if f.Deliveries[i].Status == event.StatusPending {
			line.Waiting++
		}
		return
	}
	p.Deliveries++
	p.Types[f.Event.Type]++
	line.Deliveries++
	if i >= 0 && f.Deliveries[i].Status == event.StatusAccepted {
		line.AcceptedBefore++
		if slices.Contains(event.Shipping(), f.Event.Type) {
			if line.shipping == nil {
				line.shipping = make(map[string]int)
			}
			line.shipping[event.Short(f.Event.Type)]++
		}
	}
}

func (d *daemon) newReplayer(p *replayParams, job string) *replayer {
	ordered := make(map[string]bool)
	for _, x := range d.cfg.Destinations {
		ordered[x.Name] = x.Ordered
	}
	return &replayer{replayParams: *p, job: job, matcher: d.rules, ordered: func(name string) bool { return ordered[name] }}
}

// PlanReplay implements admin.Redeliveries.
func (d *daemon) PlanReplay(ctx context.Context, o admin.Replay) (any, error) {
	p, err := d.replayed(ctx, &o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	plan, err := d.countReplay(ctx, d.newReplayer(p, ""))
	for _, line := range plan.By {
		if line.AcceptedBefore > 0 {
			plan.Warnings = append(plan.Warnings, d.aboutIDs(line.Destination, p.NewIDs)...)
		}
	}
	return plan, whyEnded(ctx, err)
}

// aboutIDs says what a destination makes of the ids of events that it accepted before.
func (l *ledger) aboutIDs(destination string, newIDs bool) (warnings []string) {
	stream := slices.ContainsFunc(l.cfg.Destinations, func(x publish.Destination) bool {
		return x.Name == destination && x.Type == publish.TypeNATS && x.JetStream
	})
	switch {
	case newIDs:
		return []string{destination + " cannot tell what has new ids from new events"}
	case stream:
		return []string{destination + " is a stream: it leaves out ids that it has seen within its duplicate window"}
	}
	return nil
}

// StartReplay implements admin.Redeliveries.
func (d *daemon) StartReplay(ctx context.Context, o admin.Replay, actor string) (string, any, error) {
	p, err := d.replayed(ctx, &o)
	if err != nil {
		return "", nil, err
	}
	job, err := d.jobs.Start(ctx, jobReplay, p, actor)
	return job.ID, job, jobError(err)
}

// runReplay is a job. As runRedrive it may begin again.
func (d *daemon) runReplay(ctx context.Context, job jobs.Job, report func(any)) (any, error) {
	var params replayParams
	if err := json.Unmarshal(job.Params, &params); err != nil {
		return nil, fmt.Errorf("reading the parameters: %w", err)
	}
	maker := d.newReplayer(&params, job.ID)
	var err error
	if maker.before, err = d.madeBefore(ctx, &job); err != nil {
		return nil, err
	}
	plan, err := d.countReplay(ctx, maker)
	if err != nil {
		return nil, err
	}
	r := redeliveryReport{Done: len(maker.before), Total: plan.Deliveries, Rate: params.Rate}
	pace := &jobs.Pace{Rate: params.Rate}
	err = d.eachEvent(ctx, &params, pace.AtOnce(), func(found []state.FannedOut, examined int) error {
		made, err := d.store.Replay(ctx, maker.all(found), d.actOf(&job, params.Before))
		if err != nil {
			return err
		}
		d.wakeFor(made)
		r.Examined, r.Matched = r.Examined+examined, r.Matched+len(found)
		r.Done += len(made)
		r.estimate(time.Now())
		report(r)
		return pace.Wait(ctx, len(made))
	})
	return r.end(err)
}
