package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

const (
	// mostSkipped is how many known sessions a hole may have when it is found.
	mostSkipped = 1000
	// againForAHole is how often what cannot be had is asked for again before it is
	// taken for a hole: some answers may fail whatever was asked.
	againForAHole = 2
)

// passes says whether the chain leaves out holes and goes on below them: not if it reads
// what may be a hole itself (patience.apart), not in a dry run, and not where the list has
// no order or cannot be read from a certain place on.
func (c *chain) passes() bool {
	return !c.p.apart && !c.by.dry() && !c.byTime && !c.unordered && !c.cursorless
}

// passKnownHole goes on below the known hole that begins where the chain has come to, if
// there is one. ended says that nothing of the chain's range is left below it.
func (c *chain) passKnownHole() (ended bool) {
	if h := c.top(); c.atTop && h != nil && c.query.StartingAfter != "" && !c.unordered && c.outOf(h) {
		c.dropTop(h) // all of it was read
		c.atTop, c.certain, c.narrowed, c.query.Limit = false, false, 0, c.cfg.Poll.Tuning.PageSize
	}
	slice := !c.hi.IsZero() && c.pages == 0 && !c.passed
	for i := range c.state.Holes {
		h := &c.state.Holes[i]
		begins := h.Above == c.query.StartingAfter && h.Above != h.Below
		if c.query.StartingAfter == "" { // a slice begins in a hole
			begins = slice && !h.Newest() && h.BelowAt.Before(c.hi) && !h.AboveAt.Before(c.hi)
		}
		if begins && c.passes() && c.canPass(h) {
			c.pass(h)
			break
		}
	}
	return c.ended
}

// canPass says whether it is known how to go on below a hole: not if the session with which
// it ends was shown above it.
func (c *chain) canPass(h *event.Hole) bool {
	_, above := c.seen[hashID([]byte(h.Below))]
	return h.Below != "" && !above || h.Below == "" && (h.BelowAt.IsZero() || c.slicingFound != slicingFails)
}

// pass goes on below a hole.
func (c *chain) pass(h *event.Hole) {
	c.promised, c.more, c.atTop, c.tie, c.stood, c.shownLast = false, false, false, nil, false, [2]string{h.Below}
	c.narrowed, c.query.Limit = 0, c.cfg.Poll.Tuning.PageSize
	c.ended = h.BelowAt.IsZero() || (h.Below == "" && h.BelowAt.Before(c.query.CreatedGTE)) || ((c.pages > 0 || c.passed) && h.BelowAt.Before(c.lo)) || (c.p.apart && !h.BelowAt.After(c.lo))
	c.passed = true
	c.query.StartingAfter = h.Below
	c.seen[hashID([]byte(h.Below))] = struct{}{}
	if h.Below == "" && !c.ended {
		c.query.CreatedLTE, c.under = h.BelowAt, h.BelowAt
	}
}

// limited is the query for the next page. Its limit is how many known sessions stand between
// where the chain has come to and the next known hole, so that the page ends above that. New
// sessions may stand there as well: if the last n that were shown are new, the limit allows for
// n more, so that many of them take few pages. Such a page may reach into the hole: guess says
// so, and if it fails that is most likely why.
func (c *chain) limited() (q wooshpay.Query, guess bool) {
	q = c.query
	if len(c.state.Holes) == 0 || !c.passes() {
		return q, false
	}
	known := c.room(c.place(), q.Limit)
	if c.fresh > 0 {
		q.Limit = min(q.Limit, max(known, c.fresh+len(c.tie)))
	} else {
		q.Limit = known
	}
	return q, q.Limit > known
}

