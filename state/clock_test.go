package state_test

import (
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// dayAhead is what our clock told before it was set right at start.
var dayAhead = start.Add(24 * time.Hour)

// queueAt commits one event of a session with one ordered delivery at a time.
func queueAt(t *testing.T, s *state.Store, id, session string, at time.Time) event.Delivery {
	t.Helper()
	e := newEvent("evt_"+id, session)
	d := newDelivery(e, "shop", true, at)
	commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}})
	return d
}

// refuse records a refusal at a time; the delivery is due again after a pause, and
// those behind it may be looked at after another one.
func refuse(t *testing.T, s *state.Store, d event.Delivery, at time.Time, pause, hold time.Duration) {
	t.Helper()
	held := time.Second
	d.Slots, d.HeldAt = 1, &held
	attempt := event.Attempt{DeliveryID: d.ID, N: 1, Started: at, Outcome: event.OutcomeRefused, StatusCode: 500}
	resolve(t, s, event.Verdict{Delivery: d, Attempt: &attempt, Retry: at.Add(pause), Release: at.Add(hold), At: at})
}

// What was created, refused or held while our clock was ahead waits as long as it
// should, and not until the clock comes there.
func TestDeliveriesOfAClockThatWasAhead(t *testing.T) {
	t.Run("new", func(t *testing.T) {
		s := newStore(t)
		first := queueAt(t, s, "1", "cs_1", dayAhead)
		queueAt(t, s, "2", "cs_1", start) // waits behind it
		if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_1"}) {
			t.Fatalf("due: %v", got)
		}
		resolve(t, s, event.Verdict{Delivery: first, Accepted: true, At: start.Add(time.Second)})
		if got := dueIDs(t, s, "shop", start.Add(time.Second)); !cmp.Equal(got, []string{"evt_2"}) {
			t.Errorf("due behind it: %v", got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := newStore(t)
		refuse(t, s, queueAt(t, s, "1", "cs_1", start.Add(-time.Hour)), dayAhead, 10*time.Minute, time.Minute)
		queueAt(t, s, "2", "cs_1", start.Add(-time.Hour))
		if got := dueIDs(t, s, "shop", start.Add(9*time.Minute)); len(got) > 1 {
			t.Errorf("due before its pause: %v", got)
		}
		jobs, next, err := s.Due(t.Context(), "shop", event.Look{Now: start.Add(10 * time.Minute), First: 10, Again: 10})
		if err != nil || next.After(start.Add(19*time.Minute)) {
			t.Errorf("%d due, next %s, %v", len(jobs), next, err)
		}
		if got := dueIDs(t, s, "shop", start.Add(19*time.Minute)); !cmp.Equal(got, []string{"evt_2", "evt_1"}) {
			t.Errorf("due after its pause: %v", got)
		}
	})
	t.Run("held back by a refusal", func(t *testing.T) {
		s := newStore(t)
		first := queueAt(t, s, "1", "cs_1", start.Add(-time.Hour))
		queueAt(t, s, "2", "cs_1", start.Add(-time.Hour))
		refuse(t, s, first, dayAhead, 10*time.Hour, time.Minute)
		dueIDs(t, s, "shop", start)
		if got := dueIDs(t, s, "shop", start.Add(time.Minute)); !cmp.Equal(got, []string{"evt_2"}) {
			t.Errorf("due after the hold: %v", got)
		}
	})
	t.Run("brought forward", func(t *testing.T) {
		s := newStore(t)
		queueAt(t, s, "1", "cs_1", start.Add(-time.Hour))
		queueAt(t, s, "2", "cs_1", dayAhead)
		if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_1"}) {
			t.Errorf("due: %v", got)
		}
	})
	t.Run("woken", func(t *testing.T) {
		s := newStore(t)
		first := queueAt(t, s, "1", "cs_1", start.Add(-time.Hour))
		queueAt(t, s, "2", "cs_1", start.Add(-time.Hour))
		resolve(t, s, event.Verdict{Delivery: first, Accepted: true, At: dayAhead})
		if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_2"}) {
			t.Errorf("due: %v", got)
		}
	})
	t.Run("made pending again", func(t *testing.T) {
		s := newStore(t)
		d := queueAt(t, s, "1", "cs_1", start.Add(-time.Hour))
		bury(t, s, d, start.Add(-time.Minute))
		if _, err := s.Redrive(t.Context(), []string{d.ID}, act(dayAhead)); err != nil {
			t.Fatal(err)
		}
		if got := dueIDs(t, s, "shop", start); len(got) != 1 {
			t.Errorf("due: %v", got)
		}
	})
}

// setBy is what our clock tells instead of a time that was read from it, if it was set
// by whole seconds meanwhile: the monotonic reading stays. No function of package time
// makes such a time.
func setBy(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	const secondsAt = 30 // bits of time.Time's first word, behind the nanoseconds
	was := at
	*(*uint64)(unsafe.Pointer(&at)) += uint64(by/time.Second) << secondsAt
	if at.Sub(was) != 0 || at.Round(0).Sub(was.Round(0)) != by {
		t.Fatalf("%s became %s", was, at)
	}
	return at
}

