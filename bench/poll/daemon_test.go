package poll_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/pipeline"
	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
	"checkout-notifier/secret"
	"checkout-notifier/state"
)

const account = "main"

// daemon is the poller, the pipeline and the store, over all its crashes.
type daemon struct {
	t      *testing.T
	o      options
	api    *api
	cfg    poller.Account
	state  state.Config
	rng    *rand.Rand
	oracle *oracle

	mu    sync.Mutex // guards heard
	heard uint64     // sequence of the last event that was judged

	ready    atomic.Bool // the first pass is complete
	passes   atomic.Int64
	failed   atomic.Int64
	drift    atomic.Int64
	crashes  int
	repeated uint64 // events that were committed again, and left out
}

func newDaemon(t *testing.T, o options, a *api, c *oracle) *daemon {
	cfg := poller.Account{
		Name: account, SecretKey: secret.String("sk_test_bench"), BaseURL: "https://api.example", Start: poller.StartNow,
		ListParams: wooshpay.ParamsBody, Poll: poller.DefaultPoll(),
	}
	cfg.Poll.Interval, cfg.Poll.UnpaidFor = o.interval, o.unpaidFor
	cfg.Poll.RateLimit = o.rateLimit
	memory := state.DefaultConfig()
	memory.Path = filepath.Join(directory(t), "notifier.db")
	memory.Retention = o.retention
	return &daemon{
		t: t, o: o, api: a, cfg: cfg, state: memory, oracle: c, rng: rand.New(rand.NewPCG(o.seed, 3)),
	}
}

// directory is one for the store, in memory where there is such a place: the
// processes that die here take no unwritten page with them.
func directory(t *testing.T) string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "bench-poll-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run lives until the context ends, dying and starting again on the way.
func (d *daemon) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := d.live(ctx); err != nil {
			return err
		}
		if wait(ctx, time.Second+time.Duration(d.rng.Int64N(int64(4*time.Second)))) == nil {
			d.crashes++
		}
	}
	return nil
}

// live is one process, from its start to its death or the end of all.
func (d *daemon) live(ctx context.Context) error {
	store, err := state.Open(ctx, d.state, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer store.Close()
	if err := d.remembered(ctx, store); err != nil {
		return err
	}
	ctx, die := context.WithCancel(ctx)
	defer die()
	p := &process{Store: store, die: die, committed: func() error { return d.hear(store) }}
	stages := pipeline.New(p, nobody{}, func(string) bool { return true }, nobody{}, slog.New(slog.DiscardHandler))
	poll, err := poller.New([]poller.Account{d.cfg}, p, stages, poller.Options{
		Version: "bench", Observer: passes{d, p}, Transport: d.api, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if d.o.crashEvery > 0 {
		doom, how := time.Duration(d.rng.Int64N(int64(2*d.o.crashEvery))), fate(d.rng.IntN(int(fates)))
		timer := time.AfterFunc(doom, func() { p.doom(how) })
		defer timer.Stop()
	}
	var pruning sync.WaitGroup
	pruning.Go(func() { d.prune(ctx, store) })
	err = poll.Run(ctx)
	pruning.Wait()
	skipped, _ := store.Skipped()
	d.repeated += skipped
	if p.dead.Load() {
		return nil // what a dead process says counts for nothing
	}
	return err
}

// remembered makes sure that what was heard before the crash is still there.
func (d *daemon) remembered(ctx context.Context, store *state.Store) error {
	if d.heard == 0 {
		return nil
	}
	events, err := store.Events(ctx, d.heard-1, 2)
	if err == nil && (len(events) != 1 || events[0].Sequence != d.heard) {
		err = fmt.Errorf("the store ended with event %d and begins again with %d behind it", d.heard, len(events))
	}
	return err
}

// hear lets the oracle judge what the store holds that is new.
func (d *daemon) hear(store *state.Store) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const atOnce = 500
	for {
		events, err := store.Events(context.WithoutCancel(d.t.Context()), d.heard, atOnce)
		if err != nil {
			return err
		}
		now := time.Now().UnixMilli()
		for i := range events {
			d.heard = events[i].Sequence
			d.oracle.hear(&events[i].Event, now)
		}
		if len(events) < atOnce {
			return nil
		}
	}
}

// prune removes what is old as the daemon does: at its start and each hour.
func (d *daemon) prune(ctx context.Context, store *state.Store) {
	for {
		now, window := time.Now(), max(poller.Window, d.o.unpaidFor)
		cutoff, created := now.Add(-d.o.retention), now.Add(-2*window)
		if cutoff.Before(created) {
			created = cutoff
		}
		_, err := store.Prune(ctx, state.PrunePolicy{Before: cutoff, CreatedBefore: created, LookedBefore: cutoff, Reach: window})
		if err != nil && ctx.Err() == nil {
			d.t.Errorf("Prune: %v", err)
		}
		if wait(ctx, time.Hour) != nil {
			return
		}
	}
}

// fate is how a process dies.
type fate int32

const (
	atOnce       fate = iota
	beforeCommit      // its next one
	afterCommit       // without learning of it
	fates
)

var errDead = errors.New("the process is dead")

// process is the store as a process has it that may die: from then on nothing
// that it writes arrives.
type process struct {
	*state.Store
	die       context.CancelFunc
	committed func() error

	dead   atomic.Bool
	doomed atomic.Int32 // the fate that waits for the next commit
}

func (p *process) doom(how fate) {
	if how == atOnce {
		p.end()
		return
	}
	p.doomed.Store(int32(how))
}

func (p *process) end() {
	p.dead.Store(true)
	p.die()
}

// write does what a process does with a commit, unless it dies of it.
func (p *process) write(commit func() error) error {
	how := fate(p.doomed.Load())
	if how == beforeCommit {
		p.end()
	}
	if p.dead.Load() {
		return errDead
	}
	err := commit()
	if err == nil {
		err = p.committed()
	}
	if how == afterCommit {
		p.end()
		return errors.Join(err, errDead)
	}
	return err
}

// Commit implements pipeline.Store.
func (p *process) Commit(ctx context.Context, tx *event.Tx) error {
	return p.write(func() error { return p.Store.Commit(ctx, tx) })
}

// SaveAccount implements poller.Tracker.
func (p *process) SaveAccount(ctx context.Context, a event.Account) error {
	return p.write(func() error { return p.Store.SaveAccount(ctx, a) })
}

// passes counts passes. The first that is complete is where the account begins.
type passes struct {
	*daemon
	process *process
}

// APIRequest, Fetched, Waited and Drifted implement poller.Observer.
func (passes) APIRequest(string, string)    {}
func (passes) Fetched(string, int, bool)    {}
func (passes) Waited(string, time.Duration) {}
func (p passes) Drifted(_ string, n int)    { p.drift.Add(int64(n)) }

// Passed implements poller.Observer.
func (p passes) Passed(_ string, _ time.Duration, err error) {
	switch {
	case p.process.dead.Load() || errors.Is(err, context.DeadlineExceeded):
		return // it ended before the pass did
	case err != nil:
		p.failed.Add(1)
		return
	}
	p.passes.Add(1)
	if p.ready.Swap(true) {
		return
	}
	stored, _, err := p.process.Account(context.WithoutCancel(p.t.Context()), account)
	if err != nil {
		p.t.Errorf("Account: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oracle.begin(stored.Start, time.Now())
}
