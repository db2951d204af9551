package publish

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/loglimit"
)

// State of a destination.
type State string

// The states. StateWaiting is a destination that asked for a pause, or takes nothing
// for some subjects; StateRefusing one that refused the last attempt; StateUnreachable
// one that does not answer at all; StateFailing one whose breaker is open.
const (
	StateOK          State = "ok"
	StateWaiting     State = "waiting"
	StateRefusing    State = "refusing"
	StateUnreachable State = "unreachable"
	StateFailing     State = "failing"
	StatePaused      State = "paused"
)

// DestinationStatus is how a destination is doing.
type DestinationStatus struct {
	Name        string
	State       State
	Why         string // redacted, "" when ok
	InFlight    int
	LastSuccess time.Time // zero: none so far
	Failures    int       // in a row
	UpClock     time.Duration
	Since       time.Time        // it is failing or paused, or does not take what is sent; else zero
	NextProbe   time.Time        // of a failing one
	NextTry     time.Time        // of another one that is left alone until then; else zero
	PausedBy    string           // who paused it; "": it stopped by itself
	Told        bool             // its owner was told that it fails, and it is not well since
	Refusal     string           // the last answer that refused a delivery, if any did
	RefusedAt   time.Time        // when it came; zero: not known
	Blocked     []BlockedSubject // subjects that it takes nothing for: those whose reason is known, then the longest blocked first, a few at most
	BlockedAll  int              // how many there are, at least
}

// health is what a lane knows of its destination and need not survive a restart.
// The lane's mu guards it.
type health struct {
	probe     time.Time // the next one, while it is down
	probes    backoff
	store     time.Time // until then the store is left alone
	stores    backoff
	storeless time.Time // since when the store fails; zero: it does not

	marks    marks
	refusals refusals
	lossTold time.Time // when the loss was found that the owner heard of last
	tells    time.Time // when tell tells of an open breaker, see tellBroken; zero: the next refusal may
}

// down says whether the destination could not take anything: it is probed. The caller
// holds mu.
func (l *lane) down() bool { return l.standing.Down.IsOpen() }

// reached notes an accepted message. The caller holds mu.
func (l *lane) reached() {
	l.answered()
	l.standing.Lost = false
}

// answered notes that the destination is there, whatever it said. The caller holds mu.
func (l *lane) answered() {
	s := &l.standing
	s.Unreached, s.Down, s.DownFailures = false, event.Trouble{}, 0
	l.health.probes.reset()
}

// tellAfter is how long a destination that can take nothing may be so before its
// owner hears of it.
const tellAfter = time.Minute

// closed returns how long nothing may be begun; zero: go on.
func (l *lane) closed(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.standing.Paused.IsZero() {
		return idleLook
	}
	until := l.standing.Throttled
	if l.standing.NextProbe.After(until) && len(l.asked) == 0 {
		until = l.standing.NextProbe
	}
	if l.down() && l.health.probe.After(until) {
		until = l.health.probe
	}
	return max(0, until.Sub(now))
}

// mayBeSent says whether what was begun may still be sent. The caller holds mu.
func (l *lane) mayBeSent(t *task, now time.Time) bool {
	s := &l.standing
	return s.Paused.IsZero() && !s.Throttled.After(now) && (!l.broken() || t.probe) && (!l.down() || l.sending.all == 0)
}

// storeWait returns how long the store is left alone.
func (l *lane) storeWait(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.health.store.Sub(now))
}

func (l *lane) storeFailed(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.health.storeless.IsZero() {
		l.health.storeless = now
	}
	if !l.health.store.After(now) {
		l.health.store = now.Add(l.health.stores.step(storeFirst))
	}
	return l.health.store.Sub(now)
}

// storeLost says whether a drain gives the store up.
func (l *lane) storeLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := l.health.storeless
	return l.tally != nil && !since.IsZero() && time.Since(since) >= drainPatience
}

// unavailable notes that the destination cannot take anything, and returns the
// time until the next probe. Attempts that fail together count as one probe. The
// caller holds mu.
func (l *lane) unavailable(why string, now time.Time) time.Duration {
	h, s := &l.health, &l.standing
	if !l.down() {
		s.Down = event.Trouble{Since: now}
	}
	l.log.Warn("the destination takes nothing at present: what is for it waits, nothing is lost, and it is tried again and again", loglimit.Repeats("unavailable"), slog.String("reason", why))
	s.Why = why
	s.Unreached, s.Lost, s.Well = true, false, event.Trouble{}
	if !h.probe.After(now) {
		s.Version++
		s.Failures++
		s.DownFailures++
		h.probe = now.Add(h.probes.step(probeFirst))
	}
	if s.Down.Lasted(now) >= tellAfter {
		l.announceFailing(now)
	}
	return h.probe.Sub(now)
}

// lost notes that the publisher knows of itself that it cannot send.
func (l *lane) lost(send context.Context, why string, now time.Time) time.Duration {
	l.mu.Lock()
	l.noteContact(ContactFailed, now)
	pause := l.unavailable(why, now)
	l.standing.Lost = true
	l.mu.Unlock()
	l.tell(send)
	return pause
}

// answeredAgain notes that the destination answers: it was not there, perhaps, and
// now it is. The caller holds mu.
func (l *lane) answeredAgain() {
	if l.down() && !l.broken() {
		l.endRow()
		l.standing.Version++
	}
	l.answered()
}

func (l *lane) isBack() { l.log.Info("the destination answers again", loglimit.Ends("unavailable")) }

