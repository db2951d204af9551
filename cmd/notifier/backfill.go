package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
	"checkout-notifier/poller"
)

// backfillOptions are the flags of poll backfill.
type backfillOptions struct {
	since, until             string
	accounts                 []string
	dryRun, announce, detach bool
	yes                      bool
	output                   string
}

func (a *app) pollBackfillCommand() *cobra.Command {
	var o backfillOptions
	cmd := &cobra.Command{
		Use:   "backfill --since WHEN",
		Short: "Read a range of the list again",
		Long: `Have the running daemon read every session again that was created in a range,
beside its passes and within the same rate limit. What differs from what is
stored is announced as if a pass had seen it; what is known already raises
nothing, so a backfill may be repeated.

Sessions that are not stored and were created before the account's start, or
that may have been stored and pruned since, are recorded silently; --announce
announces those as well, and what was recorded silently only because clocks were
ahead when the account started, but no other session that is stored: what was
recorded silently has no events, and stays so until it changes. It is asked
about first; where there is no terminal to ask on, it wants --yes.

WHEN is a time in RFC 3339, a date (its beginning in UTC), or how long ago: 36h,
7d. Without --until the range ends now.

--dry-run reads the range, changes nothing and lists what would be announced, at
most 1000 sessions; with -o jsonl a session is a line, and so is the plan if there
is none. Otherwise the backfill is a job of the daemon that outlives
this command and the daemon's restarts: its progress is shown on stderr until it
ends; Ctrl-C leaves it running (end it by: notifier jobs cancel JOB); --detach
prints its id and does not wait.

Exit codes: 0 the range was read, 1 the job failed or was cancelled, or this
command was interrupted, 2 usage, 4 no daemon answers, 5 there is no such account.`,
		Example: `  notifier poll backfill --since 7d --dry-run
  notifier poll backfill --since 2026-11-20 --until 2026-11-22T12:00:00Z --account main
  notifier poll backfill --since 30d --announce --yes --detach`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.backfill(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "read sessions created at this time or later: 7d, 2026-11-20, 2026-11-20T10:00:00Z")
	flags.StringVar(&o.until, "until", "", "and not later than this (default: now)")
	a.accountFlag(cmd, &o.accounts)
	flags.BoolVar(&o.dryRun, "dry-run", false, "change nothing, list what would be announced")
	flags.BoolVar(&o.announce, "announce", false, "also announce what would be recorded silently")
	yesFlag(cmd, &o.yes)
	flags.BoolVar(&o.detach, "detach", false, "print the job's id and do not wait for its end")
	outputFlag(cmd, &o.output, asTable, asJSON, asLines)
	for _, name := range []string{"since", "until"} {
		completeFlag(cmd, name, func() []string { return []string{"1h", "24h", "7d", "30d"} })
	}
	return cmd
}

// order is the body of the request.
func (o backfillOptions) order(now time.Time) (map[string]any, error) {
	if o.since == "" {
		return nil, errors.New("--since is needed: how far back to read, such as 7d")
	}
	if o.dryRun && o.detach {
		return nil, errors.New("--dry-run starts no job that --detach could leave running")
	}
	order := map[string]any{"accounts": o.accounts, "dry_run": o.dryRun, "announce": o.announce}
	since, err := readMoment(o.since, now)
	if err != nil {
		return nil, fmt.Errorf("--since %w", err)
	}
	until := now
	if o.until != "" {
		if until, err = readMoment(o.until, now); err != nil {
			return nil, fmt.Errorf("--until %w", err)
		}
		order["until"] = until.Format(time.RFC3339)
	}
	switch {
	case since.After(now):
		return nil, errors.New("--since is in the future")
	case !until.Truncate(time.Second).After(since.Truncate(time.Second)):
		return nil, errors.New("--until must be later than --since")
	}
	order["since"] = since.Format(time.RFC3339)
	return order, nil
}

// readMoment reads a time as users write it.
func readMoment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if d, err := config.ParseDuration(text); err == nil {
		return now.Add(-d).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("takes how long ago (36h, 7d), a date or a time in RFC 3339, not %q", text)
}

func (a *app) backfill(ctx context.Context, o backfillOptions) error {
	order, err := o.order(time.Now())
	if err != nil {
		return exit(exitUsage, fmt.Errorf("%w (see notifier poll backfill --help)", err))
	}
	c, _, err := a.client()
	if err != nil {
		return err
	}
	if o.dryRun {
		var plan backfillPlan
		if err := a.await(ctx, c, explainAfter, o.accounts, order, &plan); err != nil {
			return interrupted(err, "nothing was changed")
		}
		return a.showPlan(o.output, &plan)
	}
	if o.announce {
		if err := a.confirm(ctx, o.yes, "Announce, as if it were new, what is not stored of the sessions of "+accountsText(o.accounts)+"?"); err != nil {
			return err
		}
	}
	var job jobs.Job
	if err := c.send(ctx, http.MethodPost, pollPath, order, &job); err != nil {
		return interrupted(err, "it may have been started: see notifier jobs list")
	}
	if o.detach {
		return a.show(o.output, job, func() { fmt.Fprintln(a.out, job.ID) })
	}
	fmt.Fprintf(a.err, "%s reads %s; Ctrl-C leaves it running, notifier jobs cancel %s ends it\n", job.ID, accountsText(o.accounts), job.ID)
	return a.follow(ctx, c, job, o.output)
}

// showPlan prints what a backfill would do.
func (a *app) showPlan(output string, plan *backfillPlan) error {
	if output == asLines && len(plan.Found) > 0 {
		return showList(a, output, plan.Found, nil)
	}
	err := a.show(output, plan, func() {
		lines := []string{"ACCOUNT\tSESSION\tCREATED\tEVENTS\tSILENT"}
		for _, f := range plan.Found {
			silent := "no"
			if f.Silent {
				silent = "yes"
			}
			lines = append(lines, strings.Join([]string{f.Account, f.Session, clock(f.Created), strings.Join(names(f.Types, event.Short), " "), silent}, "\t"))
		}
		a.rows(lines...)
	})
	if err != nil || output != asTable {
		return err
	}
	if len(plan.Found) == poller.MostFound {
		fmt.Fprintf(a.err, "only the first %d sessions are listed\n", poller.MostFound)
	}
	fmt.Fprintf(a.err, "%s to %s: %s; nothing was changed\n", clock(plan.Since), clock(plan.Until), reportText(&plan.BackfillReport, "would be announced"))
	return nil
}

// reportText says in a line what a backfill came to.
func reportText(r *poller.BackfillReport, announced string) string {
	text := fmt.Sprintf("%s, %s, of which %d new and %d changed; %s %s, %s recorded silently",
		count(r.Pages, "page"), count(r.Sessions, "session"), r.New, r.Changed, count(r.Events, "event"), announced, count(r.Silent, "session"))
	if known := r.Sessions - r.New - r.Changed; known > 0 {
		text += fmt.Sprintf("; known already: %d, and what was recorded silently stays so", known)
	}
	if len(r.Unread) > 0 {
		text += "; NOT READ, because the API cannot show it: " + strings.Join(r.Unread, "; ")
	}
	return text
}
