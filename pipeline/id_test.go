package pipeline_test

import (
	"testing"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// The id of updated depends on the content, however it is written. Each value
// stands here as it goes into the id: what real stores hold must not change.
func TestIDOfUpdatedIsOfTheContent(t *testing.T) {
	for _, tt := range []struct {
		value     string
		spellings []string
	}{
		{`metadata={"n":"1"}`, []string{
			`,"metadata":{"n":"1"}`, `,"metadata":{"n":1}`, `,"metadata":{"n":1.0}`, `,"metadata":{"n":1e0}`, `,"metadata":{"\u006e":"\u0031"}`,
			`,"metadata":{"n":1,"x":null}`, `,"metadata":{"x":{"y":[]},"n":"1"}`, `,"shipping":{"name":""},"metadata":{"n":"1"}`,
		}},
		{`metadata={"a":"é","b":"2"}`, []string{`,"metadata":{"a":"é","b":"2"}`, `,"metadata":{"b":2, "a":"\u00e9"}`}},
		{`customer_details={"created":1754650104,"phone":"491"}`, []string{
			`,"customer_details":{"created":1754650104000,"phone":"491","email":null}`, `,"customer_details":{"phone":491,"created":"1754650104"}`,
		}},
		{`amount_total=100`, []string{`,"amount_total":100`, `,"amount_total":"100"`, `,"amount_total":1.00e2`}},
		{`total_details={"amount_discount":"5"}`, []string{`,"total_details":{"amount_discount":5}`, `,"total_details":{"amount_discount":"5","amount_tax":null}`}},
		{`payment_method_types=["card","pix"]`, []string{`,"payment_method_types":["card","pix"]`}},
		{`customer="cus_1"`, []string{`,"customer":"cus_1"`, `,"customer":{"id":"cus_1","object":"customer"}`}},
	} {
		for _, extra := range tt.spellings {
			m := &memory{snapshots: map[string]event.Snapshot{}}
			p := newPipeline(t, m, everything())
			for i, s := range []checkout.Session{session(t, "cs_1", "open", "unpaid", ""), session(t, "cs_1", "open", "unpaid", extra)} {
				if _, err := p.Handle(t.Context(), batch(time.Duration(i)*time.Minute, s)); err != nil {
					t.Fatal(err)
				}
			}
			want := event.ID("main", "cs_1", event.Updated, 1, tt.value)
			if last := m.events[len(m.events)-1]; last.ID != want {
				t.Errorf("%s: %s has the id %s, want that of %s", extra, last.Type, last.ID, tt.value)
			}
		}
	}
}
