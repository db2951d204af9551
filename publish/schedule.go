package publish

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// retryAfterLimit is how long a destination may ask us to stay away when its
// own schedule is shorter.
const retryAfterLimit = 24 * time.Hour

// slot returns the pause after the n-th refusal (from 1), before jitter. ok is
// false when the schedule is used up and does not repeat.
func (r Retry) slot(n int, repeat bool) (pause time.Duration, ok bool) {
	switch {
	case n < 1 || len(r.Schedule) == 0:
		return 0, false
	case n <= len(r.Schedule):
		return r.Schedule[n-1], true
	case repeat:
		return r.Schedule[len(r.Schedule)-1], true
	}
	return 0, false
}

// pause applies to a slot what the destination asked for, or else the jitter.
// spread is in [0,1).
func (r Retry) pause(slot, retryAfter time.Duration, spread float64) time.Duration {
	if retryAfter > 0 {
		return min(max(retryAfter, slot), max(2*slot, retryAfterLimit))
	}
	return time.Duration(float64(slot) * (1 + r.Jitter*(2*spread-1)))
}

// spread is the chance in a jittered pause: it keeps the deliveries that failed
// together from coming back together.
func spread() float64 { return rand.Float64() }

// A destination that cannot take anything is probed from probeFirst on.
const (
	probeFirst   = time.Second
	longestPause = 15 * time.Second // of any backoff
)

// backoff doubles from first to longestPause.
type backoff struct{ next time.Duration }

func (b *backoff) step(first time.Duration) time.Duration {
	if b.next == 0 {
		b.next = first
	}
	pause := b.next
	b.next = min(2*b.next, longestPause)
	return pause
}

func (b *backoff) reset() { b.next = 0 }

// rest is a pause that any goroutine may begin or ask about. It goes by the monotonic
// clock, so that setting the wall clock does not make it longer.
type rest struct{ until atomic.Pointer[time.Time] }

func (r *rest) begin(pause time.Duration) {
	until := time.Now().Add(pause)
	r.until.Store(&until)
}

func (r *rest) lasts() bool {
	until := r.until.Load()
	return until != nil && time.Now().Before(*until)
}

// upClock counts the time during which a destination could be reached. Its
// owner guards it.
type upClock struct {
	total   time.Duration
	since   time.Time // of the running stretch
	running bool
	assumed bool // no contact has shown yet that it should run
}

func (c *upClock) at(now time.Time) time.Duration {
	if !c.running {
		return c.total
	}
	return c.total + max(0, now.Sub(c.since))
}

// assume lets the clock run from a time on until a contact shows whether it should
// have: one that fails takes the time back.
func (c *upClock) assume(from time.Time) {
	if !c.running {
		c.running, c.since, c.assumed = true, from, true
	}
}

// known is the part of at that no contact can take back.
func (c *upClock) known(now time.Time) time.Duration {
	if c.assumed {
		return c.total
	}
	return c.at(now)
}

// skip leaves out the time until then.
func (c *upClock) skip(now, until time.Time) {
	if c.running {
		c.total, c.since = c.at(now), until
	}
}

// unskip counts from now on what was to be left out.
func (c *upClock) unskip(now time.Time) {
	if c.running && c.since.After(now) {
		c.since = now
	}
}

func (c *upClock) note(contact Contact, now time.Time) {
	switch {
	case contact == ContactMade && !c.running:
		c.running, c.since = true, now
	case contact == ContactMade:
		c.assumed = false
	case contact == ContactFailed && c.running:
		c.total = c.known(now)
		c.running, c.assumed = false, false
	}
}
