package event

import "time"

// TakenUp is what the next process makes of a stored standing: its times do not lie in an
// impossible future, because our clock was ahead when it was stored. What waits keeps the
// pause that it had then, and what has happened has done so by now. longestProbe and
// longestPause bound the pauses.
func (s Standing) TakenUp(now time.Time, longestProbe, longestPause time.Duration) Standing {
	if ahead := s.Changed.Sub(now); ahead > 0 {
		for _, until := range []*time.Time{&s.NextProbe, &s.Throttled} {
			if !until.IsZero() {
				*until = until.Add(-ahead)
			}
		}
	}
	// An earlier version did not say when it stored the standing.
	s.NextProbe = Sooner(s.NextProbe, now.Add(longestProbe))
	s.Throttled = Sooner(s.Throttled, now.Add(longestPause))
	for _, since := range []*time.Time{&s.FailedSince, &s.RowSince, &s.Broken, &s.Opened, &s.Unsettled, &s.Judging, &s.Announced, &s.Recovered} {
		*since = Sooner(*since, now)
	}
	for _, t := range []*Trouble{&s.Down, &s.Blocked, &s.Well} {
		*t = t.TakenUp(s.Changed, now)
	}
	s.FailedAway = Trouble{Since: s.FailedSince, Away: s.FailedAway}.TakenUp(s.Changed, now).Away
	s.Retime(now)
	return s
}

// Retime corrects the wall clock times at which pauses end. If the wall clock was set since
// such a time was computed, its wall clock reading is wrong, but Sub uses the monotonic one
// and returns what is really left of the pause. A time that was read from the store has no
// monotonic reading and gets one here.
func (s *Standing) Retime(now time.Time) {
	for _, until := range []*time.Time{&s.NextProbe, &s.Throttled} {
		if !until.IsZero() {
			*until = now.Add(until.Sub(now))
		}
	}
}

// ToldToFail says whether the owner heard that the destination fails, and not only in part.
func (s *Standing) ToldToFail() bool {
	return !s.Announced.IsZero() && !s.AnnouncedSubjects && !s.AnnouncedRefused
}

// NoteFailing notes that the destination fails altogether, when that is about to be told. known
// says that it need not be told: the open alert was about deliveries that are refused again and
// again, and the owner has heard already, in this alert, that it fails altogether. Such a
// destination may go from one to the other for hours.
func (s *Standing) NoteFailing() (known bool) {
	known = s.AnnouncedBoth
	s.AnnouncedSubjects, s.AnnouncedRefused, s.AnnouncedBoth = false, false, s.AnnouncedRefused || known
	s.Version++
	return known
}

// NoteAccepting notes that it takes deliveries, and says whether the alert that its owner knows
// of lasts all the same: until no delivery that it refuses again and again waits any more.
func (s *Standing) NoteAccepting() (lasts bool) {
	if s.AnnouncedBoth && !s.AnnouncedRefused {
		s.AnnouncedRefused, s.Well = true, Trouble{}
		s.Version++
	}
	return s.AnnouncedRefused && !s.AnnouncedSubjects
}

// ForgetAnnounced notes that the owner believes it well.
func (s *Standing) ForgetAnnounced() {
	s.Announced, s.AnnouncedSubjects, s.AnnouncedRefused, s.AnnouncedBoth = time.Time{}, false, false, false
}

// Troubled says whether there is something to tell, if it lasts: trouble, or its end.
func (s *Standing) Troubled() bool {
	return s.Down.IsOpen() || s.Blocked.IsOpen() || s.Well.IsOpen() || !s.FailedSince.IsZero()
}
