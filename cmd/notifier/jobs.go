package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/jobs"
)

func (a *app) jobsCommand() *cobra.Command {
	return parentCommand("jobs", "List jobs such as backfills, show one, cancel one", a.jobsListCommand(), a.jobsGetCommand(), a.jobsCancelCommand())
}

func (a *app) jobsListCommand() *cobra.Command {
	var output, kind, status string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List jobs, newest first",
		Example: "  notifier jobs list --status running",
		Long: `List the jobs of the daemon, newest first. Those that ended are kept for 30 days,
and at most 1000. Without a daemon the state file is read; what runs goes on when
a daemon does.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return exit(exitUsage, errors.New("--limit must not be negative"))
			}
			items, err := a.readJobs(cmd.Context(), kind, status, limit)
			if err != nil {
				return err
			}
			return showList(a, output, items, a.printJobs)
		},
	}
	statuses := names(jobs.Statuses(), func(s jobs.Status) string { return string(s) })
	cmd.Flags().Var(choice{&kind, jobKinds()}, "kind", "only jobs of this kind: "+strings.Join(jobKinds(), ", "))
	cmd.Flags().Var(choice{&status, statuses}, "status", "only jobs with this status: "+strings.Join(statuses, ", "))
	cmd.Flags().IntVar(&limit, "limit", 0, "how many at most, the newest; 0 is all")
	completeFlag(cmd, "kind", jobKinds)
	completeFlag(cmd, "status", func() []string { return statuses })
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) jobsGetCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:               "get JOB",
		Short:             "Show a job",
		Example:           "  notifier jobs get job_20261122-100000-000 -o json",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: a.complete(1, jobWords("")),
		RunE: func(cmd *cobra.Command, args []string) error {
			job, err := a.readJob(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.show(output, job, func() { a.printJobs([]jobs.Job{job}) })
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) jobsCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cancel JOB",
		Short:   "End a job for good",
		Example: "  notifier jobs cancel job_20261122-100000-000",
		Long: `End a running job for good and wait until it has ended. What it did so far stays.

Exit codes: 0 it is cancelled, 1 it has ended already, 4 no daemon answers, 5
there is no such job.`,
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: a.complete(1, jobWords(string(jobs.Running))),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd.Context(), "jobs", args[0], "cancel", "is cancelled", "")
		},
	}
}

// readJobs asks the daemon for pages until there are enough, 0: all of them, and
// the file where there is no daemon.
func (a *app) readJobs(ctx context.Context, kind, status string, limit int) ([]jobs.Job, error) {
	c, loaded, err := a.client()
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, value := range map[string]string{"kind": kind, "status": status} {
		if value != "" {
			query.Set(name, value)
		}
	}
	items := []jobs.Job{}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(items))
		}
		query.Set("limit", strconv.Itoa(size))
		var page struct {
			Items []jobs.Job `json:"items"`
			Next  string     `json:"next"`
		}
		err := c.call(ctx, http.MethodGet, jobsPath+"?"+query.Encode(), &page)
		if errors.Is(err, errNoDaemon) && loaded != nil {
			return a.storedJobs(ctx, loaded, err, kind, status, cmp.Or(limit, allJobs))
		}
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || limit > 0 && len(items) >= limit {
			return items, nil
		}
		query.Set("cursor", page.Next)
	}
}

// allJobs is a limit for lists that is never reached: far fewer jobs are kept.
const allJobs = 1 << 20

// storedJobs reads the file: noDaemon says why.
func (a *app) storedJobs(ctx context.Context, loaded *config.Loaded, noDaemon error, kind, status string, limit int) (items []jobs.Job, err error) {
	store, err := openInstead(ctx, loaded, noDaemon)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	fmt.Fprintf(a.err, "no daemon is running; this is what %s tells\n", store.Path())
	reader := jobs.New(store, nil, slog.New(slog.DiscardHandler))
	items, _, err = reader.List(ctx, jobs.Query{Kind: kind, Status: jobs.Status(status), Limit: limit})
	return items, err
}

func (a *app) readJob(ctx context.Context, id string) (jobs.Job, error) {
	if err := admin.CheckID("id", id); err != nil {
		return jobs.Job{}, exit(exitUsage, err)
	}
	c, loaded, err := a.client()
	if err != nil {
		return jobs.Job{}, err
	}
	var job jobs.Job
	err = c.call(ctx, http.MethodGet, jobsPath+"/"+url.PathEscape(id), &job)
	if !errors.Is(err, errNoDaemon) || loaded == nil {
		return job, err
	}
	items, err := a.storedJobs(ctx, loaded, err, "", "", allJobs)
	if err != nil {
		return jobs.Job{}, err
	}
	for _, job := range items {
		if job.ID == id {
			return job, nil
		}
	}
	return jobs.Job{}, fmt.Errorf("%w: job %s", admin.ErrNotFound, id)
}

func (a *app) printJobs(items []jobs.Job) {
	lines := []string{"JOB\tKIND\tSTATUS\tBY\tSTARTED\tTOOK\tWHAT"}
	for i := range items {
		job := &items[i]
		ended := job.Ended
		if ended.IsZero() {
			ended = time.Now()
		}
		what := jobText(job)
		if job.Error != "" {
			what = job.Error
		}
		lines = append(lines, strings.Join([]string{
			job.ID, job.Kind, string(job.Status), job.Actor, ago(job.Created), shortDuration(ended.Sub(job.Created)), what,
		}, "\t"))
	}
	a.rows(lines...)
}
