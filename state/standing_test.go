package state_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
)

// How a destination stands is stored with what its owner hears of that, also if the
// delivery that brought both is not there any more.
func TestAStepStoresAStandingWithoutItsDelivery(t *testing.T) {
	s := newStore(t)
	e, err := event.NewSystem(event.DestinationRecovered, "shop", "", start, map[string]string{"summary": "It takes deliveries again."})
	if err != nil {
		t.Fatal(err)
	}
	met, err := s.Take(t.Context(), event.Step{
		Standing: &event.StandingChange{Destination: "shop", Standing: event.Standing{Version: 1, Recovered: start}, Notices: []event.Notice{{Event: e}}},
		Resolved: []event.Verdict{{Delivery: event.Delivery{ID: "dlv_erased"}, Accepted: true, At: start}},
	})
	if err != nil || len(met.Gone) != 1 {
		t.Fatalf("%+v, %v", met, err)
	}
	states, err := s.Destinations(t.Context())
	if err != nil || len(states) != 1 || !states[0].Standing.Recovered.Equal(start) {
		t.Errorf("%+v, %v", states, err)
	}
	if rows, err := s.Events(t.Context(), 0, 10); err != nil || len(rows) != 1 || rows[0].Event.ID != e.ID {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestALaterStandingIsNotOverwritten(t *testing.T) {
	s := newStore(t)
	for _, version := range []uint64{2, 1, 3, 2} {
		err := s.SaveStanding(t.Context(), event.StandingChange{
			Destination: "shop", Standing: event.Standing{Version: version, Failures: int(version)},
			Audit: &event.AuditEntry{Actor: "ann", Action: "destination.pause", Subject: "shop"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	states, err := s.Destinations(t.Context())
	if err != nil || len(states) != 1 || states[0].Standing.Failures != 3 {
		t.Errorf("destinations: %+v, %v", states, err)
	}
	rows, err := s.Audit(t.Context(), 0, 10)
	if err != nil || len(rows) != 4 {
		t.Errorf("%d audit entries, %v: what people did is kept all the same", len(rows), err)
	}
	rows, err = s.Audit(t.Context(), rows[1].Sequence, 10)
	if err != nil || len(rows) != 2 {
		t.Errorf("%d audit entries before the second, %v", len(rows), err)
	}
}

func TestHastenMakesDueWhatWaits(t *testing.T) {
	s := newStore(t)
	for i := range 5 {
		d := queue(t, s, fmt.Sprint(i), fmt.Sprint("cs_", i), "shop")
		d.Slots = i
		resolve(t, s, event.Verdict{Delivery: d, Retry: start.Add(time.Duration(i+1) * time.Hour)})
	}
	other := queue(t, s, "other", "cs_1", "bus")
	other.Slots = 1
	resolve(t, s, event.Verdict{Delivery: other, Retry: start.Add(time.Hour)})
	queue(t, s, "parked", "cs_1", "shop")

	now := start.Add(time.Minute)
	for _, want := range []int{2, 2, 1, 0} {
		n, err := s.Hasten(t.Context(), "shop", now, 2)
		if err != nil || n != want {
			t.Fatalf("Hasten: %d, %v; want %d", n, err, want)
		}
	}
	jobs := due(t, s, "shop", now)
	if len(jobs) != 5 {
		t.Errorf("%d are due, want 5: the parked one waits for its turn", len(jobs))
	}
	slots := make(map[int]int)
	for i := range jobs {
		slots[jobs[i].Delivery.Slots]++
	}
	if diff := cmp.Diff(map[int]int{0: 1, 1: 2, 2: 1, 3: 1}, slots); diff != "" {
		t.Errorf("slots, of which each but a first is given back (-want +got):\n%s", diff)
	}
	if n := len(due(t, s, "bus", now)); n != 0 {
		t.Errorf("%d are due for another destination", n)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// none is skipped, and first is what waits for no earlier one of its session.
func none(*event.Delivery) bool { return false }
func first(job *event.Job) bool { return len(job.Earlier) == 0 }

func TestPickTakesTheHeadThatHasWaitedLongestOrCameLast(t *testing.T) {
	s := newStore(t)
	head := queue(t, s, "1", "cs_1", "shop")
	follower := queue(t, s, "2", "cs_1", "shop")
	third := queue(t, s, "3", "cs_2", "shop")
	head.Slots = 1
	resolve(t, s, event.Verdict{Delivery: head, Retry: start.Add(24 * time.Hour)})
	tried := make(map[string]bool)
	var got []string
	for {
		job, found, err := s.Pick(t.Context(), "shop", false, func(d *event.Delivery) bool { return tried[d.ID] }, first)
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			break
		}
		tried[job.Delivery.ID] = true
		got = append(got, job.Delivery.ID)
	}
	if diff := cmp.Diff([]string{head.ID, third.ID}, got); diff != "" {
		t.Errorf("oldest (-want +got):\n%s", diff)
	}
	job, found, err := s.Pick(t.Context(), "shop", false, none, func(job *event.Job) bool { return len(job.Earlier) > 0 })
	if err != nil || !found || job.Delivery.ID != follower.ID || job.Earlier[0].ID != head.ID {
		t.Errorf("the oldest that waits for another one: %t %+v, %v", found, job, err)
	}
	for _, want := range []event.Delivery{third, head} {
		job, found, err := s.Pick(t.Context(), "shop", true, func(d *event.Delivery) bool { return want.ID != third.ID && d.ID == third.ID }, first)
		if err != nil || !found || job.Delivery.ID != want.ID {
			t.Errorf("the newest: %t %+v, %v; want %s", found, job, err, want.ID)
		}
	}
}

func TestNoticesComeWithTheVerdict(t *testing.T) {
	s := newStore(t)
	d := queue(t, s, "1", "cs_1", "shop")
	e, err := event.NewSystem(event.DeliveryDead, "shop", d.ID, start, map[string]string{"summary": "it is dead"})
	if err != nil {
		t.Fatal(err)
	}
	told := newDelivery(e, "pager", true, start)
	told.Subject = e.Subject
	notice := event.Notice{Event: e, Deliveries: []event.Delivery{told}}
	resolve(t, s, event.Verdict{Delivery: d, Dead: "status 400", Notices: []event.Notice{notice}})
	if err := s.Commit(t.Context(), &event.Tx{Notices: []event.Notice{notice}}); err != nil { // again: nothing
		t.Fatal(err)
	}
	jobs := due(t, s, "pager", start)
	if len(jobs) != 1 || string(jobs[0].Event.System) != `{"summary":"it is dead"}` {
		t.Errorf("due for the pager: %+v", jobs)
	}
	c := event.Condition{Kind: "account", Subject: "main", Since: start, Why: "401"}
	if err := s.Commit(t.Context(), &event.Tx{Raised: []event.Condition{c}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Conditions(t.Context())
	if diff := cmp.Diff([]event.Condition{c}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := s.Commit(t.Context(), &event.Tx{Cleared: []event.Condition{c}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Conditions(t.Context()); len(got) > 0 || err != nil {
		t.Errorf("conditions: %v, %v", got, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
