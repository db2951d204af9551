package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/serverclock"
	"checkout-notifier/poller/wooshpay"
)

// An API may fail over every range of the list that holds a session that it cannot show,
// on whatever page of it that stands. No cursor leads past such a session then, only a
// range of creation times that leaves it out. So the seconds in which such sessions stand
// are found by halves: each is a hole between two times, and the list is read piece by
// piece around them.

const (
	// mostCuts bounds the ranges that are asked for at once to find those seconds, and cutFor
	// the time where each takes long. What is left stays one hole until that is due.
	mostCuts = 64
	cutFor   = 20 * time.Second
)

// topRange is what was found out of the list above the hole that begins with its newest session.
type topRange struct {
	below time.Time // where that hole ends; it holds for no other one
	from  time.Time // the list is answered from this creation time on
}

// isTimed says whether only a time tells where a hole begins.
func isTimed(h *event.Hole) bool { return h.Above == "" && !h.Newest() }

// boundTop ends the hole that begins with the newest session where the list is answered
// again above it, if that shows anything, and reads what it shows. Where the list is
// answered nowhere, or where the hole has grown since it was found and nothing is shown
// above, no later session can be shown: then it sets blindTop.
func (a *account) boundTop(ctx context.Context) error {
	h, now := a.top(), a.clock.Now()
	if h == nil || h.BelowAt.IsZero() || a.now.sinceless {
		return nil
	}
	hole := *h
	_, latest := a.clock.Span(a.clock.Own())
	slack := latest.Sub(now) + serverclock.SkewNoticed
	known := a.aboveTop
	shown, err := a.findAbove(ctx, &hole, now.Add(slack).Truncate(time.Second))
	if err != nil || a.now.sinceless {
		return err
	}
	if from := a.aboveTop.from; from.After(hole.BelowAt) && (shown || a.aboveTop != known) {
		bounded := hole
		bounded.AboveAt = from.Add(-time.Second)
		parts, between, err := a.cut(ctx, bounded)
		if err != nil {
			return err
		}
		if shown || between {
			if !shown {
				parts[0].Since, parts[0].AboveAt = now, time.Time{}
			}
			a.replaceHole(&hole, parts)
			a.aboveTop.below = parts[0].BelowAt
			return a.head(ctx)
		}
	}
	if from := a.aboveTop.from; from.After(hole.Since.Add(slack)) || (from.IsZero() && now.Sub(hole.Since) >= serverclock.SkewNoticed) {
		a.now.blindTop = fmt.Errorf("the API shows neither the newest sessions, since %s, nor any that came later: what is ordered, a payment perhaps, is not seen; it says: %s", event.FormatTime(hole.Since), hole.Error)
	}
	return nil
}

// findAbove finds from which creation time on, up to a last one, the list is answered
// above a hole that begins with the newest session, and says whether that shows anything.
func (a *account) findAbove(ctx context.Context, h *event.Hole, last time.Time) (shown bool, err error) {
	answers := func(from time.Time) (bool, error) {
		answered, any, err := a.answersRange(ctx, from, time.Time{})
		if answered {
			shown = any
		}
		return answered, err
	}
	insists := func(from time.Time) (answered bool, err error) { // one failure may be chance
		for n := 0; n < triesPerPage && !answered && err == nil; n++ {
			answered, err = answers(from)
		}
		return answered, err
	}
	if !a.aboveTop.below.Equal(h.BelowAt) || a.aboveTop.from.After(last) {
		a.aboveTop = topRange{below: h.BelowAt}
	}
	base, found := a.aboveTop.from, insists
	if base.IsZero() { // if it is answered from here on, it is a hole for another reason
		base, found = h.BelowAt.Truncate(time.Second), answers
	}
	answered, err := found(base)
	if a.aboveTop.from = base; answered || err != nil {
		return shown, err
	}
	a.aboveTop.from = time.Time{}
	if answered, err := insists(last); !answered || err != nil {
		return false, err
	}
	n, err := nearest(int(last.Sub(base)/time.Second), []int{1}, 0, false, func(n int) (bool, error) {
		return answers(base.Add(time.Duration(n) * time.Second))
	})
	if n > 0 && err == nil {
		a.aboveTop.from = base.Add(time.Duration(n) * time.Second)
	}
	return shown, err
}

