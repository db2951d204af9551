package state_test

import (
	"testing"

	"checkout-notifier/event"
)

// What waits for a subject is neither due nor a probe, and is there when somebody
// asks for it by name.
func TestWhatIsBlockedIsOutOfTheWay(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	blocked, other := queue(t, s, "1", "cs_1", "bus"), queue(t, s, "2", "cs_2", "bus")
	d := blocked
	d.BlockedSubject = "checkout.main.expired"
	resolve(t, s, event.Verdict{Delivery: d})
	if ids := dueIDs(t, s, "bus", start); len(ids) != 1 || ids[0] != other.EventID {
		t.Errorf("due: %v", ids)
	}
	if job, found, err := s.Pick(t.Context(), "bus", false, none, first); err != nil || !found || job.Delivery.ID != other.ID {
		t.Errorf("the oldest is %s, %v", job.Delivery.ID, err)
	}
	resolve(t, s, event.Verdict{Delivery: other, Accepted: true})
	s.Close()
	s = openStore(t, cfg)
	if subjects, err := s.BlockedSubjects(t.Context(), "bus", "", 10); err != nil || len(subjects) != 1 || subjects[0] != d.BlockedSubject {
		t.Errorf("after a restart deliveries wait for %v, %v", subjects, err)
	}
	if _, err := s.Retry(t.Context(), blocked.ID, event.Act{At: start, Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	if ids := dueIDs(t, s, "bus", start); len(ids) != 1 || ids[0] != blocked.EventID {
		t.Errorf("due after a retry: %v", ids)
	}
	if subjects, err := s.BlockedSubjects(t.Context(), "bus", "", 10); err != nil || len(subjects) != 0 {
		t.Errorf("after a retry deliveries wait for %v, %v", subjects, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
