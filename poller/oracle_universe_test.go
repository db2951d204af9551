package poller_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/poller"
	"checkout-notifier/poller/wooshpay"
)

// universe describes one world of the oracle: all times count from its
// beginning, at which the first poller starts.
type universe struct {
	seed      uint64 // of what happens by chance to single requests
	poll      poller.Poll
	start     string
	params    string          // where the list parameters travel
	cron      bool            // a process for each pass
	skew      time.Duration   // of the API's clock, creation times included
	own       []time.Duration // by how much our own clock is ahead, by process; the last holds for all that follow
	noDate    bool            // its answers do not tell the time
	randomIDs bool            // ids in no order
	exact     bool            // created filters compare milliseconds, not what is shown
	untied    bool            // the order within a second is another one in each answer
	badCursor int             // status for a cursor that is not in the list
	fates     []fate
	spells    []spell
	crashes   []crash
	deep      int           // how deeply an unknown member nests
	nudges    time.Duration // between two requests for a pass at once; 0: none
	backfills time.Duration // between two backfills of an hour; 0: none
}

// fate is the life of a session. Times after the first count from its birth.
type fate struct {
	born, lives time.Duration
	ends        ending
	at, later   time.Duration // when it ends; of owed money how much later it comes
	noted       time.Duration // when its metadata change; 0: never
	lag         time.Duration // until the list shows it
	hides, back time.Duration // it is not shown in between
	twins       int           // more of the same second
	breaks      time.Duration // the API fails over it from then on
	mends       time.Duration // until then
	stuck       bool          // it does not answer then
}

type ending string

const (
	abandoned ending = "abandoned"
	pays      ending = "pays"
	paysLater ending = "pays later"
	owes      ending = "owes"
	isFree    ending = "is free"
	cancelled ending = "is cancelled"
)

// spell is what the API does for a while.
type spell struct {
	from, lasts time.Duration
	does        string
	share       float64 // of the requests
	n           int     // how much of it
}

// The things that an API does for a while.
const (
	slow       = "is slow"
	fails      = "answers 500"
	throttles  = "answers 429"
	hangs      = "hangs"
	cuts       = "cuts bodies"
	busy       = "refuses more at once"
	stale      = "is stale"
	noFilter   = "ignores created"
	noUpper    = "ignores created[lte]"
	noCursor   = "ignores the cursor"
	noHasMore  = "says no has_more"
	allHasMore = "always says has_more"
	ascending  = "lists the oldest first"
	shuffled   = "lists in no order"
	tenAPage   = "ignores the limit"
	denies     = "answers 403"
	loses      = "answers 404 to all"
	empties    = "lists nothing"
	repeats    = "repeats items"
	flips      = "writes the same otherwise"
	spoils     = "lists bad items"
	noBody     = "ignores a body"
	badBody    = "refuses a body"
	redirects  = "redirects"
	babbles    = "answers nonsense"
	shortens   = "shortens pages"
	slips      = "tells a wrong time now and then"
	lies       = "tells a wrong time"
	endsEarly  = "ends the list early now and then"
	misdates   = "lists some with a wrong created"
)

var spells = []string{
	slow, fails, throttles, hangs, cuts, busy, stale, noFilter, noUpper, noCursor, noHasMore, allHasMore, ascending,
	shuffled, tenAPage, denies, loses, empties, repeats, flips, spoils,
	noBody, badBody, redirects, babbles, shortens, slips, endsEarly, misdates,
}

// crash is an end of the process, or a commit that fails.
type crash struct {
	at   time.Duration
	how  string
	down time.Duration // until the next process starts
}

const (
	stopped     = "stopped"
	diskFull    = "commit fails"
	diedBefore  = "dies before a commit"
	diedAfter   = "dies after a commit"
	patience    = 2 * time.Minute // with which a crash waits for a commit
	staleAtMost = 2 * time.Minute
)

// seconds draws a time of up to some minutes that is not only whole ones.
func seconds(t *rapid.T, label string, fromMinute, toMinute int) time.Duration {
	minute := rapid.IntRange(fromMinute, toMinute).Draw(t, label+" minute")
	return time.Duration(minute)*time.Minute + time.Duration(rapid.IntRange(0, 59_999).Draw(t, label+" ms"))*time.Millisecond
}

