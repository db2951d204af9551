package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

func TestDueGivesTheLongestDueFirst(t *testing.T) {
	s := newStore(t)
	for i, after := range []time.Duration{3, 1, 2, 10, 7} {
		e := newEvent(fmt.Sprint("evt_", i), fmt.Sprint("cs_", i))
		d := newDelivery(e, "shop", true, start.Add(after*time.Nanosecond))
		commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}})
	}
	queue(t, s, "other", "cs_other", "shop2")

	jobs, next, err := s.Due(t.Context(), "shop", event.Look{Now: start.Add(3), First: 2, Again: 2})
	if err != nil || len(jobs) != 2 || jobs[0].Event.ID != "evt_1" || jobs[1].Event.ID != "evt_2" {
		t.Fatalf("jobs %v, %v", jobs, err)
	}
	if !next.Equal(start.Add(7)) {
		t.Errorf("next = %v", next)
	}
	skip := func(id string) bool { return id == jobs[0].Delivery.ID }
	jobs, _, err = s.Due(t.Context(), "shop", event.Look{Now: start.Add(3), First: 2, Again: 2, Skip: skip})
	if err != nil || len(jobs) != 2 || jobs[0].Event.ID != "evt_2" || jobs[1].Event.ID != "evt_0" {
		t.Errorf("without the first: %v, %v", jobs, err)
	}
	jobs, next, err = s.Due(t.Context(), "shop", event.Look{Now: start.Add(time.Second), First: 100, Again: 100})
	if err != nil || len(jobs) != 5 || !next.IsZero() {
		t.Errorf("all: %d jobs, next %v, %v", len(jobs), next, err)
	}
	jobs, next, err = s.Due(t.Context(), "shop", event.Look{Now: start.Add(8), Newest: 2, First: 2, Again: 100})
	if err != nil || eventIDs(jobs) != "evt_4 evt_0 evt_1 evt_2" || !next.Equal(start.Add(10)) {
		t.Errorf("the newest: %v, next %v, %v", jobs, next, err)
	}
	if jobs, next, err := s.Due(t.Context(), "nobody", event.Look{Now: start, First: 100, Again: 100}); err != nil || jobs != nil || !next.IsZero() {
		t.Errorf("nobody: %v, %v, %v", jobs, next, err)
	}
}

// However many are sent again, each new one is found.
func TestTheNewestAreFoundAmongManyThatAreSentAgain(t *testing.T) {
	s := newStore(t)
	var replays []event.Replay
	for i := range 2500 {
		e := newEvent(fmt.Sprint("evt_", i), fmt.Sprint("cs_", i))
		commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}})
		replays = append(replays, event.Replay{Event: e, Deliveries: []event.Delivery{newDelivery(e, "shop", true, start)}})
	}
	again := act(start.Add(time.Second))
	again.Job = "job_1"
	for _, part := range [][]event.Replay{replays[:100], replays[100:]} {
		if _, err := s.Replay(t.Context(), part, again); err != nil {
			t.Fatal(err)
		}
		if again.At.Equal(start.Add(time.Second)) {
			queueAt(t, s, "new", "cs_new", start.Add(2*time.Second))
		}
		again.At = start.Add(3 * time.Second)
	}
	look := event.Look{Now: start.Add(time.Minute), Newest: 2}
	if jobs, _, err := s.Due(t.Context(), "shop", look); err != nil || eventIDs(jobs) != "evt_new" {
		t.Errorf("the newest: %s, %v", eventIDs(jobs), err)
	}
	look = event.Look{Now: start.Add(time.Minute), First: 2, SentAgain: 2, Again: 2}
	if jobs, _, err := s.Due(t.Context(), "shop", look); err != nil || eventIDs(jobs) != "evt_new evt_0 evt_1" {
		t.Errorf("all: %s, %v", eventIDs(jobs), err)
	}
}

