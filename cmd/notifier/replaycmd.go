package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"checkout-notifier/admin"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	filters                     map[string]*string
	events, types, accounts, to []string
	failed, all, newIDs         bool
	allTypes                    bool
	dryRun, yes, detach         bool
	rate                        float64
	output                      string
}

func (a *app) replayCommand() *cobra.Command {
	o := &replayOptions{filters: make(map[string]*string)}
	cmd := &cobra.Command{
		Use:     "replay [EVENT...]",
		GroupID: "look",
		Short:   "Deliver past events again, to chosen destinations",
		Long: `Deliver events of the past to destinations that had them, or never had them: by
their ids, by a filter, or all that are kept. A delivery that was made before goes
out with the same webhook-id, so that a receiver that knows it can leave it out;
with --new-ids copies of the events are sent, which nobody can tell from new ones.
What is pending anyway is left as it is. Events of one session go oldest first.

Events that are chosen by time, account or session alone go only where the rules
of today send them: each destination gets what its rules want. --all-types sends
all of them to every --to. So does whoever says what to send: by ids, --type or
--rule. The plan lists how many of each type.

With --failed the rules of today are asked again about events on which a rule
failed: what it matches now is delivered to where the rule sends it. Events that
a destination had by another rule are left out.

What would be done is shown first and asked about; where there is no terminal to
ask on, it wants --yes. It is a job of the daemon that outlives this command and
the daemon's restarts. What happens, or is accepted, after the plan was made is
left alone. Ctrl-C leaves it running (end it by: notifier jobs cancel JOB).

Exit codes: 0 it is done, or there was nothing to do, 1 it failed, was cancelled,
interrupted or not wanted, 2 usage, 4 no daemon answers, 5 there is no such event,
destination, account or rule.
Ctrl-C at the question exits with 130, and nothing is changed.`,
		Example: `  notifier replay --since 2026-11-20 --until 2026-11-21 --type paid --to warehouse --dry-run
  notifier replay evt_abc --to shop
  notifier replay --rule expired-high-value --failed`,
		ValidArgsFunction: a.complete(anyNumber, recordWords(admin.Events, "id")),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := o.order(args, time.Now())
			if err != nil {
				return exit(exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath()))
			}
			return a.redeliver(cmd.Context(), redelivery{
				path: "/api/v1/replay", order: order, thing: "event", question: "Replay",
				dryRun: o.dryRun, yes: o.yes, detach: o.detach, output: o.output,
			})
		},
	}
	a.filterFlags(cmd, o.filters, "session", "rule", "since", "until")
	flags := cmd.Flags()
	flags.StringArrayVar(&o.events, "event", nil, "an event's id, beside those that are arguments; may be repeated")
	flags.StringSliceVar(&o.types, "type", nil, "only events of this type, such as paid; may be repeated, or several by commas")
	flags.BoolVar(&o.allTypes, "all-types", false, "also what today's rules do not send to the destination")
	flags.StringArrayVar(&o.accounts, "account", nil, "only of this account; may be repeated")
	flags.StringArrayVar(&o.to, "to", nil, "the destination that is to have them; may be repeated")
	for _, name := range []string{"event", "type", "account", "to"} {
		a.completeFilter(cmd, name)
	}
	flags.BoolVar(&o.failed, "failed", false, "ask the rules again that failed, or --rule alone")
	flags.BoolVar(&o.all, "all", false, "all events that are kept")
	flags.BoolVar(&o.newIDs, "new-ids", false, "send copies with ids of their own")
	flags.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	yesFlag(cmd, &o.yes)
	rateFlags(cmd, &o.rate, &o.detach)
	outputFlag(cmd, &o.output, asTable, asJSON, asLines)
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "types" { // as in the API
			name = "type"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

// order is the body of the request.
func (o *replayOptions) order(ids []string, now time.Time) (map[string]any, error) {
	order := map[string]any{}
	for _, id := range ids {
		if strings.HasPrefix(id, "cs_") {
			return nil, fmt.Errorf("%s is a session, and not the id of an event: --session %s replays its events", id, id)
		}
	}
	for name, list := range map[string][]string{"events": append(ids, o.events...), "types": o.types, "accounts": o.accounts} {
		if len(list) > 0 {
			order[name] = list
		}
	}
	if o.failed {
		order["failed"] = true
	}
	if _, err := admin.EventTypes("--type", strings.Join(o.types, ",")); len(o.types) > 0 && err != nil {
		return nil, err
	}
	if err := addFilters(order, o.filters, now); err != nil {
		return nil, err
	}
	if err := chosen(order, o.all); err != nil {
		return nil, err
	}
	switch {
	case o.allTypes && (o.failed || len(o.types) > 0):
		return nil, errors.New("--all-types contradicts --type and --failed, which say what is sent")
	case len(o.to) == 0 && !o.failed:
		return nil, errors.New("--to is needed: the destination that is to have them")
	case o.failed && o.newIDs:
		return nil, errors.New("--failed and --new-ids contradict each other")
	}
	if len(o.to) > 0 {
		order["to"] = o.to
	}
	if o.allTypes {
		order["all_types"] = true
	}
	order["new_ids"], order["rate"] = o.newIDs, o.rate
	return order, nil
}