// skip passes over what the API cannot show even alone, if it shows what is below
// it; if not, the error is the chain's.
func (c *chain) skip(ctx context.Context, cause error) (passed bool, err error) {
	if c.by.dry() || c.byTime || c.unordered || c.cursorless || c.away || c.asked > 1 || !hides(cause) {
		return false, cause
	}
	c.stood = true
	if refused(cause) && c.query.StartingAfter != "" {
		stands, known, err := c.stands(ctx)
		if c.stood = stands; err != nil || (known && !stands) {
			return false, cmp.Or(err, cause)
		}
	}
	head := c.by == nil && c.asking == nil && !c.p.deep
	if h := c.top(); c.atTop && h != nil && c.canPass(h) {
		if from := c.aboveTop.from; head && c.query.StartingAfter != "" && c.aboveTop.below.Equal(h.BelowAt) && from.After(h.BelowAt) && !c.cursorAt.Before(from) {
			c.state.Holes = holes.TrimTop(c.state.Holes, "", from.Add(-time.Second)) // what the failing page shows above that is read by time
			return false, errAgain
		}
		c.passTop(*h)
		return true, nil
	}
	h := c.upper()
	found, err := c.lower(ctx, &h)
	if !found || err != nil {
		return false, cmp.Or(err, cause)
	}
	if shown, err := c.chance(ctx); shown || err != nil {
		return shown, err
	}
	if err := c.found(ctx, &h, cause); err != nil {
		return false, err
	}
	if c.atTop && h.Above != "" {
		c.state.Holes = holes.TrimTop(c.state.Holes, h.Above, h.AboveAt)
	}
	known := c.addHole(h)
	c.pass(&h)
	c.unshown = cause
	if head && !known && c.latency.Hangs() && time.Since(c.now.headFrom) >= c.cfg.Poll.Interval {
		return false, errAgain
	}
	return true, nil
}

// errAgain is a hole for which the head was held up: newer sessions come first.
var errAgain = errors.New("the head is read from its top again, past what the API cannot show")

// chance says whether it was by chance that something could not be had: whether it
// is shown after all, now that it is known that the API answers.
func (c *chain) chance(ctx context.Context) (shown bool, err error) {
	if c.known() { // it was found out before
		return false, nil
	}
	again := againForAHole
	if c.latency.Hangs() { // it takes long, and larger pages with it were tried
		again = 1
	}
	for range again {
		shown, err = c.answers(ctx, c.query, nil)
		if err != nil {
			return false, err
		}
		if shown {
			c.flukes++
			return c.flukes <= triesPerPage, nil
		}
	}
	return false, nil
}

// known says whether the chain asks for a hole that was found before.
func (c *chain) known() bool { return c.asking != nil && !c.asking.Asked.IsZero() }

// found completes a hole that was just found.
func (c *chain) found(ctx context.Context, h *event.Hole, cause error) error {
	stored, _, err := c.tracker.Account(ctx, c.cfg.Name)
	if err != nil {
		return fmt.Errorf("reading the store's record of account %s: %w", c.cfg.Name, err)
	}
	h.Asked, h.Error = c.clock.Now(), cause.Error()
	h.Since = later(h.Asked, h.BelowAt) // whatever the clocks say
	h.Pruned = h.BelowAt.Before(later(stored.ForgottenBefore, c.state.ForgottenBefore))
	h.First = !c.state.StartFixed
	return nil
}

// keepSpoiled makes a hole of a page with items that cannot be read, which no
// later pass reads; what can be read of it is taken.
func (c *chain) keepSpoiled(ctx context.Context, page *wooshpay.Page, cause error) error {
	if c.by.dry() || c.unordered || c.byTime {
		return nil
	}
	h := c.upper()
	n, first := len(page.Items), 0 // how many stand above all that makes no sense
	for first < n && page.Items[first].IsSound() && (len(page.Bad) == 0 || first < page.Bad[0].Place) {
		first++
	}
	goesOn := n > 0 && page.Last().IsSound() && (!page.Last().CreatedAt().After(c.lo) || !c.done(page)) // else they may stand below the last
	if goesOn && first == n {
		return nil // the next page shows them
	}
	if first > 0 {
		h.Above, h.AboveAt = string(page.Items[first-1].ID), page.Items[first-1].CreatedAt()
	}
	h.BelowAt = c.lo
	if goesOn {
		h.Below, h.BelowAt = string(page.Last().ID), page.Last().CreatedAt()
	}
	if err := c.found(ctx, &h, cause); err != nil {
		return err
	}
	c.addHole(h)
	return nil
}

