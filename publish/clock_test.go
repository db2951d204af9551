package publish

import (
	"log/slog"
	"testing"
	"time"
	"unsafe"

	"checkout-notifier/event"
)

// setBy is what our clock tells instead of a time that was read from it, if it was set
// by whole seconds meanwhile: the monotonic reading stays. No function of package time
// makes such a time.
func setBy(at time.Time, by time.Duration) time.Time {
	const secondsAt = 30 // bits of time.Time's first word, behind the nanoseconds
	*(*uint64)(unsafe.Pointer(&at)) += uint64(by/time.Second) << secondsAt
	return at
}

const day = 24 * time.Hour

// A pause that began while our clock was ahead is not stored, or shown, as one that
// ends when the clock comes there.
func TestPausesOfAClockThatJumped(t *testing.T) {
	now := time.Now()
	ahead := setBy(now, day)
	stored := event.Standing{Changed: ahead, Version: 1, Broken: ahead, Failures: 10, FailedSince: ahead,
		NextProbe: ahead.Add(time.Minute), Throttled: ahead.Add(time.Hour)}
	check := func(what string, at time.Time, probe, throttled time.Time) {
		t.Helper()
		for name, until := range map[string]struct {
			time.Time
			want time.Duration
		}{"the probe": {probe, time.Minute}, "the pause": {throttled, time.Hour}} {
			if got := until.Round(0).Sub(at.Round(0)); got != until.want {
				t.Errorf("%s: %s is in %s, not in %s", what, name, got, until.want)
			}
		}
	}
	l := newLane(Lane{}, nil, Options{}, nil, slog.New(slog.DiscardHandler))
	l.standing = stored
	s := l.snapshot(now)
	check("stored when the clock is right again", now, s.NextProbe, s.Throttled)
	if got, want := l.status(now), event.FormatTime(now.Add(time.Hour)); event.FormatTime(got.NextProbe) != want {
		t.Errorf("shown is %s, not %s", event.FormatTime(got.NextProbe), want)
	}

	stored.NextProbe, stored.Throttled = stored.NextProbe.Round(0), stored.Throttled.Round(0)
	l.standing = stored.TakenUp(ahead, breakLastLook, retryAfterLimit) // at a start while it is ahead
	s = l.snapshot(now)
	check("taken up while the clock was ahead", now, s.NextProbe, s.Throttled)
}

// The times of an attempt during which our clock was set agree with when it ended: a
// queue that is scheduled anew goes by them.
func TestAttemptDuringWhichTheClockJumped(t *testing.T) {
	l := newLane(Lane{Destination: Destination{Name: "shop", Retry: Retry{Schedule: []time.Duration{time.Minute}}}}, nil, Options{}, nil, slog.New(slog.DiscardHandler))
	for _, by := range []time.Duration{-day, day} {
		l.results = nil
		started := setBy(time.Now(), by)
		d := event.Delivery{ID: "dlv_1", Destination: "shop", Attempts: 1}
		l.ended(t.Context(), &task{job: &event.Job{Delivery: d}, attempt: event.Attempt{DeliveryID: d.ID, N: 1, Started: started}},
			Result{Outcome: event.OutcomeRefused, StatusCode: 500, Contact: ContactMade})
		v := l.results[0].verdict
		if took := v.At.Round(0).Sub(v.Attempt.Started.Round(0)); took != v.Attempt.Duration || took > time.Minute {
			t.Errorf("started %s before it ended, took %s", took, v.Attempt.Duration)
		}
	}
}
