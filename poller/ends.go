package poller

import (
	"context"
	"iter"
	"slices"
	"time"
)

// A chain that does not reach its lower bound has no more than the API's word for its
// end. One short or empty page among right ones would hide all that is below, so that
// word is taken only where what is known confirms it, or if another answer repeats it.

// anchors says whether the end of what a reader of the list reads is known: the passes
// go down to sessions that they know, and so do reconciliations of what passes read.
func (a *account) anchors(p patience, by *sweep) bool {
	if by == nil {
		return !a.low().IsZero()
	}
	return by.backfill == nil && !p.deep
}

// credible says whether the list may end with a page that says so: no known session
// is missing, and it does not end among sessions that nobody knew before the pass. Nor
// need it say so below the chain's lower bound.
func (c *chain) credible(page *Page) bool {
	if !c.unordered && c.oldest.Before(c.lo) {
		return true
	}
	if !c.anchored || c.missesAny() {
		return false
	}
	items := page.Items
	if !c.unordered {
		items = items[len(items)-1:]
	}
	return !slices.ContainsFunc(items, func(it Item) bool {
		e := c.index.find(it.ID)
		return e == nil || e.pass == c.now.number
	})
}

// end says what is wrong with a page that shows nothing new, nor promises any more, as
// the end of the chain.
func (c *chain) end(page *Page) error {
	promised := c.more
	if page.Total == 0 {
		promised = c.promised || c.byTime
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

// absent visits the known sessions that the chain should have shown if the list ends
// here, newest first.
func (c *chain) absent() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if c.shown == 0 && c.passed { // what is above the hole is another chain's
			return
		}
		from := c.index.len()
		if top := c.reached(); !top.IsZero() {
			from = c.index.search(top.Add(time.Second))
		}
		for i := from - 1; i >= 0; i-- {
			e := c.index.at(i)
			if !e.created().After(c.lo) || (c.expects(e) && !yield(e)) {
				return
			}
		}
	}
}

// reached is the creation time down to which nothing can be missing, zero if there is
// none.
func (c *chain) reached() time.Time {
	switch {
	case c.shown == 0 || c.unordered:
		return c.hi
	case c.hi.IsZero():
		return c.oldest
	}
	return earlier(c.oldest, c.hi) // the rounding shows what is above it
}

// expects says whether the list should show a session that the chain was not shown.
func (c *chain) expects(e *entry) bool {
	if !listed(e) || e.isUnlisted() {
		return false
	}
	_, seen := c.seen[hashID([]byte(c.index.id(e)))]
	return !seen && !c.inHole(e)
}

func (c *chain) missesAny() bool {
	for range c.absent() {
		return true
	}
	return false
}

// keepEnd makes a hole of what is below an end on which the API insists although it
// showed sessions there, and expects these no more until they are shown again.
func (c *chain) keepEnd(ctx context.Context, cause error) error {
	if c.shown == 0 && c.hi.IsZero() { // the next pass reads as far
		return nil
	}
	absent := slices.Collect(c.absent())
	for _, e := range absent {
		e.setUnlisted(true)
	}
	if len(absent) == 0 || !c.passes() {
		return nil
	}
	h := c.upper()
	if !c.lo.IsZero() { // else it reaches down to the end of the list
		h.BelowAt = c.lo.Add(-createdRounding)
	}
	if err := c.found(ctx, &h, cause); err != nil {
		return err
	}
	c.addHole(h)
	return nil
}
