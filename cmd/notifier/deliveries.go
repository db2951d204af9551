package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// parentCommand is one that only has others below it.
func parentCommand(use, short string, children ...*cobra.Command) *cobra.Command {
	parent := &cobra.Command{
		Use: use, GroupID: "look", Short: short, Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	parent.AddCommand(children...)
	return parent
}

func (a *app) deliveriesCommand() *cobra.Command {
	list := a.listCommand(admin.Deliveries, "List deliveries, newest first", `List deliveries, newest first: of each event one for every destination that hears
of it. --since and --until are about when they were made. Without a daemon the
state file is read.`, a.deliveryTable("CREATED", func(d *deliveryView) time.Time { return d.Created }),
		"status", "destination", "account", "session", "type", "rule", "event", "job", "since", "until")
	list.Example = "  notifier deliveries list --status pending --destination shop\n  notifier deliveries list --status orphaned\n  notifier deliveries list --session cs_2031282752732528640 -o json"
	return parentCommand("deliveries", "List deliveries, show one with its attempts, retry one",
		list, getCommand(a, admin.Deliveries, "a delivery with its attempts", "dlv_majytyhzsr3kyikuxsfbzpmm5a", a.printDelivery), a.deliveriesRetryCommand())
}

// deliveryTable shows of each delivery the time that --since is about.
func (a *app) deliveryTable(when string, at func(d *deliveryView) time.Time) func([]rawItem) error {
	return tableOf(a, "DELIVERY\tTYPE\tABOUT\tDESTINATION\tSTATUS\tATTEMPTS\t"+when+"\tWHY", func(d deliveryView) string {
		return strings.Join([]string{
			d.ID, shortType(d.EventType), about(&d.Delivery), d.Destination, statusText(&d), strconv.Itoa(d.AttemptsMade), ago(at(&d)), d.why(),
		}, "\t")
	})
}

// shortType leaves out what all types of sessions have in common.
func shortType(eventType string) string { return strings.TrimPrefix(eventType, event.TypePrefix) }

// about is the session of a delivery, or what one of the program's own events is about.
func about(d *event.Delivery) string {
	_, of := d.Group()
	return of
}

// facts prints what is known of a thing, a line each, and leaves out the rest.
func (a *app) facts(pairs ...string) {
	var lines []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			lines = append(lines, pairs[i]+"\t"+pairs[i+1])
		}
	}
	a.rows(lines...)
}

func whenText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") + " (" + ago(t) + ")"
}

func (a *app) printDelivery(d *deliveryView) {
	a.facts(
		"delivery", d.ID,
		"event", d.EventID+" "+d.EventType,
		"account", d.Account,
		"about", about(&d.Delivery),
		"destination", d.Destination,
		"rules", strings.Join(d.Rules, ", "),
		"rendered by", d.OwnRule,
		"status", statusText(d),
		"why", d.why(),
		"created", whenText(d.Created),
		"finished", whenText(d.Finished),
		"overtook", strings.Join(d.Overtook, ", "),
		"asked for by", d.Actor,
		"job", d.Job,
	)
	a.printAttempts(d)
	if d.Status == event.StatusDead {
		fmt.Fprintf(a.out, "\nnobody tries it any more. Once what refused it is mended, deliver it again:\n  %s\nor give it up:\n  %s\n",
			a.again("deadletters redrive "+d.ID), a.again("deadletters purge "+d.ID))
	}
}

// again is another command line for the same daemon.
func (a *app) again(words string) string {
	line := "notifier " + words
	for _, f := range [][2]string{{" -c ", a.configPath}, {" --url ", a.daemonAt}, {" --token-file ", a.tokenFile}} {
		if f[1] != "" {
			line += f[0] + f[1]
		}
	}
	return line
}

