package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"checkout-notifier/event"
)

// ErrUnknownAccount is an account that is not configured.
var ErrUnknownAccount = errors.New("there is no such account")

// errEnded is told to whoever waits for a pass that is not made any more.
var errEnded = errors.New("the daemon is stopping")

// PassReport is what came of a pass.
type PassReport struct {
	Account  string        `json:"account"`
	Took     event.Seconds `json:"took_seconds"`
	Requests int           `json:"requests"`
	Sessions int           `json:"sessions"` // looks
	Events   int           `json:"events"`   // since it was asked for: also those of a pass that was under way
	Error    string        `json:"error,omitempty"`
	// Unreachable says that the error is that the API could not be reached.
	Unreachable bool `json:"unreachable,omitempty"`

	events int64 // of the account when the pass ended
}

// Backfill asks for a range of the list to be read again.
type Backfill struct {
	Accounts []string  // none: all
	Since    time.Time // creation times
	Until    time.Time // zero: now
	DryRun   bool      // nothing is recorded
	Announce bool      // also what was pruned, or is older than the account's start
}

// BackfillReport is how far a backfill has come.
type BackfillReport struct {
	Pages    int       `json:"pages"`
	Sessions int       `json:"sessions"` // looks
	New      int       `json:"new"`      // sessions that were not stored
	Changed  int       `json:"changed"`  // sessions that differ from what was stored
	Events   int       `json:"events"`   // in a dry run those that there would be
	Silent   int       `json:"silent"`   // new sessions that are recorded without an announcement
	Reached  time.Time `json:"reached,omitzero"`
	Error    string    `json:"error,omitempty"`  // why it does not go on; it is tried again
	Unread   []string  `json:"unread,omitempty"` // parts of the range that the API cannot show, and how long they are
	Found    []Found   `json:"found,omitempty"`  // in a dry run, at most 1000
}

// Found is a session of which a dry run would record something.
type Found struct {
	Account string    `json:"account"`
	Session string    `json:"session"`
	Created time.Time `json:"created"`
	Types   []string  `json:"types"`
	Silent  bool      `json:"silent"`
}

// named returns the accounts of the given names, all without names.
func (p *Poller) named(names ...string) ([]*account, error) {
	if len(names) == 0 {
		return p.accounts, nil
	}
	var found []*account
	for _, name := range names {
		at := slices.IndexFunc(p.accounts, func(a *account) bool { return a.cfg.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("%w: %q", ErrUnknownAccount, name)
		}
		found = append(found, p.accounts[at])
	}
	return found, nil
}

// longestWait is how long the API may be left alone while somebody waits for an
// answer of it: back-off ends within it, a pause that the API asks for may not.
const longestWait = 30 * time.Second

// leftAlone says why the API is asked for nothing for longer than anybody waits; ""
// if that is not so.
func (a *account) leftAlone() string {
	held, asked := a.pacer.Held()
	wait := time.Until(held)
	if wait <= longestWait {
		return ""
	}
	s := a.status.read()
	wait = wait.Round(time.Second)
	if asked || !s.Denied {
		return strings.TrimSuffix(fmt.Sprintf("the API asked for a pause (Retry-After), and is asked again in %s: %s", wait, s.Error), ": ")
	}
	return fmt.Sprintf("%s; it is asked again in %s, and at once at the next `notifier poll now`", s.Error, wait)
}

// Now makes a pass over the named accounts (none: all) as soon as the present one
// has ended, and waits for it, but not for an account whose API is left alone for
// long. Of one whose key was refused it asks once, at once, whether it still is. The poller must be running. Errors: ErrUnknownAccount, or that of ctx.
func (p *Poller) Now(ctx context.Context, names ...string) ([]PassReport, error) {
	accounts, err := p.named(names...)
	if err != nil {
		return nil, err
	}
	reports := make([]PassReport, len(accounts))
	g, ctx := errgroup.WithContext(ctx)
	for i, a := range accounts {
		g.Go(func() error {
			report, err := a.passNow(ctx)
			reports[i] = report
			return err
		})
	}
	return reports, g.Wait()
}

// passNow asks for a pass and waits for it; the caller does not hold mu.
func (a *account) passNow(ctx context.Context) (PassReport, error) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	nudges, reply := a.nudges, make(chan PassReport, 1)
	began, before, requests := time.Now(), a.events.Load(), a.status.read().Requests
	if a.leftAlone() != "" {
		a.pacer.TryNow()
		a.status.update(func(s *Status) { s.NextTry = time.Time{} })
	}
	for {
		if why := a.leftAlone(); why != "" {
			return PassReport{Account: a.cfg.Name, Took: event.Seconds(time.Since(began)), Requests: a.status.read().Requests - requests, Error: why}, nil
		}
		a.pacer.TryNow() // what failed, each second
		if a.ended.Load() {
			return PassReport{Account: a.cfg.Name, Error: errEnded.Error()}, nil
		}
		select {
		case <-ctx.Done():
			return PassReport{}, ctx.Err()
		case nudges <- reply:
			nudges = nil
		case report := <-reply:
			report.Events = int(max(report.events-before, 0)) // of one that was not begun none are told
			return report, nil
		case <-look.C:
		}
	}
}

