package poller_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// judge says what is wrong with what was told, and how the API was asked.
func judge(l *ledger) []fault {
	j := &judgement{ledger: l}
	if l.account == nil {
		j.object(missed, "the account never started")
		return j.faults
	}
	if l.account.Foreign != "" {
		j.object(missed, "the account stopped: %s", l.account.Foreign)
	}
	if l.stopped && !l.hides() {
		j.object(untrue, "the account stopped although it showed its sessions")
	}
	for _, b := range l.api.beings {
		j.life(b)
	}
	slices.SortFunc(l.api.requests, func(a, b request) int { return cmp.Compare(a.sent, b.sent) })
	j.atOnce()
	j.rate()
	j.pauses()
	j.silences()
	j.storm()
	return j.faults
}

type judgement struct {
	*ledger
	faults []fault
}

func (j *judgement) object(kind, format string, args ...any) {
	j.faults = append(j.faults, fault{kind, fmt.Sprintf(format, args...)})
}

// life compares what was told of a session with its life.
func (j *judgement) life(b *being) {
	first, seen := j.first[b.id]
	due := j.ends() - j.convergence()
	if !seen {
		late := b.back > b.hides && !j.reconciles() // visible later than overlap allows for
		if b.shownFrom(b.born) <= due && b.visible(j.ends()) && !late {
			j.object(missed, "%s was never seen", b)
		}
		return
	}
	j.start(b, first)
	var told []string
	for _, t := range j.told[b.id] {
		if t.word != "updated" {
			told = append(told, t.word)
			j.delay(b, t)
		}
	}
	// What was recorded silently counts as told.
	before := func(word string) bool {
		paid := first.payment != "" && first.payment != "unpaid"
		return first.status != "" && (word == "created" || word == first.status+"d" || word == first.status ||
			word == first.payment || word == "fulfillable" && paid && first.status == "complete")
	}
	must := slices.DeleteFunc(b.path(due), before)
	if !b.visible(j.ends()) || b.shownFrom(due) > due {
		must = nil
	}
	may := slices.DeleteFunc(b.path(j.ends()), before)
	if !hasPrefix(may, told) || !hasPrefix(told, must) {
		j.object(missed, "%s: told %v, want %v; first seen %+v", b, j.told[b.id], must, first)
	}
}

func hasPrefix(words, prefix []string) bool {
	return len(words) >= len(prefix) && slices.Equal(words[:len(prefix)], prefix)
}

func (t telling) String() string {
	return strings.TrimSpace(fmt.Sprint(t.word, " ", t.at, " ", t.reason))
}

// start objects to a session that was announced although it existed before the
// account's start, or the other way round. Where the clocks are right, the start is
// a time, and within a second nobody can tell, by creation times as they are shown. In any
// case what the first complete chain shows existed, and what came to be after the first
// answer is new.
func (j *judgement) start(b *being, first condition) {
	silent, seen := first.status != "", j.firstAt[b.id]
	// Where the first pass failed and the clocks differ, nothing but what was shown tells what
	// existed at its first answer (docs/polling.md): that may be about a part of the list, or
	// not begin with the newest session. Then no new session must be taken for an old one. A
	// pass that began when that answer had come, at the same moment too, is a later one.
	tells := !j.wrongClock(j.answered) || j.firstIn[b.id] < j.answered || j.toldAtStart(b)
	if j.universe.start == poller.StartAll {
		if silent {
			j.object(missed, "%s was recorded silently, although all is announced", b)
		}
		return
	}
	created := j.api.shownCreated(b)
	switch {
	case silent && created.After(j.api.clock(j.answered+time.Second)) && (seen > j.started || b.born > j.started):
		j.object(missed, "%s was recorded silently, although the account had started at %s", b, j.answered)
	case !silent && tells && seen <= j.started && b.born+b.lag < j.answered-healthyLatency && !b.hidden(j.answered):
		j.object(untrue, "%s was announced, although the first chain showed it by %s", b, j.started)
	}
	if j.wrongClock(j.answered) {
		return
	}
	start := j.account.Start
	since := start.Sub(j.api.clock(0))
	switch {
	case (since - j.answered).Abs() > 2*time.Second:
		j.object(untrue, "the account started at %s by its start, the first answer came at %s", since, j.answered)
	case silent && created.After(start.Add(time.Second)) && j.firstIn[b.id] >= j.answered: // the pass that gave the start shows what existed
		j.object(missed, "%s was recorded silently, although the account started at %s", b, since)
	case !silent && created.Before(start):
		j.object(untrue, "%s was announced, although the account started at %s", b, since)
	}
}

