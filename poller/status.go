package poller

import (
	"errors"
	"slices"
	"sync"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/poller/internal/holes"
	"checkout-notifier/poller/internal/index"
	"checkout-notifier/poller/internal/oddity"
)

// Status is how an account is doing.
type Status struct {
	Account     string        `json:"account"`
	Host        string        `json:"host"`
	Mode        string        `json:"mode"`
	Healthy     bool          `json:"healthy"` // the last request was answered and the last pass completed
	Error       string        `json:"error,omitempty"`
	ErrorSince  time.Time     `json:"error_since,omitzero"`
	Denied      bool          `json:"denied,omitempty"`        // the error is that the API refused the key
	NextTry     time.Time     `json:"next_try,omitzero"`       // of the API, while it fails or asked for a pause
	AskedToWait bool          `json:"asked_to_wait,omitempty"` // the API asked for that pause (Retry-After)
	Passes      int           `json:"passes"`                  // complete ones, of this process
	LastSuccess time.Time     `json:"last_success,omitzero"`
	LastPass    event.Seconds `json:"last_pass_seconds"` // of the last complete one
	Requests    int           `json:"requests"`
	Tracked     int           `json:"tracked"`                    // sessions in memory
	Watched     int           `json:"watched"`                    // sessions that can still change
	Start       time.Time     `json:"start,omitzero"`             // zero: not fixed yet, or all
	Configured  string        `json:"start_configured,omitempty"` // the start as the configuration says it
	Low         time.Time     `json:"low,omitzero"`
	ClockSkew   event.Seconds `json:"clock_skew_seconds"` // how far the server's clock is ahead of ours
	Foreign     string        `json:"foreign,omitempty"`

	Tiers            []Tier        `json:"tiers,omitempty"`
	Held             int           `json:"held"`  // steps back that are not believed yet
	Drift            int           `json:"drift"` // what reconciliations found that the passes had missed, in this process
	DriftLast        time.Time     `json:"drift_last,omitzero"`
	Chain            Chain         `json:"chain"` // of the last pass
	Reconciled       time.Time     `json:"reconciled,omitzero"`
	ReconcileEvery   event.Seconds `json:"reconcile_every_seconds"`
	Reconciling      bool          `json:"reconciling"`
	RequestsLastHour int           `json:"requests_last_hour"`
	Rate             float64       `json:"rate"` // requests a second that are allowed at present, 0 = unlimited
	RateLimit        float64       `json:"rate_limit"`
	Parallel         int           `json:"parallel"` // pages at once that are allowed at present
	Concurrency      int           `json:"concurrency"`
	NextPass         time.Time     `json:"next_pass,omitzero"`
	NextDue          time.Time     `json:"next_due,omitzero"` // of a session that no pass looks at anyway
	Waiting          int           `json:"waiting"`           // due sessions that were left to the next pass
	Bytes            int64         `json:"bytes"`
	Fallbacks        int           `json:"fallbacks"`       // pages that needed the checked decoder
	Waited           event.Seconds `json:"waited_seconds"`  // for the rate limit
	Holes            []Hole        `json:"holes,omitempty"` // what the API cannot show
	Oddities         []Oddity      `json:"oddities,omitempty"`

	// Read is when the head of the list, or a page, was last read as usual; until the first
	// one, when this process began to ask for it.
	Read time.Time `json:"-"`
	// Failed is when the last request, or pass, was begun that failed.
	Failed time.Time `json:"-"`
}

// Tier is a part of the sessions that are looked at again, by how soon.
type Tier struct {
	Name       string    `json:"name"`
	Sessions   int       `json:"sessions"`
	Due        int       `json:"due"`
	OldestLook time.Time `json:"oldest_look,omitzero"`
}

// Hole is a part of the list, or a session, that the API cannot show, or not so that it
// makes sense. It is passed over and asked for apart.
type Hole struct {
	Session string    `json:"session,omitempty"` // the one, cut if that is too long for an id; else what lies between two sessions
	Above   string    `json:"above,omitempty"`   // the session above it; none where it begins with the newest
	AboveAt time.Time `json:"above_at,omitzero"` // when that was created
	Below   string    `json:"below,omitempty"`   // the session down to which it goes, if that is known
	BelowAt time.Time `json:"below_at,omitzero"` // when that was created, or down to when it goes
	Since   time.Time `json:"since,omitzero"`    // when it was found; of a known session without an error: when it was shown last
	Asked   time.Time `json:"asked,omitzero"`    // for the last time
	Next    time.Time `json:"next_ask,omitzero"` // zero: by the next pass
	Error   string    `json:"error,omitempty"`   // what the API says instead, or what is wrong with the row
}

// Chain is the walk down the head of the list.
type Chain struct {
	Pages  int           `json:"pages"`
	From   time.Time     `json:"from,omitzero"` // the newest session shown
	To     time.Time     `json:"to,omitzero"`   // how far down it had to read
	Took   event.Seconds `json:"took_seconds"`
	Slices int           `json:"slices"` // parts that were read in parallel
}

// fail notes an error of what was begun at a time.
func (s *Status) fail(err error, began time.Time) {
	if s.ErrorSince.IsZero() {
		s.ErrorSince = time.Now()
	}
	s.Healthy, s.Error, s.Denied, s.Failed = false, err.Error(), denied(err), later(s.Failed, began)
}

// Unpolled says what it means for orders that the account was never polled, if that loses
// any: with start: now it starts with the first answer.
func (s *Status) Unpolled() string {
	if !s.Start.IsZero() || s.Configured != StartNow {
		return ""
	}
	return "The account was never polled: no order is seen or shipped, and with start: now those that are created until the first answer never are" + SetStart
}

