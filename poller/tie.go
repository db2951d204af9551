package poller

import (
	"hash/maphash"
	"slices"

	"checkout-notifier/event"
	"checkout-notifier/poller/wooshpay"
)

// advance says where the next page begins. The API promises no order within a second:
// in the next answer any session of this page's oldest second could stand above the
// last one, and a page after that would never show it. So the next page repeats that
// second, and begins after the last session that is newer, below which those of its
// own second may stand by then.
func (c *chain) advance(page *wooshpay.Page) {
	if c.byTime {
		c.tie, c.cursorAt, c.more = nil, c.oldest, c.promised
		return
	}
	c.stood, c.more, c.shownLast = false, c.promised, [2]string{string(page.Last().ID), c.shownLast[0]}
	if n := len(page.Items); n > 1 {
		c.shownLast[1] = string(page.Items[n-2].ID)
	}
	from := page.OldestSecond()
	grows := page.Total == page.Asked.Limit && page.Asked.Limit < wooshpay.LargestPage && !page.Repeats()
	if c.narrowed > 0 || c.holeAfter(page) || (from == 0 && !grows) {
		from = len(page.Items)
	}
	if from > 0 { // else the whole second may fit on a larger page
		newer := &page.Items[from-1]
		c.tie = c.tie[:0]
		c.query.StartingAfter, c.cursorAt = string(newer.ID), newer.CreatedAt()
	}
	// What is repeated is in the next answer, unless the range was split above it meanwhile.
	c.promised = c.promised || (from < len(page.Items) && !page.Last().CreatedAt().Before(c.query.CreatedGTE))
	for i, it := range page.Items {
		if i >= from || (i != from-1 && it.Created == page.Items[from-1].Created) {
			c.tie = append(c.tie, hashID(it.ID))
		}
	}
	if c.narrowed == 0 {
		c.query.Limit = max(c.query.Limit, min(2*len(c.tie), wooshpay.LargestPage))
	}
	for i := range page.Bad { // it may stand below the cursor, and make sense next time
		c.tie = append(c.tie, hashID([]byte(page.Bad[i].ID)))
	}
}

// untie lets the next page begin after the last session that was shown, where one
// that cannot be shown is looked for, and says whether that is another place.
func (c *chain) untie() bool {
	if len(c.tie) == 0 || c.shownLast[0] == "" || c.query.StartingAfter == c.shownLast[0] {
		return false
	}
	c.tie, c.promised = nil, c.more
	c.query.StartingAfter, c.cursorAt = c.shownLast[0], c.oldest
	return true
}

// holeAfter says whether a known hole begins with the end of a page.
func (c *chain) holeAfter(page *wooshpay.Page) bool {
	last := string(page.Last().ID)
	return c.passes() && slices.ContainsFunc(c.passedOver(), func(h event.Hole) bool { return h.Above == last })
}

// below returns a query without what its page repeats.
func below(q wooshpay.Query, page *wooshpay.Page, tie []uint64) wooshpay.Query {
	for i := range page.Items {
		if id := page.Items[i].ID; slices.Contains(tie, hashID(id)) {
			q.StartingAfter = string(id)
		}
	}
	return q
}

// repeatsTie says whether a page shows nothing but what it was to repeat, or what of its
// cursor's second stands below that by now. All of it was shown before.
func (c *chain) repeatsTie(page *wooshpay.Page) bool {
	after := c.query.StartingAfter
	return len(page.Items) > 0 && !slices.ContainsFunc(page.Items, func(it wooshpay.Item) bool {
		moved := after != "" && it.CreatedAt().Equal(c.cursorAt) && string(it.ID) != after
		return !moved && !slices.Contains(c.tie, hashID(it.ID))
	})
}

var idSeed = maphash.MakeSeed()

// hashID is a hash of an id that nobody outside this process can aim at.
func hashID(id []byte) uint64 { return maphash.Bytes(idSeed, id) }