// passTop passes over the hole that begins with the newest session, if there are
// no newer ones by now: else it begins below them.
func (c *chain) passTop(h event.Hole) {
	c.topRead = true
	if c.query.StartingAfter != "" {
		c.state.Holes = holes.TrimTop(c.state.Holes, c.query.StartingAfter, c.cursorAt)
	}
	c.pass(&h)
}

// upper begins a hole where the chain has come to.
func (c *chain) upper() (h event.Hole) {
	switch {
	case c.query.StartingAfter != "":
		h.Above, h.AboveAt = c.query.StartingAfter, c.cursorAt
		if e := c.index.Get(h.Above); e != nil {
			h.AboveAt = e.Created()
		}
	case c.asking != nil && !c.passed:
		h.Above, h.AboveAt = c.asking.Above, c.asking.AboveAt
	case !c.query.CreatedLTE.IsZero():
		h.AboveAt = c.query.CreatedLTE // what is above it is another slice's
	}
	return h
}

// lower ends a hole at the nearest place at which the list can be read again, and
// says whether there is one: below a known session or, where the API honours
// created[lte], at a time.
func (c *chain) lower(ctx context.Context, h *event.Hole) (found bool, err error) {
	below := c.below()
	// Whether the API is away is found out by few questions. After a pause it is known that
	// it is not: it has answered elsewhere.
	far := []int{1, 4, 32}
	if c.pages == 0 && !c.now.read && c.setbacks == 0 {
		far = far[:1]
	}
	n, err := holes.Nearest(len(below), far, 1, false, func(n int) (bool, error) {
		id := c.index.ID(below[n-1])
		return c.answers(ctx, wooshpay.Query{StartingAfter: id, CreatedGTE: c.query.CreatedGTE, Limit: 1}, func(page *wooshpay.Page) bool { return !c.above(page, id) })
	})
	c.stood = c.stood || n > 0 // cursors are taken
	if err != nil || !c.stood || (n == 0 && len(below) > 0 && len(far) == 1) {
		return false, err
	}
	if n > 0 {
		h.Below, h.BelowAt = c.index.ID(below[n-1]), below[n-1].Created()
		if c.sliceable() == slicingFails {
			return true, nil
		}
	}
	from := h.AboveAt
	if from.IsZero() {
		_, from = c.clock.Span(c.clock.Own())
		from = from.Add(serverclock.SkewNoticed).Truncate(time.Second)
	}
	if n > 0 && !c.p.apart { // if the next known session is what hides, no time ends the hole above it
		far = far[:1]
	}
	found, err = c.lowerTime(ctx, h, from, far)
	if edge := holes.RightBelow(c.state.Holes, c.lo); !found && err == nil && edge != nil { // nothing is left between the two
		h.Below, h.BelowAt, found = "", edge.AboveAt, true
	}
	return found || n > 0, err
}

