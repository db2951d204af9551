package poller

import (
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/wooshpay"
)

// top returns the hole that begins with the newest session, nil if there is none.
func (a *account) top() *event.Hole {
	if len(a.state.Holes) > 0 && a.state.Holes[0].Newest() {
		return &a.state.Holes[0]
	}
	return nil
}

// closeTop notes that the head of the list was read and that no hole begins it.
func (a *account) closeTop() {
	if h := a.top(); h != nil && !a.topRead {
		a.dropTop(h)
	}
}

func (a *account) dropTop(h *event.Hole) {
	a.closed(h)
	a.state.Holes = slices.Clone(a.state.Holes[1:])
}

// outOf says whether the chain has read to the end of a hole: by creation time, and within
// the second in which the hole ends by whether the session was shown with which it ends.
func (c *chain) outOf(h *event.Hole) bool {
	_, seen := c.seen[hashID([]byte(h.Below))]
	return c.cursorAt.Before(h.BelowAt) || (h.Below != "" && seen) || (h.Below == "" && c.cursorAt.Equal(h.BelowAt))
}

func (a *account) closed(h *event.Hole) {
	a.shownAgain = a.clock.Now()
	a.log.Info("a part of the list that the API could not show was read", "since", h.Since)
}

// passedOver lists the holes; what is asked for at present is still one.
func (a *account) passedOver() []event.Hole {
	if a.asking == nil {
		return a.state.Holes
	}
	return append(slices.Clone(a.state.Holes), *a.asking)
}

// addHole adds a hole, together with those that it touches, and says whether it was known.
func (a *account) addHole(h event.Hole) (known bool) {
	known = a.asking != nil && !a.asking.Asked.IsZero()
	if a.asking != nil {
		h = holes.Inherit(h, a.asking)
	}
	var found bool
	a.state.Holes, h, found = holes.With(a.state.Holes, h)
	known = known || found
	a.topRead = a.topRead || h.Newest()
	if !known {
		a.log.Warn("the API cannot show a part of the list: what has not been seen yet of the sessions there is announced once it can; it is asked for again and again, and the rest is read as usual",
			"above", h.Above, "from", h.BelowAt, "until", h.AboveAt, "error", h.Error)
	}
	return known
}

// JoinHoles returns the holes of two accounts that become one.
func JoinHoles(a, b []event.Hole) []event.Hole { return holes.Join(a, b) }

// inHole says whether a page that begins with a known session cannot be had
// because of a hole.
func (a *account) inHole(e *index.Entry) bool {
	inside := func(h event.Hole) bool {
		return holes.Holds(&h, e.Created()) && (h.Above == "" || a.index.Get(h.Above) != e)
	}
	return slices.ContainsFunc(a.state.Holes, inside) || slices.ContainsFunc(a.suspects, inside)
}

// room returns how many sessions a page may show that begins below a position of
// the index, so that it ends above the next hole.
func (a *account) room(position, limit int) int {
	var uppers []*index.Entry
	for _, h := range slices.Concat(a.state.Holes, a.suspects) {
		if e := a.index.Get(h.Above); e != nil && h.Above != "" {
			uppers = append(uppers, e)
		}
	}
	return a.index.Room(position, limit, uppers)
}

// suspect notes that a page of older sessions cannot be had although the API
// answers: it is asked for apart by the same pass.
func (a *account) suspect(neighbour string, from *index.Entry) {
	if !a.now.read || len(a.suspects) == holes.Most {
		return
	}
	last := a.index.Position(from)
	floor := holes.Floor(a.state.Holes, from.Created())
	for left := a.cfg.Poll.Tuning.PageSize; last > 0 && left > 0 && a.index.At(last-1).Created().After(floor); last-- {
		if a.index.At(last).Listed() {
			left--
		}
	}
	h := event.Hole{Above: neighbour, Below: a.index.ID(a.index.At(last)), BelowAt: a.index.At(last).Created(), Since: a.clock.Now()}
	if above := a.index.Get(neighbour); neighbour != "" && above != nil {
		h.AboveAt = above.Created()
	} else {
		h.Above, h.AboveAt = "", from.Created().Add(wooshpay.CreatedRounding)
	}
	a.suspects = append(a.suspects, h)
}

