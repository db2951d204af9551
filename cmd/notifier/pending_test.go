package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"checkout-notifier/event"
)

// refuse notes a refusal of what happened first, which is due again in an hour.
func (o *office) refuse(d event.Delivery, n int) {
	o.t.Helper()
	now := time.Now().UTC()
	a := event.Attempt{
		DeliveryID: d.ID, N: n, Started: now, Outcome: event.OutcomeRefused, Class: "nats", Error: "refused by b@example.com, see https://shop.example/t0ken",
	}
	v := event.Verdict{Delivery: d, At: now, Attempt: &a, Retry: now.Add(time.Hour)}
	v.Delivery.Attempts = n
	if _, err := o.store.Take(o.t.Context(), event.Step{Resolved: []event.Verdict{v}}); err != nil {
		o.t.Fatal(err)
	}
}

// What is pending says what it waits for and how it failed, of a daemon and of the
// file alone.
func TestWhatIsPendingSaysWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	o := newOffice(t, path, dearWorks)
	events := o.happen(2)
	retried := event.DeliveryID(events[0].ID, "shop", "")
	if _, err := o.RetryDelivery(t.Context(), retried, "", "ann"); err != nil {
		t.Fatal(err)
	}
	ask := o.open()
	now := time.Now().UTC()
	var version uint64
	stand := func(s event.Standing) {
		version += 1000
		s.Version = version
		if err := o.store.SaveStanding(t.Context(), event.StandingChange{Destination: "shop", Standing: s}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(line string, words ...string) {
		t.Helper()
		code, stdout, stderr := ask(line)
		for _, word := range words {
			if code != exitOK || !strings.Contains(stdout, word) {
				t.Errorf("%s: exit code %d, no %q: %s%s", line, code, word, stdout, stderr)
			}
		}
		if strings.Contains(stdout, "b@example.com") || strings.Contains(stdout, "t0ken") {
			t.Errorf("%s shows too much: %s", line, stdout)
		}
	}
	const list = "deliveries list --status pending"
	check(list, "pending, due now", "status 400 Bad Request")
	check(list+" -o jsonl", `"last_error":"status 400 Bad Request"`)

	stand(event.Standing{Throttled: now.Add(time.Hour)})
	until := now.Add(time.Hour).Format(time.RFC3339)
	check(list, "pending, destination waits until "+until)
	check(list+" -o jsonl", `"destination_state":"waiting","destination_next_try":"`+until[:14])
	stand(event.Standing{Broken: now, NextProbe: now.Add(time.Minute), Why: "status 503 Service Unavailable"})
	check(list, "pending, destination failing")
	stand(event.Standing{Paused: now, PausedBy: "ann"})
	check(list, "pending, destination paused", "status 400 Bad Request")
	check(list+" -o jsonl", `"destination_state":"paused"`)
	check("events get "+events[0].ID, "pending, destination paused", "status 400 Bad Request")
	check("deliveries get "+retried, "pending, destination paused", "status 400 Bad Request")
	check("deliveries retry "+retried, "pending, destination paused")

	d, _, err := o.store.Delivery(t.Context(), retried)
	if err != nil {
		t.Fatal(err)
	}
	o.refuse(d, 2)
	stand(event.Standing{Throttled: now.Add(time.Minute)}) // which is over when it is due
	check(list, "pending, due in 59m", "nats: refused by b***@example.com, see https://shop.example/***")

	o.refuse(d, fewAttempts+1)
	stand(event.Standing{Why: "what the destination said last, to b@example.com"})
	check(list, "what the destination said last, to b***@example.com")
	stand(event.Standing{Paused: now, PausedBy: "ann", Why: "what the destination said last"})
	check("deadletters list --limit 1", "WHY")

	o.stop()
	file := writeOfficeConfig(t, path, dearWorks, "127.0.0.1:1")
	if _, stdout, stderr := run(t, "deliveries", "list", "--status", "pending", "-c", file); !strings.Contains(stdout, "pending, destination paused") {
		t.Errorf("the file tells %s%s", stdout, stderr)
	}
}

// What was never tried has no answer: it says what its destination waits for.
func TestWhatWasNeverTriedSaysWhatItWaitsFor(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	e := event.SampleEvent(event.Paid)
	d := blank(&e, "shop", "", []string{"ship"}, nil)
	since := time.Now().UTC()
	d.Created, d.Due, d.Status = since, since, event.StatusPending
	if err := o.store.Commit(t.Context(), &event.Tx{Account: "main", Events: []event.Event{e}, Deliveries: []event.Delivery{d}}); err != nil {
		t.Fatal(err)
	}
	ask := o.open()
	at := since.Format(time.RFC3339)
	for i, c := range []struct {
		standing event.Standing
		want     string
	}{
		{event.Standing{Broken: since, Why: "status 503"}, "never tried: the breaker is open since " + at + "; last refusal: status 503\n"},
		{event.Standing{Broken: since, Probes: 1, Why: "status 503"}, "never tried: the breaker is open since " + at + "; last probe: status 503\n"},
		{event.Standing{Broken: since, Down: event.Trouble{Since: since}, Why: "not connected"}, "never tried: the breaker is open since " + at + "; not connected\n"},
		{event.Standing{Unreached: true, Down: event.Trouble{Since: since}, Why: "not connected"}, "never tried: the destination cannot be reached since " + at + "; not connected\n"},
		{event.Standing{Paused: since, PausedBy: "ann"}, "never tried: nothing is sent to the destination since " + at + "; paused by ann\n"},
		{event.Standing{FailedSince: since, Failures: 1, Why: "status 503"}, "s ago\n"}, // nothing keeps it waiting
	} {
		c.standing.Version = uint64(i+1) * 1000
		if err := o.store.SaveStanding(t.Context(), event.StandingChange{Destination: "shop", Standing: c.standing}); err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := ask("deliveries list --status pending"); code != exitOK || !strings.Contains(stdout, c.want) {
			t.Errorf("%+v: exit code %d, no %q: %s%s", c.standing, code, c.want, stdout, stderr)
		}
	}
}

// Of what the owner was told and what is not over, status --exit-code says so.
func TestRefusedAmongOthersIsNotWell(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	o.happen(1)
	ask := o.open()
	if code, _, stderr := ask("status --exit-code"); strings.Contains(stderr, "shop") {
		t.Errorf("before: exit code %d: %s", code, stderr)
	}
	standing := event.Standing{Version: 1000, Announced: time.Now().Add(-time.Hour), AnnouncedRefused: true}
	if err := o.store.SaveStanding(t.Context(), event.StandingChange{Destination: "shop", Standing: standing}); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := ask("status --exit-code")
	const want = "destination shop is failing: it takes others, but refuses some again and again, last: "
	if code == exitOK || !strings.Contains(stderr, want) || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d: %s\n%s", code, stderr, stdout)
	}
}

