package poller

import (
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// A row that makes no sense is forgotten once the list was read where the row stood
// and did not show it. Of that place its neighbours on the page tell.

// locate notes where a row stands: below the first items of a page, and above those from
// a place on. What is beyond the page is told by what was asked for, or by the index
// later: see lowest.
func (a *account) locate(u *unreadable, page *wooshpay.Page, above, below int) {
	items := page.Items
	others := slices.Concat(items[:min(above, len(items))], items[min(below, len(items)):])
	if len(others) == 0 || !page.Excludes(others[len(others)-1].CreatedAt()) { // else created[gte] is ignored
		u.From = page.Asked.CreatedGTE
	} else {
		u.From = time.Time{}
	}
	u.To = page.Asked.CreatedLTE
	if e := a.index.Get(page.Asked.StartingAfter); page.Asked.StartingAfter != "" && e != nil {
		u.Above, u.AboveAt, u.To = page.Asked.StartingAfter, e.Created(), e.Created()
	}
	for i := min(above, len(items)) - 1; i >= 0; i-- {
		if it := &items[i]; !it.IsAbsurd() {
			u.Above, u.AboveAt, u.To = string(it.ID), it.CreatedAt(), it.CreatedAt()
			break
		}
	}
	for i := below; i < len(items); i++ {
		if it := &items[i]; !it.IsAbsurd() {
			u.Below, u.BelowAt, u.From = string(it.ID), it.CreatedAt(), it.CreatedAt()
			break
		}
	}
	if !u.To.IsZero() && u.To.Before(u.From) { // the page has no order
		u.From, u.To = u.To, u.From
	}
}

// misdated says whether the creation time of an unknown session may be wrong, so that the
// session would be recorded silently. It is where the list was asked for later times and
// honours that, or where the next row is newer, and known or not silent. It may be where
// nothing else on the page tells that the session is as old.
func (a *account) misdated(e *index.Entry, page *wooshpay.Page, at int, batch *Batch, by *sweep) error {
	created, below := page.Items[at].CreatedAt(), page.Items[at+1:]
	outside, u := page.Excludes(created), a.unreadable[string(page.Items[at].ID)]
	switch {
	case e != nil && outside && page.Excludes(e.Created()):
		a.sinceIgnored = a.now.number
	case e != nil || batch.Starting: // then all existed
	case outside && (a.sinceIgnored == 0 || a.now.number-a.sinceIgnored > passesIgnored),
		len(below) > 0 && batch.Silent(created) && below[0].CreatedAt().After(created.Add(wooshpay.CreatedRounding)) &&
			(!batch.Silent(below[0].CreatedAt()) || a.index.Find(below[0].ID) != nil):
		return errMisdated
	case batch.Silent(created) && a.readToStart(batch, by) && (u == nil || !u.believed) && (u != nil || !a.standsBelowOld(page, at, batch)):
		return errOld
	}
	return nil
}

// readToStart says whether the list was read before, so that an unknown session that
// existed before the account's start is not to be expected.
func (a *account) readToStart(batch *Batch, by *sweep) bool {
	return batch.Existing.IsZero() && !a.state.Reconciled.IsZero() && (by == nil || by.backfill == nil)
}

// standsBelowOld says whether a row stands below a known session so old that nothing below
// it can be new (see isOld). It is true of all rows of a page on which known sessions stand
// in the order from old to new.
func (a *account) standsBelowOld(page *wooshpay.Page, at int, batch *Batch) bool {
	cursor, above := a.index.Get(page.Asked.StartingAfter), (*index.Entry)(nil)
	for i := range page.Items {
		e := a.index.Find(page.Items[i].ID)
		switch {
		case e == nil:
			continue
		case i < at && a.isOld(e, batch), above != nil && e.Created().After(above.Created().Add(wooshpay.CreatedRounding)):
			return true
		case cursor != nil && e.Created().After(cursor.Created().Add(wooshpay.CreatedRounding)):
			cursor = nil // it was ignored
		}
		above = e
	}
	return cursor != nil && a.isOld(cursor, batch)
}

// isOld says whether no new session can stand below a known one.
func (a *account) isOld(e *index.Entry, batch *Batch) bool {
	now, _ := a.clock.Span(a.clock.Own())
	return batch.existed(e.Created()) || e.Created().Before(now.Add(-Window))
}

// passesIgnored is for how many passes it is believed that created[gte] is ignored.
const passesIgnored = 10

// moved notes where the list shows the row by now; or where else, within one pass.
func (a *account) moved(u, now *unreadable, also bool) {
	if also {
		now.From = earlier(a.lowest(now), a.lowest(u))
		if u.To.IsZero() || (!now.To.IsZero() && u.To.After(now.To)) {
			now.To = u.To
		}
		if u.Below == "" {
			now.Below, now.BelowAt = "", time.Time{}
		}
	}
	u.Above, u.AboveAt, u.Below, u.BelowAt, u.From, u.To = now.Above, now.AboveAt, now.Below, now.BelowAt, now.From, now.To
}

// lowest is before the creation time of all that may stand below the row: where its page
// ended with it, that of the next session that is known.
func (a *account) lowest(u *unreadable) time.Time {
	if u.Below != "" || u.To.IsZero() {
		return u.From
	}
	for i := a.index.Search(u.To.Truncate(time.Second)) - 1; i >= 0; i-- {
		if e := a.index.At(i); e.Listed() && !e.IsUnlisted() {
			return later(u.From, e.Created())
		}
	}
	return u.From
}

// readThrough notes that the list was read between two creation times; if to is zero, up to
// the newest session. A row that makes no sense and should stand there is gone, if it was
// last seen before that reading, whose rows have numbers greater than sighting.
func (a *account) readThrough(from, to time.Time, sighting uint64) {
	if len(a.unreadable) == 0 || a.lacksAny(from) { // it may not have shown all
		return
	}
	from = from.Add(-wooshpay.CreatedRounding)
	for _, u := range a.unreadable {
		highest := u.To
		if highest.IsZero() {
			highest = u.Shown.Add(wooshpay.CreatedRounding)
		}
		inside := !a.lowest(u).Before(from) && (to.IsZero() || !highest.After(to))
		if inside && u.sighting <= sighting && !a.passedBy(u) {
			u.gone = true
		}
	}
}

// passedBy says whether the row may stand in a hole, which nothing but what asks for the
// hole reads.
func (a *account) passedBy(u *unreadable) bool {
	from := a.lowest(u)
	return slices.ContainsFunc(a.passedOver(), func(h event.Hole) bool {
		return (u.To.IsZero() || !u.To.Before(h.BelowAt)) && (h.Newest() || !from.After(h.AboveAt))
	})
}

// downToLeftOvers returns how far down a reader of the list must go that would go down to lo,
// so that it also reads where rows stood that made no sense, unless they are older than bound.
func (a *account) downToLeftOvers(lo, bound time.Time) time.Time {
	down := lo
	for _, u := range a.unreadable {
		if from := a.lowest(u); !u.gone && a.leftOver(u) && !from.Before(bound) {
			down = earlier(down, from)
		}
	}
	return down
}