// answersRange says whether the API answers for a range of creation times, and whether
// that shows any session. The zero time is no end.
func (a *account) answersRange(ctx context.Context, from, to time.Time) (answered, shown bool, err error) {
	page, err := a.page(ctx, patience{apart: true}, wooshpay.Query{CreatedGTE: from, CreatedLTE: to, Limit: 1}, nil)
	if unavailable(err) {
		return false, false, nil
	} else if err != nil {
		return false, false, err
	}
	defer page.Release()
	for i := range page.Items {
		created := page.Items[i].CreatedAt()
		a.now.sinceless = a.now.sinceless || page.Excludes(created)
		if !to.IsZero() && created.After(to.Add(2*wooshpay.CreatedRounding)) {
			a.sliced(slicingFails)
		}
	}
	return true, page.Total > 0, nil
}

// cut returns the parts of a hole between two times that are left when all is taken out
// of it for which the API answers, the newest first, and whether any session is shown
// between them.
func (a *account) cut(ctx context.Context, h event.Hole) (parts []event.Hole, shown bool, err error) {
	from, to := h.BelowAt.Truncate(time.Second).Add(time.Second), h.AboveAt.Truncate(time.Second)
	whole := []event.Hole{h}
	if h.Below != "" || h.BelowAt.IsZero() || !from.Before(to) {
		return whole, false, nil
	}
	left, began := mostCuts, time.Now()
	asks := func(from, to time.Time) bool { // the range is not answered for
		if err != nil {
			return false
		}
		var answered, any bool
		left--
		answered, any, err = a.answersRange(ctx, from, to)
		shown = shown || any
		return !answered
	}
	var halve func(from, to time.Time)
	halve = func(from, to time.Time) {
		if from.Equal(to) || left <= 0 || time.Since(began) > cutFor || a.sliceable() == slicingFails || err != nil {
			below := from.Add(-time.Second)
			if n := len(parts); n > 0 && !to.Before(parts[n-1].BelowAt) {
				parts[n-1].BelowAt = below
				return
			}
			part := h
			part.AboveAt, part.BelowAt = to, below
			parts = append(parts, part)
			return
		}
		middle := from.Add(to.Sub(from) / 2).Truncate(time.Second)
		newer := asks(middle.Add(time.Second), to)
		if newer {
			halve(middle.Add(time.Second), to)
		}
		if !newer || asks(from, middle) {
			halve(from, middle)
		}
	}
	if !asks(from, to) { // it is a hole for another reason
		return whole, false, err
	}
	halve(from, to)
	return parts, shown, err
}

// replaceHole replaces a hole by its parts.
func (a *account) replaceHole(h *event.Hole, parts []event.Hole) {
	a.state.Holes = slices.DeleteFunc(slices.Clone(a.state.Holes), func(other event.Hole) bool { return other == *h })
	for i := range parts {
		a.state.Holes, _, _ = withHole(a.state.Holes, parts[i])
	}
}

// cutWide cuts the hole between two times that is left of one that was just asked for,
// and reads what is no part of it any more.
func (a *account) cutWide(ctx context.Context, of *event.Hole, until time.Time) error {
	i := slices.IndexFunc(a.state.Holes, func(h event.Hole) bool {
		return isTimed(&h) && h.Below == "" && h.AboveAt.Sub(h.BelowAt) > time.Second && touch(&h, of)
	})
	if i < 0 || past(until) {
		return nil
	}
	h := a.state.Holes[i]
	parts, _, err := a.cut(ctx, h)
	if err != nil || (len(parts) == 1 && parts[0].AboveAt.Sub(parts[0].BelowAt) >= h.AboveAt.Sub(h.BelowAt)) {
		return err
	}
	a.replaceHole(&h, parts)
	err = newScan(a, patience{tries: a.tries, deep: true}, nil, h.BelowAt, h.AboveAt).run(ctx, until)
	if err != nil { // nobody else reads it
		a.state.Holes, _, _ = withHole(a.state.Holes, h)
	}
	if errors.Is(err, errNotDone) || unavailable(err) || senseless(err) {
		return ctx.Err()
	}
	return err
}

