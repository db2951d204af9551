package poller

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// A chain that does not reach its lower bound has no more than the API's word for its
// end. One short or empty page among right ones would hide all that is below, so that
// word is taken only where what is known confirms it, or if another answer repeats it.

// readsToKnown says whether a reader of the list comes to sessions that are stored already,
// which confirm where the list ends. A pass does once there is a low-water mark, and so does
// a reconciliation; not a backfill, nor whoever reads where no later pass does (patience.deep).
func (a *account) readsToKnown(p patience, by *sweep) bool {
	if by == nil {
		return !a.low().IsZero()
	}
	return by.backfill == nil && !p.deep
}

// credible says whether a page that says that it is the last one is believed without
// asking again: the chain has come to below its lower bound anyway, or the end of the
// list can be confirmed (see readsToKnown), no known session is missing, and the last session on the
// page was known before the pass. In a list without order all sessions on it must be.
func (c *chain) credible(page *wooshpay.Page) bool {
	if !c.unordered && c.oldest.Before(c.lo) {
		return true
	}
	if !c.readsToKnown || c.missesAny() {
		return false
	}
	items := page.Items
	if !c.unordered {
		items = items[len(items)-1:]
	}
	return !slices.ContainsFunc(items, func(it wooshpay.Item) bool {
		e := c.index.Find(it.ID)
		return e == nil || e.Pass == c.now.number
	})
}

// end says what is wrong with a page that shows nothing new, nor promises any more, as
// the end of the chain.
func (c *chain) end(page *wooshpay.Page) error {
	promised := c.more
	if page.Total == 0 {
		promised = c.promised || (c.byTime && c.shown > 0)
	}
	switch {
	case promised || c.missesAny():
		return errEarlyEnd
	case c.saidEnd:
		return nil
	}
	c.saidEnd = true
	return errOneWord
}

// absent visits the known sessions that the list should show below what the chain was
// shown, newest first.
func (c *chain) absent() iter.Seq[*index.Entry] {
	return func(yield func(*index.Entry) bool) {
		from := c.place()
		if c.shown > 0 && !c.unordered {
			from = min(from, c.index.Search(c.oldest))
		}
		for i := from - 1; i >= 0; i-- {
			e := c.index.At(i)
			if !e.Created().After(c.lo) || (c.expects(e) && !yield(e)) {
				return
			}
		}
	}
}

// expects says whether the list should show a session that the chain was not shown.
func (c *chain) expects(e *index.Entry) bool {
	if !e.Listed() || e.IsUnlisted() {
		return false
	}
	id := hashID([]byte(c.index.ID(e)))
	_, seen := c.seen[id]
	return !seen && !c.garbled[id] && !c.inHole(e)
}

// noteEmpty notes that the head of the list was read and shows nothing from a creation time
// on, where known sessions should stand. A few may have left it, if it shows older ones.
func (a *account) noteEmpty(ctx context.Context, from time.Time) error {
	n, all := a.standing(from, endOfTime, math.MaxInt), a.standing(time.Time{}, endOfTime, math.MaxInt)
	if all < enoughToAsk {
		return nil
	}
	if n < enoughToAsk {
		page, err := a.page(ctx, patience{apart: true}, wooshpay.Query{Limit: a.cfg.Poll.Tuning.PageSize}, nil)
		if unavailable(err) { // a hole, perhaps
			return nil
		} else if err != nil {
			return err
		}
		defer page.Release()
		switch contradicts := func(it wooshpay.Item) bool {
			return a.shouldStand(a.index.Find(it.ID)) && it.CreatedAt().After(from)
		}; {
		case page.Total == 0:
			n = all
		case !slices.ContainsFunc(page.Items, contradicts):
			return nil
		}
	}
	a.now.empty = fmt.Errorf("the list shows none of the %d sessions that are known and should stand there: what happens in it is not seen", n)
	return nil
}

func (c *chain) missesAny() bool {
	for range c.absent() {
		return true
	}
	return false
}

// passesToBelieve is in how many passes the API must insist on an end above known
// sessions before it is taken for one.
const passesToBelieve = 3

