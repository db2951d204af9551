package poller

import (
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

// An API may fail over every range of the list that holds a session that it cannot show,
// on whatever page of it that stands. No cursor leads past such a session then, only a
// range of creation times that leaves it out. So the seconds in which such sessions stand
// are found by halves: each is a hole between two times, and the list is read piece by
// piece around them.

const (
	// mostCuts bounds the ranges that are asked for at once to find those seconds, and cutFor
	// the time where each takes long; leastCuts take something out of most holes. What is
	// left stays one hole until that is due.
	mostCuts, leastCuts = 64, 4
	cutFor              = 20 * time.Second
)

// topRange is what was found out of the list above the hole that begins with its newest session.
type topRange struct {
	below time.Time // where that hole ends; it holds for no other one
	from  time.Time // the list is answered from this creation time on
}

// boundTop looks for the creation time from which on the API answers again above the hole
// that begins with the newest session. If it shows sessions there, the hole ends below them,
// and they are read. If it answers from no time on, or only from one after the hole was
// found, what was created since cannot be shown either: then it sets blindTop.
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
		parts, rest, err := a.cut(ctx, bounded, cutFor)
		if err != nil {
			return err
		}
		if shown || rest {
			if !shown && parts[0].AboveAt.Equal(bounded.AboveAt) {
				parts[0].Since, parts[0].AboveAt = now, time.Time{}
			}
			a.state.Holes = holes.Replace(a.state.Holes, hole, parts)
			a.aboveTop.below = parts[0].BelowAt
			// It may have taken in older ones: what is no part of it any more is read down to its end.
			a.state.Low = earlier(a.state.Low, hole.BelowAt.Add(a.cfg.Poll.Tuning.Overlap))
			_, err = a.readHead(ctx, hole.BelowAt)
			return err
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
	if base.IsZero() { // an API that answers for a range with the hole in it fails over pages, not over ranges
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
	n, err := holes.Nearest(int(last.Sub(base)/time.Second), []int{1}, 0, false, func(n int) (bool, error) {
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
		if end := to.Add(2 * wooshpay.CreatedRounding); !to.IsZero() && created.After(end) {
			a.sliced(slicingFails)
		} else if !to.IsZero() && a.state.Low.After(end) { // newer ones were shown before
			a.sliced(slicingWorks)
		}
	}
	return true, page.Total > 0, nil
}

// cut asks for halves of a hole between two times (see holes.Cut). most is how long it may take.
func (a *account) cut(ctx context.Context, h event.Hole, most time.Duration) (parts []event.Hole, rest bool, err error) {
	asked, began := 0, time.Now()
	if h.Below != "" && a.sliceable() != slicingWorks { // with created[lte] ignored this has the hole in it
		answered, _, err := a.answersRange(ctx, h.BelowAt.Add(-time.Hour), h.BelowAt.Add(-time.Second))
		if !answered || err != nil || a.sliceable() == slicingFails {
			return []event.Hole{h}, false, err
		}
	}
	return holes.Cut(h, func(from, to time.Time) (answered, shown bool, err error) {
		asked++
		return a.answersRange(ctx, from, to)
	}, func() bool {
		return asked >= mostCuts || (asked > leastCuts && time.Since(began) > most) || a.sliceable() == slicingFails
	})
}

// cutWide cuts the hole between two times that is left of one that was just asked for,
// and reads what is no part of it any more. The passes wait for it: an old hole, which is
// asked for less often, is given more time.
func (a *account) cutWide(ctx context.Context, of *event.Hole, until time.Time) error {
	h, found := holes.Wide(a.state.Holes, of)
	if !found {
		return nil
	}
	parts, _, err := a.cut(ctx, h, min(max(cutFor/2, a.clock.Now().Sub(h.Since)/32), cutFor))
	if err != nil || (len(parts) == 1 && parts[0].AboveAt.Sub(parts[0].BelowAt) >= h.AboveAt.Sub(h.BelowAt)) {
		return err
	}
	a.state.Holes = holes.Replace(a.state.Holes, h, parts)
	if !until.IsZero() { // else all the cutting would have been for nothing
		until = later(until, time.Now().Add(a.cfg.Poll.Interval))
	}
	err = newScan(a, patience{tries: a.tries, deep: true}, nil, h.BelowAt, h.AboveAt).run(ctx, until)
	if err != nil { // nobody else reads it
		a.state.Holes, _, _ = holes.With(a.state.Holes, h)
	}
	a.state.Holes = holes.Few(a.state.Holes)
	if errors.Is(err, errNotDone) || unavailable(err) || senseless(err) {
		return ctx.Err()
	}
	return err
}

// clearOf changes the query for the page that begins with the known session e, after its
// newer neighbour, so that it asks for no part of a hole. It is about the holes of which only
// a time says where they begin; showPage sees to those that begin after the neighbour.
func (a *account) clearOf(q *wooshpay.Query, e *index.Entry, neighbour string) {
	if floor := holes.Floor(a.state.Holes, e.Created()); !floor.IsZero() {
		q.CreatedGTE = floor.Add(time.Second)
	}
	var upper time.Time
	if above := a.index.Get(neighbour); above != nil {
		upper = above.Created()
	}
	if h := holes.Between(a.state.Holes, e.Created(), upper); h != nil {
		q.StartingAfter, q.CreatedLTE = holes.Under(h)
	}
}
