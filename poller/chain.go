package poller

import (
	"context"
	"errors"
	"slices"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

const (
	// triesPerPage is how often a page that makes no sense is asked for, and
	// badPageWait the first pause between, where no later pass asks.
	triesPerPage = 3
	badPageWait  = time.Second
	// defaultLimit is the API's page size when it ignores ours.
	defaultLimit = 10
)

// chain is one walk down the list, page by page.
type chain struct {
	*account
	pass  time.Time
	bound time.Time // zero: to the end

	seen      map[string]bool
	newest    time.Time
	oldest    time.Time
	unordered bool // the list is read to its end
	byTime    bool // the API does not take cursors: pages are cut by creation time
	promised  bool // the last page said that there are more
	refusals  int  // of the first page
}

// chain reads the list from its head down to bound, and to its end if the order
// is wrong. It returns the newest creation time that was shown. An error means
// that something between the head and the bound was not read.
func (a *account) chain(ctx context.Context, pass, bound time.Time) (newest time.Time, err error) {
	c := &chain{account: a, pass: pass, bound: bound, seen: make(map[string]bool)}
	a.deep = bound.Before(a.clock.now().Add(-Window - a.cfg.Poll.Tuning.Overlap))
	defer func() { a.deep = false }()
	query := Query{Limit: a.cfg.Poll.Tuning.PageSize}
	if !bound.IsZero() {
		query.CreatedGTE = bound.Add(-createdRounding)
	}
	for {
		page, err := c.next(ctx, &query)
		if err != nil {
			return c.newest, err
		}
		if err := a.handle(ctx, page, pass); err != nil {
			return c.newest, err
		}
		if len(page.Sessions) == 0 || c.done(page) {
			return c.newest, nil
		}
		if !c.byTime {
			query.StartingAfter = page.Sessions[len(page.Sessions)-1].ID
		}
	}
}

// next asks for the chain's next page; one without sessions is the end of the
// list. A page that repeats what was shown is asked for again; if that does not
// help, the parameters are sent in both places, and if that does not help
// either the cursor is ignored: then creation times must do, as they must for a
// cursor that is refused.
func (c *chain) next(ctx context.Context, query *Query) (*Page, error) {
	page, err := c.page(ctx, c.pass, *query, c.sensible)
	var repeated repeatedPage
	var unreadable unreadablePage
	switch {
	case errors.As(err, &repeated) && repeated.mayBeEnd:
		return &Page{Answer: page.Answer}, nil
	case errors.As(err, &unreadable) && unreadable.mayBeEnd:
		return page, nil
	case refusedQuestion(err) && query.StartingAfter == "" && (c.client.params != ParamsQuery || c.bodyRefused()):
		if c.refusals++; c.refusals < triesPerPage { // once may be a hiccup
			return c.next(ctx, query)
		}
		if c.bodyRefused() { // and in the query as well: it was not for the body
			c.send(c.cfg.ListParams)
			return nil, err
		}
		// Some proxies refuse a GET with a body.
		c.odd("body_refused", "the API refuses the list parameters in the body; they are sent in the query from now on", "error", err)
		c.send(ParamsQuery)
		return c.next(ctx, query)
	case errors.Is(err, errEarlyEnd):
		return page, nil // it insists
	case errors.Is(err, errSpoiled): // and so is what can be read of it
	case errors.Is(err, errEmptyPage) && !c.sawEnd:
		c.odd("has_more_true", "the API always says that there are more pages; an empty one is the end")
		return page, nil
	case errors.As(err, &repeated) && c.bodyRefused() && !c.byTime:
		// In the query they are ignored: the body was refused for another reason.
		c.odd("query_ignored", "the API ignores list parameters in the query; they are sent as list_params says again", "list_params", c.cfg.ListParams)
		c.send(c.cfg.ListParams)
		return c.next(ctx, query)
	case errors.As(err, &repeated) && c.client.params != ParamsBoth && !c.bodyRefused():
		c.odd("params_ignored", "the API ignores list parameters where list_params sends them; they are sent in the body and the query from now on", "list_params", c.client.params)
		c.send(ParamsBoth)
		return c.next(ctx, query)
	case (errors.As(err, &repeated) || (refused(err) && query.StartingAfter != "")) && !c.byTime:
		c.odd("cursor_ignored", "the API ignores or refuses starting_after; pages are cut by creation time instead", "error", err)
		c.byTime = true
		query.StartingAfter = ""
		query.CreatedLTE = c.oldest.Add(createdRounding)
		return c.next(ctx, query)
	case err != nil:
		return nil, err
	}
	if len(page.Sessions) == 0 {
		return page, nil
	}
	if c.byTime {
		query.CreatedLTE = page.Sessions[len(page.Sessions)-1].Created.Add(createdRounding)
	}
	c.take(page)
	return page, nil
}

// send moves the list parameters to another place, where the limit may be ignored.
func (c *chain) send(params string) {
	c.client, c.limitHonoured = c.client.withParams(params), false
}

// bodyRefused says whether the parameters travel elsewhere than configured
// because the API refused them in the body.
func (c *chain) bodyRefused() bool {
	return c.client.params == ParamsQuery && c.cfg.ListParams != ParamsQuery
}

// repeatedPage is a page on which nothing is new although more was promised.
type repeatedPage struct{ mayBeEnd bool }

func (repeatedPage) Error() string {
	return "the API shows the same page again: it ignores starting_after and created[lte], older sessions cannot be listed"
}

// errEmptyPage is an empty page that promises more, errEarlyEnd one where others
// were promised or are known; errSpoiled is a page with sessions that cannot be
// read, and that no later pass reads.
var (
	errEmptyPage = errors.New("the API shows an empty page and says that there are more")
	errEarlyEnd  = errors.New("the API shows an empty page where it has sessions")
	errSpoiled   = errors.New("the page has items that cannot be read")
)

// unreadablePage is a page of which no item makes sense, so that there is no
// cursor to go on from.
type unreadablePage struct {
	mayBeEnd bool
	first    error
}

func (p unreadablePage) Error() string {
	return "no item of the page can be read: " + p.first.Error()
}

// sensible says what is wrong with a page that continues the chain, if anything.
func (c *chain) sensible(page *Page) error {
	promised := page.HasMore != nil && *page.HasMore
	if page.Items == 0 {
		switch {
		case promised:
			return errEmptyPage
		case c.promised || (len(c.seen) == 0 && c.knowsAny()):
			return errEarlyEnd
		}
		return nil
	}
	if len(page.Sessions) == 0 {
		return unreadablePage{mayBeEnd: page.Items < c.cfg.Poll.Tuning.PageSize && !promised, first: page.Bad[0]}
	}
	if !page.ordered() {
		c.disorder()
	}
	for i := range page.Sessions {
		switch {
		case c.seen[page.Sessions[i].ID]:
		case c.deep && c.spoiled(page):
			return errSpoiled
		default:
			return nil
		}
	}
	// Without cursors the last page always repeats its oldest second. With them
	// a repetition is never the end: the parameters may be ignored altogether.
	return repeatedPage{mayBeEnd: c.byTime && c.short(page)}
}

// spoiled says whether a page hides a session that is not known.
func (c *chain) spoiled(page *Page) bool {
	return len(page.Bad) > 0 || slices.ContainsFunc(page.Sessions, func(s checkout.Session) bool {
		return s.Status == "" && c.index.get(s.ID) == nil
	})
}

// knowsAny says whether the newest known session stands above the bound.
func (c *chain) knowsAny() bool {
	all := c.index.byAge()
	if len(all) == 0 {
		return false
	}
	newest := all[len(all)-1]
	return newest.Created.After(c.bound) && !newest.Watch.Is(event.Vanished)
}

// disorder notes that the list is not from new to old.
func (c *chain) disorder() {
	if !c.unordered {
		c.unordered = true
		c.odd("order", "the list is not in the order from new to old; it is read to its end")
	}
}

// take notes what a page shows for the rest of the chain.
func (c *chain) take(page *Page) {
	first, last := page.Sessions[0], page.Sessions[len(page.Sessions)-1]
	if !c.oldest.IsZero() && first.Created.After(c.oldest.Add(createdRounding)) {
		c.disorder()
	}
	if page.Items > c.cfg.Poll.Tuning.PageSize {
		c.odd("limit_ignored", "the API shows more items than limit asks for")
	}
	c.promised = page.HasMore != nil && *page.HasMore
	c.limitHonoured = c.limitHonoured || page.Items == c.cfg.Poll.Tuning.PageSize
	for i := range page.Sessions {
		s := &page.Sessions[i]
		c.seen[s.ID] = true
		c.newest = later(c.newest, s.Created)
	}
	c.oldest = last.Created
	if !c.bound.IsZero() && !c.filterHonouredOn(page) {
		c.odd("filter_ignored", "the API ignores created[gte]; pages are cut here")
	}
}

// filterHonouredOn says whether every session of the page is above the bound.
func (c *chain) filterHonouredOn(page *Page) bool {
	for i := range page.Sessions {
		if page.Sessions[i].Created.Before(c.bound.Add(-2 * createdRounding)) {
			return false
		}
	}
	return true
}

// done says whether the page is the chain's last.
func (c *chain) done(page *Page) bool {
	if !c.unordered && !c.bound.IsZero() && c.oldest.Before(c.bound) {
		return true
	}
	limit := c.cfg.Poll.Tuning.PageSize
	switch {
	case page.HasMore == nil:
		c.odd("has_more_missing", "the API does not say whether there are more pages; it is asked until it shows no more")
		return c.short(page)
	case *page.HasMore:
		return false
	}
	c.sawEnd = true
	// A full page that is said to be the last is checked: the request is cheap,
	// a wrong word would hide all older sessions.
	return page.Items < limit
}

// short says whether a page has fewer items than the API would show if it had
// them, whether or not it takes our limit.
func (c *chain) short(page *Page) bool {
	limit := c.cfg.Poll.Tuning.PageSize
	return page.Items < min(limit, defaultLimit) || (page.Items < limit && c.limitHonoured)
}

// page asks for a page until one makes sense: first that it is an answer at
// all, then that it passes check. With check's error comes the last page.
func (a *account) page(ctx context.Context, pass time.Time, q Query, check func(*Page) error) (*Page, error) {
	for n := 1; ; n++ {
		var page *Page
		err := a.ask(ctx, func(ctx context.Context) (err error) {
			page, err = a.client.List(ctx, q)
			return err
		})
		if err != nil {
			return nil, err
		}
		if page.Repeated > 0 {
			a.odd("duplicate_items", "the API shows a session twice on one page")
		}
		err = a.plausible(page, pass)
		if err == nil && check != nil {
			err = check(page)
		}
		if err == nil {
			return page, nil
		}
		var repetition repeatedPage
		repeated := errors.As(err, &repetition)
		if repetition.mayBeEnd {
			return page, err
		}
		a.odd("bad_page", "a page made no sense and was asked for again", "error", err)
		if n >= triesPerPage {
			return page, err
		}
		// What such a page hides for a moment would be hidden for ever; one that
		// repeats another hides nothing, for it is never believed.
		if a.deep && !repeated {
			a.resume = time.Now().Add(time.Duration(n) * badPageWait)
		}
	}
}
