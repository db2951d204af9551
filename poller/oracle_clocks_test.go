package poller_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/poller"
)

// wrongBy are the wrong times that lies tells.
var wrongBy = [...]time.Duration{
	20 * time.Minute, -20 * time.Minute, 3 * time.Minute, -3 * time.Minute, time.Hour, -time.Hour,
	24 * time.Hour, -24 * time.Hour, 20 * 24 * time.Hour, -20 * 24 * time.Hour,
}

// drawClocks draws clocks that are wrong by minutes or by days: ours or the API's.
// What both agree on is the time, so they are not wrong at once. A process whose own
// clock differs takes what most of the first answers tell for the time (architecture.md):
// where those that tell it rightly can be lost, none tells a wrong one now and then.
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
	does := func(what string) func(spell) bool { return func(s spell) bool { return s.does == what } }
	if (u.skew != 0 || len(u.own) > 0) && slices.ContainsFunc(u.spells, does(hangs)) {
		u.spells = slices.DeleteFunc(u.spells, does(slips))
	}
}

// toldAtStart says whether what was shown tells that a session existed at the account's
// start, whatever the clocks say (docs/polling.md): the answer that gave the start shows one
// that is as new, or the pass that showed the session shows one that was created so much later
// as has passed since the start.
func (j *judgement) toldAtStart(b *being) bool {
	var first []*being
	from, seen := j.firstIn[b.id], j.firstAt[b.id]
	oneProcess := !j.cron && j.bornWithin(j.answered, seen) == 0 && j.differ(j.answered)
	asNew := func(shown []*being, since time.Duration) bool {
		return slices.ContainsFunc(shown, func(other *being) bool { return other.born-since >= b.born })
	}
	for i := range j.api.requests { // in the order of their answers
		switch r := &j.api.requests[i]; {
		case r.shown == nil:
		case r.answered <= j.answered:
			first = r.shown
		case oneProcess && r.sent >= from && r.answered <= seen && asNew(r.shown, seen-j.answered):
			return true
		}
	}
	return asNew(first, 0)
}

// differ says whether the clocks of the API and of the process of a time differ, as long as
// that lives.
func (j *judgement) differ(at time.Duration) bool {
	own := time.Duration(0)
	if n := j.bornWithin(0, at); len(j.own) > 0 {
		own = j.own[min(n, len(j.own))-1]
	}
	return own != j.skew
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

// lyingNow says whether a wrong time may be believed when a look arrives: what it
// noted then is put right when the right time is believed, and answers that disagree
// are taken in before that.
func (l *ledger) lyingNow(now time.Duration) bool {
	return slices.ContainsFunc(l.spells, func(s spell) bool { return l.believes(s, now) })
}

// disagrees says whether answers of a time that disagree with what is believed are
// told by a look, and tell the truth: those that slip do not.
func (l *ledger) disagrees(look *poller.Look, now time.Duration) bool {
	return look.Early+look.Late > 0 && !slices.ContainsFunc(l.spells, func(s spell) bool {
		return s.does == slips && s.from <= now && now <= s.from+s.lasts+l.untilRight()
	})
}
