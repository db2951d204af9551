package poller

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/loglimit"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// A known session that the API shows neither in the list nor by its id is a hole of its
// own, and asked for less and less often. Most of them at once are an API that is ill.

// blind returns an error if, of the watched sessions that were due, more cannot be shown
// (lost) than can. Of the latter it counts those alone that the API showed after it had
// shown the last of the lost ones. It also picks a lost session at random, for which the
// next pass asks, so that it is noticed soon when the API is well again.
func (a *account) blind() error {
	var last time.Time
	lost, shown := 0, 0
	for _, e := range a.index.Revisited() {
		if e.IsWatched() && e.Setbacks() > 0 {
			lost, last = lost+1, later(last, e.LookedAt())
			if rand.IntN(lost) == 0 {
				a.probed = e
			}
		}
	}
	for _, e := range a.index.Revisited() {
		if e.IsWatched() && e.Setbacks() == 0 && e.LookedAt().After(last) {
			shown++
		}
	}
	if lost < enoughToAsk || lost <= shown {
		a.probed = nil
		return nil
	}
	return fmt.Errorf("the API cannot show %d of %d watched sessions that were due, neither in its list nor by their ids: what happens to them, a payment perhaps, is not seen", lost, lost+shown)
}

// shownNow notes that a session is shown.
func (a *account) shownNow(e *index.Entry) {
	if e.Setbacks() > 0 {
		a.shownAgain = a.clock.Now()
	}
	e.SetSetbacks(0)
}

// setBack counts that the API could not show a session that was asked for by its id. The
// higher the count, the longer the pause until the next question; at two the session is
// named in the log, for once may be chance. before is when it was asked for the last time
// but this. A session that was only asked for as a.probed (see blind) keeps its count and its
// time. If another lost session was shown since before, the count begins again at two,
// because the API may be well again.
func (a *account) setBack(e *index.Entry, before time.Time) {
	switch id := a.index.ID(e); {
	case e == a.probed && e.Setbacks() > 0:
		e.SetTried(before)
	case e.Setbacks() > 1 && before.Before(a.shownAgain):
		e.SetSetbacks(2)
	default:
		if e.SetSetbacks(e.Setbacks() + 1); e.Setbacks() == 2 && a.unreadable[id] == nil {
			a.now.lost = append(a.now.lost, id)
		}
	}
}

// nameLost names in the log what could not be shown by this pass for the first time.
func (a *account) nameLost() {
	if n := len(a.now.lost); n > 0 {
		a.log.Warn("the API cannot show sessions that it showed before, neither in its list nor by their ids: what happens to them, a payment perhaps, is not announced until it can; they are asked for again and again",
			loglimit.Repeats("lost"), slog.Int("sessions", n), slog.Any("some", a.now.lost[:min(n, 5)]))
	}
}

// noteNewest notes the rows at the top of the list above the first that makes sense, by
// the ids of their sessions. A page that was asked for small, or apart, may tell of some of
// them only.
func (a *account) noteNewest(page *wooshpay.Page, limit int, apart bool) {
	var ids []string
	bad := page.Bad
	for i := 0; ; i++ {
		for ; len(bad) > 0 && bad[0].Place <= i; bad = bad[1:] {
			ids = append(ids, bad[0].ID)
		}
		if i == len(page.Items) || a.contradicts(a.index.Find(page.Items[i].ID), &page.Items[i], false) == nil {
			break
		}
		ids = append(ids, string(page.Items[i].ID))
	}
	if len(ids) < page.Total || (page.Total < limit && !apart) || len(ids) >= len(a.newest) {
		a.newest = ids
	}
}

// blindToNew says whether several of the newest sessions cannot be read, neither in the
// list nor by their ids, nor any that stands above them.
func (a *account) blindToNew() error {
	n := 0
	for _, id := range a.newest {
		e, u := a.index.Get(id), a.unreadable[id]
		if (e != nil && !e.IsVanished() && e.Setbacks() == 0) || (u != nil && u.done) {
			break // it was shown by its id, or nothing more is expected of it
		}
		if id == "" || len(id) > checkout.MaxID || (u != nil && a.leftOver(u)) { // else it is still to be asked for
			n++
		}
	}
	if n < enoughToAsk {
		return nil
	}
	return fmt.Errorf("the API shows none of the %d newest sessions so that it can be read, neither in its list nor by their ids: what is ordered, a payment perhaps, is not seen", n)
}

// blindToPayments returns an error if the API shows no payment_status for several complete
// sessions, and for no complete session that is newer than they are.
func (a *account) blindToPayments() error {
	n := 0
	for i := a.index.Len() - 1; i >= 0 && n < enoughToAsk; i-- {
		switch e := a.index.At(i); {
		case a.isUntold(e):
			n++
		case a.index.Status(e) == checkout.StatusComplete && a.index.Payment(e) != "":
			return nil
		}
	}
	if n < enoughToAsk {
		return nil
	}
	return errors.New("the API shows no payment_status of the newest complete sessions, neither in its list nor by their ids: whether they are paid is not seen, and nothing is announced as fulfillable")
}

// isUntold says whether a session is complete and shows no payment_status, which it may
// have had before. One of mode setup, which has none, is not watched then.
func (a *account) isUntold(e *index.Entry) bool {
	if a.index.Payment(e) == "" {
		return e.IsWatched() && a.index.Status(e) == checkout.StatusComplete
	}
	if e.Setbacks() == 0 {
		return false
	}
	u := a.unreadable[a.index.ID(e)]
	return u != nil && u.Error == errNoPayment.Error()
}
