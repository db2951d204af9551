package publish

import (
	"encoding/json"
	"time"

	"checkout-notifier/event"
)

// What the samples are about, and when.
const sampleID = "cs_2031282752732528640"

var sampleTime = time.Date(2026, 12, 1, 10, 0, 0, 123_000_000, time.UTC)

const sampleSession = `{"id":"` + sampleID + `","object":"checkout.session","amount_subtotal":12900,` +
	`"amount_total":12900,"billing_address_collection":"auto","cancel_url":"https://shop.example/cart",` +
	`"client_reference_id":"order-1001","created":1796119200,"currency":"USD","customer":"cus_100",` +
	`"customer_email":"buyer@example.com","expires_at":1796205600,"livemode":true,"metadata":{"order_id":"1001"},` +
	`"mode":"payment","payment_intent":"pi_100","payment_link":null,"payment_method_options":{},` +
	`"payment_method_types":["card"],"payment_status":"paid","phone_number_collection":{"enabled":false},` +
	`"shipping_address_collection":{"allowed_countries":["DE"]},"shipping":{"address":{"city":"Berlin",` +
	`"country":"DE","line1":"Main Street 1","line2":"","postal_code":"10115","state":""},"carrier":"post",` +
	`"name":"A. Buyer","phone":"+4930000000","tracking_number":""},"status":"complete",` +
	`"success_url":"https://shop.example/thanks","url":"https://pay.example/cs_2031282752732528640",` +
	`"line_items":{"object":"list","url":"","has_more":false,"data":[{"id":"li_1","object":"item",` +
	`"amount_subtotal":"12900","amount_total":"12900","currency":"USD","description":"A thing",` +
	`"price":{"id":"price_1","object":"price","active":true,"billing_scheme":"per_unit","created":1796119200,` +
	`"currency":"USD","livemode":true,"lookup_key":"","metadata":{},"nickname":"","product":"prod_1",` +
	`"type":"one_time","unit_amount":12900,"recurring":{"interval":"","interval_count":0,"usage_type":""},` +
	`"tiers":[]},"quantity":"1","discounts":[],"amount_discount":0}]},"customer_creation":"if_required",` +
	`"customer_details":{"address":{"city":"Berlin","country":"DE","line1":"Main Street 1","line2":"",` +
	`"postal_code":"10115","state":""},"email":"buyer@example.com","name":"A. Buyer","phone":"+4930000000"}}`

// SampleEvent is a made-up event of a type, whole or short, with every
// documented field of the session, or of the data of one of the program's own
// events, filled in: what templates are checked with, and what a test delivery
// may carry.
func SampleEvent(eventType string) event.Event {
	eventType = event.Qualify(eventType)
	if event.IsSystemType(eventType) {
		return sampleSystem(eventType)
	}
	look := sampleTime
	field, from, to := "payment_status", `"unpaid"`, `"paid"`
	switch eventType {
	case event.Created:
		field, from, to = "status", "null", `"open"`
	case event.Completed, event.Regressed:
		field, from, to = "status", `"open"`, `"complete"`
	case event.Expired:
		field, from, to = "status", `"open"`, `"expired"`
	case event.NoPaymentRequired:
		to = `"no_payment_required"`
	case event.Updated:
		field, from, to = "amount_total", "9900", "12900"
	}
	e := event.Event{
		Type: eventType, Account: "main", Session: sampleID, Livemode: true, Time: look,
		Revision: 3, Position: 2, Object: json.RawMessage(sampleSession),
		PreviousAttributes: json.RawMessage(`{"` + field + `":` + from + `}`),
		Change:             &event.Change{Field: field, From: json.RawMessage(from), To: json.RawMessage(to)},
		OccurredAfter:      look.Add(-10 * time.Second), OccurredBefore: look,
	}
	if eventType == event.Created {
		e.Revision, e.Position, e.OccurredAfter = 1, 1, time.Time{}
		e.PreviousAttributes = json.RawMessage("{}")
	}
	if eventType == event.Expired {
		e.Reason = event.ReasonTimer
	}
	e.ID = event.ID(e.Account, e.Session, e.Type, 1)
	return e
}

func sampleMessage(eventType string) Message {
	e := SampleEvent(eventType)
	return Message{Event: e, Delivery: event.Delivery{
		ID: event.DeliveryID(e.ID, "sample", ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Subject: e.Subject, Destination: "sample", Rules: []string{"sample"}, Labels: map[string]string{"severity": "page"},
		Ordered: true, Created: e.Time,
	}}
}