// lowerTime ends a hole at the latest second before a time at which the list can be read again.
func (c *chain) lowerTime(ctx context.Context, h *event.Hole, from time.Time, far []int) (found bool, err error) {
	to := cmp.Or(later(h.BelowAt, c.lo), from.Add(-beyond))
	ignored, empty, tried, end := false, false, false, time.Time{}
	seconds, err := holes.Nearest(int(from.Sub(to)/time.Second), far, 0, c.known(), func(n int) (bool, error) {
		t := from.Add(-time.Duration(n) * time.Second)
		answered, err := c.answers(ctx, wooshpay.Query{CreatedLTE: t, CreatedGTE: c.query.CreatedGTE, Limit: 1}, func(page *wooshpay.Page) bool {
			empty = len(page.Items) == 0
			ignored = ignored || (!empty && page.First().CreatedAt().After(t.Add(2*wooshpay.CreatedRounding)))
			return empty || c.honours(page.First(), t)
		})
		if answered && err == nil && empty && c.sliceable() != slicingWorks && c.standing(time.Time{}, t, 1) > 0 {
			// Nothing was shown that tells. An API that reads milliseconds shows nothing at all.
			_, err = c.answers(ctx, wooshpay.Query{CreatedLTE: t, Limit: 1}, func(page *wooshpay.Page) bool {
				ignored = ignored || page.Total == 0
				return true
			})
			answered = !ignored
		}
		if answered {
			end = t
		}
		// Alone costs requests, and may not be needed: the session that the API cannot show may have
		// been created in the same second as the one above the hole, and then Nearest finds the end
		// one second lower. So for a new hole Alone is tried once the API fails for a time above an
		// end that was found; for one that is stored already, at the first end.
		if !end.IsZero() && answered == c.known() && err == nil && !tried {
			tried = true
			err = holes.Alone(ctx, h, c.asking, from, end, c.answersRange)
		}
		return answered, err
	})
	switch {
	case errors.Is(err, holes.ErrAlone):
		c.sliced(slicingWorks)
		return true, nil
	case err == nil && seconds > 0:
		h.Below, h.BelowAt = "", from.Add(-time.Duration(seconds)*time.Second)
		c.sliced(slicingWorks)
	case err == nil && ignored:
		c.sliced(slicingFails)
	}
	return seconds > 0, err
}

// honours says whether a session that is shown first may be the newest of a time
// and older, and not one that stands above the hole.
func (c *chain) honours(first *wooshpay.Item, t time.Time) bool {
	_, seen := c.seen[hashID(first.ID)]
	return !seen && string(first.ID) != c.query.StartingAfter && !first.CreatedAt().After(t)
}

// below lists the known sessions that the list shows below where the chain has
// come to, beyond its end too: near it nothing may be readable.
func (c *chain) below() (below []*index.Entry) {
	for i := c.place() - 1; i >= 0 && len(below) < mostSkipped; i-- {
		e := c.index.At(i)
		if e.Listed() && !c.mayStandAbove(e) {
			below = append(below, e)
		}
	}
	return below
}

// place is the position in the index below which the chain goes on.
func (c *chain) place() int {
	switch e := c.index.Get(c.query.StartingAfter); {
	case c.query.StartingAfter != "" && e != nil:
		return c.index.Position(e)
	case c.query.StartingAfter != "":
		return c.index.Search(c.cursorAt)
	case !c.query.CreatedLTE.IsZero():
		return c.index.Search(c.query.CreatedLTE.Add(wooshpay.CreatedRounding))
	}
	return c.index.Len()
}

// mayStandAbove says whether a session that is not newer than where the chain has come
// to may stand above that all the same, because it was shown there, or because it is of the
// same second, within which the order of sessions is not known.
func (c *chain) mayStandAbove(e *index.Entry) bool {
	_, seen := c.seen[hashID([]byte(c.index.ID(e)))]
	return seen || (c.asking != nil && c.query.StartingAfter != "" && !e.Created().Before(c.cursorAt))
}

// answers says whether the API answers a question, in a way that makes sense. An
// error is one that says nothing of the question.
func (c *chain) answers(ctx context.Context, q wooshpay.Query, sensible func(*wooshpay.Page) bool) (bool, error) {
	if c.known() && past(c.until) {
		return false, errAgain
	}
	page, err := c.page(ctx, patience{apart: true}, q, nil)
	switch {
	case unavailable(err):
		return false, nil
	case err != nil:
		return false, err
	}
	defer page.Release()
	if !c.state.StartFixed { // it is an answer as good as others
		c.observe(page.Answer)
		if _, err := c.begin(ctx, page); err != nil {
			return false, err
		}
	}
	readable := page.Total == 0 || len(page.Items) > 0
	return readable && (sensible == nil || sensible(page)), nil
}
