package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"checkout-notifier/event"
)

// Whoever is woken by an event of a session reads what it means for the order and what to do.
func TestEventsOfSessionsSayWhatTheyMean(t *testing.T) {
	const id = "cs_2031282752732528640"
	const later = ", and nobody looks for its payment any more: one that comes later is not announced, and the order not shipped. From time to time look up " + id + " at WooshPay; once it is paid, notifier poll backfill --account main --since "
	const back = ", in each look of the last minutes (poll.tuning.confirm_after). "
	const hold = "Do not ship its order before you look up " + id + " at WooshPay; fulfillable is not announced a second time."
	const unexpected = "That is not expected: it was complete or expired, or stepped back, before. Look up " + id + " at WooshPay before its order is shipped."
	changed := func(field, from string) func(*event.Event) {
		return func(e *event.Event) { e.Change = &event.Change{Field: field, From: json.RawMessage(from)} }
	}
	for _, tt := range []struct {
		name, eventType, session, want string
		change                         func(*event.Event)
	}{
		{"given up, unpaid", event.Unresolved, `{"created":1796119200}`, "It is complete, but was not paid in time (poll.unpaid_for)" + later + "2026-12-01 announces it.", nil},
		{"given up, open", event.Unresolved, `{"created":1796119200}`, "It should have expired long ago (poll.unpaid_for), but is still open" + later + "2026-12-01 announces it.", changed("status", `"open"`)},
		{"given up, created omitted", event.Unresolved, `{}`, "It is complete, but was not paid in time (poll.unpaid_for)" + later + "… announces it.", nil},
		{"given up after a step back", event.Unresolved, `{}`, "It is complete, but was not paid in time (poll.unpaid_for)" + later + "… announces it.", func(e *event.Event) { e.Unexpected = true }},
		{"unpaid again", event.Regressed, `{"payment_status":"unpaid"}`, "Its payment_status was paid and is unpaid again" + back + hold, changed("payment_status", `"paid"`)},
		{"open again", event.Regressed, `{"status":"open"}`, "Its status was complete and is open again" + back + hold, changed("status", `"complete"`)},
		{"no longer expired", event.Regressed, `{"status":"open"}`, "Its status was expired and is open again" + back + "It can be paid after all: if its order was cancelled, look up " + id + " at WooshPay.", changed("status", `"expired"`)},
		{"open again, omitted", event.Regressed, `{}`, "It was further than it is now" + back + hold, changed("status", `"complete"`)},
		{"timer", event.Expired, `{"payment_status":"unpaid"}`, "Its time ran out. It was not paid: there is nothing to ship.", nil},
		{"manual", event.Expired, `{"payment_status":"no_payment_required"}`, "It was ended before its time, by the shop or at WooshPay.", func(e *event.Event) { e.Reason = event.ReasonManual }},
		{"unknown, paid", event.Expired, `{"payment_status":"paid"}`, "It was ended, or its time ran out, while nobody looked. But it is paid: look up " + id + " at WooshPay.", func(e *event.Event) { e.Reason = event.ReasonUnknown }},
		{"expired after it was complete", event.Expired, `{"payment_status":"paid"}`, unexpected, func(e *event.Event) { e.Unexpected = true }},
		{"paid after a step back", event.Paid, `{"payment_status":"paid"}`, unexpected, func(e *event.Event) { e.Unexpected = true }},
		{"completed", event.Completed, `{"payment_status":"unpaid"}`, "It is not paid yet: do not ship its order before it is fulfillable.", nil},
		{"completed and paid", event.Completed, `{"payment_status":"paid"}`, "", nil},
		{"fulfillable", event.Fulfillable, `{"payment_status":"paid"}`, "", nil},
		{"created", event.Created, `{"payment_status":"unpaid"}`, "", nil},
	} {
		e, session := event.SampleEvent(tt.eventType), map[string]any{}
		if tt.change != nil {
			tt.change(&e)
		}
		d := json.NewDecoder(strings.NewReader(tt.session))
		d.UseNumber()
		if err := d.Decode(&session); err != nil {
			t.Fatal(err)
		}
		if got := e.Meaning(session); got != tt.want || utf8.RuneCountInString(got) > 450 { // beside amount and account, of the 580 that Slack shows
			t.Errorf("%s: %d characters\ngot  %s\nwant %s", tt.name, utf8.RuneCountInString(got), got, tt.want)
		}
	}
}
