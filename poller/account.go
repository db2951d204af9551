package poller

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/latency"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/pacer"
	"checkout-notifier/poller/wooshpay"
)

const (
	// triesPerRequest bounds how long one request is repeated before its pass
	// goes on without it, so that a page that always fails neither hides all the
	// others nor slows them down.
	triesPerRequest = 4
	// triesPerRequestOnce is the same for a single pass, whose caller waits.
	triesPerRequestOnce = 3
)

// account polls one account. One goroutine makes its passes; within a pass pages
// are fetched by several. Whoever does anything with the fields below mu holds
// it, and every method expects it held unless it says otherwise; ask, hand and
// parallel let go of it while they wait.
type account struct {
	cfg        Account
	tracker    Tracker
	handler    Handler
	observer   Observer
	log        *slog.Logger
	pacer      *pacer.Pacer
	neighbours []*account    // that may be shown the same sessions
	phase      time.Duration // shifts the rounds, so that accounts do not look all at once
	nudges     chan chan<- PassReport
	ended      atomic.Bool  // nobody makes passes any more
	events     atomic.Int64 // that came of all passes so far
	status     statusBox

	mu            sync.Mutex
	turn          *sync.Cond // something that others wait for has changed
	client        *wooshpay.Client
	loaded        bool
	tries         int
	state         event.Account
	saved         event.Account // as it was last stored
	before        event.Account // as an earlier process left it
	index         *index.Index
	strangers     wooshpay.Query // the last one that was answered by a page of strangers
	starting      uint32         // the pass that fixes the start
	polledFrom    time.Time      // since when the account is polled, at least, by the clock of the process
	existing      time.Time      // until which creation time what that pass shows existed
	forgotten     time.Time      // settled sessions created before are not in the index
	clock         *serverclock.Clock
	leapt         time.Time // when the server's clock was last found to be ahead of what was known
	failures      int       // requests in a row
	latency       *latency.Latency
	forbidden     int // answers in a row that were a 401 or 403
	forbiddenPage wooshpay.Query
	lastShown     wooshpay.Query // for the last session on the last page that showed any
	cutOff        wooshpay.Query // for the last page that was read in smaller ones
	blank         int            // answers to tryElsewhere since sessions were shown
	broken        int            // passes in a row
	limitHonoured bool
	filterPlaced  bool // the API was asked whether it reads the parameters where they are sent
	sawEnd        bool // has_more was false once
	answersByID   bool // it did once
	mistrust      mistrust
	hidden        hidden
	taken         int     // sessions that a pass began a page with
	cursorless    bool    // starting_after was ignored when it was last used
	slicingFound  slicing // when it was last probed
	slicingProbed time.Time
	sinceIgnored  uint32 // the last pass in which a known session showed that created[gte] is ignored
	committing    bool
	queue         []*pendingBatch // batches that wait to be committed
	sweeps        []*sweep
	probed        *index.Entry           // what cannot be shown that the next pass asks for in any case: see blind
	shownAgain    time.Time              // when something was last shown that could not be shown before
	suspects      []event.Hole           // pages that a look at older sessions could not be had of: to be asked for apart
	asking        *event.Hole            // the hole that is being asked for apart
	newest        []string               // of the list, as far as it cannot be read: see noteNewest
	aboveTop      topRange               // the list above the hole that begins with the newest session
	topRead       bool                   // the head came to a hole that begins with the newest session
	unreadable    map[string]*unreadable // rows that make no sense, by what they are known by
	sightings     uint64                 // of such rows
	named         time.Time              // when the log last named such rows
	now           running
	last          Chain
	begun         time.Time // when the present reconciliation began
	requests      pacer.Hourly
}

// running is what the account notes during a pass.
type running struct {
	number    uint32    // of the pass, in this process
	began     time.Time // names the pass in batches
	headFrom  time.Time // when the head was last begun at its top
	newest    time.Time // creation time of a session that was shown, until the start is fixed
	listed    bool      // it was shown sessions
	rows      int       // of lists, that it was shown
	lost      []string  // ids of known sessions that cannot be shown, since this pass
	sinceless bool      // a page showed that created[gte] is ignored
	empty     error     // the list shows nothing where known sessions should stand
	blindTop  error     // it shows neither the newest sessions nor any that came later
	read      bool      // the head of the list
	met       bool      // it was shown a known session
	meets     bool      // known sessions are being asked for apart
	meeting   *meeting  // what came of that; nil: they were not asked for
	requests  int
	doubts    int                    // sessions that were asked for because of what the list shows
	garbled   map[*index.Entry]error // known sessions of which the list shows nothing that makes sense, and why
	sessions  int
	waiting   int // due sessions that were left to the next pass
}

func newAccount(cfg Account, client *wooshpay.Client, tracker Tracker, handler Handler, o Options) *account {
	a := &account{
		cfg: cfg, client: client, tracker: tracker, handler: handler, observer: o.Observer,
		log:        o.Logger.With("account", cfg.Name),
		pacer:      pacer.New(cfg.Poll.RateLimit, cfg.Poll.Tuning.Concurrency),
		nudges:     make(chan chan<- PassReport),
		tries:      triesPerRequest,
		index:      index.New(),
		latency:    latency.New(cfg.Poll.Timeout),
		unreadable: make(map[string]*unreadable),
		clock:      serverclock.New(o.now),
	}
	name := fnv.New64a()
	_, _ = name.Write([]byte(cfg.Name)) // never fails
	a.phase = time.Duration(name.Sum64()>>1) % max(cfg.Poll.Tuning.WarmEvery, 1)
	a.turn = sync.NewCond(&a.mu)
	host, mode := cfg.Binding()
	a.status.status = Status{Account: cfg.Name, Host: host, Mode: mode, Configured: cfg.Start}
	return a
}

