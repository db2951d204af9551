package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// spellings are ways to write the same content.
var spellings = map[string][]string{
	"nothing":  {``, `,"metadata":null`, `,"metadata":{}`, `,"metadata":[]`, `,"shipping":{"address":{"city":""},"name":null}`, `,"extra":[{}]`},
	"one":      {`,"metadata":{"n":"1"}`, `,"metadata":{"n":1.0,"m":{}}`, `,"metadata":{"\u006e":1}`},
	"two":      {`,"metadata":{"n":"1","m":"2"}`, `,"metadata":{"m":2,"n":10e-1}`},
	"customer": {`,"customer":"7","metadata":{"n":"1"}`, `,"metadata":{"n":1},"customer":7`},
	"fraction": {`,"rate":1.5`, `,"rate":15e-1`, `,"rate":1.500`},
	"amount":   {`,"amount_total":200`, `,"amount_total":"200"`, `,"amount_total":2e2,"customer_details":{"email":null}`},
}

// Two runs over the same contents, each written at random, tell the same events
// with the same ids, and none where only the writing differs.
func TestIDsDoNotDependOnTheWriting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.SliceOfN(rapid.SampledFrom([]string{"nothing", "one", "two", "customer", "fraction", "amount"}), 1, 8).Draw(t, "contents")
		states := rapid.SliceOfN(rapid.SampledFrom([]string{"open unpaid", "complete unpaid", "complete paid"}), len(contents), len(contents)).Draw(t, "states")
		changes := 1
		for i := 1; i < len(contents); i++ {
			if contents[i] != contents[i-1] || states[i] != states[i-1] {
				changes++
			}
		}
		var runs [2][]string
		for run := range runs {
			m := &memory{snapshots: map[string]event.Snapshot{}}
			p := newPipeline(t, m, everything())
			for i, content := range contents {
				status, payment, _ := strings.Cut(states[i], " ")
				extra := rapid.SampledFrom(spellings[content]).Draw(t, "spelling")
				for look := range 2 { // a step back is confirmed by the second one
					at := time.Duration(i)*time.Hour + time.Duration(look)*20*time.Minute
					if _, err := p.Handle(t.Context(), batch(at, session(t, "cs_1", status, payment, extra))); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range m.events {
				runs[run] = append(runs[run], fmt.Sprint(m.events[i].Revision, " ", m.events[i].ID))
			}
			if got := m.snapshots["cs_1"].Revision; got != changes {
				t.Fatalf("%d revisions of %d contents: %v %v", got, changes, contents, states)
			}
		}
		if !slices.Equal(runs[0], runs[1]) {
			t.Fatalf("%v and %v", runs[0], runs[1])
		}
	})
}
