package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/admin"
	"checkout-notifier/event"
)

// An attempt that waits for its answer is no attempt whose end was lost.
func TestAnAttemptUnderWayIsTold(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	id := event.DeliveryID(o.happen(1)[0].ID, "shop", "")
	if _, err := o.RetryDelivery(t.Context(), id, "", "ann"); err != nil {
		t.Fatal(err)
	}
	d, _, err := o.store.Delivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC()
	begin := event.Begin{Delivery: d, Attempt: event.Attempt{DeliveryID: id, N: 2, Started: began, Outcome: event.OutcomeUnknown}}
	if _, err := o.store.Take(t.Context(), event.Step{Begun: []event.Begin{begin}}); err != nil {
		t.Fatal(err)
	}
	ask := o.open()
	for line, want := range map[string]string{
		"deliveries list": "pending, attempt began ", "deliveries get " + id: "  under way",
		"deliveries get -o json " + id: `"under_way": true`, "deliveries list -o jsonl": `"attempt_under_way_since":"` + began.Format("2006-01-02T"),
		"events get " + d.EventID: "s ago, no answer yet",
	} {
		if _, stdout, stderr := ask(line); !strings.Contains(stdout, want) || strings.Contains(stdout, "due now") {
			t.Errorf("%s does not say %q: %s%s", line, want, stdout, stderr)
		}
	}
	// Without the daemon that began it, or with a later one, nothing will come of it.
	for name, since := range map[string]time.Time{"no daemon": {}, "a later daemon": began.Add(time.Second)} {
		ledger := *o.ledger
		ledger.since = since
		document, err := ledger.Record(t.Context(), admin.Deliveries, id)
		view, ok := document.(deliveryView)
		if err != nil || !ok || view.Attempts[1].UnderWay || view.Attempts[1].Outcome != event.OutcomeUnknown || !strings.HasPrefix(statusText(&view), "pending, due") {
			t.Errorf("%s: %+v, %v", name, document, err)
		}
	}
}

// Of a dead letter the next command is shown as it is to be typed.
func TestADeadLetterSaysWhatToDo(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	id := event.DeliveryID(o.happen(1)[0].ID, "shop", "")
	file := o.serve()
	code, stdout, stderr := run(t, "deadletters", "get", id, "-c", file)
	for _, line := range []string{"notifier deadletters redrive " + id + " -c " + file, "notifier deadletters purge " + id + " -c " + file} {
		if !strings.Contains(stdout, "\n  "+line+"\n") {
			t.Errorf("exit code %d, it does not say %q: %s%s", code, line, stdout, stderr)
		}
		words := append(strings.Fields(line)[1:], "--dry-run")
		if code, _, stderr := run(t, words...); code != exitOK {
			t.Errorf("%s: exit code %d: %s", line, code, stderr)
		}
	}
}
