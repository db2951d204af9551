package poller

import (
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/serverclock"
)

const (
	// expiryGrace is how long after expires_at the API is given to say so.
	expiryGrace = 2 * time.Second
	// A session that stays open after its expiry is looked at each lateEvery,
	// after lateSlow each lateSlowEvery.
	lateEvery     = time.Minute
	lateSlow      = 24 * time.Hour
	lateSlowEvery = time.Hour
	// heldEvery is how often a step back is looked at while it awaits confirmation.
	heldEvery = time.Minute
	// missedEvery is how often a session is asked for that the API did not show,
	// as a replica may not know it yet, or for which it had no answer.
	missedEvery = 2 * time.Minute
	// missedAtMost is how long at most the pause grows for which one is left in
	// peace that the API cannot show.
	missedAtMost = time.Hour
	// Window is what the first pass and a reconciliation read at least: the
	// longest life of an open session and an hour.
	Window = 25 * time.Hour
)

// Tiers of the sessions that are looked at again, by how soon they are looked at again.
const (
	tierHot      = "hot"      // younger than hot_age: in every pass
	tierWarm     = "warm"     // open: in the rounds of warm_every
	tierUnpaid   = "unpaid"   // complete: in the rounds of unpaid_every
	tierExpiring = "expiring" // open after its expiry
	tierHeld     = "held"     // a step back awaits confirmation
	// TierVanished are the sessions that the API no longer shows: see askMissing.
	TierVanished = "vanished"
)

// moment is the time by which looks are scheduled.
type moment struct {
	now      time.Time // by the server's clock
	earliest time.Time // that it may be
}

// moment says when it may be, given what the server's clock says. If ours is behind,
// it may be right, unless sessions were created later than it says: no payment waits
// because its session is taken for an older one than it is.
func (a *account) moment(now time.Time) moment {
	m := moment{now, now}
	ahead := a.clock.Offset()
	if own := now.Add(-ahead); ahead >= serverclock.SkewNoticed && a.last.From.Before(own.Add(serverclock.SkewNoticed)) {
		m.earliest = own
	}
	return m
}

// tier returns the tier of a session that is looked at again.
func (a *account) tier(e *index.Entry, m moment) string {
	switch {
	case e.IsVanished():
		return TierVanished
	case e.IsHeld():
		return tierHeld
	}
	return a.pace(e, m)
}

// pace is the tier of a session without regard to what awaits confirmation.
func (a *account) pace(e *index.Entry, m moment) string {
	switch {
	case m.earliest.Sub(e.Created()) < a.cfg.Poll.Tuning.HotAge:
		return tierHot
	case a.index.Status(e) == checkout.StatusComplete:
		return tierUnpaid
	case m.now.Before(e.Expiry()):
		return tierWarm
	}
	return tierExpiring
}

// dueAt returns when a session must be looked at again, given when it
// was last looked at or asked for.
func (a *account) dueAt(e *index.Entry, last time.Time, m moment) time.Time {
	tuning := a.cfg.Poll.Tuning
	if e.IsVanished() {
		return a.missingDueAt(e, last, m.now)
	}
	if e.Setbacks() > 0 && (e == a.probed || last.Before(a.shownAgain)) {
		return last // the API may be well
	}
	if e.Misses > 0 || e.Setbacks() > 0 {
		every := min(missedEvery, tuning.WarmEvery)
		return last.Add(min(every<<max(e.Setbacks()-1, 0), max(every, missedAtMost)))
	}
	if !e.IsHeld() {
		return a.paceAt(e, last, m)
	}
	held := last.Add(min(heldEvery, tuning.WarmEvery))
	if !e.IsWatched() {
		return held
	}
	return earlier(held, a.paceAt(e, last, m)) // a payment, or an expiry, waits no longer than without
}

// paceAt is dueAt without regard to what awaits confirmation.
func (a *account) paceAt(e *index.Entry, last time.Time, m moment) time.Time {
	tuning := a.cfg.Poll.Tuning
	switch a.pace(e, m) {
	case tierHot:
		return last
	case tierUnpaid:
		return a.nextRound(last, tuning.UnpaidEvery)
	}
	turn := e.Expiry().Add(expiryGrace)
	switch {
	case last.Before(turn):
		return earlier(a.nextRound(last, tuning.WarmEvery), turn)
	case last.Before(turn.Add(lateSlow)):
		return last.Add(lateEvery)
	case m.earliest.Before(turn.Add(lateSlow)): // it may still be open
		return a.nextRound(last, tuning.WarmEvery)
	}
	return last.Add(lateSlowEvery)
}

// nextRound returns when the first round after a time begins. All sessions of a
// tier are looked at in the same rounds, so that a page shows as many of them as
// there are, and so that a restart needs to know of a round, not of each session.
func (a *account) nextRound(last time.Time, every time.Duration) time.Time {
	return a.roundBefore(last, every).Add(every)
}

// roundBefore returns when the last round until a time began.
func (a *account) roundBefore(t time.Time, every time.Duration) time.Time {
	return t.Add(-a.phase).Truncate(every).Add(a.phase)
}

// lastLook returns when a session was last looked at or asked for, as far as is
// known. Of the looks of an earlier process the rounds tell; those of this one
// would put off what is due between them.
func (a *account) lastLook(e *index.Entry) time.Time {
	switch {
	case !e.IsVanished():
		return later(e.TriedAt(), a.shownAt(e))
	case e.TriedAt().IsZero(): // rounds do not ask for it
		return e.LookedAt()
	}
	return e.TriedAt() // whatever the clock was when it was looked at
}

// shownAt is lastLook without what was asked for in vain.
func (a *account) shownAt(e *index.Entry) time.Time {
	switch {
	case e.Setbacks() > 0:
		return e.LookedAt()
	case a.index.Status(e) == checkout.StatusComplete:
		return later(e.LookedAt(), a.before.UnpaidRound)
	}
	return later(e.LookedAt(), a.before.WarmRound)
}

// dropFutureRounds forgets rounds whose time lies in the future: the Date of an answer was
// wrong then. Until that time has come, all sessions that such a round looked at would be due
// in every pass.
func (a *account) dropFutureRounds(now time.Time) {
	for _, round := range []*time.Time{&a.before.WarmRound, &a.before.UnpaidRound} {
		if round.After(now.Add(serverclock.SkewNoticed)) {
			*round = time.Time{}
		}
	}
}

// looked notes that all that was due at a time has been looked at.
func (a *account) looked(at time.Time) {
	a.state.WarmRound = a.roundBefore(at, a.cfg.Poll.Tuning.WarmEvery)
	a.state.UnpaidRound = a.roundBefore(at, a.cfg.Poll.Tuning.UnpaidEvery)
}

// due lists the sessions that must be looked at and that the pass was not shown,
// newest first.
func (a *account) due(now time.Time) []*index.Entry {
	var due []uint32
	m := a.moment(now)
	for slot, e := range a.index.Revisited() {
		if e.Pass == a.now.number || e.IsVanished() {
			continue
		}
		last := a.lastLook(e)
		// A look of the future tells of a Date that was wrong then, or is now.
		if last.After(now.Add(serverclock.SkewNoticed)) || !a.dueAt(e, last, m).After(now) {
			due = append(due, slot)
		}
	}
	return a.index.NewestFirst(due)
}
