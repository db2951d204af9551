package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"checkout-notifier/event"
)

const (
	// triesPerRequest bounds how long one request is repeated before its pass
	// fails, so that a page that always fails cannot hide all the others.
	triesPerRequest = 8
	// triesPerRequestOnce is the same for a single pass, whose caller waits.
	triesPerRequestOnce = 3
)

// account polls one account. Its fields belong to the goroutine that runs it,
// but for status.
type account struct {
	cfg      Account
	client   *Client
	tracker  Tracker
	handler  Handler
	observer Observer
	log      *slog.Logger
	limiter  *rate.Limiter

	loaded        bool
	tries         int
	state         event.Account
	index         *index
	forgotten     time.Time // settled sessions created before are not in the index
	clock         clock
	failures      int       // requests in a row
	broken        int       // passes in a row
	resume        time.Time // no request before, whichever it is
	limitHonoured bool      // a page was as long as asked for
	sawEnd        bool      // has_more was false once
	deep          bool      // the present chain reads what no later pass does
	listed        bool      // the present pass was shown sessions
	reconciled    time.Time // when a pass last read the whole window
	status        statusBox
}

func newAccount(cfg Account, client *Client, tracker Tracker, handler Handler, o Options) *account {
	limit := rate.Inf
	if cfg.Poll.RateLimit > 0 {
		limit = rate.Limit(cfg.Poll.RateLimit)
	}
	a := &account{
		cfg: cfg, client: client, tracker: tracker, handler: handler, observer: o.Observer,
		log:     o.Logger.With("account", cfg.Name),
		limiter: rate.NewLimiter(limit, max(1, int(cfg.Poll.RateLimit))),
		tries:   triesPerRequest,
		index:   newIndex(),
	}
	a.status.status = Status{Account: cfg.Name, Host: a.host(), Mode: a.mode()}
	return a
}

func (a *account) host() string {
	u, err := url.Parse(a.cfg.Endpoint())
	if err != nil {
		return ""
	}
	return u.Host
}

// mode is live or test, by the key. A key of neither kind, which only another
// host than the official ones can accept, counts as test.
func (a *account) mode() string {
	if KeyMode(a.cfg.SecretKey.Reveal()) == ModeLive {
		return ModeLive
	}
	return ModeTest
}

// load reads what is stored of the account, once.
func (a *account) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	stored, known, err := a.tracker.Account(ctx, a.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading account %s: %w", a.cfg.Name, err)
	}
	if known && (stored.Host != a.host() || stored.Mode != a.mode()) {
		return fmt.Errorf("%w: account %q belongs to %s (%s), the configuration says %s (%s): "+
			"give the new one another name, or another state.path", ErrRebound, a.cfg.Name, stored.Host, stored.Mode, a.host(), a.mode())
	}
	if !known {
		stored = event.Account{Name: a.cfg.Name, Host: a.host(), Mode: a.mode()}
	}
	rows, err := a.tracker.Tracked(ctx, a.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the sessions of account %s: %w", a.cfg.Name, err)
	}
	for _, row := range rows {
		a.index.put(row)
	}
	a.state, a.loaded = stored, true
	a.publish()
	return nil
}

// publish brings the status up to date with what the account knows.
func (a *account) publish() {
	watched := 0
	for _, e := range a.index.oldest {
		if e.Watch.Is(event.Watched) {
			watched++
		}
	}
	a.status.update(func(s *Status) {
		s.Tracked, s.Watched = len(a.index.oldest), watched
		s.Start, s.Low, s.Foreign = a.state.Start, a.state.Low, a.state.Foreign
		s.ClockSkew = a.clock.offset
	})
}

func (a *account) run(ctx context.Context) error {
	if err := a.load(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for ctx.Err() == nil {
		began := time.Now()
		switch err := a.pass(ctx); {
		case err == nil:
			a.broken = 0
		case ctx.Err() == nil:
			// Told of the first of a row, and then of fewer and fewer.
			if a.broken++; a.broken&(a.broken-1) == 0 {
				a.log.Warn("pass was not completed; what it read is kept, the rest is read again", "error", err, "in_a_row", a.broken)
			}
		}
		if !sleep(ctx, a.cfg.Poll.Interval-time.Since(began)) {
			break
		}
	}
	return nil
}

func (a *account) once(ctx context.Context) error {
	if err := a.load(ctx); err != nil {
		return err
	}
	a.tries = triesPerRequestOnce
	err := a.pass(ctx)
	if err != nil && !errors.Is(err, ErrForeign) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// ask makes a request, again and again if it fails, and takes note of how it
// went. A 404 and a refused request are answers: they come back at once.
func (a *account) ask(ctx context.Context, request func(context.Context) error) error {
	for n := 1; ; n++ {
		if !sleep(ctx, time.Until(a.resume)) {
			return ctx.Err()
		}
		if err := a.limiter.Wait(ctx); err != nil {
			return fmt.Errorf("waiting for the rate limit: %w", err)
		}
		err := request(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var failure *Error
		switch {
		case err == nil:
			a.observer.APIRequest(a.cfg.Name, "200")
			a.answered()
			return nil
		case !errors.As(err, &failure):
			return err
		}
		a.observer.APIRequest(a.cfg.Name, failure.code())
		if failure.Kind == KindNotFound || failure.Kind == KindRefused {
			a.answered()
			return err
		}
		a.failed(failure)
		a.resume = time.Now().Add(backoff(failure, n, rand.Float64()))
		if n >= a.tries || (failure.Kind == KindDenied && a.tries == triesPerRequestOnce) {
			return err
		}
	}
}

// answered notes a request that was answered as asked. While passes fail that
// alone is no good news.
func (a *account) answered() {
	if a.failures > 0 {
		a.log.Info("the API answers again", "failed_requests", a.failures)
	}
	a.failures = 0
	a.status.update(func(s *Status) {
		s.Requests++
		if a.broken == 0 {
			s.Healthy, s.Error, s.ErrorSince = true, "", time.Time{}
		}
	})
}

// failed notes a failed request; the log tells of the first of a row and then
// of fewer and fewer.
func (a *account) failed(failure *Error) {
	a.failures++
	if a.failures&(a.failures-1) == 0 {
		level := slog.LevelWarn
		if failure.Kind == KindDenied {
			level = slog.LevelError
		}
		a.log.Log(context.Background(), level, "request failed and is repeated", "error", failure, "in_a_row", a.failures)
	}
	a.status.update(func(s *Status) {
		s.Requests++
		if s.ErrorSince.IsZero() {
			s.ErrorSince = time.Now()
		}
		s.Healthy, s.Error = false, failure.Error()
	})
}

// odd counts an oddity of the API and says it once.
func (a *account) odd(code, message string, args ...any) {
	if a.status.odd(code, message) {
		a.log.Warn(message, append([]any{"oddity", code}, args...)...)
	}
}

// save stores what must be known of the account after a restart.
func (a *account) save(ctx context.Context) error {
	if err := a.tracker.SaveAccount(ctx, a.state); err != nil {
		return fmt.Errorf("storing account %s: %w", a.cfg.Name, err)
	}
	return nil
}

// sleep waits, and says whether the context is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
