package holes

import (
	"time"

	"checkout-notifier/event"
)

// seconds returns the first and the last second of a hole that begins at a time. The
// session with which it ends may share its second with what the API cannot show.
func seconds(h *event.Hole) (from, to time.Time) {
	from = h.BelowAt.Truncate(time.Second)
	if h.Below == "" {
		from = from.Add(time.Second)
	}
	return from, h.AboveAt.Truncate(time.Second)
}

// IsWide says whether a hole that begins at a time has several seconds, and may be cut.
func IsWide(h *event.Hole) bool {
	from, to := seconds(h)
	return IsTimed(h) && from.Before(to)
}

// Wide returns the first such hole that is left of another one.
func Wide(holes []event.Hole, of *event.Hole) (h event.Hole, found bool) {
	for i := range holes {
		if IsWide(&holes[i]) && Touch(&holes[i], of) {
			return holes[i], true
		}
	}
	return h, false
}

// Cut divides a hole between two times in halves again and again, and returns the parts for
// which the API does not answer, the newest first. asks says whether the API answers for a
// range of creation times, and whether it shows a session there. Once enough returns true, what
// is left stays one part. The next pass asks for it at once, to go on dividing it, but not if h is
// Joined: then what could be shown in it was read before. rest says
// whether what is in none of the parts is to be read: a session was shown between them, or the
// lowest one ends above the end of the hole.
func Cut(h event.Hole, asks func(from, to time.Time) (answered, shown bool, err error), enough func() bool) (parts []event.Hole, rest bool, err error) {
	from, to := seconds(&h)
	if h.BelowAt.IsZero() || !from.Before(to) {
		return []event.Hole{h}, false, nil
	}
	first, highest := from, time.Time{}
	answers := func(from, to time.Time) (bool, error) {
		answered, shown, err := asks(from, to)
		if shown && from.After(highest) {
			highest = from
		}
		return answered, err
	}
	answered, err := answers(from, to)
	if answered && err == nil { // where the filter is exact, what stands within the last second was not asked for
		answered, err = answers(from, to.Add(time.Second))
		from = to
	}
	if answered || err != nil { // it is a hole for another reason
		return []event.Hole{h}, false, err
	}
	var halve func(from, to time.Time) error // a range for which it does not answer
	halve = func(from, to time.Time) error {
		if from.Equal(to) || enough() {
			part := h
			if part.Joined = h.Joined && from.Before(to); from.Before(to) && !h.Joined {
				part.Asked = time.Time{} // nothing in it was read: the next pass goes on
			}
			if part.AboveAt = to; h.Below == "" || from.After(first) {
				part.Below, part.BelowAt = "", from.Add(-time.Second)
			}
			if n := len(parts); n > 0 && !to.Before(parts[n-1].BelowAt) {
				newer := parts[n-1]
				if part.AboveAt, part.Joined = newer.AboveAt, part.Joined || newer.Joined; newer.Asked.IsZero() {
					part.Asked = newer.Asked
				}
				parts = parts[:n-1]
			}
			parts = append(parts, part)
			return nil
		}
		middle := from.Add(to.Sub(from) / 2).Truncate(time.Second)
		newer, err := answers(middle.Add(time.Second), to)
		if err != nil {
			return err
		}
		older := false // where the newer half is answered the older one is not
		if !newer {
			if err := halve(middle.Add(time.Second), to); err != nil {
				return err
			}
			if older, err = answers(from, middle); err != nil {
				return err
			}
		}
		if older {
			return nil
		}
		return halve(from, middle)
	}
	if err = halve(from, to); err != nil {
		return nil, false, err
	}
	lowest := parts[len(parts)-1].BelowAt
	return parts, highest.After(lowest) || lowest.After(h.BelowAt), nil
}

// Nearest searches for the smallest n up to most for which ok holds, by few questions. It
// asks for 1 to first, then for most divided by each of the parts; if ok holds for none of
// these the answer is 0. Between the last failure and the first success it doubles its steps
// from the near end, then halves. bounded says that most is what an earlier search found,
// which is tried first one lower, since such a bound seldom becomes less.
func Nearest(most int, parts []int, first int, bounded bool, ok func(n int) (bool, error)) (n int, err error) {
	low, high := 0, 0
	for ; high == 0 && low < min(first, most); low++ {
		if holds, err := ok(low + 1); err != nil || holds {
			return low + 1, err
		}
	}
	for _, part := range parts {
		if most/part <= low || high > 0 {
			continue
		}
		if holds, err := ok(most / part); err != nil {
			return 0, err
		} else if holds {
			high = most / part
		}
	}
	if bounded && high-low > 2 {
		if holds, err := ok(high - 1); err != nil || !holds {
			return high, err
		}
		high--
	}
	for step := low + 1; step < high; step *= 2 {
		holds, err := ok(step)
		if err != nil {
			return 0, err
		}
		if holds {
			high = step
			break
		}
		low = step
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		holds, err := ok(middle)
		switch {
		case err != nil:
			return 0, err
		case holds:
			high = middle
		default:
			low = middle
		}
	}
	return high, nil
}