func (a *app) printAttempts(d *deliveryView) {
	if len(d.Attempts) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	lines := []string{"ATTEMPT\tSTARTED\tTOOK\tOUTCOME\tSTATUS\tCLASS\tBY\tERROR"}
	for i := range d.Attempts {
		t := &d.Attempts[i]
		status := ""
		if t.StatusCode != 0 {
			status = strconv.Itoa(t.StatusCode)
		}
		by := t.Actor
		if t.Probe {
			by = strings.TrimSpace(by + " probe")
		}
		took, outcome := shortDuration(t.Duration.Duration()), string(t.Outcome)
		if t.Note != "" {
			outcome += " (" + t.Note + ")"
		}
		if t.UnderWay {
			took, outcome = "", "under way"
		}
		lines = append(lines, strings.Join([]string{
			strconv.Itoa(t.N), whenText(t.Started), took, outcome, status, t.Class, by, t.Error,
		}, "\t"))
	}
	a.rows(lines...)
	last := &d.Attempts[len(d.Attempts)-1]
	if len(last.Headers)+len(last.Answer)+len(last.AnswerBytes) > 0 {
		fmt.Fprintf(a.out, "\nanswer to attempt %d:\n", last.N)
		a.printAnswer(last)
	}
}

// printAnswer prints what is kept of a receiver's answer.
func (a *app) printAnswer(t *attemptView) {
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		fmt.Fprintf(a.out, "%s: %s\n", name, t.Headers[name])
	}
	switch {
	case t.Answer != "":
		fmt.Fprintf(a.out, "\n%s\n", strings.TrimRight(t.Answer, "\n"))
	case len(t.AnswerBytes) > 0:
		fmt.Fprintf(a.out, "\n(%d bytes that are no text; -o json has them)\n", len(t.AnswerBytes))
	}
}