// Backfill reads a range again, a part of it in the time that each pass leaves,
// and returns once it is complete or ctx has ended. What cannot be read is tried
// again, in a dry run it ends it. The poller must be running. progress is called
// now and then with what all accounts have come to. Errors: ErrUnknownAccount,
// ErrUnreachable in a dry run, or that of ctx.
func (p *Poller) Backfill(ctx context.Context, b Backfill, progress func(BackfillReport)) (BackfillReport, error) {
	accounts, err := p.named(b.Accounts...)
	if err != nil {
		return BackfillReport{}, err
	}
	var mu sync.Mutex
	parts := make([]BackfillReport, len(accounts))
	note := func(i int, part BackfillReport) {
		mu.Lock()
		defer mu.Unlock()
		parts[i] = part
		if progress != nil {
			progress(total(parts))
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, a := range accounts {
		g.Go(func() error {
			return a.backfill(ctx, b, func(part BackfillReport) { note(i, part) })
		})
	}
	err = g.Wait()
	mu.Lock()
	defer mu.Unlock()
	return total(parts), err
}

// total adds up what accounts have come to.
func total(parts []BackfillReport) (sum BackfillReport) {
	for _, part := range parts {
		sum.Pages += part.Pages
		sum.Sessions += part.Sessions
		sum.New += part.New
		sum.Changed += part.Changed
		sum.Events += part.Events
		sum.Silent += part.Silent
		sum.Error = cmp.Or(sum.Error, part.Error)
		sum.Reached = later(sum.Reached, part.Reached)
		sum.Unread = append(sum.Unread, part.Unread...)
		sum.Found = append(sum.Found, part.Found[:min(len(part.Found), MostFound-len(sum.Found))]...)
	}
	return sum
}

// backfill adds a sweep to the account's and waits for its end; the caller does
// not hold mu.
func (a *account) backfill(ctx context.Context, b Backfill, progress func(BackfillReport)) error {
	s := &sweep{
		account: a.cfg.Name,
		since:   b.Since, until: b.Until, backfill: &b, progress: progress,
		gone: ctx.Done(), done: make(chan error, 1), told: make(map[string]bool),
	}
	a.mu.Lock()
	a.sweeps = append(a.sweeps, s)
	a.mu.Unlock()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		if why := a.leftAlone(); b.DryRun && why != "" { // nobody waits for a job
			return fmt.Errorf("%w: account %s: %s", ErrUnreachable, a.cfg.Name, why)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.done:
			if errors.Is(err, context.Canceled) { // it ended because ctx had
				return ctx.Err()
			}
			return err
		case <-look.C:
		}
	}
}
