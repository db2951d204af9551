package publish

import (
	"encoding/json"
	"strings"

	"checkout-notifier/event"
)

// awkward puts what JSON has to escape into those texts of a sample that customers,
// merchants and receivers write.
var awkward = strings.NewReplacer("A. Buyer", `Jo \"the\" \\ Doe\n`, "buyer@example.com", `\"jo\"@example.com`, "Main Street 1", `\"Main\" \\ Street\n1`,
	"Berlin", `\"Berlin\"`, "10115", `\"10115\"`, "+4930000000", `\"30\" 0`, "order-1001", `\"1001\"`, `"1001"`, `"\"1001\""`, "A thing", `A \"thing\" \\\n`,
	"Not Found", `\"Not Found\"`, "Unavailable", `\"Unavailable\"`, "deploy", `a \"deploy\"`, "API answered", `\"API\" answered`, "over budget", `over \"budget\"`)

// sampleMessage is what templates are checked with.
func sampleMessage(eventType string) Message {
	e := event.SampleEvent(eventType)
	e.Object, e.System = json.RawMessage(awkward.Replace(string(e.Object))), json.RawMessage(awkward.Replace(string(e.System)))
	return Message{Event: e, Delivery: event.Delivery{
		ID: event.DeliveryID(e.ID, "sample", ""), EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session,
		Subject: e.Subject, Destination: "sample", Rules: []string{"sample"}, Labels: map[string]string{"severity": "page"},
		Ordered: true, Created: e.Time,
	}}
}
