// Package pacer gives leave to send requests: no more a second, and no more at once,
// than were configured, fewer while the API is overtaxed, and none while it wants to be
// left alone. It sends nothing itself and knows neither accounts nor what is asked.
package pacer

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is the request rate below which no back-off goes, per second.
	slowest = 1.0
	// restoreIn is in how many answers a rate grows by what it was cut from, and
	// widenAfter how many in a row allow one more page at once.
	restoreIn  = 60
	widenAfter = 32
	// noWait is what a request may wait without having been kept back.
	noWait = time.Millisecond
)

// Pacer gives leave to send requests of one account. The rate grows by addition
// while requests are answered and is halved when the API is overtaxed; so is the
// number of requests at once when it objects to that. It is safe for concurrent use.
type Pacer struct {
	limit   float64 // as configured; 0 = none
	most    int     // requests at once, as configured
	limiter *rate.Limiter

	mu       sync.Mutex
	changed  chan struct{} // closed when one that waits for its turn should look again
	retry    chan struct{} // closed when what is waited for after a failure is to be tried at once
	current  float64       // requests per second; 0 = unlimited
	cutAt    float64       // the rate that was too much
	cut      time.Time
	parallel int
	inFlight int
	denied   bool      // the key may be refused: one request at a time finds out whether it is
	failed   bool      // the last request, for which the API may be overtaxed
	answers  int       // in a row since parallel changed
	resume   time.Time // no request before
	asked    time.Time // so far the API itself asked for that
	recent   tally
}

// tally counts requests, to tell at which rate an account without a limit sends.
type tally struct {
	since time.Time
	n     int
}

func (t *tally) add(now time.Time) {
	if now.Sub(t.since) > 10*time.Second {
		*t = tally{since: now}
	}
	t.n++
}

func (t *tally) perSecond(now time.Time) float64 {
	return float64(t.n) / max(1, now.Sub(t.since).Seconds())
}

func New(limit float64, most int) *Pacer {
	p := &Pacer{limit: limit, most: max(most, 1), current: limit, changed: make(chan struct{}), retry: make(chan struct{})}
	p.parallel = p.most
	p.limiter = rate.NewLimiter(p.allowed(), max(1, int(limit)))
	return p
}

func (p *Pacer) allowed() rate.Limit {
	if p.current == 0 {
		return rate.Inf
	}
	return rate.Limit(p.current)
}

// Enter waits for the leave to send a request, which ends with Leave. It returns
// how long the rate alone made it wait.
func (p *Pacer) Enter(ctx context.Context) (waited time.Duration, err error) {
	for {
		p.mu.Lock()
		pause, free, changed := time.Until(p.resume), p.inFlight < p.parallel && (!p.denied || p.inFlight == 0), p.changed
		if pause <= 0 && free {
			p.inFlight++
			p.mu.Unlock()
			break
		}
		p.mu.Unlock()
		if pause > 0 {
			if !p.Rest(ctx, pause) {
				return 0, ctx.Err()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
	began := time.Now()
	if err := p.limiter.Wait(ctx); err != nil {
		p.Release()
		return 0, errors.Join(err, ctx.Err())
	}
	p.mu.Lock()
	if time.Until(p.resume) > 0 { // asked for while the rate made it wait
		p.mu.Unlock()
		p.Release()
		return p.Enter(ctx)
	}
	defer p.mu.Unlock()
	now := time.Now()
	p.recent.add(now)
	if waited = now.Sub(began); waited < noWait {
		waited = 0
	}
	return waited, nil
}

func (p *Pacer) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.wake()
}

func (p *Pacer) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Rest waits after a failure, at most until TryNow, and says whether the context is
// still alive.
func (p *Pacer) Rest(ctx context.Context, d time.Duration) bool {
	p.mu.Lock()
	now := p.retry
	p.mu.Unlock()
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-now:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// TryNow ends what is waited after a failure, also after a refused key, unless the API asked
// for a pause: a single request finds out whether the key is still refused.
func (p *Pacer) TryNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.asked.After(now) {
		return
	}
	if p.denied && p.resume.After(now) {
		p.resume = now
	}
	close(p.retry)
	p.retry = make(chan struct{})
}

// Pause keeps every request back for a while.
func (p *Pacer) Pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resume = later(p.resume, time.Now().Add(d))
}

// Failure is what a pacer must know of a request that failed.
type Failure struct {
	RetryAfter  time.Duration // for which the API asked to be left alone
	Denied      bool          // the key is refused; Pause says for how long none is sent
	MaybeDenied bool          // the key may be refused, or only what was asked for
	Throttled   bool          // the API was asked too often
	Overtaxed   bool          // it may have been: once is chance
	Crowded     bool          // it objects to the number of requests at once
}

// Leave notes how a request went; failure is nil for one that was answered.
func (p *Pacer) Leave(failure *Failure, sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.denied = failure != nil && (failure.Denied || failure.MaybeDenied)
	if failure != nil { // before anybody who waits is woken
		until := time.Now().Add(failure.RetryAfter)
		p.resume, p.asked = later(p.resume, until), later(p.asked, until)
	}
	switch {
	case p.denied && failure.Denied: // until Pause says how long
		p.resume = later(p.resume, time.Now().Add(time.Second))
	case failure == nil:
		p.speedUp()
	case failure.Crowded:
		p.answers = 0
		p.parallel = max(1, p.parallel/2)
	case failure.Throttled, failure.Overtaxed && p.failed:
		p.slowDown(sent)
	}
	p.failed = failure != nil && failure.Overtaxed
	p.limiter.SetLimit(p.allowed())
	p.wake()
}

func (p *Pacer) speedUp() {
	if p.answers++; p.answers >= widenAfter && p.parallel < p.most {
		p.parallel, p.answers = p.parallel+1, 0
	}
	if p.current == p.limit {
		return
	}
	p.current += max(p.cutAt, p.limit) / restoreIn
	switch {
	case p.limit > 0:
		p.current = min(p.current, p.limit)
	case p.current > 4*p.cutAt: // the API has recovered
		p.current = 0
	}
}

// slowDown halves the rate, once for all the requests that were under way.
func (p *Pacer) slowDown(sent time.Time) {
	now := time.Now()
	if !sent.After(p.cut) || now.Sub(p.cut) < time.Second {
		return
	}
	p.cut = now
	present := p.current
	if present == 0 {
		present = p.recent.perSecond(now)
	}
	p.cutAt = max(present, slowest)
	p.current = max(slowest, present/2)
	if p.limit > 0 {
		p.current = min(p.current, p.limit)
	}
}

// State returns the present rate, 0 for unlimited, and how many requests may be
// under way at once.
func (p *Pacer) State() (perSecond float64, parallel int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current, p.parallel
}

// Held returns until when every request is kept back, and whether the API asked
// for that; the zero time if none is.
func (p *Pacer) Held() (until time.Time, asked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.resume.After(now) {
		return time.Time{}, false
	}
	return p.resume, p.asked.After(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
