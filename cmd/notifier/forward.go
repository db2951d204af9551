package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// keyVariable is where the API key is looked for.
const keyVariable = "WOOSHPAY_SECRET_KEY"

// Somebody waits for the next try: it comes soon, for as long as a handler may take
// to be mended.
const (
	forwardPause = 5 * time.Second
	forwardTries = 720 // an hour
)

type forwardOptions struct {
	to, key, keyFrom, baseURL, format, apiVersion, interval string
	events, omit                                            []string
}

func (a *app) forwardCommand() *cobra.Command {
	var o forwardOptions
	cmd := &cobra.Command{
		Use:     "forward --to URL",
		GroupID: "start",
		Short:   "Forward events to a local handler, without a configuration file",
		Long: `Poll one account and post its events to a handler until Ctrl-C: for development.
Only what happens from now on is forwarded. The signing secret is printed; it
stays the same for the same key. So is what the handler answered: its status and
the first line of its body. While the handler is away or refuses what it gets, that
is tried again after 2 seconds and then every 5 seconds, for an hour.

With --format stripe it forwards what a handler of Stripe's checkout events acts
on once: fulfillable (as checkout.session.completed, or as
async_payment_succeeded where the payment came later) and expired. What --events
adds is forwarded if Stripe has a name for it. In the other format it forwards
every event.

SDKs such as stripe-go and Stripe.net refuse an event whose api_version is not the
one they were made for: give it with --api-version.

Exit codes: 0 after Ctrl-C, 2 usage, 4 the API refuses the key.`,
		Example: `  export WOOSHPAY_SECRET_KEY=sk_test_…
  notifier forward --to http://localhost:3000/webhooks
  notifier forward --to http://localhost:3000/stripe --format stripe --api-version 2025-08-27.basil`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.to == "" {
				return exit(exitUsage, errors.New("--to is needed: the URL of your handler"))
			}
			if o.keyFrom = "--key"; o.key == "" {
				o.key, o.keyFrom = os.Getenv(keyVariable), "$"+keyVariable
			}
			if o.key == "" {
				return exit(exitUsage, fmt.Errorf("an API key is needed: set $%s (or --key, which others on this machine can see)", keyVariable))
			}
			return a.forward(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "URL of the handler")
	f.StringVar(&o.key, "key", "", "API key [$"+keyVariable+"]")
	f.StringSliceVar(&o.events, "events", nil, "event types to forward, short or whole, such as fulfillable,expired (default: all; with --format stripe fulfillable,expired)")
	completeFlag(cmd, "events", func() []string { return names(event.Types(), event.Short) })
	o.format = publish.FormatCloudEvents
	f.Var(choice{&o.format, []string{publish.FormatCloudEvents, publish.FormatStripe}}, "format", "cloudevents or stripe")
	completeFlag(cmd, "format", func() []string { return []string{publish.FormatCloudEvents, publish.FormatStripe} })
	f.StringVar(&o.apiVersion, "api-version", "", "api_version of the events, with --format stripe: the version that your Stripe SDK expects")
	f.StringSliceVar(&o.omit, "omit", nil, "fields of the session to leave out, such as line_items,customer_details")
	f.StringVar(&o.baseURL, "base-url", "", "API to poll, by default the one of the key")
	f.StringVar(&o.interval, "interval", "5s", "pause between the starts of two passes")
	return cmd
}

func (a *app) forward(ctx context.Context, o forwardOptions) (err error) {
	if err := a.chooseEvents(&o); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "notifier-forward-")
	if err != nil {
		return fmt.Errorf("making a place for the state: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	secret := forwardSecret(o.key)
	source, err := forwardConfig(o, secret, filepath.Join(dir, "notifier.db"))
	if err != nil {
		return err
	}
	loaded, err := config.Load(config.Options{Source: source, Name: "forward"})
	if err != nil {
		return exit(exitUsage, errors.New(byFlags(err)))
	}
	for _, w := range loaded.Warnings {
		if strings.HasPrefix(w.Code, "config/") { // what the linter says of rules is about files
			fmt.Fprintln(a.err, "warning:", w.Message)
		}
	}
	for _, n := range loaded.Notes {
		fmt.Fprintln(a.err, "note:", flagOf.Replace(n.Message))
	}
	refused := denials{newLogger(config.Log{Level: "warn", Format: config.LogText}, a.err).Handler(), make(chan *wooshpay.Error, 1)}
	printer := newNarrator(a.out)
	printer.answers = true
	d, err := newDaemon(ctx, loaded, daemonOptions{witness: printer, longestProbePause: forwardPause}, slog.New(refused))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	fmt.Fprintf(a.err, "forwarding %s from %s to %s\nsigning secret: %s\n\n", eventsText(o.events),
		loaded.Config.Accounts[0].Endpoint(), loaded.Config.Destinations[0].URL.URL(), secret)
	return forwardUntilDenied(ctx, d, o, refused)
}

// forwardUntilDenied works until the context ends or the API refuses the key, which
// no waiting mends.
func forwardUntilDenied(ctx context.Context, d *daemon, o forwardOptions, refused denials) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.run(ctx, nil) }()
	select {
	case err := <-done:
		return err
	case e := <-refused.found:
		cancel()
		return errors.Join(exit(exitUnreachable, fmt.Errorf("nothing can be forwarded: the API at %s refuses the key from %s (status %d: %s); "+
			"check that the key is complete, belongs to this API (test or live) and may list checkout sessions", d.cfg.Accounts[0].Endpoint(), o.keyFrom, e.Status, e.Message)), <-done)
	}
}

