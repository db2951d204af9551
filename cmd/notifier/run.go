package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"checkout-notifier/admin"
	"checkout-notifier/config"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller"
	"checkout-notifier/rules"
)

func (a *app) runCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: "run",
		Short:   "Run the daemon: poll, compare, match, deliver",
		Long: `Run the daemon until it is told to stop (SIGINT or SIGTERM): polling ends between
two pages, nothing new is sent, and deliveries on their way have shutdown_grace
to finish. A second signal ends it at once; nothing is lost by that either. It ends
with 3 if the configuration or the state file cannot be used, and with 1 if an
address to listen on is taken, or if something failed while it ran.

With --once it makes one complete pass over every account, delivers what is due,
and ends: 0 when all is well, 1 if a delivery failed or a signal cut it short, 4 if
an account could not be polled. A destination that takes nothing is waited for up to
a minute.`,
		Example: "  notifier run -c notifier.yaml\n  notifier run --once   # from a cron job",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := a.load(config.Options{})
			if err != nil {
				return err
			}
			log := newLogger(loaded.Config.Log, a.err)
			for _, w := range loaded.Warnings {
				log.Warn(w.String())
			}
			if once {
				return withCopy(cmd.Context(), runOnce(cmd.Context(), loaded, log), loaded)
			}
			return withCopy(cmd.Context(), runDaemon(cmd.Context(), loaded, log), loaded)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "make one complete pass, deliver what is due, and end")
	return cmd
}

func runDaemon(ctx context.Context, loaded *config.Loaded, log *slog.Logger) (err error) {
	d, err := newDaemon(ctx, loaded, daemonOptions{}, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	path := d.sayState()
	listener, err := admin.Listen(ctx, d.cfg.Admin)
	if err != nil {
		return err
	}
	log.Info("started", "version", version(), "accounts", len(d.cfg.Accounts), "destinations", len(d.cfg.Destinations),
		"rules", len(d.cfg.Rules), "admin", "http://"+listener.Addr().String()+strings.TrimSuffix(d.cfg.Admin.BasePath, "/"), "state", path)
	ignoreHangUp(ctx, log)
	err = d.run(ctx, listener)
	log.Info("stopped", "after", time.Since(d.started).Round(time.Second).String())
	return err
}

// sayState returns where the state file is. A new one is said loudly: an older one
// that was not found would make news of nothing that happened in between.
func (d *daemon) sayState() string {
	path := d.store.Path()
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if d.store.Created() {
		d.log.Warn("a new state file was made, and nothing is known of earlier sessions: "+
			"if there was one before, stop this daemon and check state.path and the working directory", "state", path)
	}
	return path
}

// ignoreHangUp keeps a SIGHUP, which asks many daemons to read their
// configuration again, from ending this one.
func ignoreHangUp(ctx context.Context, log *slog.Logger) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(hangUp); close(hangUp) })
	go func() {
		for range hangUp {
			log.Warn("SIGHUP is ignored: this version reads its configuration at the start only, restart it")
		}
	}()
}

// errInterrupted keeps whoever waits for a complete pass from taking a part for it.
var errInterrupted = exit(exitFailure, errors.New("interrupted before everything was read and delivered; nothing is lost, the next run goes on"))

func runOnce(ctx context.Context, loaded *config.Loaded, log *slog.Logger) (err error) {
	d, err := newDaemon(ctx, loaded, daemonOptions{}, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	log.Info("one pass is made", "state", d.sayState())
	polled := d.poller.RunOnce(ctx)
	if ctx.Err() != nil {
		return errInterrupted
	}
	accepted, failed, err := d.relay.Drain(ctx)
	if err != nil {
		return err
	}
	log.Info("done", "accepted", accepted, "failed", failed)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(polled, poller.ErrForeign):
		return fmt.Errorf("%w; %s", polled, acceptNeedsDaemon)
	case polled != nil:
		return polled
	case failed > 0:
		return exit(exitFailure, fmt.Errorf("%s failed; what failed stays in the store: the next run tries it again, unless it is a dead letter or its destination is paused (see status)", count(failed, "delivery")))
	}
	return nil
}

// newLogger writes text on a terminal and JSON elsewhere, unless told otherwise.
// What repeats without end is summed up: see loglimit.
func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.SlogLevel()}
	if cfg.Format == config.LogText || (cfg.Format != config.LogJSON && isTerminal(w)) {
		return slog.New(loglimit.New(slog.NewTextHandler(w, o)))
	}
	return slog.New(loglimit.New(slog.NewJSONHandler(w, o)))
}

// ruleNames lists the rules in force.
func ruleNames(cfg config.Config) []string {
	enabled := slices.DeleteFunc(slices.Clone(cfg.Rules), func(r rules.Rule) bool { return !r.Enabled })
	return names(enabled, func(r rules.Rule) string { return r.Name })
}

// loopback listens on a free port of this machine.
func loopback(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	return l, nil
}
