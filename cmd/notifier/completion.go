package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/jobs"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// completeFor is how long somebody who presses the tab key waits at most.
const completeFor = time.Second

// errElsewhere is a daemon that a completion does not ask: its address is in a
// file that may be anybody's, and a token would go there at the press of a key.
var errElsewhere = errors.New("completion asks a daemon on this machine only")

// here says whether the daemon is on this machine.
func (c *client) here() bool {
	u, err := url.Parse(c.base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

// completeFlag lets the shell complete a flag with what words returns.
func completeFlag(cmd *cobra.Command, flag string, words func() []string) {
	completeWith(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return words(), cobra.ShellCompDirectiveNoFileComp
	})
}

func completeWith(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag does not exist
	}
}

// lookup finds words for the shell. It is given an app that says nothing, asks
// only a daemon on this machine, and has little time; where something is wrong
// there are no words.
type lookup func(ctx context.Context, quiet *app) []string

// complete makes a completion of the first most arguments of a command, or of a
// flag; most < 0 is any number.
func (a *app) complete(most int, find lookup) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		quiet := *a
		quiet.err, quiet.completing = io.Discard, true
		ctx, cancel := context.WithTimeout(cmd.Context(), completeFor)
		defer cancel()
		return find(ctx, &quiet), cobra.ShellCompDirectiveNoFileComp
	}
}

// anyNumber is for flags, whatever the arguments are, and for commands that take
// as many as there are.
const anyNumber = -1

// completeFilter lets the shell complete the value of a filter.
func (a *app) completeFilter(cmd *cobra.Command, name string) {
	fixed := func(words ...string) lookup {
		return func(context.Context, *app) []string { return words }
	}
	find := fixed()
	switch name {
	case "account":
		find = accountWords
	case "destination", "to":
		find = destinationWords
	case "rule":
		find = ruleWords
	case "type":
		find = fixed(event.TypeNames()...)
	case "status":
		find = fixed(admin.DeliveryStatuses()...)
	case "since", "until":
		find = fixed("1h", "24h", "7d")
	case "action":
		find = fixed(auditRetry, auditPurge, auditTest, auditAccept, auditStart, auditCancel, auditBackup, "destination.pause", "destination.resume")
	case "event":
		find = recordWords(admin.Events, "id")
	case "session":
		find = recordWords(admin.Events, "session")
	case "job":
		find = jobWords("")
	}
	completeWith(cmd, name, a.complete(anyNumber, find))
}

// configuredNames asks the running daemon, which also knows what is no longer configured,
// or the configuration where none answers.
func configuredNames(reported func(*report) []string, configured func(config.Config) []string) lookup {
	return func(ctx context.Context, quiet *app) []string {
		c, loaded, err := quiet.client()
		if err != nil {
			return nil
		}
		var r report
		if c.call(ctx, http.MethodGet, "/api/v1/status", &r) == nil {
			return reported(&r)
		}
		if loaded == nil {
			return nil
		}
		return configured(loaded.Config)
	}
}

var accountWords = configuredNames(
	func(r *report) []string { return names(r.Accounts, func(s poller.Status) string { return s.Account }) },
	func(c config.Config) []string {
		return names(c.Accounts, func(x poller.Account) string { return x.Name })
	},
)

var destinationWords = configuredNames(
	func(r *report) []string {
		return names(r.Destinations, func(d destinationReport) string { return d.Name })
	},
	destinationNames,
)

// ruleWords are those of the configuration: the daemon does not list its rules.
func ruleWords(_ context.Context, quiet *app) []string {
	loaded, err := quiet.load(config.Options{AllowMissingSecrets: true})
	if err != nil {
		return nil
	}
	return names(loaded.Config.Rules, func(x rules.Rule) string { return x.Name })
}

// recordWords are what a member of the newest records of a kind says, each once.
func recordWords(kind admin.Kind, member string) lookup {
	return func(ctx context.Context, quiet *app) []string {
		page, err := quiet.readRecords(ctx, kind, url.Values{}, pageSize)
		if err != nil {
			return nil
		}
		var words []string
		for _, item := range page.Items {
			var record map[string]json.RawMessage
			var word string
			if json.Unmarshal(item, &record) == nil && json.Unmarshal(record[member], &word) == nil && word != "" {
				words = append(words, word)
			}
		}
		return distinct(words)
	}
}

func jobWords(status string) lookup {
	return func(ctx context.Context, quiet *app) []string {
		items, err := quiet.readJobs(ctx, "", status, 0)
		if err != nil {
			return nil
		}
		return names(items, func(j jobs.Job) string { return j.ID })
	}
}

func destinationNames(c config.Config) []string {
	return names(c.Destinations, func(x publish.Destination) string { return x.Name })
}