func (a *app) deliveriesRetryCommand() *cobra.Command {
	var output string
	var yes bool
	cmd := &cobra.Command{
		Use:     "retry ID...",
		Short:   "Try deliveries at once, whatever became of them",
		Example: "  notifier deliveries retry dlv_majytyhzsr3kyikuxsfbzpmm5a",
		Long: `Make deliveries due now. One that waits for its next try is tried at once and
keeps its place in the schedule; one that is accepted, dead or purged begins its
schedule anew. It goes out with the same webhook-id, ahead of an earlier event of
its session that is still refused, and waits like others while its destination is
paused or unreachable. What is not pending is asked about first, for it may have
arrived before; where there is no terminal to ask on, it is left alone without
--yes, and if all are such, that is an error. One whose status has changed since
then, as when it was accepted, is left alone, too.

Exit codes: 0 they are due or were left alone, 1 not wanted, or the configuration
does not name the destination, 2 usage, 4 no daemon answers, 5 there is no such delivery.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.complete(anyNumber, recordWords(admin.Deliveries, "id")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.retry(cmd.Context(), args, yes, output)
		},
	}
	yesFlag(cmd, &yes)
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

func (a *app) retry(ctx context.Context, ids []string, yes bool, output string) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var ended []string
	saw := make(map[string]event.Status)
	for _, id := range ids {
		var d deliveryView
		if err := c.call(ctx, http.MethodGet, "/api/v1/deliveries/"+url.PathEscape(id), &d); err != nil {
			return err
		}
		if saw[id] = d.Status; d.Status != event.StatusPending {
			fmt.Fprintf(a.err, "%s to %s is %s\n", d.ID, d.Destination, d.Status)
			ended = append(ended, id)
		}
	}
	switch some := len(ended) > 0; {
	case some && len(ended) < len(ids) && !yes && !a.canAsk():
		fmt.Fprintf(a.err, "%s left alone: nobody can be asked, and with --yes each would be delivered again\n", count(len(ended), "finished delivery"))
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(ended, id) })
	case some:
		if err := a.confirm(ctx, yes, fmt.Sprintf("Deliver %s again?", count(len(ended), "finished delivery"))); err != nil {
			return err
		}
	}
	var done []deliveryView
	var failed error
	for _, id := range ids {
		var d deliveryView
		err := c.send(ctx, http.MethodPost, "/api/v1/deliveries/"+url.PathEscape(id)+"/retry", map[string]any{"if_status": saw[id]}, &d)
		if errors.Is(err, errLeftAlone) {
			fmt.Fprintln(a.err, err)
			continue
		}
		if err != nil {
			failed = err
			break
		}
		done = append(done, d)
	}
	if failed != nil && len(done) == 0 {
		return failed
	}
	err = showList(a, output, done, func(items []deliveryView) {
		for i := range items {
			fmt.Fprintf(a.out, "%s to %s: %s%s\n", items[i].ID, items[i].Destination, statusText(&items[i]), retryNote(&items[i]))
		}
	})
	return cmp.Or(failed, err)
}

// retryNote says what a retry does beside what the status says, or does not do.
func retryNote(d *deliveryView) string {
	switch d.DestinationState {
	case string(publish.StatePaused):
		return "; resume it first (notifier destinations resume " + d.Destination + ")"
	case string(publish.StateFailing):
		return "; this one is tried once at once (notifier deliveries get " + d.ID + " shows the answer)"
	}
	return ""
}

func (a *app) eventsCommand() *cobra.Command {
	list := a.listCommand(admin.Events, "List events, newest first", `List all events, newest first, also those that no rule matched. A
notifier.delivery.dead that is marked (resolved) says that the dead letter was
accepted after all, or purged. With --failed it lists what rules failed on when it
happened, also what a replay has made up for: replay --failed --dry-run says what is
left. Without a daemon the state file is read.`, a.eventTable(), "type", "account", "session", "rule", "since", "until")
	list.Example = "  notifier events list --type fulfillable --since 2h\n  notifier events list --failed --rule expired-high-value"
	return parentCommand("events", "List events, show one with its session and deliveries",
		list, getCommand(a, admin.Events, "an event with its session and deliveries; personal data is masked", "evt_majytyhzsr3kyikuxsfbzpmm5a", a.printEvent))
}

func (a *app) eventTable() func([]json.RawMessage) error {
	return tableOf(a, "EVENT\tTIME\tTYPE\tACCOUNT\tABOUT\tSEQUENCE\tFAILED RULES", func(e eventView) string {
		subject := e.Session
		if subject == "" {
			subject = e.Subject
		}
		failed := names(e.RuleErrors, func(x event.RuleError) string { return x.Rule })
		what := shortType(e.Type)
		if e.Status == event.StatusResolved {
			what += " (resolved)"
		}
		return strings.Join([]string{e.ID, clock(e.Time), what, e.Account, subject, e.Sequence, strings.Join(failed, ", ")}, "\t")
	})
}

func (a *app) printEvent(e *eventView) {
	change := ""
	if e.Change != nil {
		change = fmt.Sprintf("%s: %s to %s", e.Change.Field, e.Change.From, e.Change.To)
	}
	a.facts(
		"event", e.ID,
		"type", e.Type,
		"account", e.Account,
		"session", e.Session,
		"about", e.Subject,
		"time", whenText(e.Time),
		"sequence", e.Sequence,
		"change", change,
		"reason", e.Reason,
		"rules", strings.Join(e.Rules, ", "),
		"copy of", e.ReplayOf,
		"rule set", e.RuleSet,
	)
	for _, failed := range e.RuleErrors {
		fmt.Fprintf(a.out, "rule %q failed: %s\n", failed.Rule, failed.Error)
	}
	for _, document := range []rawItem{e.Object, e.System} {
		if len(document) > 0 {
			fmt.Fprintf(a.out, "\n%s\n", indented(document))
		}
	}
	if len(e.Deliveries) > 0 {
		fmt.Fprintln(a.out)
		lines := []string{"DELIVERY\tDESTINATION\tRULES\tSTATUS\tATTEMPTS\tWHY"}
		for i := range e.Deliveries {
			d := &e.Deliveries[i]
			lines = append(lines, strings.Join([]string{d.ID, d.Destination, strings.Join(d.Rules, ", "), statusText(d), strconv.Itoa(d.AttemptsMade), d.why()}, "\t"))
		}
		a.rows(lines...)
	}
}

func (a *app) auditCommand() *cobra.Command {
	table := tableOf(a, "TIME\tBY\tWHAT\tOF\tDETAIL", func(e event.AuditEntry) string {
		return strings.Join([]string{clock(e.Time), e.Actor, e.Action, e.Subject, e.Detail}, "\t")
	})
	list := a.listCommand(admin.Audit, "List what people did, newest first", `List what was done by hand, newest first, with the name of the token that it was
done by ("local" where none are set). Attempts that somebody asked for are among
those of their delivery: notifier deliveries get. Without a daemon the state file
is read.`, table, "actor", "action", "since", "until")
	list.Example = "  notifier audit list --since 7d\n  notifier audit list --action delivery.retry"
	return parentCommand("audit", "List what people did", list)
}
