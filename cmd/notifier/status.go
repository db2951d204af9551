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

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/state"
)

func (a *app) statusCommand() *cobra.Command {
	var output string
	var judge bool
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: "look",
		Short:   "Show accounts, destinations and what waits",
		Example: "  notifier status\n  notifier status --exit-code -o json",
		Long: `Ask the running daemon how it is doing. Without a daemon, read what the state file
tells: of the last complete pass it knows to about five minutes, which "at most"
stands for, as it does until the first pass after a start.

Exit codes: 0 shown, 3 the state file cannot be read, 4 no daemon answers and there
is no state file. With --exit-code also 1 if something is not well, which stderr
names: the first pass is not finished, an account fails or is stopped, a destination
fails, cannot be reached, stopped by itself or is paused while deliveries wait for
it, or what the owner of the daemon was told of is not over; and 4 whenever no daemon
answers.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.readReport(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.show(output, r, func() { a.printReport(r) }); err != nil || !judge {
				return err
			}
			return r.verdict()
		},
	}
	cmd.Flags().BoolVar(&judge, "exit-code", false, "exit with 1 if something is not well, and with 4 if no daemon answers")
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

// verdict is an error if something is not well.
func (r *report) verdict() error {
	if !r.Running {
		return exit(exitUnreachable, errNoDaemon)
	}
	if trouble := r.trouble(); len(trouble) > 0 {
		return exit(exitFailure, errors.New(strings.Join(trouble, "; ")))
	}
	return nil
}

// trouble lists what is not well with a daemon. A destination that somebody paused is
// as it was meant to be until something waits for it: a pause is easily forgotten.
func (r *report) trouble() (found []string) {
	if !r.Ready {
		found = append(found, "not ready: "+r.Waiting)
	}
	for _, s := range r.Accounts {
		if s.Foreign != "" || s.Error != "" {
			found = append(found, fmt.Sprintf("account %s is %s", s.Account, accountState(r, s)))
		}
	}
	for _, d := range r.Destinations {
		bad := d.State == string(publish.StateFailing) || d.State == string(publish.StateUnreachable) || d.State == stateOrphaned
		paused := d.State == string(publish.StatePaused)
		switch {
		case paused && d.PausedBy != "" && d.Pending > 0:
			found = append(found, fmt.Sprintf("destination %s is paused, with %s waiting: %s", d.Name, count(d.Pending, "delivery"), d.Why))
		case bad || paused && d.PausedBy == "" || d.BlockedCount > 0:
			found = append(found, fmt.Sprintf("destination %s is %s: %s", d.Name, d.State, d.Why))
		}
	}
	for _, c := range r.Conditions {
		named := slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, c.Kind+" "+c.Subject+" is ") })
		if !named {
			found = append(found, c.String())
		}
	}
	for _, why := range []string{r.Store.Why, r.Store.Saved, r.Backup.trouble(), embeddedTrouble(r.Embedded)} {
		if why != "" {
			found = append(found, why)
		}
	}
	return found
}

// readReport asks the daemon, and the file where there is none.
func (a *app) readReport(ctx context.Context) (*report, error) {
	c, loaded, err := a.client()
	if err != nil {
		return nil, err
	}
	r := &report{}
	err = c.call(ctx, http.MethodGet, "/api/v1/status", r)
	if !errors.Is(err, errNoDaemon) || loaded == nil {
		return r, err
	}
	store, err := openInstead(ctx, loaded, err)
	if err != nil {
		return nil, err
	}
	r, err = storedReport(ctx, store)
	if err == nil {
		r.Backup, err = storedBackups(ctx, store, loaded.Config.State.Backup)
	}
	if err == nil {
		r.orphan(loaded.Config.Accounts)
		r.merge(silent(loaded.Config.Destinations))
	}
	return r, errors.Join(err, store.Close())
}

// openInstead opens the state file where no daemon answers, which is what
// noDaemon says. The caller holds it for a moment only.
func openInstead(ctx context.Context, loaded *config.Loaded, noDaemon error) (*state.Store, error) {
	store, err := state.OpenReadOnly(ctx, loaded.Config.State)
	if err == nil {
		return store, nil
	}
	code := exitUnreachable
	if exitCode(err) == exitInvalid && !errors.Is(err, state.ErrHeld) {
		code = exitInvalid // no daemon could read it either
	}
	return nil, exit(code, fmt.Errorf("%w, and the state file does not tell either: %w", noDaemon, withCopy(ctx, err, loaded)))
}

// silent are the destinations as one knows them without a daemon.
func silent(destinations []publish.Destination) []publish.DestinationStatus {
	list := make([]publish.DestinationStatus, len(destinations))
	for i, d := range destinations {
		list[i] = publish.DestinationStatus{Name: d.Name, State: stateUnknown}
	}
	return list
}

func (a *app) printReport(r *report) {
	if r.Running {
		ready := "ready"
		if !r.Ready {
			ready = "not ready: " + r.Waiting
		}
		fmt.Fprintf(a.out, "notifier %s, started %s, %s\n\n", r.Version, ago(r.Started), ready)
	} else {
		fmt.Fprintf(a.out, "no daemon is running; this is what %s tells\n\n", r.Store.Path)
	}
	lines := []string{"ACCOUNT\tHOST\tMODE\tLAST PASS\tWATCHED\tSETTLED\tSTATE"}
	for _, s := range r.Accounts {
		counts := r.Sessions[s.Account]
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%s", s.Account, s.Host, s.Mode, lastPass(s),
			counts[event.Watched], counts[event.Settled], accountState(r, s)))
	}
	a.rows(lines...)
	fmt.Fprintln(a.out)
	a.printDestinations(r.Destinations)
	for _, name := range r.Orphaned {
		fmt.Fprintf(a.out, "\naccount %s is stored, and the configuration does not name it: %s\n", name, orphanedAccount)
	}
	for _, s := range r.Accounts {
		for _, o := range s.Oddities {
			fmt.Fprintf(a.out, "\naccount %s: %s", s.Account, oddityText(&s, &o))
		}
	}
	for _, c := range r.Conditions {
		began := "it began "
		if c.Kind == conditionDestination {
			began = "the first failure was "
		}
		fmt.Fprintf(a.out, "\n%s; %s%s", c, began, ago(c.Since))
	}
	for _, f := range r.FailedRules {
		fmt.Fprintf(a.out, "\nrule %q failed %s and did not match, last %s on %s: %s; once it is mended: notifier replay --rule %s --failed",
			f.Rule, count(f.Failures, "time"), ago(f.Last), f.LastEvent, f.LastError, f.Rule)
	}
	if h := r.Heartbeat; h != nil {
		fmt.Fprintf(a.out, "\nheartbeat %s\n", heartbeatText(h))
	}
	a.printStore(&r.Store)
	for _, why := range []string{r.Store.Saved, embeddedTrouble(r.Embedded)} {
		if why != "" {
			fmt.Fprintln(a.out, why)
		}
	}
	if r.Backup != nil {
		fmt.Fprintln(a.out, r.Backup)
	}
}

func (a *app) printStore(s *storeReport) {
	fmt.Fprintf(a.out, "\nstate %s, %s\n", s.Path, sizeText(s.Bytes))
	if s.Why != "" {
		fmt.Fprintf(a.out, "state is NOT IN ITS PLACE: %s\n", s.Why)
	}
	if p := s.PutBack; p != nil {
		fmt.Fprintf(a.out, "state file was taken away %s since the start, last %s, and its content saved to %s\n", count(p.Times, "time"), ago(p.Last), p.To)
	}
}

func (a *app) printDestinations(list []destinationReport) {
	lines := []string{"DESTINATION\tSTATE\tPENDING\tOLDEST\tDEAD LETTERS\tLAST ACCEPTED\tWHY"}
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%s\t%d\t%s\t%s", d.Name, d.State, d.Pending, ago(d.OldestPending), d.Dead, ago(d.LastSuccess), d.story()))
	}
	a.rows(lines...)
}

// story says why a destination is as it is, since when and after how many
// failures, and what comes next.
func (d *destinationReport) story() string {
	parts := slices.DeleteFunc([]string{d.Why, d.refused()}, func(text string) bool { return text == "" })
	switch {
	case d.Since.IsZero():
	case d.State == string(publish.StateFailing): // the failures began before
		parts = append(parts, "breaker open for "+lasting(d.Since))
	default:
		parts = append(parts, "for "+lasting(d.Since))
	}
	switch {
	case d.State == string(publish.StatePaused): // since then nothing has failed
	case d.Failures == 1:
		parts = append(parts, "1 failure")
	case d.Failures > 1:
		parts = append(parts, fmt.Sprintf("%d failures in a row", d.Failures))
	}
	switch {
	case !d.NextProbe.IsZero() && d.Pending == 0: // there is nothing to probe with
		parts = append(parts, "the next delivery is the next probe")
	case !d.NextProbe.IsZero():
		parts = append(parts, "next probe "+in(d.NextProbe)+" (at once: notifier destinations resume "+d.Name+")")
	case !d.NextTry.IsZero():
		parts = append(parts, "next try "+in(d.NextTry))
	}
	return strings.Join(parts, ", ")
}

// refused says of a destination that takes deliveries that it does not take all.
func (d *destinationReport) refused() string {
	text := fmt.Sprintf("%s (notifier deliveries list --destination %s --status pending)", event.RefusedWait(d.Refused), d.Name)
	switch {
	case d.Refused > 0 && d.State == string(publish.StateOK):
		text += ", last refusal"
		if !d.RefusedAt.IsZero() {
			text += " " + ago(d.RefusedAt)
		}
		return text + ": " + d.Refusal
	case d.Refused > 0 && d.State == string(publish.StateRefusing):
		return text
	}
	return ""
}

const orphanedAccount = "nobody polls it; one that was renamed goes on under its new name where it stopped, while its key is the same"

func accountState(r *report, s poller.Status) string {
	switch {
	case s.Foreign != "" && !r.Running:
		return "stopped: " + s.Foreign + "; " + poller.WayOut(s.Account) + " (" + acceptNeedsDaemon + ")"
	case s.Foreign != "":
		return "stopped: " + s.Foreign + "; " + poller.WayOut(s.Account)
	case !r.Running:
		return "-"
	case s.Error != "":
		text := "failing for " + shortDuration(time.Since(s.ErrorSince)) + ", " + nextTry(s) + ": " + s.Error
		if lost := s.Unpolled(); lost != "" {
			text += ". " + lost
		}
		return text
	case s.AskedToWait:
		return "waiting, " + nextTry(s)
	case s.Passes == 0:
		return "first pass"
	case len(s.Holes) > 0:
		return "ok, but the API cannot show " + count(len(s.Holes), "part") + " of the list"
	}
	return "ok"
}

// nextTry says when the API of an account that fails is asked again.
func nextTry(s poller.Status) string {
	switch {
	case s.NextTry.IsZero():
		return "being tried"
	case s.AskedToWait:
		return "next try " + in(s.NextTry) + " as the API asked (Retry-After)"
	case s.Denied:
		return "next try " + in(s.NextTry) + " (at once after a correction at the API: notifier poll now)"
	}
	return "next try " + in(s.NextTry)
}

func (a *app) healthCommand() *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:     "health",
		GroupID: "look",
		Short:   "Exit 0 if the daemon answers: the container probe",
		Example: "  notifier health\n  notifier health --ready",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.client()
			if err != nil {
				return err
			}
			path := "/-/healthy"
			if ready {
				path = "/-/ready"
			}
			return c.probe(cmd.Context(), path)
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "also demand that the first pass is finished")
	return cmd
}

// probe asks for a page that is text when all is well. A daemon that says no is
// as good as none to whoever asks.
func (c *client) probe(ctx context.Context, path string) error {
	err := c.call(ctx, http.MethodGet, path, nil)
	var coded *exitError
	if errors.As(err, &coded) {
		return exit(exitUnreachable, coded.err)
	}
	return err
}