// load reads what is stored of the account, once.
func (a *account) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	stored, known, err := a.tracker.Account(ctx, a.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the store's record of account %s: %w", a.cfg.Name, err)
	}
	host, mode := a.cfg.Binding()
	if known && (stored.Host != host || stored.Mode != mode) {
		return fmt.Errorf("%w: account %q belongs to %s (%s), the configuration says %s (%s): "+
			"give the new one another name, or another state.path", ErrRebound, a.cfg.Name, stored.Host, stored.Mode, host, mode)
	}
	if !known {
		stored = event.Account{Name: a.cfg.Name, Host: host, Mode: mode}
	}
	err = a.tracker.Tracked(ctx, a.cfg.Name, func(row *event.Tracked) error {
		a.index.Put(row)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the sessions of account %s: %w", a.cfg.Name, err)
	}
	a.state, a.saved, a.before, a.loaded = stored, stored, stored, true
	a.takeUp(stored.Unreadable)
	a.polledFrom = time.Now().Add(-stored.Polled)
	a.publish(time.Time{})
	return nil
}

// check loads the account; the caller does not hold mu.
func (a *account) check(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.load(ctx)
}

// run makes passes until the context ends; the caller does not hold mu.
func (a *account) run(ctx context.Context) error {
	a.ended.Store(false)
	defer a.ended.Store(true)
	if err := a.check(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	a.status.update(func(s *Status) { s.Read = time.Now() }) // from now on it is to be
	var asked []chan<- PassReport
	a.mu.Lock()
	if len(a.state.Holes) > 0 { // nobody remembers whether one hangs
		a.latency.Hung()
	}
	a.mu.Unlock()
	for ctx.Err() == nil {
		began := time.Now()
		report := a.onePass(ctx, began.Add(a.cfg.Poll.Interval))
		for _, reply := range asked {
			reply <- report
		}
		asked = a.rest(ctx, a.cfg.Poll.Interval-time.Since(began))
	}
	for _, reply := range asked {
		reply <- PassReport{Account: a.cfg.Name, Error: errEnded.Error()}
	}
	return nil
}

// rest waits for the time of the next pass, or until somebody asks for one.
func (a *account) rest(ctx context.Context, d time.Duration) (asked []chan<- PassReport) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case reply := <-a.nudges:
		asked = append(asked, reply)
	}
	for { // all who ask by now are served by the same pass
		select {
		case reply := <-a.nudges:
			asked = append(asked, reply)
		default:
			return asked
		}
	}
}

// onePass makes a pass that leaves to the next one what is not done by then, and
// says what came of it; the caller does not hold mu.
func (a *account) onePass(ctx context.Context, until time.Time) PassReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.pass(ctx, until)
	report := PassReport{
		Account: a.cfg.Name, Took: event.Seconds(a.clock.Own().Sub(a.now.began)),
		Requests: a.now.requests, Sessions: a.now.sessions, events: a.events.Load(),
	}
	switch failure := (*wooshpay.Error)(nil); {
	case err == nil:
		a.broken = 0
	case ctx.Err() == nil:
		report.Error, report.Unreachable = err.Error(), errors.As(err, &failure) && failure.Unreachable()
		a.broken++
		a.log.Warn("a pass over the account's list was not completed: the next one reads what this one left"+a.promise(), loglimit.Repeats("pass"), slog.Any("error", err), slog.Int("in_a_row", a.broken))
	default:
		report.Error = ctx.Err().Error()
	}
	return report
}

// once makes one pass that leaves nothing over; the caller does not hold mu.
func (a *account) once(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return err
	}
	a.tries = triesPerRequestOnce
	err := a.pass(ctx, time.Time{})
	if err != nil && !errors.Is(err, ErrForeign) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// odd counts an oddity of the API and logs it once. Of what is logged the status keeps
// the error, or the detail.
func (a *account) odd(code, message string, args ...any) {
	detail := ""
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "error" || args[i] == "detail" {
			detail = fmt.Sprint(args[i+1])
		}
	}
	if a.status.odd(code, message, detail) {
		a.log.Warn(message, append([]any{"oddity", code}, args...)...)
	}
}

// save stores what must be known of the account after a restart.
func (a *account) save(ctx context.Context) error {
	if a.state.Equal(&a.saved) {
		return nil
	}
	state := a.state
	if err := a.tracker.SaveAccount(ctx, state); err != nil {
		return fmt.Errorf("storing account %s: %w", a.cfg.Name, err)
	}
	a.saved = state
	return nil
}

// parallel runs the same work in several goroutines, each of which holds mu as
// the caller does, and waits for them.
func (a *account) parallel(n int, work func()) {
	if n <= 1 {
		work()
		return
	}
	a.mu.Unlock()
	defer a.mu.Lock()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			work()
		})
	}
	group.Wait()
}
