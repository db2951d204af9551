package poller

import "time"

// A session that the API cannot show may keep it from answering at all. Each request that
// looks for that session then costs the whole timeout, and nothing else is read meanwhile.
// So for a while after a request that failed late, requests are given not much longer than
// answers take. One that is cut off counts as any other that failed.
const (
	// A request is given briefTimes as long as any answer took of late, and briefLeast at least.
	briefLeast = 2 * time.Second
	briefTimes = 2
	// slowFor is for how long a slow answer is remembered at least, and twice as long at
	// most: what is asked for seldom may take longer than what each pass asks for.
	slowFor = time.Hour
	// hungFor is for how long one late failure is remembered.
	hungFor = 10 * time.Minute
	// What could not be shown may take long rather than fail: a request for it is given the
	// patienceShare-th part of the time for which it was not shown.
	patienceShare = 120
)

// noteTime notes how long a request took that might take so long; a negative time says
// that it was not made. One that was cut off early says nothing: the answer may be slow.
func (a *account) noteTime(took, within time.Duration, err error) {
	switch early := took >= within && within < a.cfg.Poll.Timeout; {
	case took < 0:
	case err == nil || refused(err):
		if time.Since(a.tookFrom) >= slowFor {
			a.tookBefore, a.took, a.tookFrom = a.took, 0, time.Now()
		}
		a.took = max(a.took, took)
	case unshown(err) && took >= a.brief() && !early:
		a.hung = time.Now()
	}
}

// brief is how long a request may take where late failures are expected. It grows while
// none is answered: the API may have become slow.
func (a *account) brief() time.Duration {
	return min(max(briefLeast, (briefTimes*max(a.took, a.tookBefore)).Round(time.Second/10))<<min(max(a.failures-1, 0), 5), a.cfg.Poll.Timeout)
}

// hangs says whether a request failed late a while ago.
func (a *account) hangs() bool { return !a.hung.IsZero() && time.Since(a.hung) < hungFor }

// within is how long a request may take, made apart or not. After a failure one that is not
// made apart finds out with patience whether the API answers at all.
func (a *account) within(apart bool) time.Duration {
	if a.hangs() && (apart || a.failures == 0) {
		return a.brief()
	}
	return a.cfg.Poll.Timeout
}

// withinSince is how long a request may take for what could not be shown since a time.
func (a *account) withinSince(since time.Time) time.Duration {
	return min(max(a.brief(), (a.clock.Now().Sub(since)/patienceShare).Truncate(time.Second)), a.cfg.Poll.Timeout)
}

// withinByID is how long a request for one session may take.
func (a *account) withinByID(id string) time.Duration {
	if u := a.unreadable[id]; u != nil && u.answer != nil {
		return a.withinSince(u.Since)
	}
	if e := a.index.Get(id); e != nil && e.Setbacks() > 0 {
		return a.withinSince(e.LookedAt())
	}
	return a.within(true)
}
