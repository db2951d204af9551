// Package holes is how the parts of a list that the API cannot show, such as one session
// over which it fails, are put together, cut and read around. Whatever reads the list passes
// over a hole; it is stored, and asked for apart until it can be read. The package asks for
// nothing itself, and changes no hole in place.
package holes

import (
	"fmt"
	"math"
	"slices"
	"time"

	"checkout-notifier/event"
)

// Most bounds the holes of an account: see Few.
const Most = 32

const (
	// A hole is asked for again after a quarter of its age, within these bounds.
	leastRest = 30 * time.Second
	mostRest  = time.Hour
	// slack is how far a time may lie ahead of a clock that is right.
	slack = 5 * time.Second
)

// DueAt returns when a hole is to be asked for again: at once if what could not be shown was
// shown since. Times of the future were made by a clock that was wrong.
func DueAt(h *event.Hole, now, shownAgain time.Time) time.Time {
	if h.Asked.After(now.Add(slack)) || h.Asked.Before(shownAgain) {
		return now
	}
	return h.Asked.Add(min(max(now.Sub(h.Since)/4, leastRest), mostRest))
}

// Due lists the holes that are to be asked for, those first that have waited longest.
func Due(holes []event.Hole, now, shownAgain time.Time) []event.Hole {
	due := slices.DeleteFunc(slices.Clone(holes), func(h event.Hole) bool { return DueAt(&h, now, shownAgain).After(now) })
	slices.SortStableFunc(due, func(x, y event.Hole) int { return x.Asked.Compare(y.Asked) })
	return due
}

// Join returns the holes of two accounts that become one.
func Join(a, b []event.Hole) []event.Hole {
	for _, h := range b {
		a, _, _ = With(a, h)
	}
	return a
}

// With adds a hole to others, the newest first, as one with those that it touches.
func With(others []event.Hole, h event.Hole) (holes []event.Hole, whole event.Hole, known bool) {
	holes = make([]event.Hole, 0, len(others)+1)
	for i := range others {
		if !Touch(&h, &others[i]) {
			holes = append(holes, others[i])
			continue
		}
		known = true
		h = join(h, &others[i])
	}
	holes = append(holes, h)
	slices.SortFunc(holes, func(x, y event.Hole) int {
		switch {
		case x.Newest():
			return -1
		case y.Newest():
			return 1
		}
		return y.AboveAt.Compare(x.AboveAt)
	})
	return holes, h, known
}

// Unread describes the holes in a range of creation times, an end of which may be zero, and
// how long each is.
func Unread(holes []event.Hole, since, until time.Time) (parts []string) {
	for i := range holes {
		h := &holes[i]
		if (!until.IsZero() && h.BelowAt.After(until)) || (!h.Newest() && h.AboveAt.Before(since)) {
			continue
		}
		from, to := "the newest session", "the end of the list"
		if !h.Newest() {
			from = place(h.Above, h.AboveAt)
		}
		if !h.BelowAt.IsZero() {
			to = place(h.Below, h.BelowAt)
		}
		part := "from " + from + " down to " + to
		if !h.Newest() && !h.BelowAt.IsZero() {
			part += " (" + h.AboveAt.Sub(h.BelowAt).Round(time.Second).String() + ")"
		}
		parts = append(parts, part)
	}
	return parts
}

func place(id string, created time.Time) string {
	if id == "" {
		return event.FormatTime(created)
	}
	return id + " of " + event.FormatTime(created)
}

// Replace replaces one of several holes by its parts.
func Replace(others []event.Hole, h event.Hole, parts []event.Hole) []event.Hole {
	others = slices.DeleteFunc(slices.Clone(others), func(other event.Hole) bool { return other == h })
	return Join(others, parts)
}

// TrimTop lets the hole that begins with the newest session, if there is one, begin below
// another, down to which the list was read.
func TrimTop(holes []event.Hole, above string, at time.Time) []event.Hole {
	if len(holes) == 0 || !holes[0].Newest() {
		return holes
	}
	holes = slices.Clone(holes)
	holes[0].Above, holes[0].AboveAt = above, at
	return holes
}

