package holes

import (
	"context"
	"errors"
	"time"

	"checkout-notifier/event"
)

// mostAdjacent bounds the seconds right below one that Alone asks for apart.
const mostAdjacent = 3

// ErrAlone says that the end of a hole is known.
var ErrAlone = errors.New("what the API cannot show stands alone")

// Alone looks in a hole for the newest second that the API cannot show, and ends the hole right
// below that; then it returns ErrAlone. Without it a hole would reach down to where the list can
// be read again, and pass over all that can be read between two sessions that cannot be shown.
// The lower one becomes a hole of its own when the list is read further.
//
// from is the top of the hole, to a time below it at which the list can be read again. asks says
// whether the API answers for a range of creation times, and whether it shows a session there: if
// so, times do not tell where the session stands that cannot be shown, and Alone gives up. A hole
// that begins with the newest session is left as it is. of is the stored hole that is asked for
// again, if any.
func Alone(ctx context.Context, h, of *event.Hole, from, to time.Time, asks func(ctx context.Context, from, to time.Time) (answered, shown bool, err error)) error {
	if h.Newest() || (of != nil && of.Joined) { // what lies between joined ones was read
		return nil
	}
	if IsTimed(h) { // the session that the API cannot show may be of the second at the top
		from = from.Add(time.Second)
	}
	at := func(n int) time.Time { return from.Add(-time.Duration(n) * time.Second) }
	most, known, readable := int(from.Sub(to)/time.Second)-1, of != nil && !of.Asked.IsZero(), false
	first, err := Nearest(most, []int{1}, 0, known, func(n int) (bool, error) {
		if readable || n == most {
			return !readable, nil
		}
		answered, shown, err := asks(ctx, at(n), at(1))
		readable = shown
		return !answered, err
	})
	if err != nil || readable || first == 0 {
		return err
	}
	if first == most && !known { // nobody asked for that second
		if answered, _, err := asks(ctx, at(most), at(1)); answered || err != nil {
			return err
		}
	}
	// Where the filter is exact, what stands within the first second was not asked for.
	if IsTimed(h) && first > 1 {
		answered, _, err := asks(ctx, at(first-1), at(0))
		if err != nil {
			return err
		}
		if !answered {
			first = 1
		}
	}
	last := first
	// The result holds only if the API honours both bounds of created, since one that ignores a
	// bound fails for every range. That a shorter range is answered shows that it honours them. If
	// first is 1 no shorter one was asked for, so one of the next seconds, asked for by itself, has
	// to be answered; those before it are part of the hole.
	for ; first == 1 && last < most; last++ {
		if last > mostAdjacent {
			return nil
		}
		answered, _, err := asks(ctx, at(last+1), at(last+1))
		if err != nil {
			return err
		}
		if answered {
			break
		}
	}
	if IsTimed(h) {
		h.AboveAt = at(first)
	}
	h.Below, h.BelowAt = "", at(last+1)
	return ErrAlone
}
