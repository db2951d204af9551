package publish

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
)

// A destination may take what it is sent and refuse a few orders again and again. Its
// owner hears of these once one is refused that was refused as long ago as a destination
// that fails, and hears of the end once none of them waits.

// refusals is what a lane knows of the deliveries that were refused often
// (event.OftenRefused) and still wait for another try.
type refusals struct {
	none bool      // the last look at the store found none, and none was refused since
	next time.Time // when to look again
}

// tellRefused looks from time to time at what is refused again and again by a
// destination that is otherwise well, and tells of it and of its end.
func (l *lane) tellRefused(send context.Context, now time.Time) {
	l.mu.Lock()
	s, r := &l.standing, &l.health.refusals
	well := func() bool {
		return s.Paused.IsZero() && !l.broken() && !l.down() && !s.Recovering && now.Sub(s.Recovered) >= tellAfter && (s.Announced.IsZero() || s.AnnouncedRefused && !s.AnnouncedSubjects)
	}
	if !well() || r.none && !s.AnnouncedRefused || now.Before(r.next) || len(l.results) > 0 {
		l.mu.Unlock()
		return
	}
	r.next = now.Add(idleLook)
	l.mu.Unlock()
	stored, err := l.stored()
	if err != nil {
		return // it is looked again
	}
	l.mu.Lock()
	r.none = len(stored.Refusals) == 0 && len(l.results) == 0 // one may have been refused since
	up := l.clock.at(now)
	long := slices.DeleteFunc(stored.Refusals, func(d event.Refusal) bool {
		lasts := up - d.First
		waited := now.Sub(d.Last)                                                // since then nobody knows whether it would be refused
		return lasts-waited < tellFailingAfter || now.Sub(s.LastSuccess) > lasts // it takes no others: that is told otherwise
	})
	switch {
	case !well(): // any more
	case s.AnnouncedRefused && r.none:
		l.announceNoneRefused(now)
	case !s.AnnouncedRefused && len(long) > 0:
		first := slices.MinFunc(long, func(a, b event.Refusal) int { return cmp.Compare(a.First, b.First) }).First
		l.announceRefused(len(long), up-first, now)
	}
	l.mu.Unlock()
	l.tell(send)
}

func (l *lane) announceRefused(n int, lasts time.Duration, now time.Time) {
	s := &l.standing
	s.AnnouncedRefused = true
	deliveries := "1 delivery"
	if n > 1 {
		deliveries = fmt.Sprint(n, " deliveries")
	}
	summary := fmt.Sprintf("Destination %s takes others, but has refused %s again and again for %s, last: %s. %s",
		l.dest.Name, deliveries, event.FormatSpan(lasts), event.Brief(s.Refusal), event.WaitsRefused(l.dest.Name))
	l.news = append(l.news, l.failure(now.Add(-lasts), now, summary, s.Refusal, n))
}

func (l *lane) announceNoneRefused(now time.Time) {
	s := &l.standing
	l.news = append(l.news, l.recovery(s.Announced, now, "No delivery that destination %s refused again and again waits any more, after %s: each was accepted or is a dead letter."))
	s.ForgetAnnounced()
	s.Version++
}

// tellNoneWaits ends the alert of a destination that can be reached again and for which nothing
// waits any more: no accepted delivery would ever end it. It looks from time to time. If a
// delivery was refused in the meantime, the alert stays until one is accepted.
func (l *lane) tellNoneWaits(send context.Context, now time.Time) {
	l.mu.Lock()
	s, r := &l.standing, &l.health.refusals
	there := func() bool {
		return s.ToldToFail() && s.Failures == 0 && s.Paused.IsZero() && !l.broken() && !l.down() && len(l.results) == 0
	}
	if !there() || now.Before(r.next) {
		l.mu.Unlock()
		return
	}
	r.next = now.Add(idleLook)
	l.mu.Unlock()
	stored, err := l.stored()
	l.mu.Lock()
	if err == nil && stored.Pending == 0 && there() {
		l.recovered(now)
	}
	l.mu.Unlock()
	l.tell(send)
}
