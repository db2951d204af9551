package poller

import (
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/wooshpay"
)

// worthSplitting is from how many pages that are still to be read a chain is
// split: each part ends with a page that is not full.
const worthSplitting = 4

// scan reads a range of the list by one chain and, where the API honours
// created[lte], by slices of it in parallel: whoever has nothing to do takes the
// older half of the longest one.
type scan struct {
	*account
	p      patience
	by     *sweep
	lo, hi time.Time

	todo    []*chain // not begun, or interrupted
	active  []*chain
	aside   []*chain // failed in this run
	slicing slicing
	newest  time.Time // creation time that was shown
	pages   int
	slices  int
	failure error // the first
	inARow  int
	stopped bool
}

// slicing is whether a scan may be split.
type slicing int

const (
	slicingUnknown slicing = iota
	slicingAsked
	slicingWorks
	slicingFails
)

func newScan(a *account, p patience, by *sweep, lo, hi time.Time) *scan {
	return &scan{account: a, p: p, by: by, lo: lo, hi: hi, slicing: a.sliceable()}
}

// sliceable says what is known of created[lte]: what was found out holds for a while.
func (a *account) sliceable() slicing {
	if a.clock.Now().Sub(a.slicingProbed).Abs() < a.cfg.Poll.Tuning.ReconcileEvery {
		return a.slicingFound
	}
	return slicingUnknown
}

// sliced notes what was found out of created[lte].
func (a *account) sliced(found slicing) {
	a.slicingFound, a.slicingProbed = found, a.clock.Now()
	if found == slicingFails {
		a.odd("created_lte_ignored", "the API ignores created[lte]; the list is read page after page instead of in parallel")
	}
}

// run reads until the whole range was read or its time is over (errNotDone): then
// it goes on at the next call. Any other error means that a part of the range
// could not be read; what could not is tried again at the next call.
func (s *scan) run(ctx context.Context, until time.Time) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.failure, s.inARow, s.stopped = nil, 0, false
	workers := 1
	if len(s.todo) > 1 || s.lead(ctx, until) {
		workers = s.cfg.Poll.Tuning.Concurrency
	}
	s.parallel(workers, func() { s.work(ctx, until) })
	s.todo, s.aside = append(s.aside, s.todo...), nil
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(s.failure, errTooNew) && s.slicing != slicingFails:
		s.todo = nil
		s.learn(slicingFails)
		return s.run(ctx, until)
	case s.failure != nil:
		return s.failure
	case len(s.todo) > 0:
		return errNotDone
	}
	return nil
}

// lead walks the only chain until it shows that it is worth splitting.
func (s *scan) lead(ctx context.Context, until time.Time) (worth bool) {
	c := s.todo[0]
	s.todo = s.todo[1:]
	err := c.walk(ctx, func() bool {
		worth = s.slicing != slicingFails && c.pagesLeft() >= worthSplitting
		return worth || s.over(until)
	})
	s.ended(c, err, until)
	return worth
}

// over says whether others go first, or nobody waits for the scan any more.
func (s *scan) over(until time.Time) bool { return past(until) || s.by.left() }

// begin makes the first chain. One that does not begin at the head needs
// created[lte].
func (s *scan) begin(ctx context.Context) error {
	if len(s.todo) > 0 {
		return nil
	}
	hi := s.hi
	if !hi.IsZero() && s.slicing == slicingUnknown {
		i := s.index.Search(hi)
		for i > 0 && s.inHole(s.index.At(i-1)) {
			i--
		}
		if i == 0 {
			s.slicing = slicingFails // nothing is known by which to tell
		} else if err := s.probe(ctx, s.index.At(i-1).Created()); err != nil {
			return err
		}
	}
	if s.slicing == slicingFails {
		hi = time.Time{}
	}
	for _, piece := range holes.Pieces(s.by.known(s.state.Holes), s.lo, hi, s.slicing != slicingFails) {
		c := newChain(s.account, s.p, s.by, piece.Lo, piece.Hi)
		if piece.Under != nil {
			c.pass(piece.Under)
		}
		s.todo = append(s.todo, c)
	}
	return nil
}

// probe asks whether created[lte] is honoured: with a session that the list has, and for no
// older one, over which the API may fail.
func (s *scan) probe(ctx context.Context, created time.Time) error {
	s.slicing = slicingAsked
	defer s.turn.Broadcast()
	page, err := s.page(ctx, s.p, wooshpay.Query{CreatedGTE: created.Add(-wooshpay.CreatedRounding), CreatedLTE: created.Add(wooshpay.CreatedRounding), Limit: 1}, nil)
	switch {
	case unshown(err): // that session may be what the API cannot show: nobody knows
	case err != nil && !refused(err):
		s.slicing = slicingUnknown
		return err
	case err != nil || len(page.Items) == 0 || page.First().CreatedAt().Before(created.Add(-2*wooshpay.CreatedRounding)):
		s.slicing = slicingFails
	case page.First().CreatedAt().After(created.Add(2 * wooshpay.CreatedRounding)):
		s.learn(slicingFails)
	default:
		s.learn(slicingWorks)
	}
	return nil
}

