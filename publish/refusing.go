package publish

import (
	"context"
	"slices"
	"time"

	"checkout-notifier/event"
)

// A destination may take most orders and refuse some again and again. The owner is told once
// one of these has been refused for tellFailingAfter and is refused again, and is told of the
// end once none of them waits any more.

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
		lasts := up - d.Up
		waited := now.Sub(d.Last)                                                // since then nobody knows whether it would be refused
		return lasts-waited < tellFailingAfter || now.Sub(s.LastSuccess) > lasts // it takes no others: that is told otherwise
	})
	switch {
	case !well(): // any more
	case s.AnnouncedRefused && r.none:
		l.announceNoneRefused(now)
	case !s.AnnouncedRefused && len(long) > 0:
		first := slices.MinFunc(long, func(a, b event.Refusal) int { return a.First.Compare(b.First) }).First
		l.announceRefused(stored.Refused, event.Sooner(first, now), now)
	}
	l.mu.Unlock()
	l.tell(send)
}

// announceRefused tells that n deliveries that were refused wait, one of them refused again and
// again since first. It is told once, however many they become.
func (l *lane) announceRefused(n int, first, now time.Time) {
	s := &l.standing
	s.AnnouncedRefused = true
	l.news = append(l.news, l.failure(first, now, s.Refuses(l.dest.Name, l.stake, n, now.Sub(first)), s.Refusal, n))
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
