package poll_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/event"
)

// kind is a type of event, in the order in which a session may yield them.
type kind uint8

const (
	created kind = iota
	completed
	expiry
	freed
	settledPaid
	fulfillable
	unresolved
	kinds
)

var kindOf = map[string]kind{
	event.Created: created, event.Completed: completed, event.Expired: expiry, event.NoPaymentRequired: freed,
	event.Paid: settledPaid, event.Fulfillable: fulfillable, event.Unresolved: unresolved,
}

// Bounds of what an algorithm may take.
const (
	lateAfter = 20 * time.Minute // told, but late
	settle    = 90 * time.Minute // from here on it counts as missed
	staleness = 2 * time.Minute  // of replicas
)

// oracle knows every session's true life and judges what is told of it. What it
// remembers of a session is one byte.
type oracle struct {
	sessions  []session
	find      func(id int64) (int, bool)
	unpaidFor time.Duration

	start    int64 // sessions created before are recorded silently
	baseline int64 // changes from here on must be told
	told     []uint8
	byEnd    []int // settled sessions, earliest end first
	born     int   // of sessions, how many were checked for never seen
	ended    int   // of byEnd, how many were checked for missed

	verdict
}

// verdict is what came of an algorithm.
type verdict struct {
	Seen, NeverSeen   int // sessions that were to be seen
	Finals, Missed    int // final states that were to be told
	False, Doubled    int
	Disorder, Undated int
	Late              int
	Kind              [kinds]histogram // delays, from the true change to the commit
	Changes, Final    histogram
	Examples          []string
}

func newOracle(a *api, o options) *oracle {
	c := &oracle{sessions: a.sessions, find: a.find, unpaidFor: o.unpaidFor, told: make([]uint8, len(a.sessions))}
	for i := range a.sessions {
		if a.sessions[i].settled != 0 {
			c.byEnd = append(c.byEnd, i)
		}
	}
	slices.SortStableFunc(c.byEnd, func(i, j int) int { return cmp.Compare(a.sessions[i].settled, a.sessions[j].settled) })
	c.baseline = origin.Add(1000 * day).UnixMilli() // until the account starts
	return c
}

// begin says when the account started and when its first pass was complete.
func (c *oracle) begin(start, baseline time.Time) {
	// Some sessions from before the start are first seen, silently, a little later.
	c.start, c.baseline = start.UnixMilli(), baseline.Add(2*staleness+time.Minute).UnixMilli()
	// Within the rounding of creation times it cannot be told what was before.
	c.born, _ = c.find((start.Add(2*time.Second).UnixMilli() - idEpoch) << idShift)
	c.ended, _ = slices.BinarySearchFunc(c.byEnd, c.baseline, func(i int, t int64) int { return cmp.Compare(c.sessions[i].settled, t) })
}

// when is when the thing that a kind tells of happened; ok is false if it never does.
func (s *session) when(k kind) (t int64, ok bool) {
	switch k {
	case created:
		return s.created, true
	case completed, unresolved:
		return s.complete, s.complete != 0
	case expiry:
		return s.settled, s.end == expired
	case freed:
		return s.settled, s.end == free
	case settledPaid:
		return s.settled, s.end == paid
	case fulfillable:
		return s.settled, s.end == paid || s.end == free
	}
	return 0, false
}

// hear judges one event at its commit.
func (c *oracle) hear(e *event.Event, now int64) {
	id, err := strconv.ParseInt(strings.TrimPrefix(e.Session, "cs_"), 10, 64)
	i, found := c.find(id)
	k, known := kindOf[e.Type]
	if err != nil || !found || !known || e.Unexpected || e.Reason == event.ReasonManual {
		c.False++
		c.example("false", e.Session, e.Type, now)
		return
	}
	c.tell(i, k, now)
	if t, ok := c.sessions[i].when(k); ok && k != unresolved {
		after, before := e.OccurredAfter.Add(-staleness-time.Second).UnixMilli(), e.OccurredBefore.UnixMilli()
		if t > before || (!e.OccurredAfter.IsZero() && t < after) {
			c.Undated++
			c.example("outside its times", e.Session, e.Type, now)
		}
	}
}

// tell judges that something was told of a session.
func (c *oracle) tell(i int, k kind, now int64) {
	s := &c.sessions[i]
	t, ok := s.when(k)
	switch {
	case !ok || t > now,
		k == created && t < c.start-2000,
		k != unresolved && t < c.start-staleness.Milliseconds(),
		k == unresolved && now-t < c.unpaidFor.Milliseconds():
		c.False++
		c.example("false", s.name(), fmt.Sprint(k), now)
	case c.told[i]&(1<<k) != 0:
		c.Doubled++
		c.example("doubled", s.name(), fmt.Sprint(k), now)
	case k != unresolved && c.told[i]&^(1<<unresolved)>>k != 0:
		c.Disorder++
		c.example("out of order", s.name(), fmt.Sprint(k), now)
	default:
		c.measure(s, k, now-t)
	}
	c.told[i] |= 1 << k
}

func (c *oracle) measure(s *session, k kind, delay int64) {
	if k == unresolved || k == fulfillable {
		return
	}
	c.Kind[k].add(delay)
	if k == completed || s.complete != s.settled || s.end == expired || k == created {
		c.Changes.add(delay)
	}
	if k > completed {
		c.Final.add(delay)
		if delay > lateAfter.Milliseconds() {
			c.Late++
		}
	}
}

// check counts what ought to have been told by now.
func (c *oracle) check(now time.Time) {
	if c.start == 0 {
		return // nothing is owed before the account starts
	}
	by := now.Add(-settle).UnixMilli()
	for ; c.born < len(c.sessions) && c.sessions[c.born].created < by; c.born++ {
		c.Seen++
		if c.told[c.born]&(1<<created) == 0 {
			c.NeverSeen++
			c.example("never seen", c.sessions[c.born].name(), "", by)
		}
	}
	for ; c.ended < len(c.byEnd) && c.sessions[c.byEnd[c.ended]].settled < by; c.ended++ {
		i := c.byEnd[c.ended]
		c.Finals++
		for k := completed; k < unresolved; k++ {
			if t, ok := c.sessions[i].when(k); ok && t >= c.baseline && c.told[i]&(1<<k) == 0 {
				c.Missed++
				c.example("final state missed", c.sessions[i].name(), fmt.Sprint(k), by)
				break
			}
		}
	}
}

func (s *session) name() string { return string(appendID(nil, s.id)) }

// example keeps a few of the objections, so that a failure can be looked into.
func (v *verdict) example(what, session, kind string, now int64) {
	if len(v.Examples) < 20 {
		v.Examples = append(v.Examples, fmt.Sprintf("%s: %s %s at %s", what, session, kind, time.UnixMilli(now).UTC().Format(time.DateTime)))
	}
}

// faults counts what must be zero.
func (v *verdict) faults() int {
	return v.NeverSeen + v.Missed + v.False + v.Doubled + v.Disorder + v.Undated
}

// histogram counts delays in tenths of a second, all above an hour together.
type histogram struct {
	counts [36_001]uint32
	n      int
	max    time.Duration
}

func (h *histogram) add(ms int64) {
	h.counts[min(max(ms, 0)/100, int64(len(h.counts)-1))]++
	h.n++
	h.max = max(h.max, time.Duration(ms)*time.Millisecond)
}

// quantile returns the delay below which a share of all is.
func (h *histogram) quantile(share float64) time.Duration {
	rest := int(share * float64(h.n))
	for i, n := range h.counts {
		if rest -= int(n); rest < 0 {
			return time.Duration(i) * 100 * time.Millisecond
		}
	}
	return h.max
}
