package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"checkout-notifier/broker"
	"checkout-notifier/config"
	"checkout-notifier/event"
	"checkout-notifier/loglimit"
	"checkout-notifier/publish"
)

const (
	heartbeatLook    = time.Second // how often it looks whether it is due
	heartbeatTimeout = 10 * time.Second
)

// States of the heartbeat.
const (
	heartbeatWaiting = "waiting" // for the first complete pass of every account
	heartbeatSent    = "sent"
	heartbeatStopped = "stopped" // not everything is well
)

// heartbeatReport is how the heartbeat is doing.
type heartbeatReport struct {
	State string    `json:"state"`
	Why   string    `json:"why,omitempty"`   // it is stopped, or for which accounts it waits
	Error string    `json:"error,omitempty"` // of the last request, if it failed
	Last  time.Time `json:"last,omitzero"`   // request that was accepted
}

func (r *heartbeatReport) String() string {
	switch {
	case r.State == heartbeatStopped:
		return "is not sent: " + r.Why
	case r.State == heartbeatWaiting:
		return "waits for the first complete pass of " + cmp.Or(r.Why, "every account")
	case r.Error != "":
		return fmt.Sprintf("does not arrive, last %s: %s", ago(r.Last), r.Error)
	}
	return "sent, last " + ago(r.Last)
}

// heartbeat lets a dead man's switch know that everything is well, and does not
// when it is not. One goroutine runs it; report may be called from any.
type heartbeat struct {
	every time.Duration
	ping  func(ctx context.Context) error
	// ill says why not everything is well, "" if it is; waiting, for what, if nobody can
	// tell yet.
	ill func() (why, waiting string)
	log *slog.Logger

	due     time.Time
	stopped string // why it was not sent last; "" once it is

	mu    sync.Mutex // guards state
	state heartbeatReport
}

func newHeartbeat(cfg config.Heartbeat, ill func() (why, waiting string), log *slog.Logger) *heartbeat {
	return &heartbeat{
		every: cfg.Every, ping: pinger(cfg), ill: ill, log: log,
		state: heartbeatReport{State: heartbeatWaiting},
	}
}

func (h *heartbeat) report() heartbeatReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// Run sends heartbeats until the context ends.
func (h *heartbeat) Run(ctx context.Context) error {
	ticker := time.NewTicker(heartbeatLook)
	defer ticker.Stop()
	for {
		// Half a look early counts as due: one that comes a little late must not
		// put the next off by a whole look, and every second by a second.
		if now := time.Now(); !now.Before(h.due.Add(-heartbeatLook / 2)) {
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
func (h *heartbeat) beat(ctx context.Context, now time.Time) {
	was := h.report()
	why, waiting := h.ill()
	switch {
	case why != "":
		if was.State != heartbeatStopped {
			h.log.Warn("the heartbeat is not sent: not everything is well", "why", why)
		}
		h.stopped = why
		h.set(func(s *heartbeatReport) { s.State, s.Why = heartbeatStopped, why })
		return
	case waiting != "":
		h.set(func(s *heartbeatReport) { s.State, s.Why = heartbeatWaiting, waiting })
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
	h.set(func(s *heartbeatReport) {
		s.State, s.Why, s.Error = heartbeatSent, "", ""
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

func (h *heartbeat) set(change func(*heartbeatReport)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.state)
}

// pinger makes one GET, within a time-out. The URL is a secret and in no error.
func pinger(cfg config.Heartbeat) func(context.Context) error {
	client := &http.Client{
		Timeout:       heartbeatTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without the proxies of the environment
			DialContext: (&net.Dialer{Timeout: heartbeatTimeout}).DialContext, TLSHandshakeTimeout: heartbeatTimeout,
			ForceAttemptHTTP2: true, DisableKeepAlives: true,
		},
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.URL.Reveal(), nil)
		if err != nil {
			return errors.New("heartbeat.url cannot be used")
		}
		req.Header.Set("User-Agent", "notifier/"+version())
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
			return fmt.Errorf("no answer within %s", heartbeatTimeout)
		}
		err = wrapped.Err
	}
	return err
}

// ill says why not everything is well; waiting, which accounts have not finished
// their first pass.
func (d *daemon) ill() (why, waiting string) {
	if err := d.store.failure(); err != nil {
		return "the store cannot be written: " + err.Error(), ""
	}
	if err := d.store.InPlace(); err != nil {
		return err.Error(), ""
	}
	if why := d.backupReport().trouble(); why != "" {
		return why, ""
	}
	if d.broker != nil {
		state := d.broker.Status()
		if why := embeddedTrouble(&state); why != "" {
			return why, ""
		}
	}
	for _, c := range d.owner.open() {
		return conditionText(c), ""
	}
	for _, s := range d.relay.Status() {
		if why := destinationTrouble(&s); why != "" {
			return fmt.Sprintf("destination %s %s", s.Name, why), ""
		}
	}
	var accounts []string
	for _, s := range d.poller.Status() {
		if s.Passes == 0 {
			accounts = append(accounts, s.Account)
		}
	}
	return "", strings.Join(accounts, ", ")
}

// embeddedTrouble says what is wrong with the embedded server, "" if nothing is.
// What its streams lost stays said until somebody starts the daemon again: nobody
// else knows of it.
func embeddedTrouble(s *broker.Status) string {
	switch {
	case s == nil:
	case s.Why != "":
		return fmt.Sprintf("the embedded NATS server takes no messages since %s: %s (%s)", s.Since.Format(time.RFC3339), s.Why, s.Dir)
	case !s.Lost.IsZero():
		return fmt.Sprintf("the embedded NATS server lost what its streams held: %s was removed while in use, last found so at %s; "+
			"deliver it again (notifier replay --since 7d --to DESTINATION), then restart notifier to end this message", s.Dir, s.Lost.Format(time.RFC3339))
	}
	return ""
}

// destinationTrouble says what is wrong with a destination of which the owner was
// told that it fails, or that has stopped by itself; "" if nothing is. One that
// somebody paused is as it was meant to be.
func destinationTrouble(s *publish.DestinationStatus) string {
	switch {
	case s.State == publish.StatePaused && s.PausedBy == "":
		return "has " + s.Why
	case s.State == publish.StatePaused:
		return ""
	case s.Told:
		return "fails: " + s.Why
	}
	return ""
}

// conditionText says for people what is wrong.
func conditionText(c event.Condition) string {
	switch c.Kind {
	case event.ConditionStore:
		return "the disk of the state file is nearly full: " + c.Why
	default:
		return fmt.Sprintf("%s %s is failing: %s", c.Kind, c.Subject, c.Why)
	}
}
