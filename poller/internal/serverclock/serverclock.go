// Package serverclock tells the time of the API's server, by the answers that it is shown.
// It asks nothing itself, and knows neither accounts nor what is polled.
package serverclock

import (
	"slices"
	"time"

	"checkout-notifier/poller/wooshpay"
)

// Clock knows the server's time, from the Date of its answers. Date is cut to
// whole seconds, so an answer bounds the time from both sides; within the bounds
// what was known is right. Between answers our own clock runs, whatever is done
// to its hands. It is not safe for concurrent use: its owner uses it under one lock.
type Clock struct {
	ownNow        func() time.Time // our own clock
	local, server time.Time        // the same moment
	known         bool
	crept         time.Duration   // by how much answers have corrected what was last believed, without doubt
	late          time.Duration   // by how much the server's time may be earlier than we say, by the answers so far
	doubt         time.Duration   // by how much recent answers differ from what is known, at least
	vague         time.Duration   // by how much more they may differ
	doubted       time.Time       // since when; zero: they do not
	doubts        int             // how many
	heard         []time.Duration // until it is known: by how much the last answers differed from our clock
}

const (
	// SkewNoticed is the offset from which it is said.
	SkewNoticed = 5 * time.Second
	// jumpBelieved is for how long every answer must tell another time until it
	// is believed, and jumpDoubts how many: a slip of a gateway must not give up
	// what is watched.
	jumpBelieved = time.Minute
	jumpDoubts   = 3
	// MostHeard is among how many answers the first to be believed are chosen.
	MostHeard = 5
)

// New returns a clock that has heard nothing yet, and tells our own time until then.
func New(own func() time.Time) *Clock { return &Clock{ownNow: own} }

// Own is our own time.
func (c *Clock) Own() time.Time { return c.ownNow() }

// IsKnown says whether the server's time is known.
func (c *Clock) IsKnown() bool { return c.known }

// LateBy is by how much the server's time may be earlier than what is known.
func (c *Clock) LateBy() time.Duration { return c.late }

// IsDoubted says whether the last answers tell another time than what is known.
func (c *Clock) IsDoubted() bool { return !c.doubted.IsZero() }

// Observe takes in an answer and returns the server's time at its receipt.
func (c *Clock) Observe(a wooshpay.Answer) time.Time {
	if !a.Date.IsZero() {
		c.Settle(a, true)
		c.weigh(a)
	}
	return c.At(a.Received)
}

// weigh corrects what is known by an answer, or doubts it.
func (c *Clock) weigh(a wooshpay.Answer) {
	wrong := c.wrong(a)
	small := c.isSmall(wrong)
	switch {
	case small:
		c.crept += wrong
	case c.doubted.IsZero() || (wrong-c.doubt).Abs() >= SkewNoticed:
		c.doubt, c.doubted, c.doubts = wrong, a.Received, 1
		c.vague = time.Second + a.Received.Sub(a.Sent) // Date is cut to the second, and told somewhere on the way
		return
	default:
		if c.doubts++; c.doubts < jumpDoubts || a.Received.Sub(c.doubted) < jumpBelieved {
			return
		}
	}
	c.local, c.server = a.Received, c.At(a.Received).Add(wrong)
	c.doubted = time.Time{}
	c.late += wrong
	if !small {
		c.crept = 0
	}
	if by := c.server.Sub(a.Date); by < c.late || c.late < 0 || wrong.Abs() >= SkewNoticed {
		c.late = by
	}
}

// isSmall says whether a correction is believed at once, also together with those before
// it: else a Date that stands still would stop the clock, and nothing would become due.
func (c *Clock) isSmall(wrong time.Duration) bool {
	return max(wrong.Abs(), (c.crept+wrong).Abs()) < SkewNoticed
}

// wrong is by how much an answer says that we are wrong, at least.
func (c *Clock) wrong(a wooshpay.Answer) time.Duration {
	least := a.Date.Sub(c.At(a.Received))
	most := a.Date.Add(time.Second).Sub(c.At(a.Sent))
	return max(least, min(0, most))
}

// Hear takes in what an answer says of the time that is good for nothing else: it
// helps to find out the time and to keep to what is known, and makes nothing known
// doubtful, for it may be a gateway's.
func (c *Clock) Hear(a wooshpay.Answer) {
	switch {
	case a.Date.IsZero():
	case !c.known:
		c.remember(a)
	case c.isSmall(c.wrong(a)):
		c.doubted = time.Time{}
	}
}

