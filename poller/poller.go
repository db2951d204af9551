// Package poller is the way in: it lists the checkout sessions of the accounts
// on a schedule and hands on what is new.
//
// A pass reads the head of the list down to below where the last complete pass
// has been, looks again at the older sessions that are due, and goes on with
// reconciliations and backfills in the time that is left. A request that fails is asked again; a list that is cut short, out of order or
// nonsense never counts as read, and permission that vanishes is never read as
// "no sessions". The package decides nothing about events: it does not know them.
package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// Tracker is what the poller must still know after a restart.
type Tracker interface {
	Account(ctx context.Context, name string) (event.Account, bool, error)
	SaveAccount(ctx context.Context, account event.Account) error
	// Tracked calls each with every session of an account, in no order that
	// matters. The row is valid during the call only.
	Tracked(ctx context.Context, account string, each func(*event.Tracked) error) error
}

// Handler takes a batch of looks through the stages and commits what follows
// from it. On an error nothing of the batch was committed.
type Handler interface {
	Handle(ctx context.Context, batch Batch) (Handled, error)
	// Vanish records that the API no longer shows sessions.
	Vanish(ctx context.Context, account string, gone []Gone) error
	// Preview says what Handle would make of a batch, and commits nothing.
	Preview(ctx context.Context, batch Batch) (Handled, error)
}

// Observer is told of requests and passes, for the metrics. It must not block.
type Observer interface {
	APIRequest(account, code string)
	Passed(account string, took time.Duration, err error)
	// Fetched is a page that was read; checked tells that it was by the checked decoder.
	Fetched(account string, bytes int, checked bool)
	// Waited is a request that the rate limit kept back.
	Waited(account string, d time.Duration)
	// Drifted are sessions of which only a reconciliation knew.
	Drifted(account string, n int)
}

// Batch is looks that may show something new: of a page, or of several that are
// committed together.
type Batch struct {
	Account  event.Account
	Livemode bool
	Poll     Poll
	Pass     time.Time // when their pass began
	Existing time.Time // what the batch shows and was created until then existed before the account's start; zero: none
	Starting bool      // it is of the pass that fixes the start, until that is final
	Announce bool      // also what was pruned, or is older than the start
	// Passed are the parts of the list that the API could not show for a while. What
	// turns up in them was never known, however long ago it was created.
	Passed []event.Hole
	Looks  []Look
}

// Look is a session as it was just shown.
type Look struct {
	Session checkout.Session
	At      time.Time // when it had arrived, by the server's clock
	Asked   time.Time // when it was asked for, by the server's clock: not later than that
	Own     time.Time // when it had arrived, by our own clock
	// Early is by how much At and Asked may be too late, Late by how much too early.
	Early, Late time.Duration
	// LastLooked is when the last look before this one was asked for that showed the
	// session as it is stored; zero if unknown.
	LastLooked time.Time
}

// Silent says whether a session of the batch that was never seen before is
// recorded without an announcement.
func (b *Batch) Silent(created time.Time) bool {
	return !b.Announce && (b.existed(created) || b.forgotten(created))
}

// existed says whether a session seems to be older than the account's start.
func (b *Batch) existed(created time.Time) bool {
	return created.Before(b.Account.Start) || !created.After(b.Existing)
}

func (b *Batch) forgotten(created time.Time) bool {
	return created.Before(b.Account.ForgottenBefore) &&
		!slices.ContainsFunc(b.Passed, func(h event.Hole) bool { return !h.Pruned && h.Covers(created) })
}

// Withholds says whether a session is silent only because it seems to be older than a
// start that clocks made. What the first pass shows existed whatever they say.
func (b *Batch) Withholds(created time.Time) bool {
	return b.Silent(created) && b.Account.ByClock && created.Before(b.Account.Start) && !b.Starting && !b.forgotten(created)
}

// Releases says whether what was withheld of a session is to be announced: a clock was
// ahead when the account started, and the session is not older than the true start, or
// somebody asks for it.
func (b *Batch) Releases(s *event.Snapshot) bool {
	return len(s.Withheld) > 0 && (b.Announce || !b.existed(s.Created))
}