// SetStart is what to do about that, for whoever has a configuration.
const SetStart = "; to have them announced, set its start to a time and restart notifier"

// mostUnread is for how long the list may not be read before that is a failure, unless
// passes are due less often; five intervals then.
const mostUnread = 2 * time.Minute

// unread notes that the list has not been read for long, although no request may fail at
// present.
func (s *Status) unread(interval time.Duration) {
	if s.Read.IsZero() || time.Since(s.Read) < max(mostUnread, 5*interval) {
		return
	}
	if s.Error == "" {
		s.fail(errors.New("the list of sessions cannot be read: what is ordered, a payment perhaps, is not seen"), s.Read)
	}
	s.ErrorSince = earlier(s.ErrorSince, s.Read)
}

// recovered notes that all is well.
func (s *Status) recovered() {
	s.Healthy, s.Error, s.ErrorSince, s.Denied = true, "", time.Time{}, false
}

// publish brings the status up to date with what the account knows.
func (a *account) publish(until time.Time) {
	now := a.clock.Now()
	m := a.moment(now)
	held, tracked, skew := 0, a.index.Len(), a.clock.Offset()
	watching := 0
	tiers := []Tier{{Name: tierHot}, {Name: tierWarm}, {Name: tierUnpaid}, {Name: tierExpiring}, {Name: tierHeld}, {Name: TierVanished}}
	var next time.Time
	var sessions []Hole
	for _, e := range a.index.Revisited() {
		if e.IsWatched() {
			watching++
		}
		if e.IsHeld() {
			held++
		}
		if e.Setbacks() > 0 {
			sessions = a.addUnshown(sessions, e, m)
		}
		name := a.tier(e, m)
		last := a.lastLook(e)
		due := a.dueAt(e, last, m)
		t := &tiers[slices.IndexFunc(tiers, func(t Tier) bool { return t.Name == name })]
		t.Sessions++
		if e.Pass != a.now.number && !due.After(now) {
			t.Due++
		}
		if !e.IsVanished() {
			last = a.shownAt(e)
		}
		if last = ours(last, skew); t.OldestLook.IsZero() || last.Before(t.OldestLook) {
			t.OldestLook = last
		}
		if name != tierHot && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	unshown := Holes(a.state.Holes)
	for i := range a.state.Holes {
		unshown[i].Next = holes.DueAt(&a.state.Holes[i], now, a.shownAgain)
	}
	unshown = append(append(unshown, sessions...), a.leftOvers(now)...)
	a.status.update(func(s *Status) {
		s.Tracked, s.Watched, s.Held, s.Tiers = tracked, watching, held, tiers
		s.Start, s.Low, s.Foreign = a.state.Start, a.state.Low, a.state.Foreign
		s.ClockSkew = event.Seconds(skew)
		s.Holes = unshown
		s.Chain, s.Waiting, s.NextDue, s.NextPass = a.last, a.now.waiting, ours(next, skew), until
		s.Reconciled, s.ReconcileEvery, s.Reconciling = ours(a.state.Reconciled, skew), event.Seconds(a.cfg.Poll.Tuning.ReconcileEvery), a.reconciling()
		s.RequestsLastHour = a.requests.Sum(time.Now())
		s.RateLimit, s.Concurrency = a.cfg.Poll.RateLimit, a.cfg.Poll.Tuning.Concurrency
	})
}

// addUnshown lists a known session that the API showed neither in the list nor by its
// id; the first failure may be chance, unless the list shows what makes no sense.
func (a *account) addUnshown(list []Hole, e *index.Entry, m moment) []Hole {
	id, last := a.index.ID(e), e.TriedAt()
	h := Hole{Session: id, Since: e.LookedAt(), Asked: last, Next: a.dueAt(e, last, m)}
	switch u := a.unreadable[id]; {
	case u != nil:
		h.Session, h.Since, h.Error = u.Name, u.Since, u.text()
	case e.Setbacks() == 1 || len(list) >= holes.Most:
		return list
	}
	return append(list, h)
}

// describe is the status at this moment, also while a pass waits.
func (a *account) describe() Status {
	s := a.status.read()
	s.unread(a.cfg.Poll.Interval)
	s.Rate, s.Parallel = a.pacer.State()
	held, asked := a.pacer.Held()
	s.NextTry, s.AskedToWait = later(s.NextTry, held), asked
	if past(s.NextTry) {
		s.NextTry = time.Time{} // it is under way
	}
	s.NextPass = later(s.NextPass, s.NextTry)
	if s.Error != "" && s.NextTry.IsZero() && !past(s.NextPass) {
		s.NextTry = s.NextPass
	}
	return s
}

// ours translates a time of the server's clock into ours, of which it is ahead.
func ours(t time.Time, ahead time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-ahead)
}

// Holes describes stored holes.
func Holes(stored []event.Hole) []Hole {
	var holes []Hole
	for _, h := range stored {
		holes = append(holes, Hole{
			Above: h.Above, AboveAt: h.AboveAt, Below: h.Below, BelowAt: h.BelowAt, Since: h.Since, Asked: h.Asked, Error: h.Error,
		})
	}
	return holes
}

// Oddity is something in the API's answers that is not as documented.
type Oddity = oddity.Oddity

// statusBox guards an account's Status, which its goroutine writes and anybody reads.
type statusBox struct {
	mu     sync.Mutex
	status Status
}

func (b *statusBox) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Oddities = append([]Oddity(nil), s.Oddities...)
	return s
}

func (b *statusBox) update(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// odd counts an oddity and says whether it is the first of its code.
func (b *statusBox) odd(code, message, detail string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return oddity.Count(&b.status.Oddities, code, message, detail, time.Now())
}
