package holes_test

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
)

// A hole over which an API fails because of the newest session of a page ends right below that
// one, whatever is below it, with not many questions; where that cannot be told it stays as it is.
func TestAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const to, from = 1000, 3000
		seconds := rapid.SliceOfNDistinct(rapid.Int64Range(to+1, from-1), 1, 12, rapid.ID).Draw(rt, "sessions")
		slices.Sort(seconds)
		slices.Reverse(seconds)
		broken := rapid.SliceOfN(rapid.Bool(), len(seconds), len(seconds)).Draw(rt, "broken")
		broken[0] = rapid.IntRange(0, 9).Draw(rt, "above") > 0 // else what hides is of the second above
		ignores := rapid.SampledFrom([]string{"", "", "gte", "lte"}).Draw(rt, "ignores")
		timed := rapid.Bool().Draw(rt, "timed")
		asked := 0
		asks := func(_ context.Context, lo, hi time.Time) (answered, shown bool, err error) {
			asked++
			for i, s := range seconds {
				if (ignores == "lte" || s <= hi.Unix()) && (ignores == "gte" || s >= lo.Unix()) {
					return !broken[i], !broken[i], nil
				}
			}
			return true, false, nil
		}
		h := event.Hole{Above: "cs_1", AboveAt: at(from), BelowAt: at(to)}
		if timed {
			h.Above, h.AboveAt = "", at(from-1)
		}
		var of *event.Hole
		if seconds[0] > to+1 && rapid.Bool().Draw(rt, "known") {
			of = &event.Hole{Asked: at(5000)}
		}
		before := h
		err := holes.Alone(t.Context(), &h, of, h.AboveAt, at(to), asks)
		found := errors.Is(err, holes.ErrAlone)
		if (err != nil && !found) || asked > 2*bits.Len(from-to)+4 {
			rt.Fatalf("%v, %d questions", err, asked)
		}
		if !found {
			if h != before || (broken[0] && ignores == "" && seconds[0] < from-1) {
				rt.Fatalf("not found: %+v", h)
			}
			return
		}
		last := 0 // of those that are hidden in seconds right below each other
		for h.BelowAt.Unix() != seconds[last]-1 {
			if last++; last == len(seconds) || !broken[last] || seconds[last] != seconds[last-1]-1 {
				rt.Fatalf("%v, broken %v: %+v", seconds, broken, h)
			}
		}
		if !broken[0] || h.Below != "" || timed && ignores == "" && h.AboveAt.Unix() != seconds[0] || !timed && (h.Above != before.Above || h.AboveAt != before.AboveAt) {
			rt.Errorf("%v, broken %v: %+v", seconds, broken, h)
		}
	})
}
