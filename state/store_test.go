package state_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/state"
)

// start is the time of the tests' worlds.
var start = time.Date(2026, 11, 22, 10, 0, 0, 123_456_789, time.UTC)

func config(t testing.TB) state.Config {
	t.Helper()
	cfg := state.DefaultConfig()
	cfg.Path = filepath.Join(t.TempDir(), "data", "notifier.db")
	return cfg
}

// newStore opens a new store that is verified when the test ends.
func newStore(t testing.TB) *state.Store {
	t.Helper()
	return openStore(t, config(t))
}

func openStore(t testing.TB, cfg state.Config) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		err := s.Verify(context.Background()) // t's own context is over by now
		if err != nil && !isClosed(err) {
			t.Errorf("after the test: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestAFileThatIsTakenAwayIsMissed(t *testing.T) {
	cfg := config(t)
	s := openStore(t, cfg)
	if err := s.InPlace(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(cfg.Path, cfg.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := s.InPlace(); !errors.Is(err, state.ErrMoved) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(cfg.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.InPlace(); !errors.Is(err, state.ErrMoved) {
		t.Errorf("with another in its place: %v", err)
	}
	if err := errors.Join(os.Remove(cfg.Path), os.Rename(cfg.Path+".old", cfg.Path), s.InPlace()); err != nil {
		t.Errorf("after it was put back: %v", err)
	}
}

func snapshot(id string, created time.Time) event.Snapshot {
	object, _ := json.Marshal(map[string]any{"id": id, "status": "open"})
	return event.Snapshot{
		Account: "main", ID: id, Created: created, ExpiresAt: created.Add(24 * time.Hour),
		Status: "open", PaymentStatus: "unpaid", Mode: "payment", Object: object, Hash: uint64(len(id)) * 7919,
		Revision: 1, Counts: map[string]int{event.Created: 1}, Watch: event.Watched, LookedAt: start,
	}
}

func newEvent(id, session string) event.Event {
	return event.Event{
		ID: id, Type: event.Paid, Account: "main", Session: session, Livemode: true, Time: start, Revision: 2, Position: 1,
		Object: json.RawMessage(`{"id":"` + session + `","note":"a<b>&c"}`), PreviousAttributes: json.RawMessage(`{}`),
		Change:         &event.Change{Field: "payment_status", From: json.RawMessage(`"unpaid"`), To: json.RawMessage(`"paid"`)},
		OccurredBefore: start,
	}
}

func newDelivery(e event.Event, destination string, ordered bool, due time.Time) event.Delivery {
	return event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Destination: destination, Rules: []string{"ship"}, Labels: map[string]string{"severity": "page"},
		Ordered: ordered, Created: due, Status: event.StatusPending, Due: due,
	}
}

// page is a Tx with n events, each of another session, for the destinations.
func page(prefix string, n int, due time.Time, destinations ...string) *event.Tx {
	tx := &event.Tx{Account: "main"}
	for i := range n {
		id := fmt.Sprintf("%s%04d", prefix, i)
		e := newEvent("evt_"+id, "cs_"+id)
		tx.Snapshots = append(tx.Snapshots, snapshot("cs_"+id, start.Add(time.Duration(i)*time.Second)))
		tx.Events = append(tx.Events, e)
		for _, destination := range destinations {
			tx.Deliveries = append(tx.Deliveries, newDelivery(e, destination, true, due))
		}
	}
	return tx
}

func commit(t testing.TB, s *state.Store, tx *event.Tx) {
	t.Helper()
	if err := s.Commit(t.Context(), tx); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// queue commits one event of a session with one ordered delivery.
func queue(t testing.TB, s *state.Store, id, session, destination string) event.Delivery {
	t.Helper()
	e := newEvent("evt_"+id, session)
	d := newDelivery(e, destination, true, start)
	commit(t, s, &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}})
	return d
}

func due(t testing.TB, s *state.Store, destination string, now time.Time) []event.Job {
	t.Helper()
	jobs, _, err := s.Due(t.Context(), destination, event.Look{Now: now, First: 1000, SentAgain: 1000, Again: 1000})
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return jobs
}

func dueIDs(t testing.TB, s *state.Store, destination string, now time.Time) []string {
	t.Helper()
	ids := []string{}
	for _, job := range due(t, s, destination, now) {
		ids = append(ids, job.Delivery.EventID)
	}
	return ids
}

func resolve(t testing.TB, s *state.Store, v event.Verdict) {
	t.Helper()
	if v.At.IsZero() {
		v.At = start
	}
	if err := s.Resolve(t.Context(), v); err != nil {
		t.Fatalf("Resolve: %v", err)
	}
}

func delivery(t testing.TB, s *state.Store, id string) event.Delivery {
	t.Helper()
	d, found, err := s.Delivery(t.Context(), id)
	if err != nil || !found {
		t.Fatalf("Delivery(%s): found %t, %v", id, found, err)
	}
	return d
}