func (c *Clock) remember(a wooshpay.Answer) {
	if len(c.heard) == MostHeard {
		c.heard = slices.Delete(c.heard, 0, 1)
	}
	c.heard = append(c.heard, c.wrong(a))
}

// Settle takes in one of the first answers of a process, and says whether the time
// is known by now: it agrees with our clock, or what it says was heard two times
// more than anything else. To decide is to believe what was heard most.
func (c *Clock) Settle(a wooshpay.Answer, decide bool) bool {
	if c.known || a.Date.IsZero() {
		return true
	}
	c.remember(a)
	wrong := c.heard[len(c.heard)-1]
	agrees := wrong.Abs() < SkewNoticed
	believed, lead := c.mostly()
	switch {
	case agrees:
		believed = wrong
	case decide:
	case lead < 2 || (wrong-believed).Abs() >= SkewNoticed:
		return false
	}
	c.local, c.server = a.Received, a.Received.Add(believed).UTC()
	c.known, c.heard, c.late = true, nil, 0
	if by := c.server.Sub(a.Date); by < SkewNoticed { // the answer agrees with what is believed
		c.late = max(by, 0)
	}
	return true
}

// mostly returns what was heard most, of several the last, and how many times more
// than anything else.
func (c *Clock) mostly() (most time.Duration, lead int) {
	var first, second int
	for left := slices.Clone(c.heard); len(left) > 0; {
		offset, n := left[len(left)-1], len(left)
		left = slices.DeleteFunc(left, func(heard time.Duration) bool { return (heard - offset).Abs() < SkewNoticed })
		switch n -= len(left); {
		case n > first:
			most, first, second = offset, n, first
		case n > second:
			second = n
		}
	}
	return most, first - second
}

// At translates a local time into the server's.
func (c *Clock) At(local time.Time) time.Time {
	if !c.known {
		return local.UTC()
	}
	return c.server.Add(local.Sub(c.local)).UTC()
}

// Now is the server's time.
func (c *Clock) Now() time.Time { return c.At(c.ownNow()) }

// Asked returns when an answer was asked for, by the server's clock and not later
// than that.
func (c *Clock) Asked(a wooshpay.Answer) time.Time { return c.At(a.Sent).Add(-c.late) }

// Uncertain is by how much the time may be earlier, and by how much later, than what
// is known: the last answers say so, and our clock tells nothing of what is known.
func (c *Clock) Uncertain() (early, late time.Duration) {
	switch {
	case c.doubted.IsZero() || c.Offset().Abs() < SkewNoticed:
	case c.doubt < 0:
		early = c.vague - c.doubt
	default:
		late = c.vague + c.doubt
	}
	return early, late
}

// Span returns the server's time and ours, the earlier one first. They are the
// same as long as the server's is not known.
func (c *Clock) Span(local time.Time) (earliest, latest time.Time) {
	server, own := c.At(local), local.UTC()
	earliest, latest = own, own
	if server.Before(own) {
		earliest = server
	}
	if server.After(own) {
		latest = server
	}
	return earliest, latest
}

// Differs says whether the server's clock and ours tell different times of a moment. As
// long as the server's is not known, ours is the only one.
func (c *Clock) Differs(at time.Time) bool {
	earliest, latest := c.Span(at)
	return latest.Sub(earliest) >= SkewNoticed
}

// Offset is how far the server's clock is ahead of ours.
func (c *Clock) Offset() time.Duration {
	if !c.known {
		return 0
	}
	now := c.ownNow()
	return c.At(now).Round(0).Sub(now.Round(0))
}

// Told is the offset by the last answer, believed or not.
func (c *Clock) Told() time.Duration {
	if c.doubted.IsZero() {
		return c.Offset()
	}
	return c.Offset() + c.doubt
}

// Skewed says whether the two clocks differ enough to be worth saying.
func (c *Clock) Skewed() bool { return c.Told().Abs() >= SkewNoticed }

// Apart says how far the API's clock is from ours.
func Apart(ahead time.Duration) string {
	ahead = ahead.Round(time.Second)
	switch {
	case ahead > 0:
		return ahead.String() + " ahead of this machine's"
	case ahead < 0:
		return (-ahead).String() + " behind this machine's"
	}
	return "the same as this machine's"
}
