package publish

import (
	"log/slog"
	"time"
)

// State of a destination.
type State string

// The states. StateWaiting is a destination that answers and does not take, or
// asked for a pause; StateUnreachable one that does not answer at all.
const (
	StateOK          State = "ok"
	StateWaiting     State = "waiting"
	StateUnreachable State = "unreachable"
	StatePaused      State = "paused"
)

// DestinationStatus is how a destination is doing.
type DestinationStatus struct {
	Name        string
	State       State
	Why         string // redacted, "" when ok
	InFlight    int
	LastSuccess time.Time // zero: none in this process
	Failures    int       // in a row
	UpClock     time.Duration
}

// health is what a lane knows of its destination. The lane's mu guards it.
type health struct {
	paused    string    // why nothing is sent until somebody resumes
	throttled time.Time // until then nothing is sent, as the destination asked
	down      bool      // it could not take anything: probe
	lost      bool      // the publisher knew that of itself
	probe     time.Time // the next one
	probes    backoff
	store     time.Time // until then the store is left alone
	stores    backoff

	lastSuccess time.Time
	failures    int
	unreached   bool // the last attempt did not get there
	why         string
}

// closed returns how long nothing may be started; zero: go on.
func (h *health) closed(now time.Time) time.Duration {
	if h.paused != "" {
		return idleLook
	}
	until := h.throttled
	if h.store.After(until) {
		until = h.store
	}
	if h.down && h.probe.After(until) {
		until = h.probe
	}
	return max(0, until.Sub(now))
}

func (h *health) success(now time.Time) {
	h.lastSuccess, h.failures, h.why = now, 0, ""
	h.unreached, h.down, h.lost = false, false, false
	h.probes.reset()
	h.stores.reset()
}

func (h *health) failure(r Result) {
	h.failures++
	h.why = describe(r)
	h.unreached = r.Contact == ContactFailed
	if r.Contact == ContactMade {
		h.down = false
		h.probes.reset()
	}
}

func (h *health) throttle(until time.Time) {
	if until.After(h.throttled) {
		h.throttled = until
	}
}

// unavailable notes that the destination cannot take anything, and returns the
// time until the next probe. Attempts that fail together count as one probe.
func (h *health) unavailable(why string, now time.Time, log *slog.Logger) time.Duration {
	if !h.down {
		h.down = true
		log.Warn("destination unavailable: waiting", "reason", why)
	}
	h.why = why
	h.unreached, h.lost = true, false
	if !h.probe.After(now) {
		h.failures++
		h.probe = now.Add(h.probes.step(probeFirst, probeLast))
	}
	return h.probe.Sub(now)
}

// lost notes that the publisher knows of itself that it cannot send.
func (l *lane) lost(why string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteContact(ContactFailed, now)
	pause := l.health.unavailable(why, now, l.log)
	l.health.lost = true
	return pause
}

// found notes that the publisher sees nothing in the way. A destination that
// refused to take anything is for a probe to find well again.
func (l *lane) found(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	if h.lost {
		l.log.Info("destination is back")
		h.lost, h.down, h.unreached = false, false, false
		h.failures, h.why = 0, ""
		h.probes.reset()
	}
	if !h.down {
		l.noteContact(ContactMade, now)
	}
}

func (l *lane) storeFailed(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.health.store.After(now) {
		l.health.store = now.Add(l.health.stores.step(storeFirst, storeLast))
	}
	return l.health.store.Sub(now)
}

func (l *lane) unpause() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.health.paused == "" {
		return false
	}
	l.health.paused = ""
	l.clock.assume(time.Now())
	clear(l.stalled)
	l.poke()
	return true
}

func (l *lane) status(now time.Time) DestinationStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	s := DestinationStatus{
		Name: l.dest.Name, State: StateOK, Why: h.why, InFlight: len(l.inFlight),
		LastSuccess: h.lastSuccess, Failures: h.failures, UpClock: l.clock.at(now),
	}
	switch {
	case h.paused != "":
		s.State, s.Why = StatePaused, h.paused
	case h.unreached:
		s.State = StateUnreachable
	case h.throttled.After(now):
		s.State, s.Why = StateWaiting, "asked for a pause until "+h.throttled.UTC().Format(time.RFC3339)
	case h.failures > 0:
		s.State = StateWaiting
	}
	return s
}
