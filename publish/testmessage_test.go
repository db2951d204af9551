package publish

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"checkout-notifier/event"
)

// Nobody may ship goods because somebody tried a destination out.
func TestATestIsNoLiveEvent(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, eventType := range event.Types() {
		m := TestMessage("shop", eventType, at)
		body, err := m.Event.CloudEvent(m.Match(), nil)
		if err != nil || !json.Valid(body) {
			t.Fatalf("%s: %s, %v", eventType, body, err)
		}
		if bytes.Contains(body, []byte(`"livemode":true`)) || bytes.Contains(body, []byte("1001")) {
			t.Errorf("%s looks like a live one: %s", eventType, body)
		}
		if m.Event.ID == event.SampleEvent(eventType).ID || m.Delivery.ID == TestMessage("shop", eventType, at.Add(1)).Delivery.ID {
			t.Errorf("%s has an id that was given before", eventType)
		}
	}
}

// What tells of the program is tried out with events about nothing that there is, and
// in PagerDuty the incident of the one is ended by the other.
func TestATestOfTheAlertRoute(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	pager := Destination{Format: FormatPagerDuty, RoutingKey: "key"}
	r := &Renderer{dest: pager}
	r.SetInstallation("5d0c3f7a")
	for _, eventType := range event.SystemTypes() {
		m := TestMessage("ops-pager", eventType, at)
		body, err := r.pagerDutyBody(&m)
		if err != nil || !bytes.Contains(body, []byte("TEST, nothing is wrong: ")) {
			t.Errorf("%s: %s, %v", eventType, body, err)
		}
		if triggers := bytes.Contains(body, []byte(`"event_action":"trigger"`)); triggers != (TestNote(pager, eventType) != "") {
			t.Errorf("%s: it triggers: %t, and the note is %q", eventType, triggers, TestNote(pager, eventType))
		}
		if eventType != event.DeliveryDead && m.Event.Subject != "test" {
			t.Errorf("%s is about %s", eventType, m.Event.Subject)
		}
	}
	key := func(eventType string) string {
		m := TestMessage("ops-pager", eventType, at)
		n, err := newNotice(&m, nil)
		if err != nil {
			t.Fatal(err)
		}
		key, _ := r.incidentOf(&m, n)
		return key
	}
	if opens, ends := key(event.DestinationFailing), key(event.DestinationRecovered); opens != ends || opens != "notifier/5d0c3f7a/destination/test" {
		t.Errorf("%s opens and %s ends", opens, ends)
	}
	if note := TestNote(pager, event.Paid); note == "" || TestNote(Destination{Format: FormatSlack}, event.Paid) != "" {
		t.Errorf("of a paid one it says %q", note)
	}
}

// Stripe's handlers act on types that Stripe has: a test with another one shows nothing.
func TestATestIsOfATypeThatTheFormatKnows(t *testing.T) {
	for format, want := range map[string]string{FormatCloudEvents: event.Paid, FormatStripe: stripeCompleted} {
		m := TestMessage("shop", TestType(Destination{Format: format}), time.Now())
		body, err := stripeBody(&m.Event, "2025-01-01", nil)
		if format == FormatCloudEvents {
			body, err = m.Event.CloudEvent(m.Match(), nil)
		}
		var got struct{ Type string }
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil || got.Type != want {
			t.Errorf("%s: a test is a %s, %v, want %s", format, got.Type, err, want)
		}
	}
}
