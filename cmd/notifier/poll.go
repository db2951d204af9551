package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/poller"
)

const pollPath = "/api/v1/poll"

func (a *app) pollCommand() *cobra.Command {
	return parentCommand("poll", "Poll at once, see how polling is doing, read a range again", a.pollNowCommand(), a.pollStatusCommand(), a.pollBackfillCommand())
}

func (a *app) pollNowCommand() *cobra.Command {
	var accounts []string
	var output string
	cmd := &cobra.Command{
		Use:   "now",
		Short: "Make a pass at once and wait for it",
		Long: `Have the running daemon make a pass over every account, or over those that are
named, without waiting for poll.interval, and wait until all are finished. A pass
under way is finished first; after five seconds the accounts that fail are named
on stderr, or as soon as one does, for the API is asked again only as back-off
allows. An account whose API asked for a pause of more than 30 seconds
(Retry-After) is not waited for: its line says so, and when its next try is. Where
the API refused the key it is asked once, at once, whether it still does: with the
key that notifier read when it started. Restart it for one that was changed, or
whose file was. Each account gets a line: how long its pass took, the requests that
it needed, the sessions that it was shown, and the events that came since it was
asked for.

Exit codes: 0 every pass was completed, 1 one was not (the next pass reads the rest),
4 no daemon answers, or no API (nothing, or a gateway's 502), 5 there is no such account.`,
		Example: "  notifier poll now\n  notifier poll now --account main -o json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.pollNow(cmd.Context(), accounts, output)
		},
	}
	a.accountFlag(cmd, &accounts)
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) pollNow(ctx context.Context, accounts []string, output string) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var answer struct {
		Items []poller.PassReport `json:"items"`
	}
	order := map[string]any{"accounts": accounts}
	if err := a.await(ctx, c, explainAfter, accounts, order, &answer); err != nil {
		return interrupted(err, "the pass goes on without us")
	}
	err = showList(a, output, answer.Items, func(items []poller.PassReport) {
		lines := []string{"ACCOUNT\tTOOK\tREQUESTS\tSESSIONS\tEVENTS\tRESULT"}
		for _, r := range items {
			result := "ok"
			if r.Error != "" {
				result = "failed: " + r.Error
			}
			lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%s", r.Account, shortDuration(r.Took.Duration()), r.Requests, r.Sessions, r.Events, result))
		}
		a.rows(lines...)
	})
	if err != nil {
		return err
	}
	failed := slices.DeleteFunc(slices.Clone(answer.Items), func(r poller.PassReport) bool { return r.Error == "" })
	if len(failed) == 0 {
		return nil
	}
	code := exitFailure
	if slices.ContainsFunc(failed, func(r poller.PassReport) bool { return r.Unreachable }) {
		code = exitUnreachable
	}
	return exit(code, fmt.Errorf("%d of %d passes could not be completed", len(failed), len(answer.Items)))
}

// explainAfter is how long a command waits before it says what keeps the accounts, and
// looks again whether one fails.
const explainAfter = 5 * time.Second

// await asks for what takes passes, and tells meanwhile which of the accounts
// fail: the next try may be minutes away.
func (a *app) await(ctx context.Context, c *client, after time.Duration, accounts []string, order, answer any) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.patient().send(ctx, http.MethodPost, pollPath, order, answer) }()
	for told := false; ; {
		select {
		case err := <-done:
			return err
		case <-time.After(after):
		}
		var r report
		if told || c.call(ctx, http.MethodGet, "/api/v1/status", &r) != nil { // the answer tells why
			continue
		}
		for _, s := range r.Accounts {
			if (s.Error != "" || s.Foreign != "") && (len(accounts) == 0 || slices.Contains(accounts, s.Account)) {
				told = true
				fmt.Fprintf(a.err, "%s: %s; waiting for it, Ctrl-C ends that\n", s.Account, accountState(&r, s))
			}
		}
	}
}

// interrupted says what becomes of what was asked for when the user does not
// wait for it; other errors pass unchanged.
func interrupted(err error, meanwhile string) error {
	if errors.Is(err, context.Canceled) {
		return exit(exitFailure, errors.New("interrupted; "+meanwhile))
	}
	return err
}

// accountFlag adds --account, which may be repeated.
func (a *app) accountFlag(cmd *cobra.Command, accounts *[]string) {
	cmd.Flags().StringArrayVar(accounts, "account", nil, "only this account; may be repeated (default: all)")
	a.completeFilter(cmd, "account")
}

// accountsText names the accounts of an order.
func accountsText(accounts []string) string {
	if len(accounts) == 0 {
		return "all accounts"
	}
	return strings.Join(accounts, ", ")
}
