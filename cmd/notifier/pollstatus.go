package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

func (a *app) pollStatusCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the polling of every account is doing",
		Long: `Ask the running daemon how its polling is doing, account by account: the last
pass and how far behind the list we are, the low-water mark down to which the
list has been read completely, the last walk down the list, reconciliations and
the drift that they found, steps back and early changes that await confirmation, requests and the
rate at present, the watched sessions by tier, the parts of the list that the API
cannot show (holes), and what is odd about the API.

Without a daemon it shows what the state file tells.

Exit codes: 0 shown, 3 the state file cannot be read, 4 no daemon answers and
there is no state file.`,
		Example: "  notifier poll status\n  notifier poll status -o jsonl",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.readReport(cmd.Context())
			if err != nil {
				return err
			}
			return showList(a, output, pollStatuses(r), func(items []pollStatus) { a.printPollStatus(r, items) })
		},
	}
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

// pollStatus is an account in `poll status -o json`.
type pollStatus struct {
	poller.Status
	Running bool `json:"running"` // false: read from the file, without a daemon
	// Lag is the age of what is known for certain: the last complete pass began
	// so long ago. 0 before the first one.
	Lag      event.Seconds       `json:"lag_seconds"`
	Sessions map[event.Watch]int `json:"sessions"` // by state
}

func pollStatuses(r *report) []pollStatus {
	list := make([]pollStatus, len(r.Accounts))
	for i, s := range r.Accounts {
		list[i] = pollStatus{Status: s, Running: r.Running, Sessions: r.Sessions[s.Account]}
		if list[i].Tiers == nil {
			list[i].Tiers = []poller.Tier{}
		}
		if list[i].Sessions == nil {
			list[i].Sessions = map[event.Watch]int{}
		}
		if !s.LastSuccess.IsZero() {
			list[i].Lag = event.Seconds(max(time.Since(s.LastSuccess), 0))
			if s.Error == "" { // else the last pass is another one
				list[i].Lag += s.LastPass
			}
		}
	}
	return list
}

func (a *app) printPollStatus(r *report, items []pollStatus) {
	if !r.Running {
		fmt.Fprintf(a.out, "no daemon is running; this is what %s tells\n\n", r.Store.Path)
	}
	for i := range items {
		s := &items[i]
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		name := fmt.Sprintf("%s (%s, %s)", s.Account, s.Host, s.Mode)
		if s.Running || s.Foreign != "" {
			name += ": " + accountState(r, s.Status)
		}
		fmt.Fprintln(a.out, name)
		if s.Running {
			a.rows(append(passLines(s), trafficLines(s)...)...)
			fmt.Fprintln(a.out)
			a.rows(tierLines(s)...)
		} else {
			a.rows(
				"  low mark\t"+moment(s.Low),
				"  sessions\t"+watchText(s.Sessions),
			)
		}
		for i := range s.Holes {
			fmt.Fprintln(a.out, "  hole: "+holeText(&s.Holes[i]))
		}
		for _, o := range s.Oddities {
			fmt.Fprintln(a.out, "  odd: "+oddityText(&s.Status, &o))
		}
	}
}

// oddityText says what is odd about the API's answers, and whether it still may be.
func oddityText(s *poller.Status, o *poller.Oddity) string {
	text := ""
	if o.Last.Before(s.LastSuccess.Add(-s.LastPass.Duration())) {
		text = "not in the last pass any more: "
	}
	text += fmt.Sprintf("%s (%s, %s, last %s)", o.Message, o.Code, count(o.Count, "time"), ago(o.Last))
	if o.Detail != "" {
		text += ": " + o.Detail
	}
	return text
}

