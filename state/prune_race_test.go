package state

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"checkout-notifier/event"
)

// Between the moment that a prune finds a delivery and the one that it removes
// it, somebody may have asked for it again.
func TestPruningLeavesWhatWasMadePendingAgain(t *testing.T) {
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "n.db")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	e := event.Event{ID: "evt_1", Type: event.Paid, Account: "main", Session: "cs_1", Time: at, Object: []byte(`{}`), PreviousAttributes: []byte(`{}`)}
	d := event.Delivery{ID: "dlv_1", EventID: e.ID, Account: "main", Session: "cs_1", Destination: "shop", Created: at, Due: at}
	if err := s.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
	accept := func() {
		t.Helper()
		if err := s.Resolve(t.Context(), event.Verdict{Delivery: d, Accepted: true, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	accept()
	p := &deliveryPruner{before: at.Add(time.Hour)}
	var keys [][]byte
	err = s.view(t.Context(), "finding", func(tx *transaction) error {
		var err error
		keys, _, err = p.find(tx, nil)
		return err
	})
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d found, %v", len(keys), err)
	}
	remove := func() (pruned Pruned) {
		t.Helper()
		if err := s.write(t.Context(), "removing", func(b *batch) error { return p.remove(b, keys, &pruned) }); err != nil {
			t.Fatal(err)
		}
		return pruned
	}
	if _, err := s.Retry(t.Context(), d.ID, event.Act{At: at.Add(time.Minute), Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	if pruned := remove(); pruned.Deliveries != 0 {
		t.Errorf("a pending one was pruned")
	}
	at = at.Add(2 * time.Minute)
	accept() // anew: it is as old as this
	if pruned := remove(); pruned.Deliveries != 0 {
		t.Errorf("one that was accepted just now was pruned")
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
