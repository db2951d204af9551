package poller_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"
)

// wrongBy are the wrong times that lies tells.
var wrongBy = [...]time.Duration{
	20 * time.Minute, -20 * time.Minute, 3 * time.Minute, -3 * time.Minute, time.Hour, -time.Hour,
	24 * time.Hour, -24 * time.Hour, 20 * 24 * time.Hour, -20 * 24 * time.Hour,
}

// drawClocks draws clocks that are wrong by minutes or by days: ours or the API's.
// What both agree on is the time, so they are not wrong at once.
func (u *universe) drawClocks(t *rapid.T) {
	switch rapid.IntRange(0, 5).Draw(t, "clocks") {
	case 3:
		u.skew = oneOf(t, "skew", 90*time.Second, -90*time.Second, 24*time.Hour, -20*24*time.Hour)
	case 4:
		for range rapid.IntRange(1, 3).Draw(t, "own clocks") {
			u.own = append(u.own, oneOf(t, "own", append(wrongBy[:], 0, 0)...))
		}
	case 5:
		u.spells = append(u.spells, drawSpell(t, lies))
	}
}

// ownClock is by how much our own clock is ahead in the present process; the caller
// holds mu.
func (l *ledger) ownClock() time.Duration {
	if len(l.own) == 0 {
		return 0
	}
	return l.own[min(len(l.births), len(l.own))-1]
}

// wrongClock says whether a clock tells a wrong time at a time of the universe: the
// API's, or ours in any process.
func (u *universe) wrongClock(at time.Duration) bool {
	return u.skew != 0 || len(u.own) > 0 || slices.ContainsFunc(u.spells, func(s spell) bool { return u.believes(s, at) })
}

// lied says whether answers have told a wrong time by a time.
func (u *universe) lied(by time.Duration) bool {
	return slices.ContainsFunc(u.spells, func(s spell) bool { return s.does == lies && s.from <= by })
}

// believes says whether a wrong time that answers tell may be believed at a time:
// until enough answers have told the right one, which other troubles delay.
func (u *universe) believes(s spell, at time.Duration) bool {
	if s.does != lies || at < s.from-2*time.Second { // a look is noted up to a second and its way early
		return false
	}
	return at <= u.believedUntil(s)
}

// believedUntil is until when a wrong time may be believed.
func (u *universe) believedUntil(s spell) time.Duration {
	until := s.from + s.lasts + u.untilRight()
	for _, other := range u.spells { // in the order of their begin
		if other.from <= until {
			until = max(until, other.from+other.lasts+u.untilRight())
		}
	}
	return until
}

// untilRight is how long after the end of a lie the right time is believed: once
// several answers over a minute tell it.
func (u *universe) untilRight() time.Duration { return time.Minute + 3*u.poll.Interval + u.passTime() }

// liedAbout says whether a look that arrived by now, or an earlier one of this
// process of which another time was noted, may have been given a wrong time. What an
// earlier process noted is judged by the clocks of this one. The caller holds mu.
func (l *ledger) liedAbout(noted, now time.Duration) bool {
	born := l.births[len(l.births)-1]
	return slices.ContainsFunc(l.spells, func(s spell) bool {
		return l.believes(s, now) ||
			l.believedUntil(s) >= born && (l.believes(s, noted) || l.believes(s, noted-wrongBy[s.n]))
	})
}
