package poller

import (
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/wooshpay"
)

// chain is one walk down a part of the list, page by page. The next page is asked
// for as soon as the last id of the present one is known.
type chain struct {
	*account
	p     patience
	by    *sweep
	lo    time.Time // zero: to the end; may rise while the chain is read
	hi    time.Time // zero: from the head
	query wooshpay.Query

	// What was shown so far.
	seen     map[uint64]struct{} // hashes of the ids of the sessions
	garbled  map[uint64]bool     // hashes of the ids of rows that made no sense: a later page may show them as new
	shown    int                 // sessions
	fresh    int                 // the last of them, as far as they were not known before
	pages    int
	newest   time.Time // creation time of the newest session
	oldest   time.Time // creation time of the last session of the last page
	handled  time.Time // oldest, of the last page that handle has taken in
	stepped  int       // pages in a row of which no item makes sense
	passed   bool      // the chain has gone on below a hole
	under    time.Time // where that hole ends at a time: no session of the next page is newer
	until    time.Time // when what comes first waits; zero: never
	ended    bool      // nothing of the range is left below that hole
	refusals int       // how often the API refused the question for the first page
	flukes   int       // how often what seemed to be a hole was shown when it was asked for again
	returned bool      // the parameters were sent where they were refused once more

	// Where and how the next page is asked for.
	cursorAt  time.Time // creation time of the session after which it begins
	tie       []uint64  // hashes of the ids of shown sessions that it may repeat: see advance
	unordered bool      // the list is not from new to old, and is read to its end
	byTime    bool      // the API does not take cursors: pages are cut by creation time
	asked     int       // limit of the last question
	shownLast [2]string // ids of the last session that was shown, and of the one above it
	stood     bool      // the cursor is known to be in the list: a refusal is not about it

	// Whether more pages follow.
	promised     bool // by the last page, or because sessions are to be repeated
	more         bool // by the page that showed shownLast
	saidEnd      bool // an answer said that no more follow: a second one that says so is believed
	readsToKnown bool // see account.readsToKnown

	// After a page that the API failed to show: see narrow.
	narrowed int    // how many of the next sessions stood on it; they are asked for in smaller pages
	unshown  error  // that of a smaller page or of what is passed over, until something is shown
	params   string // where the list parameters were sent, until something is shown
	certain  bool   // it was not by chance: a smaller page failed as well, or the chain began at a known hole
	away     bool   // nothing else is answered either
	setbacks int    // failures in a row, each followed by a pause
	atTop    bool   // the list begins with a known hole, which the chain has not passed yet
}

// mostStepped bounds the pages in a row that a chain steps over: nothing tells how far
// down they are.
const mostStepped = mostUnreadable / wooshpay.LargestPage

func newChain(a *account, p patience, by *sweep, lo, hi time.Time) *chain {
	c := &chain{account: a, p: p, by: by, lo: lo, hi: hi, seen: make(map[uint64]struct{}), garbled: make(map[uint64]bool), readsToKnown: a.readsToKnown(p, by)}
	// A head that shows nothing does not move the low-water mark.
	c.saidEnd = by == nil && hi.IsZero() && a.asking == nil && a.state.StartFixed
	c.query = wooshpay.Query{Limit: a.cfg.Poll.Tuning.PageSize}
	c.query.CreatedGTE, c.query.CreatedLTE = holes.Ask(by.known(a.state.Holes), lo, hi)
	if hi.IsZero() && a.asking == nil && a.top() != nil && !by.dry() {
		c.atTop, c.certain, c.narrowed, c.query.Limit = true, true, c.query.Limit, 1
	}
	return c
}

// errNotDone is a walk that goes on in the next pass.
var errNotDone = errors.New("the rest is read in the next pass")

// walk reads pages until the chain is read, or stop says that others go first:
// then the walk can go on where it was. Any other error means that something
// between the chain's ends was not read.
func (c *chain) walk(ctx context.Context, stop func() bool) error {
	page, err := c.next(ctx)
	for err == nil && page != nil {
		last := len(page.Items) == 0 || c.done(page)
		oldest := c.oldest // before the next page, which may lie ready already
		rest := !last && stop()
		wait := func() (*wooshpay.Page, error) { return nil, errNotDone }
		if !last {
			c.advance(page)
			if !rest {
				wait = c.ahead(ctx)
			}
		}
		c.turn.Broadcast() // there may be something to share
		handled := c.handle(ctx, page, c.by)
		if handled == nil {
			c.handled = oldest
		}
		page.Release()
		if last {
			return handled
		}
		page, err = wait()
		if handled != nil {
			return handled
		}
	}
	return err
}

// ahead asks for the next page while the present one is handled.
func (c *chain) ahead(ctx context.Context) (wait func() (*wooshpay.Page, error)) {
	type answer struct {
		page *wooshpay.Page
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		page, err := c.next(ctx)
		answers <- answer{page, err}
	}()
	return func() (*wooshpay.Page, error) {
		c.mu.Unlock()
		defer c.mu.Lock()
		next := <-answers
		return next.page, next.err
	}
}

