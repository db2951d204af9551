package event_test

import (
	"encoding/json"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"checkout-notifier/event"
)

func TestSystemEventsAreCloudEvents(t *testing.T) {
	at := time.Date(2026, 11, 26, 10, 0, 0, 5_000_000, time.UTC)
	for _, eventType := range event.SystemTypes() {
		e, err := event.NewSystem(eventType, "shop", "", at, map[string]any{"summary": "something <b>happened</b>"})
		if err != nil {
			t.Fatal(err)
		}
		body, err := e.CloudEvent(event.Match{Rules: []string{"ops"}}, []string{"url"})
		if err != nil {
			t.Fatal(err)
		}
		var ce cloudevents.Event
		if err := json.Unmarshal(body, &ce); err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if err := ce.Validate(); err != nil || ce.Source() != "/notifier" || ce.Subject() != "shop" || ce.Type() != eventType {
			t.Errorf("%v: %s", err, body)
		}
		want := `{"summary":"something <b>happened</b>","match":{"rules":["ops"],"labels":{},"overtook":[]}}`
		if got := string(ce.Data()); got != want {
			t.Errorf("data %s\nwant %s", got, want)
		}
	}
}

func TestSystemIDsTellEventsApart(t *testing.T) {
	at := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	id := func(eventType, subject, about string, at time.Time) string {
		e, err := event.NewSystem(eventType, subject, about, at, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	first := id(event.DeliveryDead, "shop", "dlv_1", at)
	if again := id(event.DeliveryDead, "shop", "dlv_1", at.In(time.FixedZone("x", 3600))); again != first {
		t.Errorf("the same event is %s and %s", first, again)
	}
	for _, other := range []string{
		id(event.DestinationFailing, "shop", "dlv_1", at), id(event.DeliveryDead, "bus", "dlv_1", at),
		id(event.DeliveryDead, "shop", "dlv_2", at), id(event.DeliveryDead, "shop", "dlv_1", at.Add(1)),
	} {
		if other == first {
			t.Error("two events have one id")
		}
	}
}
