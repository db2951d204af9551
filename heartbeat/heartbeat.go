// Package heartbeat asks a URL at intervals while everything is well, so that a dead
// man's switch notices when it is not, or when nobody is there to ask.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"checkout-notifier/loglimit"
	"checkout-notifier/secret"
)

const (
	lookEvery = time.Second // how often it looks whether it is due
	timeout   = 10 * time.Second
)

// Config is the operator's `heartbeat` section; an empty URL means none.
type Config struct {
	URL   secret.String `koanf:"url"`
	Every time.Duration `koanf:"every"`
}

// States of the heartbeat.
const (
	Waiting = "waiting" // for the first complete pass of every account
	Sent    = "sent"
	Stopped = "stopped" // not everything is well
)

// Report is how the heartbeat is doing.
type Report struct {
	State string    `json:"state"`
	Why   string    `json:"why,omitempty"`   // it is stopped, or will be with the next one; or for which accounts it waits
	Error string    `json:"error,omitempty"` // of the last request, if it failed
	Last  time.Time `json:"last,omitzero"`   // request that was accepted
}

// Heartbeat lets a dead man's switch know that everything is well, and does not
// when it is not. One goroutine runs it; Report may be called from any.
type Heartbeat struct {
	every time.Duration
	ping  func(ctx context.Context) error
	ill   func() (why, waiting string)
	log   *slog.Logger

	due     time.Time
	stopped string // why it was not sent last; "" once it is

	mu    sync.Mutex // guards state
	state Report
}

// New returns a heartbeat that is not sent yet. ill says why not everything is well,
// "" if it is; waiting, for what, if nobody can tell yet. It may be called from any
// goroutine.
func New(cfg Config, version string, ill func() (why, waiting string), log *slog.Logger) *Heartbeat {
	return &Heartbeat{
		every: cfg.Every, ping: pinger(cfg, version), ill: ill, log: log,
		state: Report{State: Waiting},
	}
}

// Report says how the heartbeat is doing, and what withholds the next one if that were
// due now.
func (h *Heartbeat) Report() Report {
	h.mu.Lock()
	state := h.state
	h.mu.Unlock()
	if state.State == Sent {
		state.Why, _ = h.ill()
	}
	return state
}

// Run sends heartbeats until the context ends.
func (h *Heartbeat) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		// Half a look early counts as due: one that comes a little late must not
		// put the next off by a whole look, and every second by a second.
		if now := time.Now(); !now.Before(h.due.Add(-lookEvery / 2)) {
			h.beat(ctx, now)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// beat sends one if all is well. If it is not, the next look tries again, so
// that the heartbeat resumes as soon as it may.
func (h *Heartbeat) beat(ctx context.Context, now time.Time) {
	was := h.Report()
	why, waiting := h.ill()
	switch {
	case why != "":
		if was.State != Stopped {
			h.log.Warn("the heartbeat is not sent: not everything is well", "why", why)
		}
		h.stopped = why
		h.set(func(s *Report) { s.State, s.Why = Stopped, why })
		return
	case waiting != "":
		h.set(func(s *Report) { s.State, s.Why = Waiting, waiting })
		return
	case h.stopped != "":
		h.log.Info("the heartbeat is sent again: everything is well", "it_was", h.stopped)
		h.stopped = ""
	}
	h.due = now.Add(h.every)
	err := h.ping(ctx)
	if ctx.Err() != nil {
		return
	}
	h.set(func(s *Report) {
		s.State, s.Why, s.Error = Sent, "", ""
		if err != nil {
			s.Error = err.Error()
		} else {
			s.Last = now.UTC()
		}
	})
	switch {
	case err != nil:
		h.log.Warn("the heartbeat did not arrive; the next ones are tried as usual", loglimit.Repeats("heartbeat"), slog.Any("error", err))
	case was.Error != "":
		h.log.Info("the heartbeat arrives again", loglimit.Ends("heartbeat"))
	}
}

func (h *Heartbeat) set(change func(*Report)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.state)
}

// pinger makes one GET, within a time-out. The URL is a secret and in no error.
func pinger(cfg Config, version string) func(context.Context) error {
	client := &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without the proxies of the environment
			DialContext: (&net.Dialer{Timeout: timeout}).DialContext, TLSHandshakeTimeout: timeout,
			ForceAttemptHTTP2: true, DisableKeepAlives: true,
		},
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.URL.Reveal(), nil)
		if err != nil {
			return errors.New("heartbeat.url cannot be used")
		}
		req.Header.Set("User-Agent", "notifier/"+version)
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("asking %s: %w", cfg.URL.URL(), withoutURL(err))
		}
		defer resp.Body.Close()
		const enough = 64 << 10
		_, _ = io.CopyN(io.Discard, resp.Body, enough) // only the status counts
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("%s answered with status %d", cfg.URL.URL(), resp.StatusCode)
		}
		return nil
	}
}

// withoutURL takes off what quotes the URL.
func withoutURL(err error) error {
	for wrapped := (*url.Error)(nil); errors.As(err, &wrapped); {
		if wrapped.Timeout() {
			return fmt.Errorf("no answer within %s", timeout)
		}
		err = wrapped.Err
	}
	return err
}