// next asks for the chain's next page; one without sessions is the end of the
// list. A page that repeats what was shown is asked for again; if that does not
// help, the parameters are sent in both places, and if that does not help
// either the cursor is ignored: then creation times must do, as they must for a
// cursor that is refused. A page that cannot be had is read in smaller ones, and
// what cannot be had even alone is passed over; only if nothing else is answered
// either the page is asked for again, later each time. No page at all means that
// nothing is left below a hole.
func (c *chain) next(ctx context.Context) (*wooshpay.Page, error) {
	if ended := c.passKnownHole(); ended {
		return nil, nil
	}
	p := c.p
	q, guess := c.limited()
	p.tries, p.apart, p.tie, c.asked = 1, p.apart || c.narrowed > 0 || guess, c.tie, q.Limit
	page, err := c.page(ctx, p, q, c.sensible)
	c.certain = c.certain || (guess && hides(err)) // most likely it is the known hole
	if err == nil && page.Total > 0 && len(page.Items) == 0 && !page.MayBeEnd() {
		if c.awaits(page) {
			return nil, errNotDone
		} else if c.stepOver(page) {
			return c.next(ctx)
		}
		err = unreadablePage{first: &page.Bad[0]}
	}
	if err == nil || c.believable(page, err) {
		var unreadable unreadablePage
		if errors.Is(err, errSpoiled) || (errors.As(err, &unreadable) && p.deep && q.StartingAfter != "") {
			if err := c.keepSpoiled(ctx, page, err); err != nil {
				return nil, err
			}
		}
		return c.accept(page), nil
	}
	if c.away && hides(err) && c.answersElsewhere(ctx, false) { // the outage is over, and this is about the page
		c.away = false
	}
	helped := c.narrow(err)
	if !helped {
		helped, err = c.skip(ctx, err)
	}
	if helped || c.adapt(err) || c.wait(ctx, err) {
		return c.next(ctx)
	}
	return nil, err
}

// believable says whether a page is to be taken as it is although something is
// wrong with it.
func (c *chain) believable(page *wooshpay.Page, err error) bool {
	var repeated repeatedPage
	var unreadable unreadablePage
	switch {
	case errors.As(err, &repeated) && repeated.mayBeEnd:
		page.Items = nil
	case (errors.As(err, &unreadable) && unreadable.mayBeEnd) || errors.Is(err, errSpoiled): // it insists
	case errors.Is(err, errEarlyEnd): // it insists
		// Without cursors an empty page means that created[lte] is something else: the
		// oldest second at least should be repeated.
		if (c.byTime && page.Total == 0 && c.shown > 0) || !c.concedes() {
			return false
		}
		if c.byTime {
			page.Items = nil
		}
	case (errors.Is(err, errEmptyPage) && !c.byTime) || (repeated.promises && c.query.Limit >= wooshpay.LargestPage):
		if !c.endless() {
			return false
		}
		c.odd("has_more_true", "the API says on every page that more follow; the list is read until a page shows nothing new")
		page.Items = nil
	default:
		return false
	}
	return true
}

// stepOver lets the next page begin below one of which no item makes sense but all have
// an id by which their sessions are asked for, and says whether that is possible.
func (c *chain) stepOver(page *wooshpay.Page) bool {
	last := page.Bad[len(page.Bad)-1].ID
	if c.garbled[hashID([]byte(last))] || c.byTime || c.cursorless || c.stepped == mostStepped {
		return false
	}
	c.stepped++
	c.see(page)
	if e := c.index.Get(last); e != nil {
		c.cursorAt, c.ended = e.Created(), c.ended || e.Created().Before(c.lo)
	}
	// If the API refuses this cursor, that says nothing of others.
	c.query.StartingAfter, c.tie, c.promised, c.stood = last, nil, true, true
	c.widen(page.Total)
	page.Release()
	return true
}

// hidesNew says whether an item of a page that makes no sense is one that the chain was
// not shown before.
func (c *chain) hidesNew(page *wooshpay.Page) bool {
	return slices.ContainsFunc(page.Bad, func(bad wooshpay.Bad) bool {
		id := hashID([]byte(bad.ID))
		_, seen := c.seen[id]
		return bad.ID != "" && !seen && !c.garbled[id]
	})
}

// see notes that the list has what makes no sense on a page.
func (c *chain) see(page *wooshpay.Page) {
	for i := range page.Bad {
		c.garbled[hashID([]byte(page.Bad[i].ID))] = true
	}
}

// accept notes what a page shows.
func (c *chain) accept(page *wooshpay.Page) *wooshpay.Page {
	c.see(page)
	if len(page.Items) > 0 {
		c.away, c.setbacks, c.stepped = false, 0, 0
		c.cursorless = c.cursorless && c.query.StartingAfter == ""
		if c.byTime {
			c.query.CreatedLTE = page.Last().CreatedAt().Add(wooshpay.CreatedRounding)
		}
		c.note(page)
	}
	return page
}

