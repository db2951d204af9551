package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"checkout-notifier/admin"
	"checkout-notifier/backup"
	"checkout-notifier/broker"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/heartbeat"
	"checkout-notifier/jobs"
	"checkout-notifier/loglimit"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
	"checkout-notifier/state"
)

// Where both sides of an interface are known.
var (
	_ pipeline.Store  = (*vault)(nil)
	_ publish.Outbox  = (*vault)(nil)
	_ poller.Tracker  = (*vault)(nil)
	_ poller.Handler  = (*pipeline.Pipeline)(nil)
	_ pipeline.Memory = (*vault)(nil)
	_ jobs.Store      = (*vault)(nil)
	_ admin.Daemon    = (*daemon)(nil)
	_ backup.Maker    = (*copier)(nil)
)

// witness hears of everything that happens, besides the metrics: the demo and
// forward print by it.
type witness interface {
	pipeline.Observer
	Attempted(publish.Observation)
}

// daemonOptions are what differs where somebody waits at the terminal.
type daemonOptions struct {
	witness           witness       // may be nil
	longestProbePause time.Duration // of a destination's open breaker; zero: as always
}

// daemon is all the stages, wired. It is built whole or not at all.
type daemon struct {
	cfg     config.Config
	log     *slog.Logger
	started time.Time

	store    *vault
	id       string         // of the store, and so of this installation
	broker   *broker.Server // nil unless nats.embedded is enabled
	relay    *publish.Relay
	pipeline *pipeline.Pipeline
	poller   *poller.Poller
	jobs     *jobs.Runner
	metrics  *admin.Metrics
	rules    *rules.Set
	lanes    []publish.Lane
	*ledger
	daemonOptions

	announcer *announcer
	owner     *owner
	keeper    *keeper
	copier    *copier
	backups   *backup.Schedule     // nil without a directory for them
	heartbeat *heartbeat.Heartbeat // nil without a URL

	stopping atomic.Bool
	stopped  chan struct{} // closed when work ends
}

// newDaemon opens the store and wires the stages; the embedded NATS server, if
// any, runs when it returns. The caller must call close.
func newDaemon(ctx context.Context, loaded *config.Loaded, o daemonOptions, log *slog.Logger) (*daemon, error) {
	d := &daemon{cfg: loaded.Config, log: log, started: time.Now(), daemonOptions: o, stopped: make(chan struct{})}
	store, err := state.Open(ctx, d.cfg.State, log)
	if err != nil {
		return nil, err
	}
	d.store = newVault(store)
	d.keeper = &keeper{inPlace: store.InPlace, putBack: store.PutBack, backup: store.Backup, path: store.Path(), log: log, backups: d.cfg.State.Backup.Dir}
	d.ledger = &ledger{store: store, cfg: &d.cfg, note: d.store.note, since: d.started}
	if err := d.wire(ctx, loaded); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *daemon) wire(ctx context.Context, loaded *config.Loaded) (err error) {
	if d.cfg.NATS.Embedded.Enabled {
		server, err := broker.New(d.cfg.NATS.Embedded, d.log)
		if err != nil {
			return err
		}
		if err := server.Start(ctx); err != nil {
			return err
		}
		d.broker = server
	}
	if d.id, err = d.store.ID(ctx); err != nil {
		return err
	}
	lanes, err := newLanes(loaded, d.cfg.Destinations, d.id, d.log)
	if err != nil {
		return exit(exitInvalid, err)
	}
	d.rules, d.lanes = loaded.Rules, lanes
	d.metrics = admin.NewMetrics(version(), names(d.cfg.Accounts, func(a poller.Account) string { return a.Name }),
		ruleNames(d.cfg), names(d.cfg.Destinations, func(x publish.Destination) string { return x.Name }), d.gauges)
	d.relay, err = publish.NewRelay(d.store, lanes, publish.Options{
		Grace: d.cfg.ShutdownGrace, Observer: d, Announce: d.announce, LongestProbePause: d.longestProbePause,
	}, d.log)
	if err != nil {
		return exit(exitInvalid, err)
	}
	ordered := make(map[string]bool)
	for _, x := range d.cfg.Destinations {
		ordered[x.Name] = x.Ordered
	}
	isOrdered := func(name string) bool { return ordered[name] }
	d.announcer = newAnnouncer(loaded.Rules, isOrdered, loaded.ClosesIncidents, d.log)
	d.pipeline = pipeline.New(d.store, loaded.Rules, isOrdered, d, d.log)
	if err := pipeline.TakeOver(ctx, d.store, d.cfg.Accounts, d.log); err != nil {
		return err
	}
	d.poller, err = poller.New(d.cfg.Accounts, d.store, d.pipeline, poller.Options{
		Version: version(), Observer: d.metrics, Logger: d.log,
	})
	if err != nil {
		return exit(exitInvalid, err)
	}
	if err := d.wireOwner(ctx); err != nil {
		return err
	}
	d.wireBackups()
	d.jobs = jobs.New(d.store, map[string]jobs.Kind{
		jobBackfill: {Run: d.runBackfill, Conflicts: conflictingBackfills},
		jobRedrive:  {Run: d.runRedrive},
		jobReplay:   {Run: d.runReplay},
	}, d.log)
	if err := d.sayOrphaned(ctx); err != nil {
		return err
	}
	return d.poller.Check(ctx)
}