// What waits behind a refused event of its session says which, and what to do.
func TestWhatWaitsBehindARefusedEventSaysWhatToDo(t *testing.T) {
	o := newOffice(t, filepath.Join(t.TempDir(), "n.db"), dearWorks)
	defer o.stop()
	tx := &event.Tx{Account: "main"}
	for _, eventType := range []string{event.Created, event.Paid} {
		e := event.SampleEvent(eventType)
		e.Time = time.Now().UTC()
		d := blank(&e, "shop", "", []string{"ship"}, nil)
		d.Ordered, d.Created, d.Due, d.Status = true, e.Time, e.Time, event.StatusPending
		tx.Events, tx.Deliveries = append(tx.Events, e), append(tx.Deliveries, d)
	}
	if err := o.store.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	first := tx.Deliveries[0]
	ask := o.open()
	check := func(line, want string) {
		t.Helper()
		if code, stdout, stderr := ask(line); code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d, no %q: %s%s", line, code, want, stdout, stderr)
		}
	}
	const list = "deliveries list --status pending"
	check(list, "waits for "+first.ID+" (created)\n")
	o.refuse(first, 1)
	want := "waits for " + first.ID + " (created, nats: refused by b***@example.com, see https://shop.example/***): mend what refuses it and retry that one, or retry this one to send it first\n"
	check(list, want)
	check("deliveries get "+tx.Deliveries[1].ID, want)
	check(list+" -o jsonl", `"behind":{"delivery":"`+first.ID+`","type":"checkout.session.created","last_error":"nats: refused by`)
	check(list, "pending, behind an earlier event  ")
	stand := func(s event.Standing) {
		t.Helper()
		if err := o.store.SaveStanding(t.Context(), event.StandingChange{Destination: "shop", Standing: s}); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	stand(event.Standing{Version: 1000, Unreached: true, Down: event.Trouble{Since: now}, FailedSince: now, Failures: 1, Why: "not connected"})
	check(list, "pending, behind an earlier event, destination unreachable, since 0s ago")
	stand(event.Standing{Version: 2000})
	v := event.Verdict{Delivery: tx.Deliveries[1], At: time.Now(), Retry: time.Now()} // its hold has run out
	if _, err := o.store.Take(t.Context(), event.Step{Parked: []event.Verdict{v}}); err != nil {
		t.Fatal(err)
	}
	check(list, "pending, behind an earlier event, sent anyway now")
	stand(event.Standing{Version: 3000, Broken: now, NextProbe: now.Add(4*time.Minute + 30*time.Second)})
	check(list, "pending, behind an earlier event, destination failing, next probe in 4m ")
}
