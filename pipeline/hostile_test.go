package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/state"
)

// drawHostile is an item that may be more than a decoder, a key or a row takes.
func drawHostile(t *rapid.T, id string) string {
	value := rapid.SampledFrom([]string{
		`null`, `""`, `"x"`, `[]`, `{}`, `1e999999999`, `-0.0e-99999`, strings.Repeat("9", 70_000), "1." + strings.Repeat("0", 70_000) + "1",
		`"` + strings.Repeat("é", 40_000) + `"`, "\"\xff\xfe\"", `"\ud800"`, `"\u0000\u2028"`, `{"a":1,"a":2,"\u0061":3}`, `{"` + strings.Repeat("k", 70_000) + `":1}`, `{"":{"":null}}`,
		strings.Repeat("[", 998) + strings.Repeat("]", 998), strings.Repeat(`{"a":`, 997) + "1" + strings.Repeat("}", 997), `{"created":1754650104000}`, `[{"\ud800":"\udfff"}]`,
		`"` + strings.Repeat("paid", 20_000) + `"`, `true`, `"9999-12-31T23:59:59Z"`, `99999999999`, `9223372036854775807`, `-1`,
	})
	var b strings.Builder
	created := rapid.SampledFrom([]string{fmt.Sprint(t0.Unix()), `1`, `99999999999`, `"99999999999999"`, `100000000000`, `"2026-11-22T10:00:00+14:00"`}).Draw(t, "created")
	quoted, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, `{"id":%s,"created":%s`, quoted, created)
	for _, name := range []string{"status", "payment_status"} {
		if rapid.Bool().Draw(t, "odd "+name) {
			fmt.Fprintf(&b, `,%q:%s`, name, value.Draw(t, name))
		} else {
			fmt.Fprintf(&b, `,%q:%q`, name, rapid.SampledFrom([]string{"open", "complete", "expired", "paid", "unpaid"}).Draw(t, name))
		}
	}
	for _, name := range []string{"expires_at", "mode", "metadata", "customer", "customer_details", "amount_total", "line_items", "url", `\ud800`, "unknown", strings.Repeat("n", 70_000)} {
		if rapid.IntRange(0, 3).Draw(t, "with "+name[:1]) == 3 {
			fmt.Fprintf(&b, `,"%s":%s`, name, value.Draw(t, name[:1]))
		}
	}
	return b.String() + "}"
}

// Whatever Parse takes can be stored, read back and told: nothing that an API sends
// is taken for damage of the store later.
func TestWhatIsTakenCanBeReadBack(t *testing.T) {
	store := openStore(t) // verified at its end
	n, taken := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		id := rapid.SampledFrom([]string{"cs_", "cs\x00\n.", "cs_é/../", strings.Repeat("c", 240)}).Draw(t, "id") + fmt.Sprint(n)
		p := newPipeline(t, store, everything())
		var last checkout.Session
		for i := range 3 {
			s, err := checkout.Parse([]byte(drawHostile(t, id)))
			if err != nil {
				continue
			}
			taken++
			last = s
			handled, err := p.Handle(context.Background(), batch(time.Duration(i)*20*time.Minute, s))
			if err != nil {
				t.Fatalf("%v\n%.2000s", err, s.Object)
			}
			for _, ignored := range handled.Ignored {
				if !strings.Contains(ignored.Err.Error(), "lacks a status") {
					t.Fatalf("ignored: %v\n%.2000s", ignored.Err, s.Object)
				}
			}
		}
		if last.ID == "" {
			return
		}
		snapshots, err := store.Snapshots(context.Background(), "main", []string{last.ID})
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, s := range snapshots {
			if _, err := checkout.Changes(s.Object, last.Object); err != nil {
				t.Fatalf("%v", err)
			}
		}
		events, _, err := store.SearchEvents(context.Background(), state.Query{Session: last.ID, Limit: 20})
		if err != nil {
			t.Fatalf("%v", err)
		}
		for i := range events {
			e := &events[i].Event
			body, err := e.CloudEvent(event.Match{}, []string{"url"})
			if err != nil || !json.Valid(body) {
				t.Fatalf("%s is no JSON: %v", e.Type, err)
			}
			if _, err := e.PreviousObject(); err != nil {
				t.Fatalf("%v", err)
			}
		}
	})
	if taken < n {
		t.Errorf("%d items were taken in %d worlds", taken, n)
	}
}
