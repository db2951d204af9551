package publish

import (
	"context"
	"log/slog"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// The owner hears of trouble once it has lasted, whatever restarts meanwhile. So how
// long it has lasted is stored from time to time until that is long enough: what was
// not stored before a crash counts as time in which the program did not run.

// marks is when the lane stores how long trouble has lasted.
type marks struct {
	next   time.Time // zero: there is none
	pauses backoff
	stored uint64 // version of the standing that is stored, as far as attempts brought it
	open   bool   // that has trouble
}

// wrote notes which standing was stored.
func (m *marks) wrote(s *event.Standing) {
	if s.Version >= m.stored {
		m.stored, m.open = s.Version, s.Troubled()
	}
}

// lastsLonger says whether there is something that has not lasted long enough to be told.
// The caller holds mu.
func (l *lane) lastsLonger(s *event.Standing, now time.Time) bool {
	if !s.Paused.IsZero() || s.ToldToFail() {
		return s.Well.IsOpen()
	}
	return s.Down.IsOpen() && s.Down.Lasted(now) < tellAfter ||
		s.Blocked.IsOpen() && s.Blocked.Lasted(now) < tellAfter ||
		!s.FailedSince.IsZero() && l.refusedFor(now) < tellFailingAfter
}

// markTrouble stores how long trouble has lasted, and its end, when the time for that
// has come, or for the last time. What attempts brought is written down before it, with
// what the owner hears of that. It returns when to be called again. The caller is the
// loop, or has ended it.
func (l *lane) markTrouble(send context.Context, now time.Time, last bool) time.Duration {
	l.mu.Lock()
	m, s := &l.health.marks, l.snapshot(now)
	due := false
	switch {
	case len(l.news)+len(l.results) > 0:
		if !m.next.After(now) { // then the store is asked again to keep them
			m.next = now.Add(m.pauses.step(probeFirst))
		}
	case !s.Troubled():
		due, m.next = m.open, time.Time{}
		m.pauses.reset()
	case !l.lastsLonger(&s, now):
		due, m.next = !m.open, time.Time{}
	case m.next.IsZero():
		m.next = now.Add(m.pauses.step(probeFirst))
		due = last
	case last || !now.Before(m.next):
		m.next = now.Add(m.pauses.step(probeFirst))
		due = true
	}
	wait := idleLook
	if !m.next.IsZero() {
		wait = max(time.Millisecond, m.next.Sub(now))
	}
	if !due {
		l.mu.Unlock()
		return wait
	}
	l.standing.Version++
	change := l.statement(now)
	l.mu.Unlock()
	if err := l.save(context.WithoutCancel(send), &change); err != nil {
		l.log.Error("the state of the destination could not be stored; it is tried again", loglimit.Repeats("standing"), slog.Any("error", err))
		return probeFirst
	}
	return wait
}
