package poller

import (
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

const (
	// A vanished session is asked for each missingEvery, missingSlow after it was
	// last shown each missingSlowEvery.
	missingEvery     = time.Hour
	missingSlow      = 24 * time.Hour
	missingSlowEvery = 24 * time.Hour
	// missingShare is in how much of the interval a pass asks for one vanished
	// session, one at least: they may be many.
	missingShare = 2 * time.Second
)

// missingDueAt returns when a vanished session is to be asked for again; not soon
// once unpaid_for has passed.
func (a *account) missingDueAt(e *index.Entry, last, now time.Time) time.Time {
	switch {
	case !now.Before(e.GiveUpAt(a.cfg.Poll.UnpaidFor)):
		return now.Add(missingSlowEvery)
	case last.After(now.Add(serverclock.SkewNoticed)): // by a clock that was wrong
		return now
	case now.Sub(later(e.LookedAt(), e.Created())) < missingSlow: // by a clock that was behind a look may seem older than its session
		return last.Add(missingEvery)
	}
	return last.Add(missingSlowEvery)
}

// askMissing asks for the vanished sessions that are due, for those first that have waited
// longest. A session for which the API fails is asked for again as late as one of which it
// says that it does not exist.
func (a *account) askMissing(ctx context.Context, until time.Time) error {
	if !a.now.listed {
		return nil // the API may know no address, or no session at all
	}
	now := a.clock.Now()
	failed := 0
	for _, e := range a.missing(now) {
		e.SetTried(now)
		page, err := a.readByID(ctx, a.index.ID(e))
		switch {
		case err == nil:
			failed, err = 0, a.handle(ctx, page, nil)
		case errors.Is(err, wooshpay.ErrNotFound):
			failed, err = 0, nil
		case unavailable(err):
			failed, err = failed+1, nil
		}
		if err != nil || failed > 1 || past(until) {
			return err
		}
	}
	return nil
}

// missing lists the vanished sessions that a pass asks for.
func (a *account) missing(now time.Time) []*index.Entry {
	var due []*index.Entry
	m := a.moment(now)
	for _, e := range a.index.Revisited() {
		if e.IsVanished() && !a.dueAt(e, a.lastLook(e), m).After(now) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(x, y *index.Entry) int { return a.lastLook(x).Compare(a.lastLook(y)) })
	return due[:min(len(due), a.share())]
}

// share is how many sessions a pass asks for apart however little time it has.
func (a *account) share() int { return max(1, int(a.cfg.Poll.Interval/missingShare)) }
