package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"checkout-notifier/event"
	"checkout-notifier/rules"
)

func newTestAnnouncer(t *testing.T, log *slog.Logger, list ...rules.Rule) *announcer {
	t.Helper()
	for i := range list {
		list[i].Enabled = true
	}
	set, problems := rules.Compile(list, rules.Known{Destinations: []string{"ops", "shop", "pager"}, Accounts: []string{"main"}})
	if set == nil {
		t.Fatal(problems)
	}
	return newAnnouncer(set, func(name string) bool { return name == "ops" },
		func(destination, _ string) bool { return destination == "pager" }, log)
}

func systemEvent(t *testing.T, eventType, subject string, data map[string]any) event.Event {
	t.Helper()
	data["summary"] = "something happened"
	e, err := event.NewSystem(eventType, subject, "", time.Now(), data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func destinations(n event.Notice) (names []string) {
	for _, d := range n.Deliveries {
		names = append(names, d.Destination)
	}
	return names
}

func TestAnnouncementsBecomeDeliveries(t *testing.T) {
	a := newTestAnnouncer(t, slog.New(slog.DiscardHandler),
		rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"ops", "shop"}, Labels: map[string]string{"severity": "page"}},
		rules.Rule{Name: "own", On: rules.OnSystem, Events: []string{"account.*"}, Template: "x", To: []string{"ops"}},
		rules.Rule{Name: "sessions", To: []string{"pager"}})
	e := systemEvent(t, event.AccountFailing, "main", map[string]any{"account": "main"})
	n := a.announce(e)
	if n.Event.ID != e.ID || n.Event.RuleSet != a.rules.ID() || len(n.Event.Suppressed) > 0 {
		t.Errorf("event %+v", n.Event)
	}
	if diff := cmp.Diff([]string{"ops", "ops", "shop"}, destinations(n)); diff != "" {
		t.Fatalf("destinations (-want +got):\n%s", diff)
	}
	d := n.Deliveries[0]
	d.Created, d.Due = time.Time{}, time.Time{}
	want := event.Delivery{
		ID: event.DeliveryID(e.ID, "ops", ""), EventID: e.ID, EventType: e.Type, Subject: "main", Destination: "ops", Rules: []string{"all"},
		Labels: map[string]string{"severity": "page"}, Ordered: true, Status: event.StatusPending,
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	if own := n.Deliveries[1]; own.OwnRule != "own" || own.ID != event.DeliveryID(e.ID, "ops", "own") || own.Due.IsZero() || !own.Created.Equal(own.Due) {
		t.Errorf("own delivery %+v", own)
	}
	if n.Deliveries[2].Ordered {
		t.Error("a destination without order has ordered deliveries")
	}
}

// Trouble does not feed on itself.
func TestNobodyIsToldOfItsOwnTroubles(t *testing.T) {
	var said bytes.Buffer
	a := newTestAnnouncer(t, slog.New(slog.NewTextHandler(&said, nil)), rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"ops", "shop"}})
	for _, eventType := range []string{event.DeliveryDead, event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused} {
		n := a.announce(systemEvent(t, eventType, "shop", map[string]any{"destination": "shop", "event_type": event.Fulfillable}))
		if diff := cmp.Diff([]string{"ops"}, destinations(n)); diff != "" {
			t.Errorf("%s: destinations (-want +got):\n%s", eventType, diff)
		}
		want := []event.Suppression{{Rules: []string{"all"}, Destination: "shop", Reason: event.SuppressedSelf}}
		if diff := cmp.Diff(want, n.Event.Suppressed); diff != "" {
			t.Errorf("%s: suppressed (-want +got):\n%s", eventType, diff)
		}
	}
	if n := strings.Count(said.String(), "not told of its own troubles"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
	if !strings.Contains(said.String(), "other destinations are told") {
		t.Errorf("said:\n%s", said.String())
	}
	said.Reset()
	a = newTestAnnouncer(t, slog.New(slog.NewTextHandler(&said, nil)), rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"shop"}})
	a.announce(systemEvent(t, event.DestinationFailing, "shop", map[string]any{"destination": "shop"}))
	if !strings.Contains(said.String(), "no other destination is told") {
		t.Errorf("of the only destination it is said:\n%s", said.String())
	}
	a = newTestAnnouncer(t, slog.New(slog.DiscardHandler), rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"ops", "shop"}})
	// An account of a destination's name is another matter.
	if n := a.announce(systemEvent(t, event.AccountFailing, "shop", map[string]any{})); len(n.Deliveries) != 2 {
		t.Errorf("deliveries %v", destinations(n))
	}
}

// What is said of a former dead letter goes to whoever keeps an incident open.
func TestAcceptedDeadLetterClosesIncidentsOnly(t *testing.T) {
	dead := func() event.Event {
		return systemEvent(t, event.DeliveryDead, "shop", map[string]any{"event_type": event.Fulfillable, "status": event.StatusResolved})
	}
	a := newTestAnnouncer(t, slog.New(slog.DiscardHandler),
		rules.Rule{Name: "all", On: rules.OnSystem, Events: []string{"delivery.dead"}, To: []string{"ops", "pager"}})
	if diff := cmp.Diff([]string{"pager"}, destinations(a.announce(dead()))); diff != "" {
		t.Errorf("destinations (-want +got):\n%s", diff)
	}
	b := newTestAnnouncer(t, slog.New(slog.DiscardHandler), rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"ops"}})
	if n := b.announce(dead()); n.Event.ID != "" {
		t.Errorf("an event for nobody: %+v", n)
	}
}

func TestDeathOfWhatToldOfTroubleIsNoEvent(t *testing.T) {
	a := newTestAnnouncer(t, slog.New(slog.DiscardHandler), rules.Rule{Name: "all", On: rules.OnSystem, To: []string{"ops"}})
	for eventType, want := range map[string]bool{event.DeliveryDead: false, event.AccountFailing: false, event.Fulfillable: true, "": true} {
		n := a.announce(systemEvent(t, event.DeliveryDead, "shop", map[string]any{"event_type": eventType}))
		if got := n.Event.ID != ""; got != want || got != (len(n.Deliveries) > 0) {
			t.Errorf("the death of a delivery of %q: event %t, deliveries %v", eventType, got, destinations(n))
		}
	}
}
