package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"checkout-notifier/simulator"
)

// attributes are the CloudEvents headers of a message in binary mode.
func attributes(h nats.Header) map[string]string {
	found := make(map[string]string)
	for name, values := range h {
		if strings.HasPrefix(name, "ce-") {
			found[name] = strings.Join(values, "|")
		}
	}
	return found
}

// busWorld has one destination for a stream and one for core NATS.
func busWorld(t *testing.T) (*world, *bus) {
	t.Helper()
	w, b := newWorld(t, nil), newBus(t)
	w.rest["nats"] = object{"url": b.url}
	w.destinations = append(w.destinations,
		object{
			"name": "bus", "type": "nats", "subject": "checkout.{{ .Account }}.{{ .Change }}",
			"stream": object{"name": "CHECKOUT", "ensure": true, "subjects": []string{"checkout.>", "copies.>"}},
		},
		object{"name": "core", "type": "nats", "subject": "core.{{ .Session.client_reference_id }}", "jetstream": false, "mode": "structured"})
	w.rules = []object{
		{"name": "all", "events": []string{"*"}, "to": []string{"hook", "bus"}},
		{"name": "paid", "events": []string{"paid"}, "to": []string{"core"}},
		{"name": "copy", "events": []string{"expired"}, "to": []string{"bus"}, "subject": "copies.{{ .Change }}"},
	}
	return w, b
}

func TestBus(t *testing.T) {
	t.Parallel()
	w, b := busWorld(t)
	core := b.reader("core.>")
	d := w.daemon()
	order := paid()
	order["client_reference_id"] = "odd.ref *1"
	shipped, dropped := w.create(order), w.create(nil)
	w.awaitTold(hookPath, shipped, "created", "completed", "paid", "fulfillable")
	w.awaitTold(hookPath, dropped, "created")
	w.update(dropped, object{"status": "expired"})
	w.awaitTold(hookPath, dropped, "created", "expired")
	w.awaitDelivered(d, 6)
	d.stop()

	got := make(map[string]int)
	ids := make(map[string]bool)
	for _, m := range b.stored("CHECKOUT") {
		ce := attributes(m.Headers())
		got[m.Subject()+" "+ce["ce-subject"]]++
		checkBinary(t, m, ce)
		if id := m.Headers().Get("Nats-Msg-Id"); ids[id] || !strings.HasPrefix(id, "dlv_") {
			t.Errorf("Nats-Msg-Id %q: missing or used twice", id)
		}
		ids[m.Headers().Get("Nats-Msg-Id")] = true
	}
	want := map[string]int{
		"checkout.main.created " + shipped: 1, "checkout.main.completed " + shipped: 1, "checkout.main.paid " + shipped: 1,
		"checkout.main.fulfillable " + shipped: 1, "checkout.main.created " + dropped: 1, "checkout.main.expired " + dropped: 1,
		"copies.expired " + dropped: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the stream (-want +got):\n%s", diff)
	}
	checkCore(t, w, core, shipped)
}

// checkBinary holds a message against the CloudEvents binding: attributes in
// headers, data alone in the body.
func checkBinary(t *testing.T, m jetstream.Msg, ce map[string]string) {
	t.Helper()
	var data eventData
	if err := json.Unmarshal(m.Data(), &data); err != nil {
		t.Fatalf("the body is no data: %v", err)
	}
	want := map[string]string{
		"ce-specversion": "1.0", "ce-source": "/wooshpay/accounts/main", "ce-account": "main", "ce-livemode": "false",
		"ce-subject": word(data.Object["id"]), "ce-dataschema": "https://notifier.invalid/schemas/checkout.session/v1",
		"ce-id": ce["ce-id"], "ce-type": ce["ce-type"], "ce-time": ce["ce-time"], "ce-sequence": ce["ce-sequence"],
	}
	delete(ce, "ce-datacontenttype") // may be repeated there; the binding has it in content-type
	if got := m.Headers()["content-type"]; len(got) != 1 || got[0] != "application/json" {
		t.Errorf("content-type of %s: %v", m.Subject(), got)
	}
	if diff := cmp.Diff(want, ce); diff != "" {
		t.Errorf("headers of %s (-want +got):\n%s", m.Subject(), diff)
	}
	if !strings.HasPrefix(ce["ce-id"], "evt_") || !strings.HasPrefix(ce["ce-type"], typePrefix) || ce["ce-time"] == "" {
		t.Errorf("headers of %s: %v", m.Subject(), ce)
	}
	if !strings.HasPrefix(ce["ce-sequence"], fmt.Sprintf("%010d-", data.Revision)) {
		t.Errorf("sequence %s of revision %d", ce["ce-sequence"], data.Revision)
	}
}

// checkCore holds the one message in core NATS against what the receiver got.
func checkCore(t *testing.T, w *world, core *nats.Subscription, session string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := core.NextMsgWithContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := "core.odd=2Eref=20=2A1"; m.Subject != want {
		t.Errorf("subject %s, want %s", m.Subject, want)
	}
	if got := m.Header.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("Content-Type %q", got)
	}
	e, err := readEvent(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if want := w.event(hookPath, session, "paid"); e.ID != want.ID || e.Sequence != want.Sequence {
		t.Errorf("NATS got %s %s, HTTP %s %s", e.ID, e.Sequence, want.ID, want.Sequence)
	}
	if n, _, err := core.Pending(); err != nil || n != 0 {
		t.Errorf("%d more messages came, error %v", n, err)
	}
}

func TestBusThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.rest["nats"] = object{"url": "nats://127.0.0.1:1"}
	w.destinations = append(w.destinations, object{"name": "bus", "type": "nats", "subject": "checkout.{{ .Change }}"})
	w.rules = append(w.rules, object{"name": "bus", "events": []string{"*"}, "to": []string{"bus"}})
	d := w.daemon()
	id := w.create(paid())
	w.awaitTold(hookPath, id, "created", "completed", "paid", "fulfillable") // nobody waits for the bus
	eventually(t, patience, func() error {
		s, err := d.status()
		if err != nil {
			return err
		}
		for _, x := range s.Destinations {
			if x.Name == "bus" && x.State == "unreachable" && x.Pending == 4 && x.Dead == 0 && x.Why != "" {
				return nil
			}
		}
		return fmt.Errorf("the status says %+v", s.Destinations)
	})
	d.stop()
	b := newBus(t)
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LATER", Subjects: []string{"checkout.>"}}); err != nil {
		t.Fatal(err)
	}
	w.rest["nats"] = object{"url": b.url}
	d = w.daemon()
	w.awaitDelivered(d, 4)
	d.stop()
	var order []string
	for _, m := range b.stored("LATER") {
		order = append(order, strings.TrimPrefix(m.Subject(), "checkout."))
	}
	if diff := cmp.Diff([]string{"created", "completed", "paid", "fulfillable"}, order); diff != "" {
		t.Errorf("what had waited (-want +got):\n%s", diff)
	}
}

// TestAPaymentDoesNotWaitForAbandonedCarts has a stream that takes payments alone,
// and many sessions that expire before one is paid.
func TestAPaymentDoesNotWaitForAbandonedCarts(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, nil), newBus(t)
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PAID", Subjects: []string{"checkout.*.paid"}}); err != nil {
		t.Fatal(err)
	}
	w.rest["nats"] = object{"url": b.url}
	w.destinations = []object{{"name": "bus", "type": "nats", "subject": "checkout.{{ .Account }}.{{ .Change }}"}}
	w.rules = []object{{"name": "bus", "events": []string{"expired", "paid"}, "to": []string{"bus"}}}
	d := w.daemon()
	const carts = 81
	for range carts {
		w.create(simulator.Fields{"status": "expired", "payment_status": "unpaid"})
	}
	const subject = "checkout.main.expired"
	pending := func(want int) func() error {
		return func() error {
			s, err := d.status()
			if err != nil {
				return err
			}
			x := s.Destinations[0]
			named := len(x.Blocked) == 1 && x.Blocked[0].Subject == subject && strings.Contains(x.Blocked[0].Why, "no stream takes the subject")
			if x.Pending != want || (want > 0) != named || (want > 0) != (x.State == "waiting") || (want > 0) != strings.Contains(x.Why, subject) {
				return fmt.Errorf("the status says %+v", x)
			}
			return nil
		}
	}
	eventually(t, patience, pending(carts))
	w.create(paid())
	eventually(t, patience, func() error {
		if n := len(b.stored("PAID")); n != 1 {
			return fmt.Errorf("the stream has %d messages", n)
		}
		return nil
	})
	eventually(t, patience, pending(carts))
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "CARTS", Subjects: []string{subject}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, pending(0))
	if n := len(b.stored("CARTS")); n != carts {
		t.Errorf("the new stream has %d messages", n)
	}
	d.stop()
}

// TestNATSRefusalsOpenTheBreaker has a bus that expects another stream: it gets
// probes, over a kill too, the owner hears of it once, and after the stream is
// mended all that waits is stored once and in order.
func TestNATSRefusalsOpenTheBreaker(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, nil), newBus(t)
	expect := func(name string) {
		if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{"checkout.>"}}); err != nil {
			t.Fatal(err)
		}
	}
	expect("CHECKOUT")
	w.rest["nats"], w.rest["admin"] = object{"url": b.url}, object{"listen": "127.0.0.1:0"}
	w.destinations = []object{{
		"name": "bus", "type": "nats", "subject": "checkout.{{ .Session.id }}.{{ .Change }}", "stream": object{"name": "OTHER"},
		"retry": object{"schedule": []string{"100ms"}},
	}, w.hook("owner", ownerPath)}
	w.rules = []object{
		{"name": "all", "events": []string{"fulfillable"}, "to": []string{"bus"}}, // while later events of a session wait it stays closed
		{"name": "owner", "on": "system", "to": []string{"owner"}},
	}
	d := w.daemon()
	const sessions = 12
	for range sessions {
		w.create(paid())
	}
	w.awaitOwnerTold("notifier.destination.failing bus")
	awaitState(d, "failing")
	if s, err := d.status(); err != nil || !strings.Contains(s.Destinations[0].Why, "another stream than OTHER") {
		t.Errorf("status %+v, %v", s, err)
	}
	d.kill()
	d = w.daemon()
	awaitState(d, "failing")
	if err := b.js.DeleteStream(t.Context(), "CHECKOUT"); err != nil {
		t.Fatal(err)
	}
	expect("OTHER")
	w.asks(d, 0, "destinations resume bus") // or the next probe, in a while
	w.awaitOwnerTold("notifier.destination.failing bus", "notifier.destination.recovered bus")
	eventually(t, patience, func() error { // what the kill met on its way to the owner came twice
		s, err := d.status()
		if err != nil {
			return err
		}
		if pending, dead := s.waiting(); pending+dead > 0 {
			return fmt.Errorf("%d pending, %d dead", pending, dead)
		}
		return nil
	})
	awaitState(d, "ok")
	d.stop()
	if n := len(b.stored("OTHER")); n != sessions {
		t.Errorf("the stream has %d messages, want one of each of %d sessions", n, sessions)
	}
}