// mistrust is why the list as a whole is not believed: the API insists that it ends
// above known sessions, or shows it in another order.
type mistrust struct {
	pass     uint32    // the last in which it insisted
	times    int       // passes
	since    time.Time // when the list was believed all the same; zero: nothing may be missing
	disorder bool      // since the last reconciliation
}

// mistrusts notes that what the list shows may not be all.
func (a *account) mistrusts() {
	if a.mistrust.since.IsZero() {
		a.mistrust.since = a.clock.Now()
	}
}

// concedes says whether the chain accepts that the list ends here, as the API insists,
// although it had promised more or known sessions are missing. Where some are missing, it
// does so only after several passes (see insists), and expects them in the list no more. The
// next reconciliation reads what was not read; while sessions are missing all of them read as
// far, and the first ones follow soon.
func (c *chain) concedes() bool {
	if c.shown == 0 && c.hi.IsZero() && !c.p.apart { // the next pass reads as far
		return true
	}
	if c.missesAny() && !c.by.dry() && c.tries != triesPerRequestOnce && !c.insists() {
		return false
	}
	for e := range c.absent() {
		e.SetUnlisted(true)
		c.mistrusts()
	}
	if c.by == nil {
		c.rereadFrom(c.lo)
	}
	return true
}

// endless says whether a page that shows nothing new and promises more is the end all the
// same: the API promises that on every page, or has come to.
func (c *chain) endless() bool {
	if !c.sawEnd {
		return true
	}
	if c.by.dry() || !c.insists() {
		return false
	}
	c.sawEnd = false
	c.mistrusts()
	if c.by == nil {
		c.rereadFrom(c.lo)
	}
	return true
}

// insists counts the passes in which the API insists on an end that is not believed, and
// says whether they are enough.
func (c *chain) insists() bool {
	if c.mistrust.pass != c.now.number {
		c.mistrust.pass = c.now.number
		c.mistrust.times++
	}
	return c.mistrust.times >= passesToBelieve
}

// rereadFrom makes the next reconciliation read down to lo, if later passes do not read that
// far; but not further than to the oldest session that may still change.
func (a *account) rereadFrom(lo time.Time) {
	earliest, latest := a.clock.Span(a.clock.Own())
	if !lo.Before(latest.Add(-Window)) {
		return
	}
	lo = later(lo, a.sinceAny(earliest))
	if a.state.Reread.IsZero() || lo.Before(a.state.Reread) {
		a.state.Reread = lo
	}
}

// sinceAny is since when what may still change was created.
func (a *account) sinceAny(now time.Time) time.Time {
	return now.Add(-max(Window, a.cfg.Poll.UnpaidFor))
}

// reconcileEvery is how soon a reconciliation follows another one: sooner while the API
// may show what it did not list, or what it moved from page to page.
func (a *account) reconcileEvery() time.Duration {
	every := a.cfg.Poll.Tuning.ReconcileEvery
	if a.mistrust.since.IsZero() {
		return every
	}
	return min(every, max(a.clock.Now().Sub(a.mistrust.since)/4, time.Minute))
}

// reconciled notes that a reconciliation from a creation time on was completed. One that
// was made while the list was mistrusted is not the last that reads as far: nothing may
// have told that the list was still wrong.
func (a *account) reconciled(since time.Time) {
	a.state.Reconciled = a.begun
	if a.lacksAny(since) || a.mistrust.disorder {
		a.mistrust.disorder = false
		return
	}
	trusted := a.mistrust.since.IsZero()
	a.mistrust = mistrust{}
	if trusted && !since.After(a.state.Reread) {
		a.state.Reread = time.Time{}
	}
}

// lacksAny says whether the API insisted on a list without sessions that were created
// at a time or later.
func (a *account) lacksAny(since time.Time) bool {
	for i := a.index.Search(since); i < a.index.Len(); i++ {
		if e := a.index.At(i); e.IsUnlisted() && e.Listed() {
			return true
		}
	}
	return false
}
