package poller

import "time"

// clock knows the server's time, from the Date of its answers. Date is cut to
// whole seconds, so an answer bounds the time from both sides; within the bounds
// what was known is right. Between answers our own clock runs, whatever is done
// to its hands.
type clock struct {
	local, server time.Time // the same moment
	known         bool
	doubt         time.Duration // by how much recent answers differ from what is known
	doubted       time.Time     // since when; zero: they do not
}

const (
	// skewNoticed is the offset from which it is said.
	skewNoticed = 5 * time.Second
	// jumpBelieved is for how long every answer must tell another time until it
	// is believed: one slip of a gateway must not give up what is watched.
	jumpBelieved = time.Minute
)

// observe takes in an answer and returns the server's time at its receipt.
func (c *clock) observe(a Answer) time.Time {
	if a.Date.IsZero() {
		return c.at(a.Received)
	}
	wrong := c.wrong(a)
	switch {
	case !c.known || wrong.Abs() < skewNoticed:
	case c.doubted.IsZero() || (wrong-c.doubt).Abs() >= skewNoticed:
		c.doubt, c.doubted = wrong, a.Received
		return c.at(a.Received)
	case a.Received.Sub(c.doubted) < jumpBelieved:
		return c.at(a.Received)
	}
	c.local, c.server = a.Received, c.at(a.Received).Add(wrong)
	c.known, c.doubted = true, time.Time{}
	return c.server
}

// wrong is by how much an answer says that we are wrong, at least.
func (c *clock) wrong(a Answer) time.Duration {
	least := a.Date.Sub(c.at(a.Received))
	most := a.Date.Add(time.Second).Sub(c.at(a.Sent))
	return max(least, min(0, most))
}

// confirmed says whether the first answers of a process can be relied on for the
// time: one agrees with our clock, or two that differ from it agree.
func (c *clock) confirmed(a Answer) bool {
	if c.known || a.Date.IsZero() {
		return true
	}
	wrong := c.wrong(a)
	again := !c.doubted.IsZero() && (wrong-c.doubt).Abs() < skewNoticed
	c.doubt, c.doubted = wrong, a.Received
	return again || wrong.Abs() < skewNoticed
}

// at translates a local time into the server's.
func (c *clock) at(local time.Time) time.Time {
	if !c.known {
		return local.UTC()
	}
	return c.server.Add(local.Sub(c.local)).UTC()
}

func (c *clock) now() time.Time { return c.at(time.Now()) }

// offset is how far the server's clock is ahead of ours.
func (c *clock) offset() time.Duration {
	if !c.known {
		return 0
	}
	now := time.Now()
	return c.at(now).Round(0).Sub(now.Round(0))
}

// told is the offset by the last answer, believed or not.
func (c *clock) told() time.Duration {
	if c.doubted.IsZero() {
		return c.offset()
	}
	return c.offset() + c.doubt
}

// skewed says whether the two clocks differ enough to be worth saying.
func (c *clock) skewed() bool { return c.told().Abs() >= skewNoticed }
