package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Values of Received.Verification.
const (
	// Verified: every signature scheme in the request is right.
	Verified = "verified"
	// Unsigned: the receiver has no secrets, so nothing was checked.
	Unsigned = "unsigned"
	// Refused: Received.Reason says what is wrong.
	Refused = "refused"
)

// ReceiverConfig is what NewReceiver needs. The zero value accepts everything
// and checks nothing.
type ReceiverConfig struct {
	// Secrets are whsec_ secrets; a signature made with any of them counts.
	Secrets []string
	// Tolerance is how far a timestamp may be from Now, either way. If zero, 5m.
	Tolerance time.Duration
	// Keep is how many requests are kept; older ones are forgotten. If zero, all.
	Keep int
	// Now is the clock. If nil, time.Now.
	Now func() time.Time
	// OnRequest, if set, is called with every request after it was recorded and
	// before it is answered, by several goroutines when several requests are
	// in flight.
	OnRequest func(Received)
	// Respond, if set, decides the answer to a request that is verified or
	// unsigned; Received.Status is not set yet. It is called like OnRequest.
	Respond func(Received) Response
	// Logger receives one debug line for each request. If nil, nothing is logged.
	Logger *slog.Logger
}

// Response is a scripted answer. The zero value is 204 at once.
type Response struct {
	Status int // 0, or one that cannot be sent, means 204
	Header http.Header
	Body   []byte
	// Delay passes before the answer, unless the client leaves first.
	Delay time.Duration
}

// Received is one recorded request. Header and Body must not be changed.
type Received struct {
	Time   time.Time
	Method string
	Path   string
	// ID is the webhook-id header. Attempt counts its requests, from 1, among
	// those that are kept.
	ID      string
	Attempt int
	Header  http.Header
	Body    []byte
	// Verification is Verified, Unsigned or Refused; Schemes are the schemes
	// whose signatures were right; Reason says why a request was refused.
	Verification string
	Schemes      []string
	Reason       string
	// Status is what the request is answered with, were the client to wait.
	Status int
}

// Receiver is a webhook endpoint that verifies, records and answers: 204, or
// what Respond says; 401 on a bad signature; 405 unless POST; 413 over 1 MiB;
// 400 for a body that breaks off. Make it with NewReceiver. All methods may be
// called at any time from any goroutine.
type Receiver struct {
	cfg  ReceiverConfig
	keys []signingKey

	mu       sync.Mutex // guards everything below
	kept     []Received
	total    int            // recorded since the start or the last Reset
	attempts map[string]int // of the kept ones, by ID
	grown    chan struct{}  // closed and replaced when total grows
}

// NewReceiver returns a receiver without requests. A secret that cannot be used
// is ErrInvalid.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	keys := make([]signingKey, 0, len(cfg.Secrets))
	for i, secret := range cfg.Secrets {
		key, err := newSigningKey(secret)
		if err != nil {
			return nil, fmt.Errorf("reading secret %d of the receiver: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Tolerance == 0 {
		cfg.Tolerance = 5 * time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Receiver{cfg: cfg, keys: keys, attempts: map[string]int{}, grown: make(chan struct{})}, nil
}

// ServeHTTP verifies, records and answers one request.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	got := Received{
		Time:   rc.cfg.Now(),
		Method: r.Method,
		Path:   r.URL.RequestURI(),
		ID:     r.Header.Get("webhook-id"),
		Header: r.Header.Clone(),
		Body:   body,
	}
	answer := rc.judge(&got, err)
	rc.count(&got)
	if got.Verification != Refused && rc.cfg.Respond != nil {
		answer = rc.cfg.Respond(got)
	}
	if answer.Status < 200 || answer.Status > 999 {
		answer.Status = http.StatusNoContent
	}
	got.Status = answer.Status
	rc.record(got)
	rc.cfg.Logger.DebugContext(r.Context(), "simulated receiver answers", "id", got.ID,
		"attempt", got.Attempt, "verification", got.Verification, "reason", got.Reason, "status", got.Status)
	if rc.cfg.OnRequest != nil {
		rc.cfg.OnRequest(got)
	}
	answer.write(w, r)
}

// judge fills in the verdict on a request and returns the answer to a refused
// one. readErr is what kept the body from being read whole.
func (rc *Receiver) judge(got *Received, readErr error) Response {
	refused := func(status int, reason string) Response {
		got.Verification, got.Reason = Refused, reason
		return Response{Status: status, Body: []byte(reason + "\n")}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(readErr, &tooLarge):
		return refused(http.StatusRequestEntityTooLarge, "body is larger than 1 MiB")
	case readErr != nil:
		return refused(http.StatusBadRequest, fmt.Sprintf("reading the body: %v", readErr))
	case got.Method != http.MethodPost:
		return refused(http.StatusMethodNotAllowed, "method is not POST")
	case len(rc.keys) == 0:
		got.Verification = Unsigned
		return Response{}
	}
	schemes, err := rc.verify(*got)
	got.Schemes = schemes
	if err != nil {
		return refused(http.StatusUnauthorized, err.Error())
	}
	got.Verification = Verified
	return Response{}
}

// count sets the attempt number.
func (rc *Receiver) count(got *Received) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.attempts[got.ID]++
	got.Attempt = rc.attempts[got.ID]
}

// record keeps a request and wakes those who wait for it.
func (rc *Receiver) record(got Received) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.kept = append(rc.kept, got)
	if rc.cfg.Keep > 0 && len(rc.kept) > rc.cfg.Keep {
		oldest := rc.kept[0].ID
		if rc.attempts[oldest]--; rc.attempts[oldest] <= 0 {
			delete(rc.attempts, oldest)
		}
		rc.kept = slices.Delete(rc.kept, 0, 1)
	}
	rc.total++
	close(rc.grown)
	rc.grown = make(chan struct{})
}

// Requests returns the kept requests in the order in which their answers were
// decided. The slice is the caller's.
func (rc *Receiver) Requests() []Received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.kept)
}

// Wait returns Requests as soon as n requests were recorded since the start or
// the last Reset, or the error of ctx.
func (rc *Receiver) Wait(ctx context.Context, n int) ([]Received, error) {
	for {
		rc.mu.Lock()
		total, kept, grown := rc.total, slices.Clone(rc.kept), rc.grown
		rc.mu.Unlock()
		if total >= n {
			return kept, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return kept, fmt.Errorf("waiting for %d requests, got %d: %w", n, total, ctx.Err())
		}
	}
}

// Reset forgets everything that was recorded.
func (rc *Receiver) Reset() {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.kept, rc.total, rc.attempts = nil, 0, map[string]int{}
}

// write sends the answer after its delay.
func (a Response) write(w http.ResponseWriter, r *http.Request) {
	if a.Delay > 0 {
		timer := time.NewTimer(a.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // the client may have gone
}