// sayOrphaned tells the log of accounts that the configuration no longer names, and
// of destinations that deliveries wait for: one was renamed, perhaps. So it does of
// accounts whose start was edited too late.
func (d *daemon) sayOrphaned(ctx context.Context) error {
	accounts, err := d.store.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		i := slices.IndexFunc(d.cfg.Accounts, func(x poller.Account) bool { return x.Name == a.Name })
		if i < 0 {
			d.log.Warn("the configuration does not name an account that is stored: "+orphanedAccount, "account", a.Name)
		} else if start := d.cfg.Accounts[i].Start; fixedStart(start, &a) != "" {
			d.log.Warn("the configured start of the account has no effect, for it was fixed by the first answer of the API: what was recorded silently has no events, "+
				"and neither poll backfill --announce nor replay announces it; see to those orders by hand, and put the start back to the fixed one", "account", a.Name, "start", start, "fixed", fixedStart(start, &a))
		}
	}
	states, err := d.store.Destinations(ctx)
	for _, s := range states {
		if s.Pending+s.Dead > 0 && !d.configured(s.Name) {
			d.log.Warn("the configuration does not name a destination that deliveries wait for: they are kept, and go on when it does"+orphanedHelp,
				"destination", s.Name, "pending", s.Pending, "dead_letters", s.Dead)
		}
	}
	return err
}

// fixedStart is the start that an account has, if it is another than the configured
// one, which then has no effect; "" if not.
func fixedStart(configured string, a *event.Account) string {
	start, err := time.Parse(time.RFC3339, configured)
	switch {
	case a.Restart || configured == poller.StartNow || start.Equal(a.Start) || a.Start.IsZero() && !a.StartFixed:
	case !a.Start.IsZero():
		return a.Start.Format(time.RFC3339)
	case err == nil:
		return poller.StartAll
	}
	return ""
}

// wireOwner takes up what the owner was told of, and forgets what nothing can
// end any more.
func (d *daemon) wireOwner(ctx context.Context) error {
	stored, err := d.store.Conditions(ctx)
	if err != nil {
		return err
	}
	kept := time.Now().Add(-d.cfg.State.Retention)
	watch, stale := pipeline.NewRuleWatch(stored, kept, d.announcer.rules.Identity, d.announcer.tellOfRule, d.log)
	d.announcer.watch = watch
	d.pipeline.WatchRules(watch)
	intervals := make(map[string]time.Duration)
	for _, a := range d.cfg.Accounts {
		intervals[a.Name] = a.Poll.Interval
	}
	d.owner = &owner{
		commit: d.store.Commit, announce: d.announce, verdicts: d.announcer, watch: watch, accounts: d.poller.Status, intervals: intervals,
		space: d.store.Space, path: d.store.Path(), committed: d.Committed, log: d.log,
		ask: func(ctx context.Context, account string) { go func() { _, _ = d.poller.Now(ctx, account) }() },
	}
	stale = append(stale, d.owner.remember(stored)...)
	if err := d.store.Commit(ctx, &event.Tx{Cleared: stale}); err != nil {
		d.log.Warn("open alerts about accounts or rules that the configuration no longer names could not be removed; the next start tries again", "error", err)
	}
	if d.cfg.Heartbeat.URL != "" {
		d.heartbeat = heartbeat.New(d.cfg.Heartbeat, version(), d.ill, d.log)
	}
	return nil
}

