package poller_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/poller"
	"checkout-notifier/secret"
)

// TestMain lets each run draw the same worlds, so that what one finds is of the change at
// hand. Others are drawn by make oracle, or with -rapid.seed.
func TestMain(m *testing.M) {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == seed.DefValue {
		if err := flag.Set(seed.Name, "611"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// inWorlds checks a property in so many worlds unless -rapid.checks says more: they
// are large.
func inWorlds(t *testing.T, most int, property func(*rapid.T)) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() != checks.DefValue {
		most = math.MaxInt
	}
	worlds := 0
	rapid.Check(t, func(rt *rapid.T) {
		if worlds++; worlds > most {
			return
		}
		defer func() {
			if rt.Failed() {
				most = math.MaxInt // for the shrinking
			}
		}()
		property(rt)
	})
}

// Whatever lives its sessions live, whatever days the API has and wherever the
// process dies, an oracle that knows the truth finds nothing to object to.
func TestOracle(t *testing.T) {
	for part := range 2 {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			inWorlds(t, 14, func(rt *rapid.T) {
				for range part { // each part has worlds of its own, with a fixed seed too
					rapid.Uint64().Draw(rt, "part")
				}
				u := drawUniverse(rt)
				if faults := u.live(t, daemon); len(faults) > 0 {
					rt.Fatal(report(u, faults))
				}
			})
		})
	}
}

func report(u *universe, faults []fault) string {
	const enough = 8
	var b strings.Builder
	fmt.Fprintf(&b, "%d faults in this world:\n%s", len(faults), u)
	for _, f := range faults[:min(enough, len(faults))] {
		fmt.Fprintf(&b, "%s: %s\n", f.kind, f.text)
	}
	return b.String()
}

// process polls a world until its context ends.
type process func(ctx context.Context, l *ledger) error

// daemon is the poller of this package as the program runs it.
func daemon(ctx context.Context, l *ledger) error {
	l.mu.Lock()
	own := l.ownClock()
	l.mu.Unlock()
	fresh := func() (*poller.Poller, error) {
		return poller.New([]poller.Account{l.config()}, l, l, poller.WithClock(poller.Options{
			Version: "test", Observer: nobody{}, Transport: l.api, Logger: slog.New(slog.DiscardHandler),
		}, func() time.Time { return time.Now().Add(own) }))
	}
	for ctx.Err() == nil {
		began := time.Now()
		p, err := fresh()
		if err != nil {
			return err
		}
		if !l.cron {
			l.meddle(ctx, p)
			return p.Run(ctx)
		}
		_ = p.RunOnce(ctx) // the next may fare better
		rest(ctx, l.universe.poll.Interval-time.Since(began))
	}
	return nil
}

// meddle asks for passes and backfills beside those that are due anyway.
func (l *ledger) meddle(ctx context.Context, p *poller.Poller) {
	if l.nudges > 0 {
		go func() {
			for ctx.Err() == nil {
				rest(ctx, l.nudges)
				_, _ = p.Now(ctx)
			}
		}()
	}
	if l.backfills > 0 {
		go func() {
			for ctx.Err() == nil {
				rest(ctx, l.backfills)
				asked, leave := context.WithTimeout(ctx, l.backfills)
				_, _ = p.Backfill(asked, poller.Backfill{Since: l.api.clock(l.api.now() - time.Hour)}, nil)
				leave()
			}
		}()
	}
}

func (l *ledger) config() poller.Account {
	return poller.Account{
		Name: "main", SecretKey: secret.String("sk_test_oracle"), BaseURL: "https://api.example",
		Start: l.start, ListParams: l.params, Poll: l.universe.poll,
	}
}

// rest waits or is woken by the end of the context.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// live lets a process live in a universe, and returns what is wrong with it.
func (u *universe) live(t *testing.T, run process) (faults []fault) {
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock starts in 2000.
		time.Sleep(time.Until(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)))
		api := &trueAPI{universe: u, began: time.Now(), beings: u.beings()}
		l := newLedger(u, api)
		end, cancel := context.WithTimeout(t.Context(), u.ends())
		defer cancel()
		go l.crashes(end)
		for end.Err() == nil {
			if err := run(l.newProcess(end), l); err != nil && end.Err() == nil {
				t.Errorf("a process ends: %v", err)
				return
			}
			rest(end, l.afterProcess())
		}
		synctest.Wait()
		faults = append(l.faults, judge(l)...)
	})
	slices.SortStableFunc(faults, func(a, b fault) int { return strings.Compare(a.kind, b.kind) })
	return faults
}

// crashes plans the crashes of a universe, each when its time has come. A commit
// that is awaited in vain is not met later, when all must be well.
func (l *ledger) crashes(end context.Context) {
	for i, c := range l.universe.crashes {
		rest(end, time.Until(l.api.began.Add(c.at)))
		l.mu.Lock()
		switch {
		case c.how == stopped && l.die == nil: // none has begun
		case c.how == stopped:
			l.down = c.down
			l.die()
		default:
			l.crash = &l.universe.crashes[i]
		}
		l.mu.Unlock()
		go func() {
			rest(end, patience)
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.crash == &l.universe.crashes[i] {
				l.crash = nil
			}
		}()
	}
}

func (l *ledger) newProcess(end context.Context) context.Context {
	ctx, die := context.WithCancel(end)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.die, l.down = die, 0
	l.births = append(l.births, l.api.now())
	return ctx
}

// afterProcess ends a process and says how long nobody looks.
func (l *ledger) afterProcess() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.die()
	return l.down
}
