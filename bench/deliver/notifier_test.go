package deliver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
	"checkout-notifier/state"
)

const signingSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"

// notifier is a store and a relay as the daemon wires them.
type notifier struct {
	store *state.Store
	made  int // events so far
}

func newNotifier(t testing.TB) *notifier {
	t.Helper()
	cfg := state.Config{Path: filepath.Join(t.TempDir(), "notifier.db")}
	store, err := state.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &notifier{store: store}
}

// newEvent makes an event of a session of its own, with the size of a real one.
func newEvent(n int) event.Event {
	e := event.SampleEvent(event.Paid)
	e.Session = fmt.Sprintf("cs_%019d", n)
	e.ID = event.ID(e.Account, e.Session, e.Type, 1)
	padding := strings.Repeat("x", 3524-len(e.Object)-len(`,"padding":""`))
	e.Object = json.RawMessage(strings.TrimSuffix(string(e.Object), "}") + `,"padding":"` + padding + `"}`)
	return e
}

// newDelivery makes an event's delivery, due at once.
func newDelivery(e *event.Event, destination string) event.Delivery {
	now := time.Now()
	return event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Destination: destination, Rules: []string{"ship"}, Labels: map[string]string{"severity": "page"},
		Ordered: true, Created: now, Status: event.StatusPending, Due: now,
	}
}

// page is how many events are committed together.
const page = 100

// fill commits n events with a delivery to a destination, each due at due, and
// returns the deliveries.
func (n *notifier) fill(t testing.TB, count int, destination string, due time.Time) (ids []string) {
	t.Helper()
	for count > 0 {
		tx := &event.Tx{Account: "main"}
		for range min(count, page) {
			n.made++
			e := newEvent(n.made)
			d := newDelivery(&e, destination)
			if !due.IsZero() {
				d.Due = due
			}
			tx.Events, tx.Deliveries = append(tx.Events, e), append(tx.Deliveries, d)
			ids = append(ids, d.ID)
		}
		if err := n.store.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		count -= len(tx.Events)
	}
	return ids
}

// callback is an HTTP destination with a signing secret.
func callback(name, url string, concurrency int) publish.Destination {
	d := publish.DefaultHTTP()
	d.Name, d.URL, d.Concurrency = name, secret.String(url), concurrency
	d.Secrets = []secret.String{signingSecret}
	return d
}

func lane(t testing.TB, d publish.Destination) publish.Lane {
	t.Helper()
	renderer, err := publish.NewRenderer(d, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Type == publish.TypeNATS {
		p, err := publish.NewNATS(d, renderer, publish.NewConnections(nil))
		if err != nil {
			t.Fatal(err)
		}
		return publish.Lane{Destination: d, Publisher: p}
	}
	p, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{Version: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	return publish.Lane{Destination: d, Publisher: p}
}

func (n *notifier) relay(t testing.TB, destinations ...publish.Destination) *publish.Relay {
	t.Helper()
	lanes := make([]publish.Lane, len(destinations))
	for i, d := range destinations {
		lanes[i] = lane(t, d)
	}
	r, err := publish.NewRelay(n.store, lanes, publish.Options{Grace: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drain delivers all that is due.
func (n *notifier) drain(t *testing.T, want int, destinations ...publish.Destination) {
	t.Helper()
	accepted, failed, err := n.relay(t, destinations...).Drain(context.WithoutCancel(t.Context()))
	if err != nil || failed > 0 || accepted != want {
		t.Fatalf("%d accepted and %d failed of %d: %v", accepted, failed, want, err)
	}
}