// askSuspects asks for the pages that could not be had. What time does not allow
// for is suspected again by the next look at it.
func (a *account) askSuspects(ctx context.Context, until time.Time) error {
	for len(a.suspects) > 0 {
		h := a.suspects[0]
		if err := a.askHole(ctx, h, false, until); err != nil {
			return err
		}
		a.suspects = a.suspects[1:]
	}
	return nil
}

// askHoles asks for the holes that are due, those first that have waited longest. While
// the API shows what it could not, orders perhaps, an interval is given to them, however
// long the pass takes.
func (a *account) askHoles(ctx context.Context, until time.Time) error {
	now := a.clock.Now()
	due := holes.Due(a.state.Holes, now, a.shownAgain)
	longer := time.Now().Add(a.cfg.Poll.Interval)
	for i, h := range due {
		if healing := !a.shownAgain.Before(now); i > 0 && past(until) && (!healing || past(longer)) {
			break
		}
		if err := a.askHole(ctx, h, true, until); err != nil {
			return err
		}
		if err := a.cutWide(ctx, &h, until); err != nil {
			return err
		}
	}
	return nil
}

// askHole reads a hole as far as that is possible in the given time, a stored one for an
// interval at least. What cannot be read of it stays.
func (a *account) askHole(ctx context.Context, h event.Hole, stored bool, until time.Time) error {
	before := a.state.Holes
	at := slices.IndexFunc(before, func(other event.Hole) bool { return other == h })
	if stored && at < 0 {
		return nil // it was joined with another one
	}
	if stored {
		a.state.Holes = slices.Delete(slices.Clone(before), at, at+1)
	}
	rest := len(a.state.Holes)
	// One of the future was made by a wrong clock, and so was one before that with which the
	// hole ends.
	h.Since = later(earlier(h.Since, a.clock.Now()), h.BelowAt)
	asked := h
	if stored {
		asked.Asked = a.clock.Now()
	}
	a.asking = &asked
	p, hi := patience{tries: 1, apart: true, deep: true}, time.Time{}
	if h.Above == "" && a.sliceable() != slicingFails {
		hi = h.AboveAt
	}
	c := newChain(a, p, nil, h.BelowAt, hi)
	c.query.StartingAfter, c.query.Limit, c.narrowed = h.Above, 1, c.query.Limit
	c.cursorAt = h.AboveAt
	sighting := a.sightings
	longer := time.Now().Add(a.cfg.Poll.Interval)
	if !until.IsZero() {
		c.until = later(until, longer)
	}
	err := c.walk(ctx, func() bool { return past(until) && (!stored || past(longer) && c.pages > 1) }) // the first is of one session
	a.asking = nil
	if errors.Is(err, errNotDone) && c.outOf(&h) {
		err = nil
	}
	switch {
	case err == nil && stored && len(a.state.Holes) == rest:
		a.closed(&h)
		a.readThrough(h.BelowAt, h.AboveAt, sighting)
	case err == nil:
	case stored:
		switch {
		case errors.Is(err, errTooNew) && !hi.IsZero(): // the next pass reads it from the top
			a.sliced(slicingFails)
		case errors.Is(err, errNotDone): // the next pass goes on
			h.Above, h.AboveAt = c.query.StartingAfter, c.cursorAt
		case refused(err) && !c.stood: // the session above it is gone, perhaps
			h.Above = ""
			fallthrough
		default:
			h.Asked = a.clock.Now()
		}
		a.asking = &h // it is known
		a.addHole(h)
		a.asking = nil
	}
	if errors.Is(err, errNotDone) || errors.Is(err, errAgain) || ((unavailable(err) || senseless(err)) && ctx.Err() == nil) {
		return nil
	}
	return err
}

// senseless says whether an error is that a page makes no sense where it stands.
func senseless(err error) bool {
	var repeated repeatedPage
	var unreadable unreadablePage
	return errors.As(err, &repeated) || errors.As(err, &unreadable) ||
		errors.Is(err, errTooNew) || errors.Is(err, errEarlyEnd) || errors.Is(err, errEmptyPage) || errors.Is(err, errSpoiled)
}
