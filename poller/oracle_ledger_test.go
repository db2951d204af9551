package poller_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"checkout-notifier/diff"
	"checkout-notifier/event"
	"checkout-notifier/poller"
)

// ledger is the memory that outlives the processes, and does what the pipeline
// does. What a poller hands it is compared with the truth at once.
type ledger struct {
	*universe
	api    *trueAPI
	beings map[string]*being

	mu        sync.Mutex
	account   *event.Account
	snapshots map[string]event.Snapshot
	first     map[string]condition // by session, as first recorded
	firstAt   map[string]time.Duration
	firstIn   map[string]time.Duration // by session, when the pass began that showed it first
	answered  time.Duration            // when the answer came that gave the start
	started   time.Duration            // when its first chain was complete; 0: not yet
	starts    time.Time                // of the account, stored or not
	told      map[string][]telling
	gone      map[string]bool // given up as vanished, rightly
	handling  bool
	stopped   bool            // the account was: so many sessions left the list that others stood in their place
	crash     *crash          // that the next commit meets
	die       func()          // ends the present process
	down      time.Duration   // until the next
	births    []time.Duration // of the processes
	faults    []fault
}

// telling is an event and when it was told.
type telling struct {
	word, reason string
	at           time.Duration
}

// fault is something that the oracle objects to.
type fault struct{ kind, text string }

// The kinds of faults.
const (
	missed  = "missed"
	untrue  = "untrue"
	doubled = "doubled"
	late    = "late"
	rude    = "rude"
	stormy  = "stormy"
)

func newLedger(u *universe, api *trueAPI) *ledger {
	l := &ledger{
		universe: u, api: api, beings: make(map[string]*being), snapshots: make(map[string]event.Snapshot),
		first: make(map[string]condition), firstAt: make(map[string]time.Duration), firstIn: make(map[string]time.Duration), told: make(map[string][]telling),
		gone: make(map[string]bool),
	}
	for _, b := range api.beings {
		l.beings[b.id] = b
	}
	return l
}

func (l *ledger) object(kind, format string, args ...any) {
	l.faults = append(l.faults, fault{kind, fmt.Sprintf(format, args...)})
}

func (l *ledger) Account(context.Context, string) (event.Account, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.account == nil {
		return event.Account{}, false, nil
	}
	return *l.account, true, nil
}

// strike lets a crash happen before or after a commit.
func (l *ledger) strike(before bool) error {
	switch c := l.crash; {
	case c == nil, before == (c.how == diedAfter):
		return nil
	case c.how != diskFull:
		l.down = c.down
		l.die()
	}
	l.crash = nil
	return errors.New("disk full")
}

func (l *ledger) SaveAccount(_ context.Context, a event.Account) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stored := l.account != nil && !l.account.Start.IsZero(); !stored && !a.Start.Equal(l.starts) {
		l.starts, l.answered = a.Start, l.api.now()
	}
	if err := l.strike(true); err != nil {
		return err
	}
	if a.StartFixed && l.started == 0 {
		l.started = l.api.now()
		l.api.started.Store(true)
	}
	l.stopped = l.stopped || a.Foreign != ""
	l.account = &a
	return l.strike(false)
}

func (l *ledger) Tracked(_ context.Context, _ string, each func(*event.Tracked) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(l.snapshots)) {
		s := l.snapshots[id]
		row := s.Track()
		if err := each(&row); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) Handle(_ context.Context, b poller.Batch) (poller.Handled, error) {
	l.begin()
	time.Sleep(time.Millisecond) // a second call at once would be seen
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handling = false
	if err := l.strike(true); err != nil {
		return poller.Handled{}, err
	}
	var handled poller.Handled
	for i := range b.Looks {
		row, err := l.look(&b, &b.Looks[i])
		if err != nil {
			handled.Ignored = append(handled.Ignored, poller.Ignored{ID: b.Looks[i].Session.ID, Err: err})
			continue
		}
		handled.Rows = append(handled.Rows, row)
	}
	return handled, l.strike(false)
}

