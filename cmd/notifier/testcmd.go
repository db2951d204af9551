package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

func (a *app) destinationsTestCommand() *cobra.Command {
	var sample, output string
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a made-up event and print the answer",
		Long: `Have the running daemon send a made-up event to a destination, signed and rendered
as its deliveries are, and print what it answered. It says of itself that it is
no live one (livemode false, account "test"), its ids are new each time, and it is
sent at once, whether the destination is paused or not. It is no delivery: nothing
is retried, and nothing kept but who did it.

With a type of the program's own, such as destination.failing, it tries out the
route of alerts: the event is about a destination, account or rule called test, and
its summary begins with TEST. PagerDuty opens an incident for it, and for a session
that is paid, and a note says how to end that: with destination.recovered or
account.recovered, else in PagerDuty.

Exit codes: 0 it was accepted, 1 it was not, 2 usage, 4 no daemon answers, 5 there is
no such destination.`,
		Example:           "  notifier destinations test shop\n  notifier destinations test shop --type fulfillable -o json",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: a.complete(1, destinationWords),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.testDestination(cmd.Context(), args[0], sample, output)
		},
	}
	cmd.Flags().Var(typeName{choice{value: &sample}}, "type", "type of the event: "+strings.Join(event.TypeNames(), ", ")+" (default paid, with format stripe fulfillable)")
	completeFlag(cmd, "type", event.TypeNames)
	outputFlag(cmd, &output, asTable, asJSON, asLines)
	return cmd
}

// typeName is a flag that takes the type of an event, short or whole.
type typeName struct{ choice }

// Set implements pflag.Value.
func (t typeName) Set(word string) error {
	*t.value = word
	_, err := admin.EventType("it", word)
	return err
}

func (a *app) testDestination(ctx context.Context, name, sample, output string) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	var t testView
	path := "/api/v1/destinations/" + url.PathEscape(name) + "/test"
	body := map[string]string{}
	if sample != "" {
		body["type"] = sample
	}
	if err := c.patient().send(ctx, http.MethodPost, path, body, &t); err != nil {
		return interrupted(err, "it may have been sent")
	}
	if err := a.show(output, t, func() { a.printTest(&t) }); err != nil {
		return err
	}
	if t.Outcome != event.OutcomeAccepted {
		return exit(exitFailure, fmt.Errorf("%s did not accept it", name))
	}
	return nil
}

func (a *app) printTest(t *testView) {
	status := ""
	if t.StatusCode != 0 {
		status = fmt.Sprintf("%d %s", t.StatusCode, http.StatusText(t.StatusCode))
	}
	a.facts("outcome", string(t.Outcome), "status", status, "took", shortDuration(t.Duration.Duration()),
		"class", t.Class, "error", t.Error, "note", t.Note, "type", event.Short(t.Type), "sent as", t.Delivery)
	a.printAnswer(&t.attemptView)
}
