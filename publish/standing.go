package publish

import (
	"slices"
	"time"

	"checkout-notifier/event"
)

// corrected is a stored standing whose times do not lie in an impossible future,
// because our clock was ahead when it was stored: what waits keeps the pause that
// it had then, and what has happened has done so by now.
func corrected(s event.Standing, now time.Time) event.Standing {
	if ahead := s.Changed.Sub(now); ahead > 0 {
		for _, until := range []*time.Time{&s.NextProbe, &s.Throttled} {
			if !until.IsZero() {
				*until = until.Add(-ahead)
			}
		}
	}
	// An earlier version did not say when it stored the standing.
	s.NextProbe = sooner(s.NextProbe, now.Add(breakLastLook))
	s.Throttled = sooner(s.Throttled, now.Add(retryAfterLimit))
	for _, since := range []*time.Time{&s.FailedSince, &s.RowSince, &s.Broken, &s.Opened, &s.Unsettled, &s.Judging, &s.Announced, &s.Recovered} {
		*since = sooner(*since, now)
	}
	for _, t := range []*event.Trouble{&s.Down, &s.Blocked, &s.Well} {
		*t = t.TakenUp(s.Changed, now)
	}
	s.FailedAway = event.Trouble{Since: s.FailedSince, Away: s.FailedAway}.TakenUp(s.Changed, now).Away
	retime(&s, now)
	return s
}

// retime corrects the wall clock times at which pauses end. If the wall clock was set since
// such a time was computed, its wall clock reading is wrong, but Sub uses the monotonic one
// and returns what is really left of the pause. A time that was read from the store has no
// monotonic reading and gets one here.
func retime(s *event.Standing, now time.Time) {
	for _, until := range []*time.Time{&s.NextProbe, &s.Throttled} {
		if !until.IsZero() {
			*until = now.Add(until.Sub(now))
		}
	}
}

func sooner(a, b time.Time) time.Time {
	return slices.MinFunc([]time.Time{a, b}, time.Time.Compare)
}
