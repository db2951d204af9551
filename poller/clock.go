package poller

import "time"

// clock knows how far the server's clock is ahead of ours, from the Date of its
// answers. Date is cut to whole seconds, so an answer bounds the offset from
// both sides; within the bounds ours is right.
type clock struct {
	offset time.Duration
	known  bool
}

// skewNoticed is the offset from which it is said.
const skewNoticed = 5 * time.Second

// observe takes in an answer and returns the server's time at its receipt.
func (c *clock) observe(a Answer) time.Time {
	if !a.Date.IsZero() {
		least := a.Date.Sub(a.Received)
		most := a.Date.Add(time.Second).Sub(a.Sent)
		c.offset = max(least, min(0, most))
		c.known = true
	}
	return c.at(a.Received)
}

// at translates a local time into the server's.
func (c *clock) at(local time.Time) time.Time { return local.Add(c.offset).UTC() }

func (c *clock) now() time.Time { return c.at(time.Now()) }

// skewed says whether the two clocks differ enough to be worth saying.
func (c *clock) skewed() bool { return c.known && c.offset.Abs() >= skewNoticed }