func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handling {
		l.object(rude, "Handle was called while it was handling the account")
	}
	l.handling = true
}

// look takes in one look as diff decides.
func (l *ledger) look(b *poller.Batch, look *poller.Look) (poller.Row, error) {
	at := diff.Look{At: look.At, Asked: look.Asked, Own: look.Own, Pass: b.Pass, Early: look.Early, Late: look.Late}
	policy := diff.Policy{ConfirmAfter: b.Poll.Tuning.ConfirmAfter, UnpaidFor: b.Poll.UnpaidFor, WarmEvery: b.Poll.Tuning.WarmEvery}
	s := look.Session
	prev, known := l.snapshots[s.ID]
	var o diff.Outcome
	var err error
	if known && b.Releases(&prev) {
		if o, err = diff.Withheld(&prev, at, policy); err != nil {
			return poller.Row{}, err
		}
		for _, t := range o.Transitions {
			l.tell(s.ID, telling{event.Short(t.Type), t.Reason, l.api.now()})
		}
		prev.Silent, prev.Withheld = false, nil
		l.first[s.ID], l.snapshots[s.ID] = condition{}, prev
		return poller.Row{Tracked: prev.Track(), Changed: true}, nil
	}
	if known {
		prev.LookedAt = at.LastLook(&prev, look.LastLooked)
		o, err = diff.Next(&prev, &s, at, policy)
		if err == nil && len(o.Transitions) > 0 {
			l.checkTimes(&prev, look, o.Since)
		}
	} else {
		o, err = diff.First(b.Account.Name, &s, at, policy)
	}
	if err != nil {
		return poller.Row{}, err
	}
	silent := !known && b.Silent(s.Created)
	if !known {
		l.first[s.ID], l.firstAt[s.ID], l.firstIn[s.ID] = condition{}, l.api.now(), b.Pass.Sub(l.api.began)-l.ownClock()
		if o.Snapshot.Silent = silent; silent {
			l.first[s.ID] = condition{status: s.Status, payment: s.PaymentStatus}
		}
	}
	o.Snapshot.Shown(&s)
	o.Snapshot.Counts = maps.Clone(prev.Counts)
	if o.Snapshot.Counts == nil {
		o.Snapshot.Counts = make(map[string]int)
	}
	for _, t := range o.Transitions {
		o.Snapshot.Counts[t.Type]++
		if silent && b.Withholds(s.Created) {
			o.Snapshot.Withheld = append(o.Snapshot.Withheld, t.Type)
		}
		if !silent {
			l.tell(s.ID, telling{event.Short(t.Type), t.Reason, l.api.now()})
		}
	}
	l.snapshots[s.ID] = o.Snapshot
	return poller.Row{Tracked: o.Snapshot.Track(), Held: o.Held}, nil
}

// tell compares an event with the truth of its time.
func (l *ledger) tell(id string, t telling) {
	l.told[id] = append(l.told[id], t)
	if t.word == "updated" && slices.ContainsFunc(l.spells, func(s spell) bool { return s.does == misdates && s.from <= t.at }) {
		return // as long as another created is shown
	}
	b := l.beings[id]
	openAt := b.born + b.lives - l.poll.Tuning.WarmEvery - time.Second // the earliest last look
	if l.staleWithin(openAt-staleAtMost, t.at) {
		openAt -= staleAtMost
	}
	if l.wrongClock(t.at) || l.lied(t.at) { // what two clocks agree on within warm_every is the time
		openAt -= l.poll.Tuning.WarmEvery
	}
	switch at, happens := b.when[t.word]; {
	case t.word == "updated":
		if b.noted == 0 || t.at < b.born+b.noted {
			l.object(untrue, "%s: told updated at %s, which it was not", b, t.at)
		}
	case !happens || at > t.at:
		l.object(untrue, "%s: told %s at %s, which is not so", b, t.word, t.at)
	case t.reason == event.ReasonManual && at-b.born >= b.lives:
		l.object(untrue, "%s: told at %s that it was expired by hand", b, t.at)
	case t.reason == event.ReasonTimer && at < openAt:
		l.object(untrue, "%s: told at %s that it expired by the clock", b, t.at)
	}
	times := 0
	for _, earlier := range l.told[id] {
		if earlier.word == t.word {
			times++
		}
	}
	if times > 1 {
		l.object(doubled, "%s: told %s for the second time; all: %v", b, t.word, l.told[id])
	}
}