// delay objects to an event that came late while all was well.
func (j *judgement) delay(b *being, t telling) {
	change, happened := b.when[t.word]
	shown := b.shownFrom(change)
	if !happened || j.stopped || shown < j.healthyFrom() || (b.back > b.hides && t.at > b.born+b.hides) {
		return
	}
	within := j.poll.Interval + 2*j.passTime() + 3*time.Second
	if j.gone[b.id] { // such a session is asked for each hour
		within += time.Hour
	}
	tuning := j.poll.Tuning
	switch before := b.condition(change - 1); {
	case t.word == "created" || change < b.shownFrom(b.born):
	case t.word == "expired" && change == b.born+b.lives:
		within += 2 * time.Second // the grace that the API is given
	case change-b.born < tuning.HotAge-within:
	case before.status == "open", j.together(b, "completed", t): // until then it was known as open
		within += tuning.WarmEvery
	default:
		within += tuning.UnpaidEvery
	}
	for _, o := range j.api.beings { // what a pass may wait while such a session is found (docs/polling.md)
		begins := o.born + max(o.breaks, o.lag)
		if o.stuck && o.breaks < o.mends && begins >= shown-within && begins <= shown+within {
			within += 2*j.poll.Timeout + 16*time.Second
		}
	}
	due := shown + within
	for _, o := range j.api.beings {
		if breaks := o.born + o.breaks; o.breaks < o.mends && breaks <= shown+within && j.inOneHole(b, o) {
			due = max(due, o.born+o.mends+j.holeWait()+within)
		}
	}
	if t.at > due {
		j.object(late, "%s: told %s %s after it could be seen, at most %s are due", b, t, t.at-shown, due-shown)
	}
}

// inOneHole says whether a session cannot be seen while the API fails over another one, or
// over itself. What is not known yet stands in the hole unless the list can be read in
// between: from known sessions on and, where created[lte] works, from each whole second of what
// that compares (docs/polling.md: what was created in the same second waits with it). A hole is
// not left for what becomes visible in it later.
func (j *judgement) inOneHole(b, broken *being) bool {
	return b == broken || j.firstAt[b.id] >= broken.born+broken.breaks &&
		(b.lag > 0 || j.api.inOneSecond(b, broken) || slices.ContainsFunc(j.spells, func(s spell) bool {
			return s.does == noUpper || s.does == noFilter
		}))
}

// inOneSecond says whether no two whole seconds, as created[gte] and created[lte], show one of
// two sessions without the other, or without both.
func (a *trueAPI) inOneSecond(b, other *being) bool {
	if !a.exact {
		return a.shownCreated(b).Equal(a.shownCreated(other))
	}
	first := func(b *being, rounding time.Duration) time.Time {
		return a.clock(b.born + rounding).Truncate(time.Second)
	}
	return first(b, 0).Equal(first(other, 0)) || first(b, time.Second-1).Equal(first(other, time.Second-1))
}

// together says whether one look told both.
func (j *judgement) together(b *being, word string, t telling) bool {
	return slices.ContainsFunc(j.told[b.id], func(other telling) bool { return other.word == word && other.at == t.at })
}

// bornWithin counts the processes that began within a time.
func (j *judgement) bornWithin(from, to time.Duration) (n int) {
	for _, at := range j.births {
		if at >= from && at <= to {
			n++
		}
	}
	return n
}

func (j *judgement) atOnce() {
	for _, r := range j.api.requests {
		if r.inFlight > j.poll.Tuning.Concurrency {
			j.object(rude, "%d requests at once at %s, at most %d are allowed", r.inFlight, r.sent, j.poll.Tuning.Concurrency)
			return
		}
	}
}

