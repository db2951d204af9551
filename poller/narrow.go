package poller

import (
	"context"
	"errors"
	"math/rand/v2"

	"checkout-notifier/poller/wooshpay"
)

// hides says whether an error may be about what the API was asked to show.
func hides(err error) bool {
	var unreadable unreadablePage
	return unavailable(err) || errors.As(err, &unreadable)
}

// narrow asks for fewer sessions at once after a page that could not be had, and
// says whether that may help: a single session may be what the API cannot show.
// The first question, for one, tells whether the API answers at all.
func (c *chain) narrow(err error) bool {
	if c.byTime || c.away || !hides(err) {
		return false
	}
	if untied := c.untie(); c.asked == 1 {
		return untied
	}
	c.cutOff, c.params = c.query, c.client.Params()
	c.certain = c.certain || c.narrowed > 0 || c.latency.Hangs()
	c.query.Limit = 1
	if c.narrowed > 0 { // else the cause may be the key or an outage, and be over by now
		c.unshown, c.query.Limit = err, c.asked/2
	}
	c.narrowed = c.asked
	return true
}

// widen asks for larger pages again, and for whole ones once those that could not
// be had are behind. Whether it was by chance that they could not be had is found
// out first; then what remains of them is halved again and again.
func (c *chain) widen(shown int) {
	if c.params != "" && c.client.Params() != c.params { // it was refused for where they were sent
		c.unshown, c.narrowed = nil, 0
	}
	c.params = ""
	if c.unshown != nil {
		c.odd("page_narrowed", "the API failed over a page of the list; it was read again in smaller pages, and what none of them shows is listed as a hole", "error", c.unshown)
		c.unshown = nil
	}
	c.narrowed = max(0, c.narrowed-shown)
	switch {
	case c.narrowed == 0:
		c.query.Limit = c.cfg.Poll.Tuning.PageSize
	case !c.certain:
		c.query.Limit = c.narrowed
	default:
		c.query.Limit = max(1, min(2*c.query.Limit, c.narrowed/2))
	}
}

// wait lets some time pass after a failure that is nobody's page, longer each
// time, and says whether the page is to be asked for again.
func (c *chain) wait(ctx context.Context, err error) bool {
	var failure *wooshpay.Error
	if c.p.apart || !errors.As(err, &failure) || (refused(err) && !failure.Crowded()) {
		return false
	}
	if c.setbacks++; c.setbacks >= c.p.tries || (denied(err) && c.tries == triesPerRequestOnce) {
		return false
	}
	c.unshown = nil // the page may have failed for the same reason
	if c.away = unshown(err); c.away && !c.atTop {
		c.narrowed, c.query.Limit = 0, c.cfg.Poll.Tuning.PageSize
	}
	return c.backOff(ctx, failure.Backoff(max(c.setbacks, c.failures), rand.Float64()))
}

// stands says whether the list still shows the session after which the chain goes
// on, when it is asked after the one above it: then it is not the cursor that the
// API refuses. Nothing is known if it does not answer that either.
func (c *chain) stands(ctx context.Context) (stands, known bool, err error) {
	q := c.query
	q.StartingAfter, q.Limit = "", 1
	if c.shownLast[0] == c.query.StartingAfter {
		q.StartingAfter = c.shownLast[1]
	}
	if e := c.index.Get(c.query.StartingAfter); q.StartingAfter == "" && e != nil {
		q.StartingAfter = c.index.NewerNeighbour(e)
	}
	for range triesPerPage { // there may be newer ones
		next := ""
		if _, err := c.answers(ctx, q, func(page *wooshpay.Page) bool {
			if len(page.Items) > 0 {
				next = string(page.First().ID)
			}
			return true
		}); err != nil || next == "" {
			return false, false, err
		}
		if next == c.query.StartingAfter {
			return true, true, nil
		}
		q.StartingAfter = next
	}
	return false, true, nil
}