// adapt changes how the API is asked after an answer that was wrong, and says
// whether that may help.
func (c *chain) adapt(err error) bool {
	var repetition repeatedPage
	repeated := errors.As(err, &repetition)
	switch {
	case c.p.apart && !repeated: // it is about the hole
		return false
	case refusedQuestion(err) && c.query.StartingAfter == "" && (c.client.Params() != wooshpay.ParamsQuery || c.bodyRefused()):
		if c.refusals++; c.refusals < triesPerPage { // once may be a hiccup
			return true
		}
		if c.bodyRefused() { // and in the query as well: it was not for the body
			c.send(c.cfg.ListParams)
			return false
		}
		c.refusesBody(err)
		c.widen(c.narrowed)
	case repeated && c.byTime && c.query.Limit < wooshpay.LargestPage: // the page may hold less than its oldest second
		c.query.Limit = min(2*c.query.Limit, wooshpay.LargestPage)
	case repeated && c.bodyRefused() && !c.byTime && !c.returned:
		// In the query they are ignored: the body was refused for another reason.
		c.returned = true
		c.odd("query_ignored", "the API ignores list parameters in the query; they are sent as list_params says again", "list_params", c.cfg.ListParams)
		c.send(c.cfg.ListParams)
	case repeated && c.client.Params() != wooshpay.ParamsBoth && !c.bodyRefused():
		c.everywhere()
	case (repeated || (refused(err) && c.query.StartingAfter != "" && !c.stood)) && !c.byTime:
		c.odd("cursor_ignored", "the API ignores or refuses the cursor starting_after; pages are asked for by creation time instead, which takes more requests", "error", err)
		c.byTime = true
		c.widen(c.narrowed) // a page must hold more than one moment's sessions
		c.query.CreatedLTE = holes.EndsAt(c.state.Holes, c.query.StartingAfter, c.oldest).Add(wooshpay.CreatedRounding)
		c.query.StartingAfter, c.tie = "", nil
	default:
		return false
	}
	return true
}

// note keeps what a page shows for the rest of the chain.
func (c *chain) note(page *wooshpay.Page) {
	if !c.cursorAt.IsZero() && page.First().CreatedAt().After(c.cursorAt.Add(wooshpay.CreatedRounding)) {
		c.disorder()
	}
	if page.Total > page.Asked.Limit {
		c.odd("limit_ignored", "the API shows more sessions on a page than limit asks for; all of them are read")
	}
	// More of the range that was asked for, which may have been split meanwhile.
	c.saidEnd = false
	c.promised = page.HasMore != nil && *page.HasMore && page.Asked.CreatedGTE.Equal(c.query.CreatedGTE)
	c.limitHonoured = c.limitHonoured || (page.Total == page.Asked.Limit && page.Asked.Limit == c.cfg.Poll.Tuning.PageSize)
	c.widen(page.Total)
	ignored := false
	for i := range page.Items {
		it := &page.Items[i]
		id := hashID(it.ID)
		_, it.Again = c.seen[id]
		c.seen[id] = struct{}{}
		switch {
		case it.Again:
		case c.index.Find(it.ID) != nil:
			c.fresh = 0
		default:
			c.fresh++
		}
		created := it.CreatedAt()
		c.newest = later(c.newest, created)
		ignored = ignored || page.Excludes(created)
	}
	if c.unordered && c.shown > 0 { // from page to page sessions may have moved
		c.mistrust.disorder = true
		c.mistrusts()
	}
	c.shown += len(page.Items)
	c.pages++
	c.oldest = page.Last().CreatedAt()
	if ignored {
		c.now.sinceless = true
		c.odd("filter_ignored", "the API ignores created[gte] and shows older sessions as well; these are left out here")
	}
}

// disorder notes that the list is not from new to old.
func (c *chain) disorder() {
	if !c.unordered {
		c.unordered = true
		c.odd("order", "the API does not list sessions from new to old; the list is read to its end, which takes more requests")
	}
}

// done says whether the page is the chain's last.
func (c *chain) done(page *wooshpay.Page) bool {
	if !c.unordered && !c.lo.IsZero() && page.Reaches(c.lo) && (len(page.Items) > 1 || c.narrowed == 0) {
		return true
	}
	full := page.Asked.Limit
	switch {
	case page.HasMore == nil:
		c.odd("has_more_missing", "the API does not say whether there are more pages; it is asked until it shows no more")
		full = min(full, wooshpay.DefaultLimit) // whether it would show as many as we ask for, if it had them, may have changed
		c.saidEnd = page.Total < full
	case *page.HasMore:
		return false
	default:
		c.sawEnd, c.saidEnd = true, true
	}
	// A full page that is said to be the last is checked, and so is a short one where
	// nothing else confirms it: the request is cheap, a wrong word would hide all
	// older sessions.
	return page.Total < full && (page.Repeats() || c.credible(page))
}

// short says whether a page has fewer items than the API would show if it had
// them, whether or not it takes our limit.
func (c *chain) short(page *wooshpay.Page) bool {
	return page.Total < min(page.Asked.Limit, wooshpay.DefaultLimit) || (page.Total < page.Asked.Limit && c.limitHonoured)
}
