package poller

// nearest returns the smallest n up to most, as far as it can tell, for which ok
// holds, 0 if it seems to hold for none: neither for those up to first, which are
// asked for first, nor for one of the given parts of most. What is near is asked
// for with care. What was bounded before has seldom become less.
func nearest(most int, parts []int, first int, bounded bool, ok func(n int) (bool, error)) (n int, err error) {
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
