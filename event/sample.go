package event

import (
	"encoding/json"
	"strings"
	"time"
)

// What the samples are about, and when.
const sampleID = "cs_2031282752732528640"

var sampleTime = time.Date(2026, 12, 1, 10, 0, 0, 123_000_000, time.UTC)

// SampleSession is a session of a sample, with every documented field filled in.
const SampleSession = `{"id":"` + sampleID + `","object":"checkout.session","amount_subtotal":12900,` +
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
func SampleEvent(eventType string) Event {
	eventType = Qualify(eventType)
	if IsSystemType(eventType) {
		return SampleSystem(eventType, sampleID, sampleTime)
	}
	look := sampleTime
	is := sampleOf(eventType)
	e := Event{
		Type: eventType, Account: "main", Session: sampleID, Livemode: true, Time: look,
		Revision: 3, Position: 2, Object: sampleObject(is.status, is.payment),
		PreviousAttributes: json.RawMessage(`{"` + is.field + `":` + is.from + `}`),
		Change:             &Change{Field: is.field, From: json.RawMessage(is.from), To: json.RawMessage(is.to)},
		OccurredAfter:      look.Add(-10 * time.Second), OccurredBefore: look,
	}
	switch eventType {
	case Created:
		e.Revision, e.Position, e.OccurredAfter = 1, 1, time.Time{}
		e.PreviousAttributes = json.RawMessage("{}")
	case Expired:
		e.Reason = ReasonTimer
	case Unresolved:
		e.PreviousAttributes = json.RawMessage("{}") // nothing has changed
	}
	e.ID = ID(e.Account, e.Session, e.Type, 1)
	return e
}

// transition is what a sample is about, and the state that its session is in.
type transition struct{ field, from, to, status, payment string }

func sampleOf(eventType string) transition {
	switch eventType {
	case Created:
		return transition{"status", "null", `"open"`, "open", "unpaid"}
	case Completed:
		return transition{"status", `"open"`, `"complete"`, "complete", "unpaid"}
	case Expired:
		return transition{"status", `"open"`, `"expired"`, "expired", "unpaid"}
	case NoPaymentRequired:
		return transition{"payment_status", `"unpaid"`, `"no_payment_required"`, "complete", "no_payment_required"}
	case Regressed:
		return transition{"status", `"complete"`, `"open"`, "open", "unpaid"}
	case Updated:
		return transition{"amount_total", "9900", "12900", "open", "unpaid"}
	case Unresolved:
		return transition{"payment_status", `"unpaid"`, `"unpaid"`, "complete", "unpaid"}
	}
	return transition{"payment_status", `"unpaid"`, `"paid"`, "complete", "paid"}
}

func sampleObject(status, payment string) json.RawMessage {
	r := strings.NewReplacer(`"status":"complete"`, `"status":"`+status+`"`, `"payment_status":"paid"`, `"payment_status":"`+payment+`"`)
	return json.RawMessage(r.Replace(SampleSession))
}