// denials is a handler of a log that takes out what tells of a key that is or may be refused,
// and hands on the first error that says it is; and what is told beside the log.
type denials struct {
	slog.Handler
	found chan *wooshpay.Error // has room for one
}

// Handle implements slog.Handler.
func (h denials) Handle(ctx context.Context, r slog.Record) error {
	denied := false
	r.Attrs(func(a slog.Attr) bool {
		e, ok := a.Value.Any().(*wooshpay.Error)
		if denied = ok && (e.Kind == wooshpay.KindDenied || e.Code() == "401"); denied && e.Kind == wooshpay.KindDenied {
			select {
			case h.found <- e:
			default:
			}
		}
		return !denied
	})
	if denied || strings.HasPrefix(r.Message, "delivery refused") { // which the table shows, with the answer
		return nil
	}
	r.Message = strings.Replace(r.Message, poller.SetStart, "", 1) // there is no configuration
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h denials) WithAttrs(attrs []slog.Attr) slog.Handler {
	return denials{h.Handler.WithAttrs(attrs), h.found}
}

// chooseEvents fills in the events that a handler of the format acts on once, and
// leaves out what Stripe has no name for.
func (a *app) chooseEvents(o *forwardOptions) error {
	if o.format != publish.FormatStripe {
		return nil
	}
	if len(o.events) == 0 {
		o.events = []string{event.Short(event.Fulfillable), event.Short(event.Expired)}
		return nil
	}
	var chosen, left []string
	for _, glob := range o.events {
		types := rules.TypesNamed(rules.OnEvent, []string{glob})
		if len(types) == 0 {
			return nil // the check of the configuration says what is wrong with it
		}
		for _, t := range types {
			if slices.Contains(config.StripeTypes(), t) {
				chosen = append(chosen, event.Short(t))
			} else {
				left = append(left, event.Short(t))
			}
		}
	}
	hint := ""
	if slices.Contains(left, event.Short(event.Paid)) {
		hint = "; what is paid after the checkout goes out with fulfillable, as checkout.session.async_payment_succeeded"
	}
	if len(chosen) == 0 {
		return exit(exitUsage, fmt.Errorf("there is nothing to forward: Stripe's format has %s%s", strings.Join(names(config.StripeTypes(), event.Short), ", "), hint))
	}
	if len(left) > 0 {
		fmt.Fprintf(a.err, "warning: left out, because Stripe's format has no event of its own for it: %s%s\n", strings.Join(distinct(left), ", "), hint)
	}
	o.events = distinct(chosen)
	return nil
}

func eventsText(events []string) string {
	if len(events) == 0 {
		return "all events"
	}
	return strings.Join(events, ", ")
}

// forwardSecret derives the signing secret from the key, so that a handler can
// keep it in its settings.
func forwardSecret(key string) string {
	sum := sha256.Sum256([]byte("notifier forward signing secret\x00" + key))
	return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
}

// forwardConfig writes the configuration that a file would hold. JSON is YAML.
func forwardConfig(o forwardOptions, secret, path string) ([]byte, error) {
	type object = map[string]any
	rule := object{"name": "forward", "to": []string{"handler"}, "events": []string{"*"}}
	if len(o.events) > 0 {
		rule["events"] = o.events
	}
	document := object{
		"version":  1,
		"accounts": []object{{"name": "forward", "secret_key": literal(o.key), "base_url": literal(o.baseURL)}},
		"poll":     object{"interval": o.interval},
		"state":    object{"path": literal(path)},
		"destinations": []object{{
			"name": "handler", "type": "http", "url": literal(o.to), "secrets": []string{secret}, "format": o.format,
			"api_version": literal(o.apiVersion), "omit": o.omit,
			"retry": object{"schedule": append([]string{"2s"}, slices.Repeat([]string{forwardPause.String()}, forwardTries)...), "jitter": 0},
		}},
		"rules": []object{rule},
	}
	source, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return source, nil
}

// flagOf are the flags that the places of forwardConfig come from.
var flagOf = strings.NewReplacer("destinations[0].url", "--to", "destinations[0].api_version", "--api-version",
	"destinations[0].omit", "--omit", "accounts[0].secret_key", "--key", "accounts[0].base_url", "--base-url",
	"poll.interval", "--interval", "rules[0].events", "--events")

// byFlags says mistakes in the configuration, which nobody wrote, by their flags.
func byFlags(err error) string {
	var problems *config.Problems
	if !errors.As(err, &problems) {
		return err.Error()
	}
	lines := make([]string, len(problems.Errors))
	for i, p := range problems.Errors {
		_, text, _ := strings.Cut(p.String(), ": ") // behind the place
		lines[i] = flagOf.Replace(text)
	}
	return strings.Join(lines, "\n")
}

// literal keeps a value from being expanded.
func literal(s string) string { return strings.ReplaceAll(s, "${", "$${") }
