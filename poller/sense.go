package poller

import (
	"errors"
	"slices"

	"checkout-notifier/poller/wooshpay"
)

// repeatedPage is a page on which nothing is new although more was promised.
type repeatedPage struct {
	mayBeEnd bool
	promises bool // more, and is the end all the same if every page does
}

func (repeatedPage) Error() string {
	return "the API shows the same page again: it ignores starting_after and created[lte], older sessions cannot be listed"
}

// unreadablePage is a page of which no item makes sense, so that there is no
// cursor to go on from.
type unreadablePage struct {
	mayBeEnd bool
	first    error
}

func (p unreadablePage) Error() string {
	return "no item of the page can be read: " + p.first.Error()
}

var (
	// errEmptyPage is an empty page that promises more.
	errEmptyPage = errors.New("the API shows an empty page and says that there are more")
	// errEarlyEnd is a page with nothing new where others were promised or are known.
	errEarlyEnd = errors.New("the list ends although the API promised or showed older sessions")
	// errOneWord is an end of which nothing but one answer tells: it is asked for again.
	errOneWord = errors.New("the API shows nothing more for the first time")
	// errSpoiled is a page with sessions that cannot be read, and that no later
	// pass reads.
	errSpoiled = errors.New("the page has items that cannot be read")
	// errTooNew is a page of a slice with sessions from above it.
	errTooNew = errors.New("the API ignores created[lte]")
)

// isEnd says whether what is wrong with a page that insists may be that nothing follows.
func isEnd(err error) bool {
	var repeated repeatedPage
	var unreadable unreadablePage
	return errors.Is(err, errEarlyEnd) || errors.Is(err, errEmptyPage) || errors.As(err, &repeated) ||
		(errors.As(err, &unreadable) && unreadable.mayBeEnd)
}

// sensible says what is wrong with a page that continues the chain, if anything.
func (c *chain) sensible(page *wooshpay.Page) error {
	promised := page.HasMore != nil && *page.HasMore
	if page.Total == 0 {
		if promised {
			return errEmptyPage
		}
		return c.end(page)
	}
	if len(page.Items) == 0 {
		if c.noted(page, true) || c.awaits(page) {
			return nil
		}
		err := unreadablePage{mayBeEnd: page.MayBeEnd(), first: &page.Bad[0]}
		if !err.mayBeEnd { // else it is handled
			c.noteBad(page, c.by)
		}
		return err
	}
	if !c.hi.IsZero() && page.First().CreatedAt().After(c.hi.Add(2*wooshpay.CreatedRounding)) {
		return errTooNew
	}
	if !c.under.IsZero() && page.First().CreatedAt().After(c.under.Add(2*wooshpay.CreatedRounding)) {
		return errTooNew
	}
	if !page.Ordered() {
		c.disorder()
	}
	if c.hidesNew(page) && !c.p.deep {
		return nil
	}
	for i := range page.Items {
		switch _, seen := c.seen[hashID(page.Items[i].ID)]; {
		case seen:
		case c.p.deep && c.spoiled(page):
			return errSpoiled
		default:
			return nil
		}
	}
	switch {
	case !c.repeatsTie(page):
	case c.p.deep && c.spoiled(page):
		return errSpoiled
	case promised:
		return nil
	default:
		return c.end(page)
	}
	// Without cursors the last page always repeats its oldest second. With them
	// a repetition is never the end: the parameters may be ignored altogether.
	if !c.byTime || promised || !c.short(page) {
		return repeatedPage{promises: c.byTime && promised && c.short(page)}
	}
	if err := c.end(page); err != nil {
		return err
	}
	return repeatedPage{mayBeEnd: true}
}

// spoiled says whether a page hides a session that is not known.
func (c *chain) spoiled(page *wooshpay.Page) bool {
	return !c.noted(page, true) || slices.ContainsFunc(page.Items, func(it wooshpay.Item) bool {
		return len(it.Status) == 0 && c.index.Find(it.ID) == nil
	})
}

// noted says whether the sessions of the items of a page that make no sense are known or
// being asked for; below what passes read, whether they were asked for where they have to
// be. What a restart forgets is no more than what later passes read.
func (c *chain) noted(page *wooshpay.Page, asked bool) bool {
	return !slices.ContainsFunc(page.Bad, func(bad wooshpay.Bad) bool {
		u := c.unreadable[bad.ID]
		return c.index.Get(bad.ID) == nil && (u == nil || (c.p.deep && !u.done && (asked || !u.Asked.IsZero())))
	})
}

// awaits says whether a hole can be read on once the sessions of a page were asked for.
func (c *chain) awaits(page *wooshpay.Page) bool {
	return c.asking != nil && c.query.StartingAfter != "" && !c.noted(page, true) && c.noted(page, false)
}
