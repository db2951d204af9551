package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"checkout-notifier/jobs"
)

// rawItem is a document that is shown as it came.
type rawItem = json.RawMessage

// redelivery is a redrive or a replay, as it was asked for.
type redelivery struct {
	path            string
	order           map[string]any
	thing, question string
	dryRun          bool
	yes, detach     bool
	output          string
}

// with is an order with one more member.
func with(order map[string]any, name string, value any) map[string]any {
	order = maps.Clone(order)
	order[name] = value
	return order
}

// redeliver shows the plan, asks, starts the job and follows it.
func (a *app) redeliver(ctx context.Context, r redelivery) error {
	if r.dryRun && r.detach {
		return exit(exitUsage, errors.New("--dry-run starts no job that --detach could leave running"))
	}
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var plan redeliveryPlan
	if err := c.patient().send(ctx, http.MethodPost, r.path, with(r.order, "dry_run", true), &plan); err != nil {
		return interrupted(err, "nothing was changed")
	}
	if r.dryRun {
		return a.show(r.output, plan, func() {
			printPlan(a.out, plan.By, plan.Types)
			a.sumUp(&plan, r.thing)
			fmt.Fprintln(a.err, "nothing was changed")
		})
	}
	printPlan(a.err, plan.By, plan.Types)
	a.sumUp(&plan, r.thing)
	if plan.Deliveries == 0 {
		done := "there is nothing to do"
		if plan.Repaired > 0 {
			done += ": what the rules send of these events the destinations have already, perhaps by another rule"
		}
		fmt.Fprintln(a.err, done)
		return a.show(r.output, plan, func() {})
	}
	if err := a.confirm(ctx, r.yes, r.question+" "+count(plan.Deliveries, "delivery")+"?"); err != nil {
		return err
	}
	var job jobs.Job
	if err := c.send(ctx, http.MethodPost, r.path, with(r.order, "before", plan.Before), &job); err != nil {
		return interrupted(err, "it may have been started: see notifier jobs list")
	}
	if r.detach {
		return a.show(r.output, job, func() { fmt.Fprintln(a.out, job.ID) })
	}
	fmt.Fprintf(a.err, "%s is at work; Ctrl-C leaves it running, notifier jobs cancel %s ends it\n", job.ID, job.ID)
	err = a.follow(ctx, c, job, r.output)
	fmt.Fprintf(a.err, "what becomes of them: notifier deliveries list --job %s\n", job.ID)
	return err
}

// printPlan prints the parts of a plan, by destination and by type.
func printPlan(w io.Writer, lines []planLine, types map[string]int) {
	if len(lines) == 0 {
		return
	}
	rows := []string{"DESTINATION\tDELIVERIES\tACCEPTED BEFORE\tALREADY PENDING"}
	for _, line := range lines {
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d", line.Destination, line.Deliveries, line.AcceptedBefore, line.Waiting))
	}
	rows = append(rows, "", "TYPE\tDELIVERIES")
	for _, eventType := range slices.Sorted(maps.Keys(types)) {
		rows = append(rows, fmt.Sprintf("%s\t%d", shortType(eventType), types[eventType]))
	}
	writeRows(w, append(rows, "")...)
}

// sumUp says of a plan what its lines do not.
func (a *app) sumUp(plan *redeliveryPlan, thing string) {
	speed := "as fast as it goes"
	if plan.Rate > 0 {
		speed = fmt.Sprintf("about %s at %s a second", plan.Takes.Duration(), strconv.FormatFloat(plan.Rate, 'f', -1, 64))
	}
	fmt.Fprintf(a.err, "%s of %d examined, %s to make due, %s\n", count(plan.Matched, thing), plan.Examined, count(plan.Deliveries, "delivery"), speed)
	if plan.Repaired+plan.Failing > 0 {
		fmt.Fprintf(a.err, "the rules now work on %s, and still fail on %d\n", count(plan.Repaired, "event"), plan.Failing)
	}
	if plan.ByRules {
		text := "only what today's rules send there is sent"
		if len(plan.LeftOut) > 0 {
			left := make(map[string]int)
			for eventType, n := range plan.LeftOut {
				left[shortType(eventType)] = n
			}
			text += "; left out: " + tally(left) + " (--all-types sends these too)"
		}
		fmt.Fprintln(a.err, text)
	}
	purged := 0
	for _, line := range plan.By {
		purged += line.Purged
	}
	if purged > 0 {
		fmt.Fprintf(a.err, "left out: %s that were purged (an event that is named by its id is sent again)\n", count(purged, "delivery"))
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintln(a.err, "warning:", warning)
	}
}

// redeliveryText says what a redrive or a replay came to, or how far it is.
func redeliveryText(job *jobs.Job, raw json.RawMessage) string {
	var r redeliveryReport
	if raw == nil || json.Unmarshal(raw, &r) != nil {
		return "nothing yet"
	}
	text := fmt.Sprintf("%d of %s made due", r.Done, count(r.Total, "delivery"))
	if r.Skipped > 0 {
		text += fmt.Sprintf(", %d changed meanwhile and were left alone", r.Skipped)
	}
	if job.Status == jobs.Running && !r.ETA.IsZero() {
		text += ", done " + in(r.ETA.Add(time.Second/2))
	}
	return text
}

func indented(document rawItem) string {
	var b bytes.Buffer
	if json.Indent(&b, document, "", "  ") != nil {
		return string(document)
	}
	return b.String()
}
