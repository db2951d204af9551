package poller

import (
	"slices"
	"time"

	"checkout-notifier/poller/wooshpay"
)

// clock knows the server's time, from the Date of its answers. Date is cut to
// whole seconds, so an answer bounds the time from both sides; within the bounds
// what was known is right. Between answers our own clock runs, whatever is done
// to its hands.
type clock struct {
	own           func() time.Time // our own clock
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
	// skewNoticed is the offset from which it is said.
	skewNoticed = 5 * time.Second
	// jumpBelieved is for how long every answer must tell another time until it
	// is believed, and jumpDoubts how many: a slip of a gateway must not give up
	// what is watched.
	jumpBelieved = time.Minute
	jumpDoubts   = 3
	// mostHeard is among how many answers the first to be believed are chosen.
	mostHeard = 5
)

// observe takes in an answer and returns the server's time at its receipt.
func (c *clock) observe(a wooshpay.Answer) time.Time {
	if !a.Date.IsZero() {
		c.settle(a, true)
		c.weigh(a)
	}
	return c.at(a.Received)
}

// weigh corrects what is known by an answer, or doubts it.
func (c *clock) weigh(a wooshpay.Answer) {
	wrong := c.wrong(a)
	small := c.isSmall(wrong)
	switch {
	case small:
		c.crept += wrong
	case c.doubted.IsZero() || (wrong-c.doubt).Abs() >= skewNoticed:
		c.doubt, c.doubted, c.doubts = wrong, a.Received, 1
		c.vague = time.Second + a.Received.Sub(a.Sent) // Date is cut to the second, and told somewhere on the way
		return
	default:
		if c.doubts++; c.doubts < jumpDoubts || a.Received.Sub(c.doubted) < jumpBelieved {
			return
		}
	}
	c.local, c.server = a.Received, c.at(a.Received).Add(wrong)
	c.doubted = time.Time{}
	c.late += wrong
	if !small {
		c.crept = 0
	}
	if by := c.server.Sub(a.Date); by < c.late || c.late < 0 || wrong.Abs() >= skewNoticed {
		c.late = by
	}
}

// isSmall says whether a correction is believed at once, also together with those before
// it: else a Date that stands still would stop the clock, and nothing would become due.
func (c *clock) isSmall(wrong time.Duration) bool {
	return max(wrong.Abs(), (c.crept+wrong).Abs()) < skewNoticed
}

// wrong is by how much an answer says that we are wrong, at least.
func (c *clock) wrong(a wooshpay.Answer) time.Duration {
	least := a.Date.Sub(c.at(a.Received))
	most := a.Date.Add(time.Second).Sub(c.at(a.Sent))
	return max(least, min(0, most))
}

// hear takes in what an answer says of the time that is good for nothing else: it
// helps to find out the time and to keep to what is known, and makes nothing known
// doubtful, for it may be a gateway's.
func (c *clock) hear(a wooshpay.Answer) {
	switch {
	case a.Date.IsZero():
	case !c.known:
		c.remember(a)
	case c.isSmall(c.wrong(a)):
		c.doubted = time.Time{}
	}
}

func (c *clock) remember(a wooshpay.Answer) {
	if len(c.heard) == mostHeard {
		c.heard = slices.Delete(c.heard, 0, 1)
	}
	c.heard = append(c.heard, c.wrong(a))
}

// settle takes in one of the first answers of a process, and says whether the time
// is known by now: it agrees with our clock, or what it says was heard two times
// more than anything else. To decide is to believe what was heard most.
func (c *clock) settle(a wooshpay.Answer, decide bool) bool {
	if c.known || a.Date.IsZero() {
		return true
	}
	c.remember(a)
	wrong := c.heard[len(c.heard)-1]
	agrees := wrong.Abs() < skewNoticed
	believed, lead := c.mostly()
	switch {
	case agrees:
		believed = wrong
	case decide:
	case lead < 2 || (wrong-believed).Abs() >= skewNoticed:
		return false
	}
	c.local, c.server = a.Received, a.Received.Add(believed).UTC()
	c.known, c.heard, c.late = true, nil, 0
	if by := c.server.Sub(a.Date); by < skewNoticed { // the answer agrees with what is believed
		c.late = max(by, 0)
	}
	return true
}

// mostly returns what was heard most, of several the last, and how many times more
// than anything else.
func (c *clock) mostly() (most time.Duration, lead int) {
	var first, second int
	for left := slices.Clone(c.heard); len(left) > 0; {
		offset, n := left[len(left)-1], len(left)
		left = slices.DeleteFunc(left, func(heard time.Duration) bool { return (heard - offset).Abs() < skewNoticed })
		switch n -= len(left); {
		case n > first:
			most, first, second = offset, n, first
		case n > second:
			second = n
		}
	}
	return most, first - second
}

// at translates a local time into the server's.
func (c *clock) at(local time.Time) time.Time {
	if !c.known {
		return local.UTC()
	}
	return c.server.Add(local.Sub(c.local)).UTC()
}

func (c *clock) now() time.Time { return c.at(c.own()) }

// asked returns when an answer was asked for, by the server's clock and not later
// than that.
func (c *clock) asked(a wooshpay.Answer) time.Time { return c.at(a.Sent).Add(-c.late) }

// uncertain is by how much the time may be earlier, and by how much later, than what
// is known: the last answers say so, and our clock tells nothing of what is known.
func (c *clock) uncertain() (early, late time.Duration) {
	switch {
	case c.doubted.IsZero() || c.offset().Abs() < skewNoticed:
	case c.doubt < 0:
		early = c.vague - c.doubt
	default:
		late = c.vague + c.doubt
	}
	return early, late
}

// span returns the server's time and ours, the earlier one first. They are the
// same as long as the server's is not known.
func (c *clock) span(local time.Time) (earliest, latest time.Time) {
	server, own := c.at(local), local.UTC()
	return earlier(server, own), later(server, own)
}

// offset is how far the server's clock is ahead of ours.
func (c *clock) offset() time.Duration {
	if !c.known {
		return 0
	}
	now := c.own()
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
