package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
)

// letterFilters are the flags that choose dead letters.
var letterFilters = []string{"destination", "account", "session", "type", "rule", "since", "until"}

func (a *app) deadLettersCommand() *cobra.Command {
	list := a.listCommand(admin.DeadLetters, "List dead letters, newest first", `List the deliveries that were given up, newest first, with their reasons. --since
and --until are about when they died. They are kept until they are redriven or
purged. Without a daemon the state file is read.`, a.deliveryTable("DIED", func(d *deliveryView) time.Time { return d.Finished }), append([]string{"event", "job"}, letterFilters...)...)
	list.Example = "  notifier deadletters list --destination shop --since 2h"
	return parentCommand("deadletters", "List dead letters, show one, redrive or purge them",
		list, getCommand(a, admin.DeadLetters, "a dead letter with its attempts", "dlv_majytyhzsr3kyikuxsfbzpmm5a", a.printDelivery),
		a.redriveCommand(), a.purgeCommand())
}

// letterOptions are the flags of redrive and purge.
type letterOptions struct {
	filters     map[string]*string
	all, dryRun bool
	yes, detach bool
	rate        float64
	output      string
}

func (a *app) letterFlags(cmd *cobra.Command, o *letterOptions) {
	o.filters = make(map[string]*string)
	a.filterFlags(cmd, o.filters, letterFilters...)
	cmd.Flags().BoolVar(&o.all, "all", false, "all dead letters")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	yesFlag(cmd, &o.yes)
	outputFlag(cmd, &o.output, asTable, asJSON, asLines)
}

// order is the body of the request.
func (o *letterOptions) order(ids []string, now time.Time) (map[string]any, error) {
	order := map[string]any{}
	if len(ids) > 0 {
		order["ids"] = ids
	}
	if err := addFilters(order, o.filters, now); err != nil {
		return nil, err
	}
	return order, chosen(order, o.all)
}

// addFilters adds those that are given.
func addFilters(order map[string]any, filters map[string]*string, now time.Time) error {
	for name, value := range filters {
		if *value == "" {
			continue
		}
		order[name] = *value
		switch name {
		case "type":
			if _, err := admin.EventTypes("--type", *value); err != nil {
				return err
			}
		case "since", "until":
			t, err := readMoment(*value, now)
			if err != nil {
				return fmt.Errorf("--%s %w", name, err)
			}
			order[name] = t.Format(time.RFC3339Nano)
		}
	}
	return nil
}

// chosen demands a choice, or that all are meant.
func chosen(order map[string]any, all bool) error {
	switch {
	case all && len(order) > 0:
		return errors.New("--all and what narrows it down contradict each other")
	case all:
		order["all"] = true
	case len(order) == 0:
		return errors.New("nothing is chosen: name ids, narrow it down by flags, or say --all")
	}
	return nil
}

func (a *app) redriveCommand() *cobra.Command {
	o := &letterOptions{}
	cmd := &cobra.Command{
		Use:   "redrive [ID...]",
		Short: "Deliver dead letters again",
		Long: `Make dead letters pending again, by their ids, by a filter, or all: each goes out
with the same webhook-id, in its turn within its session, and has all tries of
its schedule again. Its former attempts stay on record.

What would be done is shown first and asked about; where there is no terminal to
ask on, it wants --yes. It is a job of the daemon that outlives this command and
the daemon's restarts, and only takes what died before the plan was made. Ctrl-C
leaves it running (end it by: notifier jobs cancel JOB).

Exit codes: 0 it is done, or there was nothing to do, 1 it failed, was cancelled,
interrupted or not wanted, 2 usage, 4 no daemon answers, 5 there is no such dead
letter, destination, account or rule.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Example: `  notifier deadletters redrive --destination shop --since 2h --dry-run
  notifier deadletters redrive --all --rate 10 --yes`,
		ValidArgsFunction: a.complete(anyNumber, recordWords(admin.DeadLetters, "id")),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := o.order(args, time.Now())
			if err != nil {
				return exit(exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
			}
			order["rate"] = o.rate
			return a.redeliver(cmd.Context(), redelivery{
				path: "/api/v1/deadletters/redrive", order: order, thing: "dead letter", question: "Redrive",
				dryRun: o.dryRun, yes: o.yes, detach: o.detach, output: o.output,
			})
		},
	}
	a.letterFlags(cmd, o)
	rateFlags(cmd, &o.rate, &o.detach)
	return cmd
}

// rateFlags adds the flags of what runs as a job.
func rateFlags(cmd *cobra.Command, rate *float64, detach *bool) {
	cmd.Flags().Float64Var(rate, "rate", admin.DefaultRate, "how many deliveries are made due a second; 0 is as fast as it goes")
	completeFlag(cmd, "rate", func() []string { return []string{"1", "10", "50", "0"} })
	cmd.Flags().BoolVar(detach, "detach", false, "print the job's id and do not wait for its end")
}

func (a *app) purgeCommand() *cobra.Command {
	o := &letterOptions{}
	cmd := &cobra.Command{
		Use:   "purge [ID...]",
		Short: "Give dead letters up for good",
		Long: `Give dead letters up, by their ids, by a filter, or all. They are no dead letters
then, but stay on record with who purged them for as long as state.retention says.
It is asked about first; where there is no terminal to ask on, it wants --yes.
What dies while the question is open is left alone.

Exit codes: 0 they are purged, or there were none, 1 it failed or was not wanted,
2 usage, 4 no daemon answers, 5 there is no such dead letter, destination, account
or rule.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Example:           "  notifier deadletters purge --destination old-shop --dry-run",
		ValidArgsFunction: a.complete(anyNumber, recordWords(admin.DeadLetters, "id")),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := o.order(args, time.Now())
			if err != nil {
				return exit(exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
			}
			return a.purge(cmd.Context(), o, order)
		},
	}
	a.letterFlags(cmd, o)
	return cmd
}

func (a *app) purge(ctx context.Context, o *letterOptions, order map[string]any) error {
	const path = "/api/v1/deadletters/purge"
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var plan purgeResult
	if err := c.patient().send(ctx, http.MethodPost, path, with(order, "dry_run", true), &plan); err != nil {
		return err
	}
	n := 0
	if plan.WouldPurge != nil {
		n = *plan.WouldPurge
	}
	if o.dryRun {
		return a.show(o.output, plan, func() {
			printPlan(a.out, plan.By, plan.Types)
			fmt.Fprintf(a.err, "%s would be purged; nothing was changed\n", count(n, "dead letter"))
		})
	}
	printPlan(a.err, plan.By, plan.Types)
	if n > 0 {
		if err := a.confirm(ctx, o.yes, fmt.Sprintf("Purge %s for good?", count(n, "dead letter"))); err != nil {
			return err
		}
	}
	var result purgeResult
	if err := c.patient().send(ctx, http.MethodPost, path, with(order, "before", plan.Before), &result); err != nil {
		return err
	}
	return a.show(o.output, result, func() {
		if result.Purged != nil {
			n = *result.Purged
		}
		fmt.Fprintf(a.out, "%s purged\n", count(n, "dead letter"))
	})
}