// rate counts the requests of every ten seconds.
func (j *judgement) rate() {
	const window = 10 * time.Second
	if j.poll.RateLimit == 0 || j.cron { // a process knows nothing of the one before
		return
	}
	burst := max(1, int(j.poll.RateLimit))
	from := 0
	for i, r := range j.api.requests {
		for r.sent-j.api.requests[from].sent >= window {
			from++
		}
		most := int(j.poll.RateLimit*window.Seconds()) + burst*(1+j.bornWithin(r.sent-window, r.sent))
		if n := i - from + 1; n > most {
			j.object(rude, "%d requests in the %s before %s, at most %d are allowed", n, window, r.sent, most)
			return
		}
	}
}

// pauses looks for requests while the API has asked for patience, and for more
// than a few each five minutes while it denies the key: the first 401 or 403 is asked again after
// some seconds. It may be about a session, so then each of the requests that are made at once may
// be made twice, and three for other parts of the list, one of them without a body. One over a
// session is no denial, and one before an answer was none.
func (j *judgement) pauses() {
	// A refused key is tried again within the window, without a body first.
	const window, first, elsewhere, again = 5 * time.Minute, 1, 3, 1
	if j.cron {
		return
	}
	for i, r := range j.api.requests {
		denied, accepted := 0, false
		for k := i - 1; k >= 0 && r.sent-j.api.requests[k].sent < window; k-- {
			earlier := &j.api.requests[k]
			if earlier.answered >= r.sent || j.bornWithin(earlier.answered, r.sent) > 0 {
				continue
			}
			if until := earlier.answered + earlier.retryAfter; earlier.retryAfter > 0 && r.sent < until {
				j.object(rude, "asked at %s, although the API said at %s to wait until %s", r.sent, earlier.answered, until)
				return
			}
			accepted = accepted || slices.Contains([]int{200, 400, 404}, earlier.status)
			if (earlier.status == 401 || earlier.status == 403) && !earlier.about && !accepted {
				denied++
			}
		}
		most := first + 2*j.poll.Tuning.Concurrency + elsewhere + again
		if j.nudges > 0 { // whoever asks for a pass has the key tried
			most += int(window / j.nudges)
		}
		if denied > most {
			j.object(rude, "asked at %s after %d denials in %s", r.sent, denied, window)
			return
		}
	}
}

// silences looks for times in which a process asked nothing although nothing
// told it to wait.
func (j *judgement) silences() {
	if j.cron {
		return
	}
	const denial, failure = 5 * time.Minute, 30 * time.Second
	var last, until time.Duration
	for _, r := range j.api.requests {
		most := max(j.poll.Interval, failure) + 2*time.Second
		if r.sent > max(last+most, until+time.Second) && j.bornWithin(last, r.sent) == 0 {
			j.object(late, "nothing was asked from %s to %s", last, r.sent)
			return
		}
		last = max(last, r.answered)
		until = max(until, r.answered+r.retryAfter)
		if r.status == 401 || r.status == 403 {
			until = max(until, r.answered+denial)
		}
	}
}

// storm counts the requests at the end, when nothing happens any more.
func (j *judgement) storm() {
	if j.cron || j.nudges > 0 || j.backfills > 0 {
		return
	}
	from := j.ends() - j.convergence()
	asked, head, live := 0, 0, 0
	for _, r := range j.api.requests {
		if r.sent >= from {
			asked++
		}
	}
	tuning := j.poll.Tuning
	newest := j.api.beings[0].born
	for _, b := range j.api.beings {
		if b.born > newest-tuning.Overlap-3*time.Second || b.born > from-tuning.HotAge-3*time.Second {
			head++
		}
		if s := j.snapshots[b.id]; s.Watch.Is(event.Watched) {
			live++
		}
	}
	pages := func(sessions int) int { return sessions/tuning.PageSize + 2 }
	most := (int(j.convergence()/j.poll.Interval) + 1) * pages(head)
	every := min(tuning.WarmEvery, tuning.UnpaidEvery)
	most += 2 * live * (int(j.convergence()/every) + 2)
	most += (10 + pages(len(j.api.beings))) * (int(j.convergence()/tuning.ReconcileEvery) + 2)
	// A request more here and there is no storm.
	if most *= 3; asked > most {
		j.object(stormy, "%d requests since %s, when nothing happens any more; at most %d are due", asked, from, most)
	}
}