// newLanes builds the publishers of an installation's destinations. Nothing connects yet.
func newLanes(loaded *config.Loaded, destinations []publish.Destination, installation string, log *slog.Logger) (lanes []publish.Lane, mistakes error) {
	connections := publish.NewConnections(log)
	for _, dest := range destinations {
		lane, err := newLane(loaded, dest, installation, connections)
		if err != nil {
			mistakes = errors.Join(mistakes, fmt.Errorf("destination %s: %w", dest.Name, err))
		}
		lanes = append(lanes, lane)
	}
	return lanes, mistakes
}

func newLane(loaded *config.Loaded, dest publish.Destination, installation string, connections *publish.Connections) (lane publish.Lane, err error) {
	own, sent := loaded.Renderings(dest.Name)
	renderer, err := publish.NewRenderer(dest, own, loaded.Config.Admin.ConsoleURL(), sent...)
	if err != nil {
		return lane, err
	}
	renderer.SetInstallation(installation)
	lane = publish.Lane{Destination: dest, Stake: renderer.Stake()}
	if dest.Type == publish.TypeNATS {
		lane.Publisher, err = publish.NewNATS(dest, renderer, connections)
	} else {
		lane.Publisher, err = publish.NewHTTP(dest, renderer, publish.HTTPOptions{Version: version(), Network: loaded.Config.Network})
	}
	return lane, err
}

// Committed implements pipeline.Observer: the relay is woken, never asked to
// remember.
func (d *daemon) Committed(events []event.Event, deliveries []event.Delivery) {
	d.metrics.Committed(events, deliveries)
	woken := make(map[string]bool)
	for i := range deliveries {
		if name := deliveries[i].Destination; !woken[name] {
			woken[name] = true
			d.relay.Wake(name)
		}
	}
	if d.witness != nil {
		d.witness.Committed(events, deliveries)
	}
}

// Attempted implements publish.Observer.
func (d *daemon) Attempted(o publish.Observation) {
	d.metrics.Attempted(o.Destination, o.Attempt.Outcome, o.Latency)
	if d.witness != nil {
		d.witness.Attempted(o)
	}
}

// Told implements publish.Observer.
func (d *daemon) Told(n event.Notice) {
	logTold(d.log, &n)
	d.Committed([]event.Event{n.Event}, n.Deliveries)
}

// run works until the context ends: then polling stops between pages, nothing
// new is sent, what is on its way is finished, and the admin server goes last.
func (d *daemon) run(ctx context.Context, listener net.Listener) error {
	outer, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	serving, serveCtx := errgroup.WithContext(outer)
	if listener != nil {
		server := admin.New(d.cfg.Admin, d, d.metrics.Handler(), d.log)
		serving.Go(func() error { return server.Run(serveCtx, listener) })
	}
	working, workCtx := errgroup.WithContext(ctx)
	context.AfterFunc(workCtx, func() { d.stopping.Store(true); close(d.stopped) })
	working.Go(func() error { // a server that fails takes the daemon with it
		select {
		case <-serveCtx.Done():
			return errors.New("the admin server ended")
		case <-workCtx.Done():
			return nil
		}
	})
	working.Go(func() error { return d.store.watch(workCtx) })
	working.Go(func() error { return d.keeper.Run(workCtx) })
	working.Go(func() error { return d.relay.Run(workCtx) })
	working.Go(func() error { return d.poller.Run(workCtx) })
	working.Go(func() error { return d.jobs.Run(workCtx) })
	working.Go(func() error { return d.owner.Run(workCtx) })
	if d.heartbeat != nil {
		working.Go(func() error { return d.heartbeat.Run(workCtx) })
	}
	if d.backups != nil {
		working.Go(func() error { return d.backups.Run(workCtx) })
	}
	working.Go(func() error { return pruneLoop(workCtx, &d.cfg, d.poller.Status, d.store.Prune, d.log) })
	err := working.Wait()
	stopServing()
	return errors.Join(err, serving.Wait())
}

// close releases what newDaemon took, in reverse. What is stored is in its place
// before it lets go of it.
func (d *daemon) close() error {
	defer loglimit.Flush(d.log)
	if d.broker != nil {
		d.broker.Stop()
	}
	return errors.Join(d.keeper.settle(context.Background(), time.Now()), d.store.Close())
}

func names[T any](list []T, name func(T) string) []string {
	result := make([]string, len(list))
	for i, x := range list {
		result[i] = name(x)
	}
	return result
}
