package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/jobs"
	"checkout-notifier/poller"
)

// jobBackfill is the kind of the jobs that read a part of the list again.
const jobBackfill = "backfill"

// jobKinds lists the kinds of jobs.
func jobKinds() []string { return []string{jobBackfill, jobRedrive, jobReplay} }

// backfillParams is what is stored of a backfill. The range is fixed when it is
// accepted, so that a restart does not change what it reads.
type backfillParams struct {
	Accounts []string  `json:"accounts"` // none: all
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Announce bool      `json:"announce"`
}

// backfillPlan is what a backfill would do.
type backfillPlan struct {
	DryRun bool `json:"dry_run"`
	backfillParams
	poller.BackfillReport
	Found []poller.Found `json:"found"` // also while it is empty
}

// conflictingBackfills says whether two read the list of one account.
func conflictingBackfills(a, b json.RawMessage) bool {
	var x, y backfillParams
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return true
	}
	if len(x.Accounts) == 0 || len(y.Accounts) == 0 {
		return true
	}
	return slices.ContainsFunc(x.Accounts, func(name string) bool { return slices.Contains(y.Accounts, name) })
}

// runBackfill is a job. It may begin again: what was read once is known then.
func (d *daemon) runBackfill(ctx context.Context, job jobs.Job, report func(any)) (any, error) {
	var params backfillParams
	if err := json.Unmarshal(job.Params, &params); err != nil {
		return nil, fmt.Errorf("reading the parameters: %w", err)
	}
	return d.poller.Backfill(ctx, params.order(false), func(r poller.BackfillReport) { report(r) })
}

// order is the backfill as the poller takes it.
func (p *backfillParams) order(dryRun bool) poller.Backfill {
	return poller.Backfill{Accounts: p.Accounts, Since: p.Since, Until: p.Until, DryRun: dryRun, Announce: p.Announce}
}

// knownAccounts says which name is in no configuration, and drops repetitions.
func (d *daemon) knownAccounts(accounts []string) ([]string, error) {
	known := d.accounts()
	distinct := []string{}
	for _, name := range accounts {
		if !slices.Contains(known, name) {
			return nil, d.unknown("account", name, nil, known...)
		}
		if !slices.Contains(distinct, name) {
			distinct = append(distinct, name)
		}
	}
	return distinct, nil
}

// whileWorking returns a context that also ends with the daemon's work, which
// open requests would outlive.
func (d *daemon) whileWorking(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-d.stopped:
			cancel(admin.ErrStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// whyEnded tells an end of the daemon from other errors.
func whyEnded(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), admin.ErrStopping) {
		return admin.ErrStopping
	}
	return err
}

// PollNow implements admin.Polling.
func (d *daemon) PollNow(ctx context.Context, accounts []string) (any, error) {
	accounts, err := d.knownAccounts(accounts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	reports, err := d.poller.Now(ctx, accounts...)
	return reports, whyEnded(ctx, err)
}

// PlanBackfill implements admin.Polling.
func (d *daemon) PlanBackfill(ctx context.Context, b admin.Backfill) (any, error) {
	accounts, err := d.knownAccounts(b.Accounts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := d.whileWorking(ctx)
	defer cancel()
	plan := backfillPlan{DryRun: true, backfillParams: backfillParams{Accounts: accounts, Since: b.Since, Until: b.Until, Announce: b.Announce}}
	plan.BackfillReport, err = d.poller.Backfill(ctx, plan.order(true), nil)
	plan.Found = append([]poller.Found{}, plan.BackfillReport.Found...)
	if errors.Is(err, poller.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", admin.ErrUpstream, err)
	}
	return plan, whyEnded(ctx, err)
}

// StartBackfill implements admin.Polling.
func (d *daemon) StartBackfill(ctx context.Context, b admin.Backfill, actor string) (id string, job any, err error) {
	accounts, err := d.knownAccounts(b.Accounts)
	if err != nil {
		return "", nil, err
	}
	started, err := d.jobs.Start(ctx, jobBackfill, backfillParams{Accounts: accounts, Since: b.Since, Until: b.Until, Announce: b.Announce}, actor)
	return started.ID, started, jobError(err)
}

// jobError gives an error of the jobs the name that admin knows.
func jobError(err error) error {
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	case errors.Is(err, jobs.ErrConflict), errors.Is(err, jobs.ErrEnded):
		return fmt.Errorf("%w: %w", admin.ErrConflict, err)
	case errors.Is(err, jobs.ErrStopped):
		return admin.ErrStopping
	}
	return err
}

// JobFilters implements admin.Jobs.
func (d *daemon) JobFilters() (kinds, statuses []string) {
	return jobKinds(), names(jobs.Statuses(), func(s jobs.Status) string { return string(s) })
}

// Jobs implements admin.Jobs.
func (d *daemon) Jobs(ctx context.Context, q admin.JobQuery) (any, string, error) {
	if q.Before != "" && !jobs.IsID(q.Before) {
		return nil, "", admin.ErrBadCursor
	}
	items, next, err := d.jobs.List(ctx, jobs.Query{Kind: q.Kind, Status: jobs.Status(q.Status), Before: q.Before, Limit: q.Limit})
	if items == nil {
		items = []jobs.Job{}
	}
	return items, next, err
}

// Job implements admin.Jobs.
func (d *daemon) Job(ctx context.Context, id string) (any, error) {
	job, err := d.jobs.Get(ctx, id)
	return job, jobError(err)
}

// CancelJob implements admin.Jobs.
func (d *daemon) CancelJob(ctx context.Context, id, actor string) (any, error) {
	job, err := d.jobs.Cancel(ctx, id, actor)
	return job, jobError(err)
}