// Inherit gives a hole what is known of the one of which it is a part.
func Inherit(h event.Hole, of *event.Hole) event.Hole {
	if of.Since.Before(h.Since) {
		h.Since = of.Since
	}
	h.First, h.Pruned, h.Joined = h.First || of.First, h.Pruned || of.Pruned, h.Joined || of.Joined && IsWide(&h)
	return h
}

// Touch says whether two holes are to be one: they overlap or meet, and do not merely end and
// begin with the same session, which was shown, or with one of the second in which the first ends.
func Touch(a, b *event.Hole) bool {
	apart := func(a, b *event.Hole) bool {
		return b.Above != "" && (a.Below == b.Above || (a.Below == "" && a.BelowAt.Equal(b.AboveAt)))
	}
	if apart(a, b) || apart(b, a) {
		return false
	}
	return (b.Newest() || !a.BelowAt.After(b.AboveAt)) && (a.Newest() || !b.BelowAt.After(a.AboveAt))
}

// Holds says whether what was created at a time may stand in a hole, or be the session above it.
func Holds(h *event.Hole, created time.Time) bool {
	if created.Before(h.BelowAt) || (!h.Newest() && created.After(h.AboveAt)) {
		return false
	}
	return h.Below != "" || !created.Equal(h.BelowAt)
}

// join makes one hole of two.
func join(h event.Hole, other *event.Hole) event.Hole {
	h = Inherit(h, other)
	h.Joined = h.Joined || other.Joined
	if !h.Newest() && (other.Newest() || other.AboveAt.After(h.AboveAt)) {
		h.Above, h.AboveAt = other.Above, other.AboveAt
	}
	if other.BelowAt.Before(h.BelowAt) {
		h.Below, h.BelowAt = other.Below, other.BelowAt
	}
	return h
}

// Few joins older ones of too many holes, those that become the shortest one, with what lies
// between them: that is to have been read before, as nothing was in one that is still to be
// cut. What the list shows there later is not seen.
func Few(holes []event.Hole) []event.Hole {
	if len(holes) <= Most {
		return holes
	}
	length := func(i int) time.Duration {
		if isUncut(&holes[i]) || isUncut(&holes[i+1]) {
			return math.MaxInt64
		}
		return holes[i].AboveAt.Sub(holes[i+1].BelowAt)
	}
	for holes = slices.Clone(holes); len(holes) > Most; {
		shortest := Most / 2
		for i := shortest; i < len(holes)-1; i++ {
			if length(i) < length(shortest) {
				shortest = i
			}
		}
		holes[shortest] = join(holes[shortest], &holes[shortest+1])
		holes[shortest].Joined = true
		holes = slices.Delete(holes, shortest+1, shortest+2)
	}
	return holes
}

// isUncut says whether a hole may have what could be shown, and was not read before.
func isUncut(h *event.Hole) bool { return IsWide(h) && !h.Joined }

// Apart says whether what could be shown is passed over: between holes that were joined, as
// far as that was created after a time, or in one that is still to be cut.
func Apart(holes []event.Hole, since time.Time) error {
	var lowest, highest time.Time
	for i := range slices.Backward(holes) {
		h := &holes[i]
		if uncut := h.Asked.IsZero() && isUncut(h); uncut || h.Joined && h.AboveAt.After(since) {
			if highest = h.AboveAt; lowest.IsZero() {
				lowest = h.BelowAt
			}
		}
	}
	if highest.IsZero() {
		return nil
	}
	return fmt.Errorf("the API cannot show so many parts of the list that, between %s and %s, what lies between them is passed over as well: what is ordered or changes there, a payment perhaps, may not be seen", event.FormatTime(lowest), event.FormatTime(highest))
}

// rounding is by how much a creation time may be rounded by the API.
const rounding = time.Second