// A later event of a session does not wait until all that came between was sent: the
// first of the session becomes due with it, unless it is refused or sent again, or the
// destination takes nothing.
func TestTheFirstOfASessionComesForwardFromABacklog(t *testing.T) {
	now := start.Add(time.Minute)
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, s *state.Store, first event.Delivery)
		want      string
	}{
		"it stands in a backlog": {func(*testing.T, *state.Store, event.Delivery) {}, "evt_first"},
		"it was refused": {func(t *testing.T, s *state.Store, first event.Delivery) {
			refuse(t, s, first, start, time.Second, time.Second)
		}, "evt_later"}, // and waits for the hold
		"it is sent again": {func(t *testing.T, s *state.Store, first event.Delivery) {
			resolve(t, s, event.Verdict{Delivery: first, Accepted: true, At: start})
			if _, err := s.Retry(t.Context(), first.ID, act(start.Add(time.Second))); err != nil {
				t.Fatal(err)
			}
		}, "evt_later"},
		"the destination is paused": {func(t *testing.T, s *state.Store, _ event.Delivery) {
			change := event.StandingChange{Destination: "shop", Standing: event.Standing{Version: 1, Paused: start}}
			if err := s.SaveStanding(t.Context(), change); err != nil {
				t.Fatal(err)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			first := queueAt(t, s, "first", "cs_1", start)
			queueAt(t, s, "other", "cs_2", start.Add(time.Second))
			c.meanwhile(t, s, first)
			queueAt(t, s, "later", "cs_1", now)
			jobs, _, err := s.Due(t.Context(), "shop", event.Look{Now: now, Newest: 2, After: start.Add(10 * time.Second)})
			if err != nil || eventIDs(jobs) != c.want {
				t.Errorf("the newest: %s, %v, want %s", eventIDs(jobs), err, c.want)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// One whose session goes on and on comes forward ever more seldom: its turn comes among
// those that have waited longest.
func TestTheFirstOfASessionIsNotPutOffForEver(t *testing.T) {
	s := newStore(t)
	queueAt(t, s, "first", "cs_1", start)
	var moved []time.Duration
	for at := 6 * time.Second; at < time.Minute; at += 6 * time.Second {
		queueAt(t, s, fmt.Sprint(at), "cs_1", start.Add(at))
		waits := due(t, s, "shop", start.Add(at))[0].Delivery.Due.Sub(start)
		if len(moved) == 0 || waits > moved[len(moved)-1] {
			moved = append(moved, waits)
		}
	}
	if want := []time.Duration{6 * time.Second, 18 * time.Second, 42 * time.Second}; !slices.Equal(moved, want) {
		t.Errorf("it came forward %v, want %v", moved, want)
	}
}

func eventIDs(jobs []event.Job) string {
	var ids []string
	for i := range jobs {
		ids = append(ids, jobs[i].Event.ID)
	}
	return strings.Join(ids, " ")
}

// Whoever renders a delivery in a form of its own hears of the others of its event.
func TestJobNamesTheSiblingsOfOneWithARuleOfItsOwn(t *testing.T) {
	s := newStore(t)
	e := newEvent("evt_1", "cs_1")
	tx := event.Tx{Account: "main", Events: []event.Event{e}}
	for _, own := range []string{"", "audit", "note"} {
		d := newDelivery(e, "shop", false, start)
		d.ID, d.OwnRule = event.DeliveryID(e.ID, "shop", own), own
		tx.Deliveries = append(tx.Deliveries, d)
	}
	tx.Deliveries = append(tx.Deliveries, newDelivery(e, "bus", false, start))
	commit(t, s, &tx)
	jobs, _, err := s.Due(t.Context(), "shop", event.Look{Now: start, First: 10, Again: 10})
	got := map[string][]string{}
	for i := range jobs {
		got[jobs[i].Delivery.OwnRule] = jobs[i].Siblings
	}
	if diff := cmp.Diff(map[string][]string{"": nil, "audit": {"", "note"}, "note": {"", "audit"}}, got); diff != "" || err != nil {
		t.Errorf("siblings (-want +got): %s, %v", diff, err)
	}
}

func TestAnAttemptIsThereBeforeItsResult(t *testing.T) {
	ctx := t.Context()
	cfg := config(t)
	s := openStore(t, cfg)
	d := queue(t, s, "1", "cs_1", "shop")
	begun := event.Attempt{DeliveryID: d.ID, N: 1, Started: start, Outcome: event.OutcomeAccepted, Note: "not yet"}
	if err := s.Begin(ctx, begun); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, cfg)
	begun.Outcome = event.OutcomeUnknown
	attempts, err := s.Attempts(ctx, d.ID)
	if diff := cmp.Diff([]event.Attempt{begun}, attempts); diff != "" || err != nil {
		t.Fatalf("(-want +got):\n%s%v", diff, err)
	}
	jobs := due(t, s, "shop", start)
	if len(jobs) != 1 || jobs[0].Delivery.Attempts != 1 {
		t.Fatalf("jobs = %+v", jobs)
	}
	second := event.Attempt{DeliveryID: d.ID, N: 2, Started: start.Add(time.Second)}
	if err := s.Begin(ctx, second); err != nil {
		t.Fatal(err)
	}
	second.Outcome, second.StatusCode, second.Answer, second.Duration = event.OutcomeAccepted, 204, []byte("ok\x00"), time.Millisecond
	v := event.Verdict{Delivery: jobs[0].Delivery, Attempt: &second, Accepted: true, At: start.Add(2 * time.Second), UpClock: time.Minute}
	resolve(t, s, v)

	attempts, err = s.Attempts(ctx, d.ID)
	if diff := cmp.Diff([]event.Attempt{begun, second}, attempts); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	got := delivery(t, s, d.ID)
	if got.Status != event.StatusAccepted || !got.Finished.Equal(v.At) || got.Attempts != 2 || !got.Due.IsZero() {
		t.Errorf("delivery = %+v", got)
	}
	for _, err := range []error{s.Resolve(ctx, v), s.Begin(ctx, second)} {
		if !errors.Is(err, state.ErrNotPending) {
			t.Errorf("after the end: %v", err)
		}
	}
	if after, _ := s.Attempts(ctx, d.ID); len(after) != 2 {
		t.Errorf("%d attempts after the end", len(after))
	}
}

func TestOrderedDeliveriesWaitForTheirSession(t *testing.T) {
	s := newStore(t)
	first := queue(t, s, "1", "cs_1", "shop")
	queue(t, s, "2", "cs_1", "shop")
	third := queue(t, s, "3", "cs_1", "shop")
	queue(t, s, "4", "cs_2", "shop")
	queue(t, s, "5", "cs_1", "bus")
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_1", "evt_4"}) {
		t.Fatalf("due %v", got)
	}
	if parked := delivery(t, s, third.ID); !parked.Due.IsZero() || parked.Status != event.StatusPending {
		t.Errorf("parked = %+v", parked)
	}
	resolve(t, s, event.Verdict{Delivery: first, Accepted: true, At: start.Add(time.Second)})
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_4"}) {
		t.Errorf("too early: %v", got)
	}
	if got := dueIDs(t, s, "shop", start.Add(time.Second)); !cmp.Equal(got, []string{"evt_4", "evt_2"}) {
		t.Errorf("due %v", got)
	}
	if got := dueIDs(t, s, "bus", start); !cmp.Equal(got, []string{"evt_5"}) {
		t.Errorf("bus is due %v", got)
	}
}

func TestARefusedDeliveryReleasesTheNext(t *testing.T) {
	s := newStore(t)
	first := queue(t, s, "1", "cs_1", "shop")
	second := queue(t, s, "2", "cs_1", "shop")
	up := 5 * time.Second
	first.HeldAt, first.Slots = &up, 1
	retry, release := start.Add(time.Hour), start.Add(time.Minute)
	resolve(t, s, event.Verdict{Delivery: first, Retry: retry, Release: release, UpClock: up})
	jobs, next, err := s.Due(t.Context(), "shop", event.Look{Now: start, First: 10, Again: 10})
	if err != nil || len(jobs) != 0 || !next.Equal(release) {
		t.Fatalf("jobs %v, next %v, %v", jobs, next, err)
	}
	// One that is committed after the release finds a refused head and is judged
	// by the relay at once.
	queue(t, s, "3", "cs_1", "shop")
	jobs = due(t, s, "shop", start)
	if len(jobs) != 1 || jobs[0].Event.ID != "evt_3" || len(jobs[0].Earlier) != 2 ||
		jobs[0].Earlier[0].ID != first.ID || *jobs[0].Earlier[0].HeldAt != up || jobs[0].Earlier[1].ID != second.ID {
		t.Fatalf("jobs = %+v", jobs)
	}
	// It is parked again, and so is the second; each end then wakes one.
	resolve(t, s, event.Verdict{Delivery: jobs[0].Delivery})
	jobs = due(t, s, "shop", release)
	if len(jobs) != 1 || jobs[0].Event.ID != "evt_2" {
		t.Fatalf("jobs = %+v", jobs)
	}
	overtaking := jobs[0].Delivery
	overtaking.Overtook = []string{"evt_1"}
	resolve(t, s, event.Verdict{Delivery: overtaking, Accepted: true, At: release})
	if got := dueIDs(t, s, "shop", release); !cmp.Equal(got, []string{"evt_3"}) {
		t.Errorf("due %v", got)
	}
	if got := delivery(t, s, second.ID); !cmp.Equal(got.Overtook, []string{"evt_1"}) {
		t.Errorf("overtook %v", got.Overtook)
	}
}

func TestParkingBehindNobodyIsDue(t *testing.T) {
	s := newStore(t)
	first := queue(t, s, "1", "cs_1", "shop")
	second := queue(t, s, "2", "cs_1", "shop")
	resolve(t, s, event.Verdict{Delivery: first, Accepted: true})
	now := start.Add(time.Second)
	resolve(t, s, event.Verdict{Delivery: second, At: now})
	if got := delivery(t, s, second.ID); !got.Due.Equal(now) {
		t.Errorf("due %v", got.Due)
	}
}

func TestResolveTrustsOnlyTheStore(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	waiting := queue(t, s, "2", "cs_1", "shop")
	forged := d
	forged.Account, forged.Session, forged.EventID = "other", "cs_2", "evt_2"
	forged.Ordered, forged.Due, forged.Status, forged.Rules = false, start.Add(time.Hour), event.StatusDead, nil
	resolve(t, s, event.Verdict{Delivery: forged, Accepted: true})
	got := delivery(t, s, d.ID)
	want := d
	want.Status, want.Finished, want.Due = event.StatusAccepted, start, time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{waiting.EventID}) {
		t.Errorf("due %v", got)
	}
}

func TestDeadLettersAreKeptAndCounted(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	for i := range 3 {
		d := queue(t, s, fmt.Sprint(i), fmt.Sprint("cs_", i), "shop")
		if i != 1 {
			resolve(t, s, event.Verdict{Delivery: d, Dead: "410 Gone", At: start, UpClock: time.Duration(10 - i)})
		}
	}
	states, err := s.Destinations(ctx)
	want := []event.DestinationState{{Name: "shop", UpClock: 10, UpAt: start, Pending: 1, Dead: 2, OldestPending: start}}
	if diff := cmp.Diff(want, states); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	letters, err := s.DeadLetters(ctx, "shop", 0, 10)
	if err != nil || len(letters) != 2 || letters[1].Delivery.EventID != "evt_2" || letters[1].Delivery.Reason != "410 Gone" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	letters, err = s.DeadLetters(ctx, "shop", letters[0].Sequence, 10)
	if err != nil || len(letters) != 1 || letters[0].Delivery.EventID != "evt_2" {
		t.Errorf("dead letters behind the first %+v, %v", letters, err)
	}
	if letters, err = s.DeadLetters(ctx, "sho", 0, 10); err != nil || len(letters) != 0 {
		t.Errorf("another destination has %+v, %v", letters, err)
	}
}

func TestRelayErrors(t *testing.T) {
	ctx := t.Context()
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	unknown := event.Delivery{ID: "dlv_none"}
	for name, c := range map[string]struct{ got, want error }{
		"begin unknown":     {s.Begin(ctx, event.Attempt{DeliveryID: "dlv_none", N: 1}), state.ErrNotPending},
		"begin attempt 0":   {s.Begin(ctx, event.Attempt{DeliveryID: d.ID}), state.ErrInvalid},
		"resolve unknown":   {s.Resolve(ctx, event.Verdict{Delivery: unknown, Accepted: true, At: start}), state.ErrNotPending},
		"two ends":          {s.Resolve(ctx, event.Verdict{Delivery: d, Accepted: true, Dead: "x", At: start}), state.ErrInvalid},
		"dead and void":     {s.Resolve(ctx, event.Verdict{Delivery: d, Dead: "x", Void: "x", At: start}), state.ErrInvalid},
		"void and retry":    {s.Resolve(ctx, event.Verdict{Delivery: d, Void: "x", Retry: start, At: start}), state.ErrInvalid},
		"end and retry":     {s.Resolve(ctx, event.Verdict{Delivery: d, Dead: "x", Retry: start, At: start}), state.ErrInvalid},
		"no time":           {s.Resolve(ctx, event.Verdict{Delivery: d, Accepted: true}), state.ErrInvalid},
		"foreign attempt":   {s.Resolve(ctx, event.Verdict{Delivery: d, Attempt: &event.Attempt{DeliveryID: "dlv_x", N: 1}, Accepted: true, At: start}), state.ErrInvalid},
		"retry in no year":  {s.Resolve(ctx, event.Verdict{Delivery: d, Retry: time.Unix(1<<50, 0), At: start}), state.ErrInvalid},
		"attempt in no day": {s.Begin(ctx, event.Attempt{DeliveryID: d.ID, N: 1, Started: time.Unix(1<<50, 0)}), state.ErrInvalid},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v", name, c.got)
		}
	}
	if got := dueIDs(t, s, "shop", start); !cmp.Equal(got, []string{"evt_1"}) {
		t.Errorf("due %v", got)
	}
}

// A follower that a refusal released for later does not sleep through the
// acceptance of what it waits for.
func TestAcceptanceWakesAReleasedFollower(t *testing.T) {
	s := newStore(t)
	first, second := queue(t, s, "1", "cs_1", "shop"), queue(t, s, "2", "cs_1", "shop")
	resolve(t, s, event.Verdict{Delivery: first, At: start, Retry: start.Add(50 * time.Millisecond), Release: start.Add(2 * time.Minute)})
	resolve(t, s, event.Verdict{Delivery: first, At: start.Add(50 * time.Millisecond), Accepted: true})
	got := dueIDs(t, s, "shop", start.Add(time.Second))
	if len(got) != 1 || got[0] != second.EventID && got[0] != second.ID {
		t.Errorf("a second after the first was accepted, due is %v, want the second", got)
	}
}