// staleWithin says whether answers of a time can be stale: what they show was so a
// while before they were asked for.
func (l *ledger) staleWithin(from, to time.Duration) bool {
	return slices.ContainsFunc(l.spells, func(s spell) bool {
		return s.does == stale && s.from <= to && from <= s.from+s.lasts
	})
}

// checkTimes asks whether a look arrived when it is said to have, which becomes an
// event's occurred_before, and whether the last one that showed the state before was
// asked for before the change.
func (l *ledger) checkTimes(prev *event.Snapshot, look *poller.Look, since time.Time) {
	now, at := l.api.now(), look.At.Sub(l.api.began)-l.skew
	disagrees := l.disagrees(look, now)
	if since.After(look.At) || l.lyingNow(now) && !disagrees { // a past that a wrong clock told is not used
		return
	}
	early, late := at-look.Early, at+look.Late
	if !l.api.answeredWithin(early-time.Second-slowestWay, late+time.Second) { // Date is cut to the second
		l.object(untrue, "%s: a look that was told at %s is said to have arrived between %s and %s, when no answer did", prev.ID, now, early, late)
	}
	l.checkLastLook(prev, since)
}

// answeredWithin says whether a question that was answered was under way from one time to
// another.
func (a *trueAPI) answeredWithin(from, to time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range slices.Backward(a.requests) {
		if r.status == http.StatusOK && r.answered >= from && r.sent <= to {
			return true
		}
	}
	return false
}

// checkLastLook asks whether the stored state can have been seen as late as the
// poller says, which becomes an event's occurred_after.
func (l *ledger) checkLastLook(prev *event.Snapshot, looked time.Time) {
	at := looked.Sub(l.api.began) - l.skew
	if l.staleWithin(at, at+l.poll.Timeout) {
		at -= staleAtMost
	}
	b := l.beings[prev.ID]
	if was := b.condition(at); was.status != "open" && prev.Status == "open" || was.payment != "unpaid" && prev.PaymentStatus == "unpaid" {
		l.object(untrue, "%s: not %s and %s at %s, when it is said to have been seen so", b, prev.Status, prev.PaymentStatus, at)
	}
}

// Preview is not used here.
func (l *ledger) Preview(context.Context, poller.Batch) (poller.Handled, error) {
	return poller.Handled{}, errors.New("no preview in this world")
}

// Vanish objects unless the API shows nobody the sessions.
func (l *ledger) Vanish(_ context.Context, _ string, gone []poller.Gone) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.api.now()
	for _, g := range gone {
		id := g.ID
		b := l.beings[id]
		hidden := now >= b.born+b.hides && now < b.born+b.back+staleAtMost && b.back > b.hides // or was, when asked
		if !hidden && !l.mayBeAllGone(now) {
			l.object(untrue, "%s: given up as vanished at %s, when the list showed it", b, now)
		}
		l.gone[id] = true
		s := l.snapshots[id]
		s.Watch = event.Vanished
		if g.Looked.After(s.LookedAt) {
			if !l.lyingNow(now) {
				l.checkLastLook(&s, g.Looked)
			}
			s.LookedAt = g.Looked
		}
		l.snapshots[id] = s
	}
	return nil
}

// mayBeAllGone says whether the API lists nothing although it had one or two
// sessions, which may be true of so few.
func (l *ledger) mayBeAllGone(now time.Duration) bool {
	const few = 3
	return len(l.snapshots) < few && slices.ContainsFunc(l.spells, func(s spell) bool {
		return s.does == empties && now >= s.from && now < s.from+s.lasts+time.Minute
	})
}