// passLines tell what was read, and when.
func passLines(s *pollStatus) []string {
	lag := "-"
	if !s.LastSuccess.IsZero() {
		lag = shortDuration(s.Lag.Duration())
	}
	chain := "-"
	if s.Chain.Pages > 0 {
		chain = fmt.Sprintf("%s in %s, took %s, %s to %s", count(s.Chain.Pages, "page"), count(max(s.Chain.Slices, 1), "slice"),
			shortDuration(s.Chain.Took.Duration()), clock(s.Chain.To), clock(s.Chain.From))
	}
	reconciled := "not yet"
	if !s.Reconciled.IsZero() {
		reconciled = ago(s.Reconciled)
		if s.ReconcileEvery > 0 {
			reconciled += ", again " + in(s.Reconciled.Add(s.ReconcileEvery.Duration()))
		}
	}
	if s.Reconciling {
		reconciled += "; at work on it"
	}
	drift := "none"
	if s.Drift > 0 {
		drift = fmt.Sprintf("%s that only a reconciliation found, last %s", count(s.Drift, "session"), ago(s.DriftLast))
	}
	holes := "none"
	if n := len(s.Holes); n > 0 {
		holes = count(n, "part") + " of the list that the API cannot show; what has not been seen yet of the sessions there is announced once it can"
	}
	held := "none"
	if s.Held > 0 {
		held = count(s.Held, "session") + " with a change that may be an old answer of the API; it is announced once it is confirmed"
	}
	last := "none yet"
	if !s.LastSuccess.IsZero() {
		last = lastPass(s.Status) + ", took " + shortDuration(s.LastPass.Duration())
	}
	return []string{
		"  last pass\t" + last + "; next " + in(s.NextPass),
		"  lag\t" + lag + " behind the list",
		"  low mark\t" + moment(s.Low),
		"  chain\t" + chain,
		"  reconciled\t" + reconciled,
		"  drift\t" + drift,
		"  steps back\t" + held,
		"  holes\t" + holes,
	}
}

// placeText names one end of a hole: its session, if it is known, or its time; none is
// the name of that end of the list.
func placeText(id string, at time.Time, none string) string {
	switch {
	case id != "":
		return id + " of " + clock(at)
	case !at.IsZero():
		return clock(at)
	}
	return none
}

// holeText says what the API cannot show, and when it is asked for it again.
func holeText(h *poller.Hole) string {
	text := fmt.Sprintf("session %s, shown last %s", h.Session, ago(h.Since))
	switch {
	case h.Session != "" && h.Error != "":
		text = fmt.Sprintf("session %s, which cannot be read, found %s", h.Session, ago(h.Since))
	case h.Session == "":
		text = fmt.Sprintf("from %s down to %s, found %s", placeText(h.Above, h.AboveAt, "the newest session"), placeText(h.Below, h.BelowAt, "the end of the list"), ago(h.Since))
	}
	if !h.Asked.IsZero() {
		text += ", asked for " + ago(h.Asked)
	}
	if !h.Next.IsZero() {
		text += ", again " + in(h.Next)
	}
	if h.Error != "" {
		text += ": " + h.Error
	}
	return text
}

// trafficLines tell what it costs, and what is left to do.
func trafficLines(s *pollStatus) []string {
	waiting := "none"
	if s.Waiting > 0 {
		waiting = count(s.Waiting, "due session") + " left for the next pass"
	}
	return []string{
		fmt.Sprintf("  requests\t%d in the last hour, %d since the start", s.RequestsLastHour, s.Requests),
		fmt.Sprintf("  rate\t%s now, limit %s; %d of %d at once", rateText(s.Rate), rateText(s.RateLimit), s.Parallel, s.Concurrency),
		fmt.Sprintf("  answers\t%s read, %s of an unusual form", sizeText(s.Bytes), count(s.Fallbacks, "page")),
		"  waited\t" + shortDuration(s.Waited.Duration()) + " for the rate limit",
		"  backlog\t" + waiting,
		"  next due\t" + in(s.NextDue),
	}
}

func tierLines(s *pollStatus) []string {
	lines := []string{"  TIER\tSESSIONS\tDUE\tOLDEST LOOK"}
	for _, t := range s.Tiers {
		oldest := "-"
		if t.Sessions > 0 {
			oldest = ago(t.OldestLook)
		}
		lines = append(lines, fmt.Sprintf("  %s\t%d\t%d\t%s", t.Name, t.Sessions, t.Due, oldest))
	}
	return lines
}

// rateText writes a rate; 0 is none.
func rateText(perSecond float64) string {
	if perSecond == 0 {
		return "unlimited"
	}
	return fmt.Sprintf("%.3g/s", perSecond)
}

// clock writes a time to the second.
func clock(t time.Time) string {
	if t.IsZero() {
		return "the end"
	}
	return t.UTC().Format(time.RFC3339)
}

// moment writes a time and how long ago it was.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return clock(t) + " (" + ago(t) + ")"
}

// watchText tells how many sessions are in which state.
func watchText(sessions map[event.Watch]int) string {
	var parts []string
	for _, w := range []event.Watch{event.Watched, event.Settled, event.GivenUp, event.Vanished} {
		parts = append(parts, fmt.Sprintf("%d %s", sessions[w], w))
	}
	return strings.Join(parts, ", ")
}