// pieces makes the chains of a range: what lies between the holes in it of which only
// times tell where they begin. No range is asked for that has one of them in it.
func (s *scan) pieces(lo, hi time.Time) (chains []*chain) {
	var above *event.Hole // the last one
	piece := func(lo time.Time) {
		c := newChain(s.account, s.p, s.by, lo, hi)
		if above != nil && above.Below != "" {
			c.pass(above)
		}
		chains = append(chains, c)
	}
	for i := range s.state.Holes {
		h := &s.state.Holes[i]
		reached := hi.IsZero() || h.BelowAt.Before(hi.Add(wooshpay.CreatedRounding))
		ends := !lo.IsZero() && h.AboveAt.Before(lo.Add(-wooshpay.CreatedRounding))
		if !isTimed(h) || !reached || ends || s.by.dry() || (h.Below == "" && s.slicing == slicingFails) {
			continue
		}
		if hi.IsZero() || h.AboveAt.Before(hi) {
			piece(h.AboveAt.Add(time.Second))
		}
		above, hi = h, h.BelowAt
		if h.Below != "" {
			hi = time.Time{}
		}
		if !lo.IsZero() && !h.BelowAt.After(lo.Add(-wooshpay.CreatedRounding)) && len(chains) > 0 {
			return chains
		}
	}
	piece(lo)
	return chains
}

// edge returns the hole that the range of the chain lies right above, nil if there is none.
func (c *chain) edge() *event.Hole {
	for i := range c.state.Holes {
		if h := &c.state.Holes[i]; isTimed(h) && h.AboveAt.Before(c.lo) && !h.AboveAt.Before(c.lo.Add(-wooshpay.CreatedRounding)) {
			return h
		}
	}
	return nil
}

// span sets the creation times that the chain asks for: its ends, allowing for the API's
// rounding, but no second of a hole right below or above.
func (c *chain) span() {
	c.query.CreatedGTE, c.query.CreatedLTE = time.Time{}, time.Time{}
	if !c.lo.IsZero() {
		c.query.CreatedGTE = c.lo.Add(-wooshpay.CreatedRounding)
	}
	if !c.hi.IsZero() {
		c.query.CreatedLTE = c.hi.Add(wooshpay.CreatedRounding)
	}
	if c.by.dry() {
		return
	}
	if h := c.edge(); h != nil {
		c.query.CreatedGTE = h.AboveAt.Add(time.Second)
	}
	for i := range c.state.Holes {
		if h := &c.state.Holes[i]; isTimed(h) && h.Below == "" && !h.BelowAt.Before(c.hi) && h.BelowAt.Before(c.query.CreatedLTE) {
			c.query.CreatedLTE = h.BelowAt
		}
	}
}

// floor is the creation time down to which a page that begins with a known session may
// reach: that of the next hole of which only times tell where it begins.
func (a *account) floor(e *index.Entry) time.Time {
	for i := range a.state.Holes {
		if h := &a.state.Holes[i]; isTimed(h) && h.AboveAt.Before(e.Created()) {
			return h.AboveAt
		}
	}
	return time.Time{}
}

// clearOf changes a question for the page that begins with a known session, below a newer
// one, so that it asks for none of those holes.
func (a *account) clearOf(q *wooshpay.Query, e *index.Entry, neighbour string) {
	if floor := a.floor(e); !floor.IsZero() {
		q.CreatedGTE = floor.Add(time.Second)
	}
	above := a.index.Get(neighbour)
	for i := range a.state.Holes {
		h := &a.state.Holes[i]
		if isTimed(h) && !e.Created().After(h.BelowAt) && (above == nil || above.Created().After(h.BelowAt)) {
			q.StartingAfter, q.CreatedLTE = h.Below, time.Time{}
			if h.Below == "" {
				q.CreatedLTE = h.BelowAt
			}
		}
	}
}