// learn keeps for a while what was found out of created[lte].
func (s *scan) learn(found slicing) {
	s.slicing = found
	s.sliced(found)
}

// work reads chain after chain.
func (s *scan) work(ctx context.Context, until time.Time) {
	for ctx.Err() == nil && !s.stopped {
		c := s.share(ctx)
		switch {
		case c != nil:
		case len(s.active) == 0 || s.stopped:
			return
		default:
			s.turn.Wait()
			continue
		}
		s.active = append(s.active, c)
		err := c.walk(ctx, func() bool { return s.stopped || s.over(until) })
		s.active = slices.DeleteFunc(s.active, func(other *chain) bool { return other == c })
		s.ended(c, err, until)
		s.turn.Broadcast()
	}
}

// share takes the newest chain that waits, or a part of one that is being read.
func (s *scan) share(ctx context.Context) *chain {
	if len(s.todo) > 0 {
		c := s.todo[0]
		s.todo = s.todo[1:]
		return c
	}
	longest, pages := (*chain)(nil), float64(worthSplitting)
	for _, c := range s.active {
		if n := c.pagesLeft(); n >= pages {
			longest, pages = c, n
		}
	}
	if longest == nil {
		return nil
	}
	if s.slicing == slicingUnknown {
		if err := s.probe(ctx, longest.oldest); err != nil {
			s.failed(err)
			return nil
		}
	}
	if s.slicing != slicingWorks || longest.pagesLeft() < worthSplitting {
		return nil
	}
	c := longest.split()
	if c != nil {
		s.slices++
	}
	return c
}

// ended notes how a walk ended.
func (s *scan) ended(c *chain, err error, until time.Time) {
	s.newest = later(s.newest, c.newest)
	s.pages, c.pages = s.pages+c.pages, 0
	switch {
	case err == nil:
		s.inARow = 0
	case errors.Is(err, errNotDone):
		s.stopped = s.stopped || s.over(until)
		s.todo = append(s.todo, c)
	default:
		s.failed(err)
		s.aside = append(s.aside, s.again(c))
	}
}

// again returns a chain over what of one that failed was not handled. What that one had
// to assume of the API is forgotten.
func (s *scan) again(c *chain) *chain {
	hi := c.hi
	if s.slicing == slicingWorks && !c.unordered && !c.byTime && !c.handled.IsZero() && c.handled.After(c.lo) {
		hi = c.handled
	}
	return newChain(s.account, s.p, s.by, c.lo, hi)
}

// failed notes that a page could not be read. Two in a row are an API that is
// away; what is not the API's fault ends the scan at once.
func (s *scan) failed(err error) {
	if s.failure == nil {
		s.failure = err
	}
	s.inARow++
	s.stopped = s.stopped || s.inARow > 1 || !unanswered(err) || denied(err)
}

// pagesLeft estimates how much of the chain is still to be read: by what is known
// of its range, and by how dense the list was so far.
func (c *chain) pagesLeft() float64 {
	if c.lo.IsZero() || c.unordered || c.byTime || c.oldest.IsZero() || !c.oldest.After(c.lo) {
		return 0
	}
	known := c.index.Search(c.oldest) - c.index.Search(c.lo)
	covered := max(c.newest.Sub(c.oldest), time.Minute) // less says little
	expected := float64(c.shown) * float64(c.oldest.Sub(c.lo)) / float64(covered)
	return max(float64(known), expected) / float64(c.cfg.Poll.Tuning.PageSize)
}

// split cuts the older half off, by number where the range is known.
func (c *chain) split() *chain {
	top := c.oldest
	if !c.hi.IsZero() { // the rounding shows what is above it
		top = earlier(top, c.hi)
	}
	from, to := c.index.Search(c.lo), c.index.Search(top)
	middle := c.lo.Add(top.Sub(c.lo) / 2).Truncate(time.Second)
	if known := to - from; known >= worthSplitting*c.cfg.Poll.Tuning.PageSize {
		middle = c.index.At(from + known/2).Created()
	}
	if !middle.After(c.lo) || !middle.Before(top) {
		return nil
	}
	older := newChain(c.account, c.p, c.by, c.lo, middle)
	c.lo, c.promised, c.more = middle, false, false
	c.query.CreatedGTE = middle.Add(-wooshpay.CreatedRounding)
	return older
}