func oneOf[V any](t *rapid.T, label string, values ...V) V {
	return rapid.SampledFrom(values).Draw(t, label)
}

func drawUniverse(t *rapid.T) *universe {
	u := &universe{
		seed: rapid.Uint64().Draw(t, "seed"),
		poll: poller.Poll{
			Interval:  oneOf(t, "interval", 30*time.Second, 15*time.Second, time.Minute),
			RateLimit: oneOf(t, "rate limit", 0.0, 2, 5),
			Timeout:   10 * time.Second,
			UnpaidFor: 14 * 24 * time.Hour,
			Tuning: poller.Tuning{
				Overlap:        oneOf(t, "overlap", 10*time.Minute, 5*time.Minute, 3*time.Minute),
				HotAge:         oneOf(t, "hot", 3*time.Minute, 10*time.Minute),
				WarmEvery:      oneOf(t, "warm", 3*time.Minute, 5*time.Minute, time.Minute),
				UnpaidEvery:    oneOf(t, "unpaid", 5*time.Minute, 8*time.Minute, 2*time.Minute),
				ReconcileEvery: 1000 * time.Hour, // it would repair what the rest must not miss
				ConfirmAfter:   oneOf(t, "confirm", 10*time.Minute, 4*time.Minute),
				PageSize:       rapid.IntRange(2, 20).Draw(t, "page size"),
				Concurrency:    rapid.IntRange(1, 8).Draw(t, "concurrency"),
			},
		},
		start:     oneOf(t, "start", poller.StartNow, poller.StartNow, poller.StartAll),
		params:    oneOf(t, "params", wooshpay.ParamsBody, wooshpay.ParamsBody, wooshpay.ParamsQuery, wooshpay.ParamsBoth),
		cron:      rapid.IntRange(0, 7).Draw(t, "cron") == 7,
		noDate:    rapid.IntRange(0, 7).Draw(t, "no date") == 7,
		randomIDs: rapid.Bool().Draw(t, "random ids"),
		exact:     rapid.Bool().Draw(t, "exact filter"),
		badCursor: oneOf(t, "bad cursor", 404, 400),
	}
	u.deep = oneOf(t, "deep", 0, 0, 61, 62, 63, 101)
	if rapid.IntRange(0, 3).Draw(t, "nudged") == 3 {
		u.nudges = oneOf(t, "nudges", 7*time.Second, time.Minute)
	}
	if rapid.IntRange(0, 3).Draw(t, "backfilled") == 3 {
		u.backfills = oneOf(t, "backfills", 4*time.Minute, 11*time.Minute)
	}
	longestLag := int((u.poll.Tuning.Overlap - staleAtMost - 20*time.Second).Seconds())
	// Drawn one by one: slices of rapid are mostly short.
	shy := oneOf(t, "shy", 15, 15, 15, 2)
	for range rapid.IntRange(1, 24).Draw(t, "fates") {
		u.fates = append(u.fates, drawFate(t, longestLag, shy))
	}
	for range rapid.IntRange(0, 10).Draw(t, "spells") {
		u.spells = append(u.spells, drawSpell(t, rapid.SampledFrom(spells).Draw(t, "does")))
	}
	if !u.noDate { // nothing else would tell the time
		u.drawClocks(t)
	}
	for range rapid.IntRange(0, 4).Draw(t, "crashes") {
		u.crashes = append(u.crashes, drawCrash(t))
	}
	slices.SortStableFunc(u.crashes, func(a, b crash) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(u.spells, func(a, b spell) int { return cmp.Compare(a.from, b.from) })
	if slices.ContainsFunc(u.spells, func(s spell) bool { return s.does == shuffled || s.does == ascending }) {
		u.spells = slices.DeleteFunc(u.spells, func(s spell) bool { return s.does == misdates }) // nothing tells what is old
	}
	u.untied = rapid.IntRange(0, 3).Draw(t, "untied") == 3 && u.wholePages()
	if u.reconciles() {
		u.poll.Tuning.ReconcileEvery = time.Hour
	}
	return u
}

func drawFate(t *rapid.T, longestLag, shy int) fate {
	f := fate{
		born:  seconds(t, "born", -10, 30),
		lives: oneOf(t, "lives", 15*time.Minute, 2*time.Minute, 45*time.Minute, 24*time.Hour),
		ends:  oneOf(t, "ends", abandoned, pays, paysLater, paysLater, owes, isFree, cancelled),
		at:    seconds(t, "at", 0, 25),
	}
	if f.ends == paysLater {
		f.later = time.Second + seconds(t, "later", 0, 20)
	}
	switch rapid.IntRange(0, 5).Draw(t, "old") {
	case 4:
		f.born -= 90 * time.Minute
		f.at += 90 * time.Minute
	case 5: // beyond the window
		age := oneOf(t, "age", 26*time.Hour, 60*time.Hour, 10*24*time.Hour)
		f.born -= age
		if f.ends == paysLater {
			f.later += age
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "noted") == 3 {
		f.noted = seconds(t, "noted", 0, 20)
	}
	if rapid.IntRange(0, 2).Draw(t, "late") == 2 {
		f.lag = time.Duration(rapid.IntRange(0, longestLag).Draw(t, "lag")) * time.Second
	}
	if rapid.IntRange(0, shy).Draw(t, "hides") == shy {
		f.hides = seconds(t, "hides", 0, 20)
		f.back = f.hides + seconds(t, "back", 0, 20)
	}
	if rapid.IntRange(0, 15).Draw(t, "broken") == 15 {
		if rapid.Bool().Draw(t, "later broken") {
			f.breaks = seconds(t, "breaks", 0, 20)
		}
		f.mends = f.breaks + oneOf(t, "mends", 2*time.Minute, 10*time.Second, 10*time.Minute, 40*time.Minute)
		f.stuck = rapid.IntRange(0, 2).Draw(t, "stuck") == 2
	}
	if rapid.IntRange(0, 7).Draw(t, "twins") == 7 {
		f.twins = rapid.IntRange(1, 7).Draw(t, "more")
	}
	return f
}

func drawSpell(t *rapid.T, does string) spell {
	s := spell{
		from: seconds(t, "from", 0, 30), lasts: 10*time.Second + seconds(t, "lasts", 0, 8),
		does: does, share: oneOf(t, "share", 1, 0.6, 0.25),
		n: rapid.IntRange(0, 9).Draw(t, "n"),
	}
	switch s.does {
	case empties, loses:
		s.share = 1 // an API that denies a session again and again and shows others is believed
	case lies:
		s.share = 1
		if rapid.Bool().Draw(t, "from the first answer on") {
			s.from = 0
		}
	}
	return s
}

func drawCrash(t *rapid.T) crash {
	return crash{
		at: seconds(t, "at", 0, 40), how: oneOf(t, "how", stopped, diskFull, diedBefore, diedAfter),
		down: oneOf(t, "down", 0, time.Second, 4*time.Minute, 30*time.Minute),
	}
}

// reconciles says whether a reconciliation, which reads the window each hour, must
// find what passes cannot: of a few sessions all may be gone, and a list whose order
// changes while it is read can hide some.
func (u *universe) reconciles() bool {
	return slices.ContainsFunc(u.spells, func(s spell) bool {
		return s.does == empties || s.does == spoils || s.does == shuffled || s.does == ascending
	})
}

// wholePages says whether pages are as large as they are asked for. Where they are not,
// because of what cannot be shown or seems to be, a second is read in parts, which must
// keep to one order then.
func (u *universe) wholePages() bool {
	return !slices.ContainsFunc(u.fates, func(f fate) bool { return f.mends > f.breaks }) &&
		!slices.ContainsFunc(u.spells, func(s spell) bool {
			return slices.Contains([]string{fails, hangs, cuts, denies, babbles, spoils, shortens, tenAPage, noCursor}, s.does)
		})
}

// hides says whether sessions leave the list for a while: they are asked for each hour.
func (u *universe) hides() bool {
	return slices.ContainsFunc(u.fates, func(f fate) bool { return f.back > f.hides })
}

// healthyFrom is when the API's and the process's troubles are over and their
// aftermath, such as a pause that the API asked for, as well.
func (u *universe) healthyFrom() time.Duration {
	var end time.Duration
	for _, s := range u.spells {
		end = max(end, s.from+s.lasts)
	}
	for _, c := range u.crashes {
		end = max(end, c.at+patience+c.down)
	}
	if end == 0 {
		return 0
	}
	aftermath := time.Minute
	for _, s := range u.spells {
		switch s.does {
		case denies:
			aftermath = 6 * time.Minute
		case lies:
			aftermath = max(aftermath, u.untilRight())
		}
	}
	return end + aftermath + u.poll.Interval + u.passTime()
}

// ends is when everything must have been told.
func (u *universe) ends() time.Duration {
	last := u.healthyFrom()
	for i := range u.fates {
		f := &u.fates[i]
		last = max(last, f.born+f.at+f.later, f.born+f.noted, f.born+f.back, f.born+f.mends)
		if f.lives < time.Hour {
			last = max(last, f.born+f.lives)
		}
	}
	return last + u.convergence()
}

// convergence is how long after everything is well all changes must be told.
func (u *universe) convergence() time.Duration {
	t := u.poll.Tuning
	longest := max(t.WarmEvery, t.UnpaidEvery)
	if t.ReconcileEvery <= time.Hour {
		longest += t.ReconcileEvery
	}
	if u.hides() {
		longest += time.Hour
	}
	return longest + 2*u.poll.Interval + 2*u.passTime() + u.holeWait()
}

// holeWait is how long after it can be shown again what the API failed over may
// wait to be asked for: a list after a quarter of the time for which it failed, a
// single session after twice as long each time.
func (u *universe) holeWait() (wait time.Duration) {
	for i := range u.fates {
		if f := &u.fates[i]; f.mends > f.breaks {
			wait = max(wait, f.mends-f.breaks+3*time.Minute)
		}
	}
	return wait
}

// passTime is what one pass may take while all is well: the whole list and every
// session by its id, at the least rate.
func (u *universe) passTime() time.Duration {
	all := u.sessions()
	requests := all/u.poll.Tuning.PageSize + 2 + all
	each := healthyLatency
	switch {
	case len(u.spells) > 0 || u.holeWait() > 0: // the rate adapts to errors
		each += time.Second
	case u.poll.RateLimit > 0:
		each += time.Duration(float64(time.Second) / u.poll.RateLimit)
	}
	return time.Duration(requests) * each
}

func (u *universe) sessions() (n int) {
	for i := range u.fates {
		n += 1 + u.fates[i].twins
	}
	return n
}

func (u *universe) String() string {
	var b strings.Builder
	p, t := u.poll, u.poll.Tuning
	fmt.Fprintf(&b, "poll every %s, rate limit %v, pages of %d, %d at once, overlap %s, hot %s, warm %s, unpaid %s, reconcile %s, confirm %s\n",
		p.Interval, p.RateLimit, t.PageSize, t.Concurrency, t.Overlap, t.HotAge, t.WarmEvery, t.UnpaidEvery, t.ReconcileEvery, t.ConfirmAfter)
	fmt.Fprintf(&b, "seed %d, start %s, params in %s, cron %t, skew %s, own %v, no date %t, random ids %t, untied %t, exact filter %t, bad cursor %d, deep %d, nudges %s, backfills %s; healthy from %s, ends at %s\n",
		u.seed, u.start, u.params, u.cron, u.skew, u.own, u.noDate, u.randomIDs, u.untied, u.exact, u.badCursor, u.deep, u.nudges, u.backfills, u.healthyFrom(), u.ends())
	for i, f := range u.fates {
		fmt.Fprintf(&b, "fate %d: born %s, lives %s, %s at +%s", i, f.born, f.lives, f.ends, f.at)
		for _, more := range []struct {
			what string
			at   time.Duration
		}{{"then +", f.later}, {"noted +", f.noted}, {"lag ", f.lag}, {"hides +", f.hides}, {"back +", f.back}, {"breaks +", f.breaks}, {"mends +", f.mends}} {
			if more.at != 0 {
				fmt.Fprintf(&b, ", %s%s", more.what, more.at)
			}
		}
		fmt.Fprintf(&b, ", twins %d, stuck %t\n", f.twins, f.stuck)
	}
	for _, s := range u.spells {
		fmt.Fprintf(&b, "spell: the API %s from %s to %s, share %v, n %d\n", s.does, s.from, s.from+s.lasts, s.share, s.n)
	}
	for _, c := range u.crashes {
		fmt.Fprintf(&b, "crash: %s at %s, down for %s\n", c.how, c.at, c.down)
	}
	return b.String()
}