// found notes that the publisher can reach its destination. That alone closes no breaker, which
// a probe has to do, and ends no alert: the first accepted delivery does that.
func (l *lane) found(send context.Context, now time.Time) {
	l.mu.Lock()
	if l.standing.Lost {
		l.isBack()
		l.reached()
		if !l.broken() {
			l.endRow()
		}
		l.standing.Version++
		l.health.refusals.next = now
		if !l.standing.ToldToFail() {
			l.recovered(now)
		}
	}
	if !l.down() && !l.broken() {
		l.noteContact(ContactMade, now)
	}
	l.mu.Unlock()
	l.tell(send)
	l.tellNoneWaits(send, now)
}

// endRow forgets failures that are over. The caller holds mu.
func (l *lane) endRow() {
	s := &l.standing
	s.Failures, s.Excused, s.FailedFirst, s.FailedOthers, s.Why = 0, 0, "", false, ""
	s.FailedSince, s.FailedAway, s.RowSince, l.holds = time.Time{}, 0, time.Time{}, false
}

// StoredStatus is what is known of a destination while nothing is sent to it. Its
// State is empty unless it is paused, failing or unreachable.
func StoredStatus(stored event.DestinationState) DestinationStatus {
	s := &stored.Standing
	status := DestinationStatus{
		Name: stored.Name, Why: s.Why, LastSuccess: s.LastSuccess, Failures: s.Failures, UpClock: stored.UpClock, Told: !s.Announced.IsZero() && !s.Well.IsOpen() && (!s.AnnouncedRefused || s.AnnouncedSubjects), Refusal: s.Refusal, RefusedAt: s.RefusedAt,
	}
	switch {
	case !s.Paused.IsZero():
		status.State, status.Why, status.Since, status.PausedBy = StatePaused, pausedWhy(s), s.Paused, s.PausedBy
	case !s.Broken.IsZero():
		status.State, status.Since, status.NextProbe = StateFailing, s.Broken, event.Later(s.NextProbe, s.Throttled)
		switch { // other deliveries may have been refused otherwise
		case s.Why == "" || s.Down.IsOpen():
		case s.Probes > 0:
			status.Why = "last probe: " + s.Why
		default:
			status.Why = "last refusal: " + s.Why
		}
	default:
		status.Since = cmp.Or(s.RowSince, s.FailedSince)
		if s.Down.Since.After(status.Since) { // what it refused before is another row
			status.Since, status.Failures = s.Down.Since, s.DownFailures
		}
		if s.Unreached {
			status.State = StateUnreachable
		}
		if s.Why == "" && s.Well.IsOpen() {
			status.Why = "it failed again soon after it was well, which is over once it has been well for ten minutes"
		} else if s.Why == "" && s.ToldToFail() {
			status.Why = "it can be reached again, and has accepted nothing since"
		}
		if s.Throttled.After(time.Now()) {
			status.NextTry = s.Throttled
		}
	}
	return status
}

// WhyLeftAlone says what a delivery waits for that no answer was about, after so many
// attempts, if it waits for a destination of which this is known.
func WhyLeftAlone(attempts int, state State, since time.Time, why string) string {
	what := map[State]string{
		StateFailing: "the breaker is open", StateUnreachable: "the destination cannot be reached", StatePaused: "nothing is sent to the destination",
	}[state]
	if what == "" {
		return why
	}
	text := fmt.Sprintf("%s since %s; %s", what, since.UTC().Format(time.RFC3339), why)
	if attempts == 0 {
		return "never tried: " + text
	}
	return text
}

// status is how the destination is doing.
func (l *lane) status(now time.Time) DestinationStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	status := l.stands(now)
	if status.State == StatePaused || status.State == StateUnreachable {
		return status
	}
	complaint, _ := l.complaint()
	status.Why = withComplaint(status.Why, complaint)
	return status
}

// complaint is that of the publisher.
func (l *lane) complaint() (what string, lost time.Time) {
	if c, ok := l.publisher.(Complainer); ok {
		return c.Complaint()
	}
	return "", time.Time{}
}

// withComplaint adds a complaint, which may be the cause of why, unless why tells it.
func withComplaint(why, complaint string) string {
	switch {
	case why == "" || complaint == "":
		return why + complaint
	case strings.Contains(why, complaint):
		return why
	}
	return why + "; " + complaint
}

// stands is status without what the publisher complains of. The caller holds mu.
func (l *lane) stands(now time.Time) DestinationStatus {
	s := &l.standing
	s.Retime(now) // it is shown
	status := StoredStatus(event.DestinationState{Name: l.dest.Name, UpClock: l.clock.at(now), Standing: *s})
	status.InFlight = l.sending.all
	status.Blocked, status.BlockedAll = l.subjects.list()
	if l.down() && status.State == StateUnreachable {
		status.NextTry = event.Later(status.NextTry, l.health.probe)
	}
	if status.State != "" {
		return status
	}
	status.State = StateOK
	switch {
	case s.Throttled.After(now):
		status.State, status.Why = StateWaiting, "asked for a pause until "+s.Throttled.UTC().Format(time.RFC3339)
	case s.Failures > 0:
		status.State = StateRefusing
	}
	if l.pacer.slow > 0 {
		status.Why = withComplaint(status.Why, fmt.Sprintf("sent %.2g a second, for it answered 429 (destinations resume lifts that)", l.pacer.slow))
	}
	if status.BlockedAll > 0 && status.State == StateOK {
		status.State, status.Why, status.Since = StateWaiting, l.subjects.why(), l.subjects.row.Since
	}
	return status
}

func pausedWhy(s *event.Standing) string {
	if s.PausedBy != "" {
		return "paused by " + s.PausedBy
	}
	return "stopped: " + s.PausedWhy
}