// Our clock may be ahead for a while as the process runs, and be right again: what was
// put off meanwhile keeps its pause, whether or not a queue was read then.
func TestClockAheadWhileRunning(t *testing.T) {
	right := time.Now()
	for _, by := range []time.Duration{24 * time.Hour, 5 * time.Minute} {
		ahead := func(after time.Duration) time.Time { return setBy(t, right.Add(after), by) }
		for name, tt := range map[string]struct {
			meanwhile func(t *testing.T, s *state.Store, first event.Delivery)
			waits     time.Duration // the first delivery, from when the clock is right again
		}{
			"a refusal": {func(t *testing.T, s *state.Store, first event.Delivery) {
				refuse(t, s, first, ahead(time.Second), 5*time.Second, time.Hour)
			}, 5 * time.Second},
			"a queue was read": {func(t *testing.T, s *state.Store, first event.Delivery) {
				dueIDs(t, s, "shop", ahead(0))
				refuse(t, s, first, ahead(time.Second), 5*time.Second, time.Hour)
			}, 5 * time.Second},
			"a 429 that asks for a pause": {func(t *testing.T, s *state.Store, first event.Delivery) {
				refuse(t, s, first, ahead(time.Second), 2*time.Minute, time.Hour)
			}, 2 * time.Minute},
			"a follower is put off, whose time seems to have come": {func(t *testing.T, s *state.Store, first event.Delivery) {
				refuse(t, s, first, right.Add(time.Second), time.Hour, 3*time.Minute)
				jobs, _, err := s.Due(t.Context(), "shop", event.Look{Now: ahead(time.Second), First: 10, Again: 10})
				if err != nil {
					t.Fatal(err)
				}
				for i := range jobs {
					if jobs[i].Event.ID == "evt_2" {
						resolve(t, s, event.Verdict{Delivery: jobs[i].Delivery, Retry: ahead(3 * time.Minute), At: ahead(time.Second)})
					}
				}
			}, time.Hour},
		} {
			t.Run(name+", "+by.String(), func(t *testing.T) {
				s := newStore(t)
				first := queueAt(t, s, "1", "cs_1", right.Add(-time.Hour))
				queueAt(t, s, "2", "cs_1", right.Add(-time.Hour))
				dueIDs(t, s, "shop", right)
				tt.meanwhile(t, s, first)
				back := right.Add(2 * time.Second)
				for _, at := range []struct {
					after time.Duration
					first bool
				}{{0, false}, {tt.waits - 2*time.Second, false}, {tt.waits, true}} {
					due := dueIDs(t, s, "shop", back.Add(at.after))
					if slices.Contains(due, "evt_1") != at.first {
						t.Errorf("due %s after the clock was right again: %v", at.after, due)
					}
					if !slices.Contains(due, "evt_2") {
						t.Errorf("%s after the clock was right again nobody looks at the follower: %v", at.after, due)
					}
				}
			})
		}
	}
}

// That our clock was set back is known to each queue, whichever was read meanwhile.
func TestClockAheadWhileAnotherQueueIsRead(t *testing.T) {
	right, s := time.Now(), newStore(t)
	d := queueAt(t, s, "1", "cs_1", right)
	for _, destination := range []string{"shop", "books"} {
		dueIDs(t, s, destination, right)
	}
	refuse(t, s, d, setBy(t, right, 24*time.Hour), 5*time.Second, time.Second)
	dueIDs(t, s, "books", right.Add(time.Second))
	dueIDs(t, s, "shop", right.Add(time.Second))
	if got := dueIDs(t, s, "shop", right.Add(6*time.Second)); !cmp.Equal(got, []string{"evt_1"}) {
		t.Errorf("due: %v", got)
	}
}

// The clock may be set back while the process runs, too.
func TestClockSetBackWhileRunning(t *testing.T) {
	right, s := time.Now(), newStore(t)
	ahead := setBy(t, right, 24*time.Hour)
	dueIDs(t, s, "shop", ahead)
	refuse(t, s, queueAt(t, s, "1", "cs_1", ahead), ahead, 5*time.Second, time.Second)
	queueAt(t, s, "2", "cs_2", ahead.Add(time.Minute))
	if got := dueIDs(t, s, "shop", right); !cmp.Equal(got, []string{"evt_2"}) {
		t.Errorf("due: %v", got)
	}
	if got := dueIDs(t, s, "shop", right.Add(5*time.Second)); len(got) != 2 {
		t.Errorf("due after the pause: %v", got)
	}
}

// A long pause is no sign of a wrong clock.
func TestLongPausesAreKept(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	refuse(t, s, queueAt(t, s, "1", "cs_1", start), start, 24*time.Hour, time.Minute)
	for range 2 {
		if jobs, next, err := s.Due(t.Context(), "shop", event.Look{Now: start.Add(time.Minute), First: 10, Again: 10}); err != nil || len(jobs) > 0 || !next.Equal(dayAhead) {
			t.Errorf("%d due, next %s, %v", len(jobs), next, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, cfg)
	}
}

// A dead letter that a clock buried that was ahead can be redriven by a job.
func TestDeadLettersOfTheFutureAreRedriven(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	bury(t, s, d, dayAhead)
	again := act(start.Add(time.Hour))
	again.Job, again.Before = "job_1", start.Add(time.Hour)
	for _, want := range []int{1, 0} { // once
		done, err := s.Redrive(t.Context(), []string{d.ID}, again)
		if err != nil || len(done) != want {
			t.Errorf("redriven %d, want %d: %v", len(done), want, err)
		}
	}
}
