package publish

import (
	"encoding/json"
	"fmt"
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
).Replace(event.SampleSession)

// TestType is the type of a test message unless somebody names one: one that
// receivers of the destination's format act on. Stripe has no checkout.session.paid.
func TestType(d Destination) string {
	if d.Format == FormatStripe {
		return event.Fulfillable
	}
	return event.Paid
}

// TestNote says what a test that was accepted leaves behind at the receiver, "" if
// nothing: PagerDuty keeps an incident open until an event or somebody ends it.
func TestNote(d Destination, eventType string) string {
	if d.Format != FormatPagerDuty || closing[eventType] {
		return ""
	}
	for failing, recovered := range map[string]string{event.DestinationFailing: event.DestinationRecovered, event.AccountFailing: event.AccountRecovered} {
		if eventType == failing {
			return "it opened an incident in PagerDuty, which a test with --type " + strings.TrimPrefix(recovered, event.SystemPrefix) + " ends"
		}
	}
	return "it opened an incident in PagerDuty, which no event ends: resolve it there"
}

// testSystem is a made-up event of the program's own, about what is called test, so
// that it neither opens nor ends an incident of what there is.
func testSystem(eventType, destination string, at time.Time) event.Event {
	const subject = "test"
	e := event.SampleEvent(eventType)
	var data map[string]any
	err := json.Unmarshal(e.System, &data)
	for _, name := range []string{"destination", "account", "rule"} {
		if _, has := data[name]; has {
			data[name] = subject
		}
	}
	data["summary"] = fmt.Sprintf("TEST, nothing is wrong: %v", data["summary"])
	if err == nil {
		e, err = event.NewSystem(eventType, subject, destination, at, data)
	}
	if err != nil { // the sample is a JSON object
		panic(err)
	}
	return e
}

// TestMessage is a made-up event of a type for a destination, with ids of its
// own: what an operator sends to see whether it arrives. It says of itself that
// it is no live one.
func TestMessage(destination, eventType string, at time.Time) Message {
	m := Message{Event: testEvent(destination, eventType, at)}
	e := &m.Event
	m.Delivery = event.Delivery{
		ID: event.DeliveryID(e.ID, destination, ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Destination: destination, Rules: []string{"test"}, Labels: map[string]string{"test": "true"}, Created: at,
	}
	return m
}

func testEvent(destination, eventType string, at time.Time) event.Event {
	if event.IsSystemType(eventType) {
		return testSystem(eventType, destination, at)
	}
	e := event.SampleEvent(eventType)
	e.Account, e.Session, e.Livemode, e.Object = "test", "cs_test_2031282752732528640", false, json.RawMessage(testSession)
	e.Time, e.OccurredBefore = at, at
	if !e.OccurredAfter.IsZero() {
		e.OccurredAfter = at.Add(-10 * time.Second)
	}
	e.ID = event.ID(e.Account, e.Session, e.Type, 1, destination, at.Format(time.RFC3339Nano))
	return e
}