// EndsAt is the creation time at which the hole ends that ends with a session, and otherwise
// if none does.
func EndsAt(holes []event.Hole, below string, otherwise time.Time) time.Time {
	for i := range holes {
		if holes[i].Below == below {
			return holes[i].BelowAt
		}
	}
	return otherwise
}

// Under tells where the list goes on below a hole: after a session, or from a time on.
func Under(h *event.Hole) (after string, until time.Time) {
	if h.Below == "" {
		until = h.BelowAt
	}
	return h.Below, until
}

// IsTimed says whether only a time tells where a hole begins.
func IsTimed(h *event.Hole) bool { return h.Above == "" && !h.Newest() }

// Piece is a part of a range of creation times that has no hole of which only times tell
// where it begins.
type Piece struct {
	Lo, Hi time.Time   // zero: no end
	Under  *event.Hole // it begins below the session with which this one ends
}

// Pieces cuts a range at those holes; byTime tells that one which ends at a time can be
// read around.
func Pieces(holes []event.Hole, lo, hi time.Time, byTime bool) (pieces []Piece) {
	var under *event.Hole
	for i := range holes {
		h := &holes[i]
		reached := hi.IsZero() || h.BelowAt.Before(hi.Add(rounding))
		ends := !lo.IsZero() && h.AboveAt.Before(lo.Add(-rounding))
		if !IsTimed(h) || !reached || ends || (h.Below == "" && !byTime) {
			continue
		}
		if hi.IsZero() || h.AboveAt.Before(hi) {
			pieces = append(pieces, Piece{Lo: h.AboveAt.Add(time.Second), Hi: hi, Under: under})
		}
		under, hi = nil, h.BelowAt
		if h.Below != "" {
			under, hi = h, time.Time{}
		}
		if !lo.IsZero() && !h.BelowAt.After(lo.Add(-rounding)) && len(pieces) > 0 {
			return pieces
		}
	}
	return append(pieces, Piece{Lo: lo, Hi: hi, Under: under})
}

// Ask returns the creation times to ask for to read a range: its ends, allowing for the
// API's rounding, but no second of a hole between two times right below or above it.
func Ask(holes []event.Hole, lo, hi time.Time) (from, to time.Time) {
	if !lo.IsZero() {
		from = lo.Add(-rounding)
	}
	if !hi.IsZero() {
		to = hi.Add(rounding)
	}
	if h := RightBelow(holes, lo); h != nil {
		from = h.AboveAt.Add(time.Second)
	}
	for i := range holes {
		if h := &holes[i]; IsTimed(h) && h.Below == "" && !h.BelowAt.Before(hi) && h.BelowAt.Before(to) {
			to = h.BelowAt
		}
	}
	return from, to
}

// RightBelow returns the hole of which only a time tells where it begins, and that a range
// lies right above; nil if there is none.
func RightBelow(holes []event.Hole, lo time.Time) *event.Hole {
	if h := Below(holes, lo); h != nil && h.AboveAt.Unix() >= lo.Add(-rounding).Unix() { // the API is asked in whole seconds
		return h
	}
	return nil
}

// Below returns the next hole below a time of which only a time tells where it begins, nil
// if there is none.
func Below(holes []event.Hole, at time.Time) *event.Hole {
	for i := range holes {
		if h := &holes[i]; IsTimed(h) && h.AboveAt.Before(at) {
			return h
		}
	}
	return nil
}

// Floor is the creation time down to which a page may reach that begins at a time: that
// of the next such hole.
func Floor(holes []event.Hole, at time.Time) time.Time {
	if h := Below(holes, at); h != nil {
		return h.AboveAt
	}
	return time.Time{}
}

// Between returns such a hole between two times, the upper one of which may be zero: no
// end. It is the lowest.
func Between(holes []event.Hole, lower, upper time.Time) *event.Hole {
	for i := range slices.Backward(holes) {
		if h := &holes[i]; IsTimed(h) && !lower.After(h.BelowAt) && (upper.IsZero() || upper.After(h.BelowAt)) {
			return h
		}
	}
	return nil
}