// Gone is a session that the API no longer shows.
type Gone struct {
	ID     string
	Looked time.Time // the last look that showed it; zero if unknown
}

// Handled is what a batch came to.
type Handled struct {
	Rows    []Row
	Ignored []Ignored
	Events  int
}

// Row is a session's index row after a look.
type Row struct {
	event.Tracked
	Held      bool     // the look is not believed yet
	StepsBack bool     // of one that is held: it shows a step back
	New       bool     // the session was not stored
	Changed   bool     // the look shows something else than what was stored
	Silent    bool     // recorded without an announcement
	Types     []string // of the events
}

// Ignored is a look that contradicts itself; the session is as it was.
type Ignored struct {
	ID  string
	Err error
}

// Errors of Run and RunOnce.
var (
	// ErrUnreachable is an account whose pass could not be completed.
	ErrUnreachable = errors.New("account could not be polled")
	// ErrForeign is an account whose key shows other sessions than the stored ones.
	ErrForeign = errors.New("account shows other sessions than before")
	// ErrRebound is an account name that is bound to another host or mode.
	ErrRebound = errors.New("account name is bound to another API host or mode")
)

// Options are the poller's dependencies besides the stages.
type Options struct {
	Version   string
	Observer  Observer
	Logger    *slog.Logger
	Transport http.RoundTripper // nil: the network

	now func() time.Time // our own clock, which tests may set; nil: time.Now
}

// Poller polls all accounts, each in its own goroutine.
type Poller struct {
	accounts []*account
}

// New returns a poller of the given accounts, whose names are distinct.
func New(accounts []Account, tracker Tracker, handler Handler, o Options) (*Poller, error) {
	p := &Poller{}
	if o.now == nil {
		o.now = time.Now
	}
	for _, cfg := range accounts {
		client, err := cfg.client(o.Version, o.Transport, o.now)
		if err != nil {
			return nil, err
		}
		a := newAccount(cfg, client, tracker, handler, o)
		for _, other := range p.accounts {
			if cfg.MayShare(other.cfg) {
				a.neighbours, other.neighbours = append(a.neighbours, other), append(other.neighbours, a)
			}
		}
		p.accounts = append(p.accounts, a)
	}
	return p, nil
}

// Check compares the accounts with what the store binds their names to. It asks
// the API nothing. A mismatch is ErrRebound.
func (p *Poller) Check(ctx context.Context) error {
	var mistakes []error
	for _, a := range p.accounts {
		if err := a.check(ctx); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	return errors.Join(mistakes...)
}

// Run polls until the context ends. It returns an error only when an account
// cannot be polled at all: see Check.
func (p *Poller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, a := range p.accounts {
		g.Go(func() error { return a.run(ctx) })
		g.Go(func() error { return a.askPatiently(ctx) })
	}
	return g.Wait()
}

// RunOnce makes one complete pass over every account. Accounts that could not
// be polled are reported together as ErrUnreachable, the others are complete.
func (p *Poller) RunOnce(ctx context.Context) error {
	failures := make([]error, len(p.accounts))
	var g sync.WaitGroup
	for i, a := range p.accounts {
		g.Go(func() {
			if err := a.once(ctx); err != nil {
				failures[i] = fmt.Errorf("account %s: %w", a.cfg.Name, err)
			}
		})
	}
	g.Wait()
	return errors.Join(failures...)
}

// Ready says whether every account has finished its first pass, or failed one
// for a stated reason.
func (p *Poller) Ready() bool {
	for _, a := range p.accounts {
		if s := a.status.read(); s.Passes == 0 && s.Error == "" {
			return false
		}
	}
	return true
}

// Status describes every account, in the order of the configuration.
func (p *Poller) Status() []Status {
	list := make([]Status, len(p.accounts))
	for i, a := range p.accounts {
		list[i] = a.describe()
	}
	return list
}
