package publish

import (
	"context"
	"errors"
	"time"

	"checkout-notifier/event"
)

const (
	// drainPatience is how long a drain waits for a destination that takes nothing, or
	// for a store that fails.
	drainPatience = time.Minute
	// drainCount bounds the count of what a drain could not even try.
	drainCount = 1000
)

// tally counts what became of the deliveries of a drain.
type tally struct {
	seen              map[string]bool // begun, and not found to have to wait
	waits             map[string]bool // for the destination or their subject, tried or not
	accepted, refused int
	stuck             time.Time // since when the destination takes nothing; zero: it does
}

// drain takes turns until nothing is due that it has not tried, or the destination has
// taken nothing for too long; then again, once the other lanes are as far: what they told of
// is due by then. An error means that the outbox did not take or tell all.
func (l *lane) drain(ctx, send context.Context, waitForOthers func()) (accepted, failed int, err error) {
	l.mu.Lock()
	l.tally = &tally{seen: make(map[string]bool), waits: make(map[string]bool)}
	l.mu.Unlock()
	l.takeTurns(ctx, send)
	waitForOthers()
	l.takeTurns(ctx, send)
	err = l.finish(send)
	left, uncounted := l.left(send, drainCount)
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tally
	l.tally = nil
	for i := range left {
		t.waits[left[i].Delivery.ID] = true
	}
	return t.accepted, t.refused + len(t.waits), errors.Join(err, uncounted)
}

func (l *lane) takeTurns(ctx, send context.Context) {
	for ctx.Err() == nil && !l.storeLost() {
		t := l.turn(send)
		wait := t.wait
		if t.idle {
			if wait = l.worthWaiting(send, t.wait); wait == 0 {
				break
			}
		}
		l.sleep(ctx, wait)
	}
}

// left returns what is due and was not tried.
func (l *lane) left(send context.Context, limit int) ([]event.Job, error) {
	jobs, _, err := l.outbox.Due(send, l.dest.Name, event.Look{Now: time.Now(), First: limit, SentAgain: limit, Again: limit, Skip: l.skip})
	return jobs, err
}

// worthWaiting returns how long a drain that can begin nothing before wait has passed
// still waits for what is kept back; zero: no longer.
func (l *lane) worthWaiting(send context.Context, wait time.Duration) time.Duration {
	now := time.Now()
	closed := l.closed(now) > 0
	l.mu.Lock()
	blocked := l.subjects.blocked()
	if !closed && !blocked && !l.down() || l.givesUp(wait, now) {
		l.mu.Unlock()
		return 0
	}
	wait = min(wait, l.tally.stuck.Add(drainPatience).Sub(now))
	known := blocked || len(l.tally.waits) > 0
	l.mu.Unlock()
	if known {
		return wait
	}
	left, err := l.left(send, 1)
	if err != nil || len(left) == 0 { // the error comes again when the rest is counted
		return 0
	}
	return wait
}

// givesUp says whether a drain no longer waits for a destination that takes nothing
// before wait has passed, unless a connection comes back. The caller holds mu.
func (l *lane) givesUp(wait time.Duration, now time.Time) bool {
	t := l.tally
	if t.stuck.IsZero() {
		t.stuck = now
	}
	left := t.stuck.Add(drainPatience).Sub(now)
	mayCome := l.down() || l.subjects.blocked()
	return !l.standing.Paused.IsZero() || left <= 0 || wait > left && !mayCome
}

// count notes what came of an attempt. The caller holds mu.
func (l *lane) count(d *event.Delivery, o event.Outcome) {
	t := l.tally
	if t == nil {
		return
	}
	delete(t.waits, d.ID)
	switch o {
	case event.OutcomeAccepted:
		t.accepted++
		t.stuck = time.Time{}
	case event.OutcomeUnavailable:
		t.waits[d.ID] = true
		delete(t.seen, d.ID) // it is tried again when the destination takes something
	default:
		t.refused++
	}
}
