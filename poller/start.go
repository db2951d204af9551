package poller

import (
	"context"
	"fmt"
	"time"

	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// begin sets the account's start at the first successful answer: what was created before it is
// recorded silently, what came later is announced. It is called with every answer, and does
// nothing once the start is final: a start from the configuration is so at once, one that is
// "now" when a pass has read the head of the list (fixStart).
//
// Until then a session may exist although it was created a little after that start: clocks
// differ, and creation times are rounded. So until is the creation time up to which the sessions
// of the page existed and are recorded silently. In the pass that set the start it is shownAtStart
// or, where an operator accepted the account, when that was: what was created since is new. In a
// later pass it is the start, plus the rounding. Zero: the start alone says what is new.
func (a *account) begin(ctx context.Context, page *wooshpay.Page) (until time.Time, err error) {
	switch {
	case a.state.StartFixed:
		return time.Time{}, nil
	case !a.state.Start.IsZero(): // the first chain is not finished
		if a.starting > 0 { // by this process
			// The first answer may have shown no new session. What is shown now may have been
			// created since.
			shown := a.afterNewest(page).Add(-time.Since(a.polledFrom))
			if a.clock.Differs(page.Answer.Received) {
				a.state.Start = later(a.state.Start, earlier(shown, a.existing))
			}
			a.state.StartShown = later(a.state.StartShown, shown)
		}
		return a.existedUntil(), a.save(ctx) // it could not be stored at once
	case a.state.Restart || a.cfg.Start == StartNow:
		a.state.Start, a.state.StartShown, a.existing = a.present(page), a.afterNewest(page), a.shownAtStart(page)
		if accepted := a.state.Accepted; !accepted.IsZero() && accepted.Before(page.Answer.Received) { // what was created since is new
			earliest, latest := a.clock.Span(accepted)
			a.state.Start, a.existing = earliest.Truncate(time.Second), latest.Truncate(time.Second)
		}
		a.state.Restart, a.state.Accepted, a.state.ByClock = false, time.Time{}, true
		a.starting, a.polledFrom, until = a.now.number, time.Now(), a.existing
	case a.cfg.Start == StartAll:
		a.state.StartFixed = true
	default:
		start, err := time.Parse(time.RFC3339, a.cfg.Start)
		if err != nil {
			return time.Time{}, fmt.Errorf("start of account %s: %w", a.cfg.Name, err)
		}
		a.state.Start, a.state.StartFixed = start.UTC(), true
	}
	a.status.update(func(s *Status) { s.Start = a.state.Start })
	if a.state.Start.IsZero() {
		a.log.Info("the account starts: all that its list shows is announced", "host", a.state.Host, "mode", a.state.Mode)
	} else {
		a.log.Info("the account starts: what was created before is recorded silently", "start", a.state.Start, "host", a.state.Host, "mode", a.state.Mode)
	}
	return until, a.save(ctx)
}

// shownAtStart is the creation time until which what the first pass shows existed: that
// of the newest session it was shown so far, and what any clock tells. A pass may come to
// the head of the list again, by when that shows new sessions.
func (a *account) shownAtStart(page *wooshpay.Page) time.Time {
	_, latest := a.clock.Span(page.Answer.Received)
	return later(later(page.Newest(), a.now.newest), latest).Add(wooshpay.CreatedRounding)
}

// present is the time of an answer from which on sessions are taken for new. Where
// the server's clock and ours differ it is the earlier one, the server's as early as its
// answers allow, so that no new session is taken for an old one, but no earlier than the
// newest session that was shown.
func (a *account) present(page *wooshpay.Page) time.Time {
	if !a.clock.Differs(page.Answer.Received) {
		return a.clock.At(page.Answer.Received).Truncate(time.Second)
	}
	earliest, _ := a.clock.Span(page.Answer.Received)
	return later(earliest.Add(-a.clock.LateBy()).Truncate(time.Second), a.afterNewest(page))
}

// afterNewest is the first moment after the creation of the newest session that the
// pass was shown by the time of a page; one that no clock has come to does not count.
func (a *account) afterNewest(page *wooshpay.Page) time.Time {
	if a.now.newest.IsZero() {
		return time.Time{}
	}
	_, latest := a.clock.Span(page.Answer.Received)
	return earlier(a.now.newest.Add(time.Millisecond), latest)
}

// mostRecalled bounds the pages on which sessions that were given up are looked for.
const mostRecalled = 10

// recall sets the start of an account that was accepted, if it shows sessions that were
// given up by an acceptance: then it was polled before, and what is newer than the newest
// of these was never announced.
func (a *account) recall(ctx context.Context) error {
	for i, n := a.index.Len(), 0; i > 0 && n < mostRecalled; n++ {
		until := a.index.At(i - 1).Created().Add(wooshpay.CreatedRounding)
		page, err := a.list(ctx, patience{apart: true}, wooshpay.Query{CreatedLTE: until, Limit: a.cfg.Poll.Tuning.PageSize})
		if err == nil && page.Total == 0 { // as where the API reads milliseconds
			page, err = a.list(ctx, patience{apart: true}, wooshpay.Query{StartingAfter: a.index.ID(a.index.At(i - 1)), Limit: a.cfg.Poll.Tuning.PageSize})
		}
		switch {
		case refused(err):
			return nil
		case unavailable(err): // it may hold a session that the API cannot show
			i--
			continue
		case err != nil:
			return err
		}
		var newest, oldest time.Time
		for j := range page.Items {
			it := &page.Items[j]
			oldest = it.CreatedAt()
			if a.index.Find(it.ID) != nil {
				newest = later(newest, it.CreatedAt())
			}
		}
		page.Release()
		if !newest.IsZero() {
			if a.state.Restart || a.state.Start.After(newest) {
				a.state.Start = newest
			}
			a.state.StartFixed, a.state.Restart, a.state.ByClock, a.state.Low = true, false, false, time.Time{}
			a.log.Info("the account shows sessions that were given up once; what is newer than those is announced", "newest", newest)
			return a.save(ctx)
		}
		if oldest.IsZero() {
			return nil
		}
		i = min(i-1, a.index.Search(oldest))
	}
	return nil
}

// fixStart makes the start final once the head of the list was read. Where the server's
// clock and ours differ, it waits until a session was shown: only the creation time of one
// tells which clock is wrong.
func (a *account) fixStart(ctx context.Context) error {
	if a.state.StartFixed || a.state.Start.IsZero() || (a.now.newest.IsZero() && a.clock.Differs(a.clock.Own())) {
		return nil
	}
	a.state.StartFixed = true
	return a.save(ctx)
}

// fixesStart says whether the present pass is the one that fixes the start.
func (a *account) fixesStart() bool { return !a.state.StartFixed && a.starting == a.now.number }

// polled is for how long the account has been polled since clocks made its start, at
// least.
func (a *account) polled() time.Duration {
	if !a.state.ByClock {
		return 0
	}
	return time.Since(a.polledFrom)
}

// correctStart moves a start back that was set while a clock was ahead: what is created
// before the start is recorded silently. The true start is the present time less how long the
// account has been polled, but not before the newest session that existed at the start. The
// next pass reads down to the corrected start, and announces what was recorded silently
// since.
func (a *account) correctStart() {
	if start, err := time.Parse(time.RFC3339, a.cfg.Start); err == nil && start.Equal(a.state.Start) {
		return // as configured
	}
	_, latest := a.clock.Span(a.clock.Own())
	polled := a.polled()
	start := later(latest.Add(-polled).Truncate(time.Second), a.state.StartShown)
	if a.state.Start.Sub(start) <= serverclock.SkewNoticed+polled/clockDrift {
		return
	}
	a.log.Warn("the account's start was told by a clock that was ahead, and is put right; what was created since and was recorded silently is announced",
		"start", start, "was", a.state.Start)
	a.state.Start, a.state.Low = start, earlier(a.state.Low, start)
}

// clockDrift is the part of a time by which two clocks may differ on it, at most.
const clockDrift = 1000

// bound is how far down the head is read: zero means to the end of the list. A
// low-water mark in the future was made by a clock that was wrong: it does not
// count. The first pass goes by the newest session where a clock is later, so that
// it reads back far enough whatever the clocks say.
func (a *account) bound(ctx context.Context) (time.Time, error) {
	if a.state.Restart {
		if err := a.recall(ctx); err != nil {
			return time.Time{}, err
		}
	}
	if a.state.Low.IsZero() && a.cfg.Start == StartAll {
		return time.Time{}, nil
	}
	if low := a.low(); !low.IsZero() {
		return low.Add(-a.cfg.Poll.Tuning.Overlap), nil
	}
	page, err := a.page(ctx, patience{tries: a.tries}, wooshpay.Query{Limit: 1}, nil)
	if unavailable(err) && !refusedQuestion(err) { // the newest session, or one below it, may be what the API cannot show
		page, err = a.startElsewhere(ctx, err)
	}
	switch {
	case refusedQuestion(err): // the head finds out why
		page = &wooshpay.Page{Answer: wooshpay.Answer{Received: a.clock.Own()}}
	case err != nil:
		return time.Time{}, err
	}
	a.observe(page.Answer)
	if low := a.low(); !low.IsZero() { // only our clock was wrong
		return low.Add(-a.cfg.Poll.Tuning.Overlap), nil
	}
	a.state.Low = time.Time{}
	now, _ := a.clock.Span(page.Answer.Received)
	if newest := page.Newest(); !newest.IsZero() {
		now = earlier(now, newest)
	}
	bound := a.sinceAny(now)
	if start, err := time.Parse(time.RFC3339, a.cfg.Start); err == nil {
		bound = earlier(bound, start)
	}
	return bound, nil
}

// low is the low-water mark, zero if there is none or it lies in the future.
func (a *account) low() time.Time {
	if _, latest := a.clock.Span(a.clock.Own()); a.state.Low.After(latest.Add(serverclock.SkewNoticed)) {
		return time.Time{}
	}
	return a.state.Low
}

// startElsewhere starts the account by an answer for a part of the list without what the
// API cannot show, and returns that; if there is none, cause is the error. It asks for what is
// an hour old and, if that fails too, for what nobody can have created: before WooshPay, and
// after tomorrow. Where the API answers that, it takes the key, and its head is read.
func (a *account) startElsewhere(ctx context.Context, cause error) (*wooshpay.Page, error) {
	for _, q := range []wooshpay.Query{
		{CreatedLTE: a.clock.Now().Add(-time.Hour), Limit: 1},
		{CreatedLTE: time.Unix(wooshpay.OldestCreated, 0), Limit: 1},
		{CreatedGTE: a.clock.Now().Add(Window), Limit: 1},
	} {
		page, err := a.page(ctx, patience{apart: true}, q, nil)
		if err == nil {
			a.observe(page.Answer)
			_, err = a.begin(ctx, page)
		}
		if !unavailable(err) {
			return page, err
		}
	}
	return nil, cause
}
