package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
)

func (a *app) accountsCommand() *cobra.Command {
	return parentCommand("accounts", "List accounts, and accept one whose key shows other sessions", a.accountsListCommand(), a.accountsAcceptCommand())
}

func (a *app) accountsAcceptCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "accept NAME",
		Short:             "Let a stopped account go on with the sessions that its key shows now",
		Example:           "  notifier accounts accept main",
		ValidArgsFunction: a.complete(1, accountWords),
		Long: `An account stops when its key suddenly shows other sessions than those that are
stored under its name. If that is right, accept it: what the key shows now is
recorded silently, later changes are announced, and the sessions that were stored
are given up. If the key is wrong, do not accept: put the right one back and
restart notifier, which reads it then; the account goes on by itself. If you accepted
a wrong one, put the right key back, restart, and accept once more: what is newer than
the sessions stored before is announced.

The daemon does it. Where only run --once is used, start notifier run, accept
meanwhile, and stop it again (Ctrl-C): the next run --once goes on.

It is asked about first; where there is no terminal to ask on, it wants --yes.

Exit codes: 0 it goes on, 1 there is nothing to accept, or it is not wanted, 2
usage, 4 no daemon answers, 5 there is no such account.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.accept(cmd.Context(), args[0], yes)
		},
	}
	yesFlag(cmd, &yes)
	return cmd
}

// acceptNeedsDaemon is what those have to do who only ever run one pass.
const acceptNeedsDaemon = "accepting is done by the daemon: where only `notifier run --once` is used, start `notifier run`, accept meanwhile, and stop it again"

// accept asks only about an account that is stopped; of others the daemon says
// that there is nothing to accept.
func (a *app) accept(ctx context.Context, name string, yes bool) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var r report
	if err := c.call(ctx, http.MethodGet, "/api/v1/status", &r); err != nil {
		if errors.Is(err, errNoDaemon) {
			err = fmt.Errorf("%w; %s", err, acceptNeedsDaemon)
		}
		return err
	}
	for _, s := range r.Accounts {
		if s.Account == name && s.Foreign != "" {
			fmt.Fprintf(a.err, "%s is stopped: %s\n", name, s.Foreign)
			if err := a.confirm(ctx, yes, "Give up the sessions that are stored, and record silently those that its key shows now?"); err != nil {
				return err
			}
			return a.act(ctx, "accounts", name, "accept", "goes on with its next pass", "")
		}
	}
	if slices.ContainsFunc(r.Accounts, func(s poller.Status) bool { return s.Account == name }) {
		return exit(exitFailure, fmt.Errorf("there is nothing to accept: the account %s is not stopped", name))
	}
	known := names(r.Accounts, func(s poller.Status) string { return s.Account })
	return exit(exitNotFound, &admin.UnknownError{Kind: "account", Name: name, Known: known})
}

func (a *app) accountsListCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts",
		Example: "  notifier accounts list",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.readReport(cmd.Context())
			if err != nil {
				return err
			}
			return showList(a, output, r.Accounts, func(items []poller.Status) {
				lines := []string{"ACCOUNT\tHOST\tMODE\tSTART\tLAST PASS\tSTATE"}
				for _, s := range items {
					start := cmp.Or(s.Configured, "all") // until one is fixed
					if !s.Start.IsZero() {
						start = s.Start.Format(time.RFC3339)
					}
					lines = append(lines, strings.Join([]string{s.Account, s.Host, s.Mode, start, lastPass(s), accountState(r, s)}, "\t"))
				}
				a.rows(lines...)
			})
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) destinationsCommand() *cobra.Command {
	var output string
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the destinations with what waits for them",
		Example: "  notifier destinations list\n  notifier destinations list -o json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.readReport(cmd.Context())
			if err != nil {
				return err
			}
			return showList(a, output, r.Destinations, a.printDestinations)
		},
	}
	outputFlag(list, &output, asTable, asJSON, asLines)
	pause := &cobra.Command{
		Use:               "pause NAME",
		Short:             "Stop a destination; what is due for it waits",
		Example:           "  notifier destinations pause shop",
		ValidArgsFunction: a.complete(1, destinationWords),
		Args:              usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.act(cmd.Context(), "destinations", args[0], "pause", "is paused", "was paused already")
		},
	}
	resume := &cobra.Command{
		Use:               "resume NAME",
		Short:             "Let a destination go on that was paused, or stopped at a 410 (on_gone: pause)",
		Example:           "  notifier destinations resume shop",
		ValidArgsFunction: a.complete(1, destinationWords),
		Long: `Let a destination go on that was paused, or stopped at a 410 (on_gone: pause).
What waits for it is due at once. One that is failing gets a single delivery as a
probe first, of those that were never tried if there is one, and the rest when that
is accepted; each subject that a NATS destination takes nothing for gets one, too.
One that asked for a pause (429 with Retry-After) goes on without waiting for its
end; if it was paused as well, resume it twice: the first time ends the pause, and
what the receiver asked for still holds. Of one that none of this holds for it says
that it was not paused, and exits with 0.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.resume(cmd.Context(), args[0])
		},
	}
	return parentCommand("destinations", "List destinations, try one out, pause and resume them", list, a.destinationsTestCommand(), pause, resume)
}

// act asks the daemon to do something to a named thing, and says that it is done,
// or that it was so before.
func (a *app) act(ctx context.Context, things, name, verb, done, before string) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var answer struct{ Changed *bool } // nil: it is not told
	if err := c.call(ctx, http.MethodPost, "/api/v1/"+things+"/"+url.PathEscape(name)+"/"+verb, &answer); err != nil {
		return err
	}
	if answer.Changed != nil && !*answer.Changed {
		done = before
	}
	fmt.Fprintf(a.err, "%s %s\n", name, done)
	return nil
}

// resume lets a destination go on, and says if that begins with a probe.
func (a *app) resume(ctx context.Context, name string) error {
	if err := a.act(ctx, "destinations", name, "resume", "goes on", "was not paused"); err != nil {
		return err
	}
	r, err := a.readReport(ctx)
	if err != nil {
		return err
	}
	for i := range r.Destinations {
		if d := &r.Destinations[i]; d.Name == name && d.probesFirst() != "" {
			fmt.Fprintln(a.err, d.probesFirst())
		}
	}
	return nil
}

// probesFirst says that not all that waits goes at once when the destination goes on.
func (d *destinationReport) probesFirst() string {
	switch {
	case d.State == string(publish.StateFailing):
		return "it is failing: one delivery is sent as a probe first, of those that were never tried if there is one, and the rest when that is accepted"
	case d.BlockedCount > 0:
		return "for each blocked subject one delivery is sent as a probe first, and the rest when that is accepted"
	}
	return ""
}

// showList prints items as a table, as one document, or one a line.
func showList[T any](a *app, output string, items []T, table func([]T)) error {
	if output != asLines {
		if items == nil {
			items = []T{}
		}
		return a.show(output, map[string]any{"items": items, "next": nil}, func() { table(items) })
	}
	for _, item := range items {
		if err := a.show(output, item, nil); err != nil {
			return err
		}
	}
	return nil
}
