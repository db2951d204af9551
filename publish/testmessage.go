package publish

import (
	"encoding/json"
	"strings"
	"time"

	"checkout-notifier/event"
)

// testSession is the sample, as one can tell from it that nobody paid.
var testSession = strings.NewReplacer(
	`"livemode":true`, `"livemode":false`,
	"cs_2031282752732528640", "cs_test_2031282752732528640",
	`"metadata":{"order_id":"1001"}`, `"metadata":{"order_id":"test"}`,
	`"order-1001"`, `"test"`,
).Replace(sampleSession)

// TestType is the type of a test message unless somebody names one: one that
// receivers of the destination's format act on. Stripe has no checkout.session.paid.
func TestType(d Destination) string {
	if d.Format == FormatStripe {
		return event.Fulfillable
	}
	return event.Paid
}

// TestMessage is a made-up event of a type for a destination, with ids of its
// own: what an operator sends to see whether it arrives. It says of itself that
// it is no live one.
func TestMessage(destination, eventType string, at time.Time) Message {
	e := SampleEvent(eventType)
	e.Account, e.Session, e.Livemode, e.Object = "test", "cs_test_2031282752732528640", false, json.RawMessage(testSession)
	e.Time, e.OccurredBefore = at, at
	if !e.OccurredAfter.IsZero() {
		e.OccurredAfter = at.Add(-10 * time.Second)
	}
	e.ID = event.ID(e.Account, e.Session, e.Type, 1, destination, at.Format(time.RFC3339Nano))
	return Message{Event: e, Delivery: event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Destination: destination, Rules: []string{"test"}, Labels: map[string]string{"test": "true"}, Created: at,
	}}
}
