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
		if m.Event.ID == SampleEvent(eventType).ID || m.Delivery.ID == TestMessage("shop", eventType, at.Add(1)).Delivery.ID {
			t.Errorf("%s has an id that was given before", eventType)
		}
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
