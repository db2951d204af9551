package publish_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v84"
	stripewebhook "github.com/stripe/stripe-go/v84/webhook"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/simulator"
)

// asStripe reads a session as a handler written with stripe-go does.
func asStripe(t *testing.T, object, previous json.RawMessage) (stripe.CheckoutSession, map[string]any) {
	t.Helper()
	d := publish.DefaultHTTP()
	d.Format, d.APIVersion = publish.FormatStripe, stripe.APIVersion
	m := message(event.Fulfillable)
	m.Event.Object, m.Event.PreviousAttributes = object, previous
	body := rendered(t, renderer(t, d, nil), m)
	signed := stripewebhook.GenerateTestSignedPayload(&stripewebhook.UnsignedPayload{Payload: []byte(body), Secret: "whsec_test", Timestamp: time.Now()})
	e, err := stripewebhook.ConstructEvent(signed.Payload, signed.Header, signed.Secret)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	var s stripe.CheckoutSession
	if err := json.Unmarshal(e.Data.Raw, &s); err != nil {
		t.Fatalf("%v\n%s", err, e.Data.Raw)
	}
	return s, e.Data.PreviousAttributes
}

// Whatever the API shows, and however it writes it, a typed handler can read it.
func TestStripeTypesReadEverySession(t *testing.T) {
	api := simulator.NewAPI(simulator.Config{SecretKey: "sk_test_1", Seed: 7})
	server := httptest.NewServer(api)
	defer server.Close()
	product := map[string]any{"id": "prod_1", "object": "product", "active": true, "created": int64(1709889908000), "metadata": map[string]any{"shelf": 4}}
	for i := range 60 {
		fields := simulator.Fields{"metadata": map[string]any{"seats": 3, "gift": true, "none": nil, "tags": []any{"a", 1}}}
		switch i % 6 {
		case 1:
			fields["mode"] = "setup"
		case 2:
			fields["customer_email"], fields["status"] = "buyer@example.com", "complete"
		case 3:
			fields["line_items"] = map[string]any{"object": "list", "has_more": false, "data": []any{map[string]any{
				"id": "li_1", "object": "item", "amount_total": nil, "amount_subtotal": "5600", "quantity": "2", "currency": "USD", "discounts": []any{},
				"price": map[string]any{"id": "price_1", "unit_amount": "2800", "product": product, "metadata": map[string]any{"n": 1},
					"tiers": []any{map[string]any{"up_to": "10", "flat_amount": "1", "unit_amount": nil}}},
			}}}
		case 4:
			fields["metadata"], fields["payment_method_options"] = nil, []any{}
		}
		if _, err := api.Create(fields); err != nil {
			t.Fatal(err)
		}
	}
	withItems := 0
	for name, faults := range map[string]simulator.Faults{
		"as usual": {}, "numbers as text": {StringNumbers: simulator.Always()}, "empty at random": {NullFlip: simulator.Always()},
		"in seconds, all of it": {StringNumbers: simulator.Always(), NullFlip: simulator.Always(), Seconds: simulator.Always()},
	} {
		if err := api.SetFaults(faults); err != nil {
			t.Fatal(err)
		}
		for _, item := range list(t, server.URL) {
			parsed, err := checkout.Parse(item)
			if err != nil {
				t.Fatal(err)
			}
			s, _ := asStripe(t, parsed.Object, nil)
			if s.ID != parsed.ID || s.Created != parsed.Created.Unix() {
				t.Errorf("%s: read as %s of %d, want %s of %d", name, s.ID, s.Created, parsed.ID, parsed.Created.Unix())
			}
			if s.LineItems != nil {
				withItems++
			}
		}
	}
	if withItems < 40 {
		t.Errorf("%d sessions with line items: too few to say anything", withItems)
	}
}

// list is what the list of the simulated API shows.
func list(t *testing.T, url string) []json.RawMessage {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/checkout/sessions/list?limit=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("sk_test_1", "")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&page); err != nil || len(page.Data) != 60 {
		t.Fatalf("%d sessions: %v", len(page.Data), err)
	}
	return page.Data
}

func TestStripeValues(t *testing.T) {
	s, previous := asStripe(t, json.RawMessage(`{"id":"cs_1","currency":"EUR","amount_total":null,
		"metadata":{"text":"EUR","seats":3,"big":123456789012345678901234567890.10,"gift":true,"none":null,"blank":"","map":{"b":[1,"<"],"a":null}},
		"line_items":{"data":[{"amount_subtotal":"5600","amount_total":5600.00,"amount_discount":null,"quantity":"2","currency":"EUR",
			"price":{"currency":"EUR","unit_amount":"2800","metadata":{"n":1},"product":{"id":"prod_1","created":"1709889908000","metadata":{"n":2}}}}]}}`),
		json.RawMessage(`{"currency":"USD","metadata":{"seats":2,"new":null},"line_items":{"data":[{"quantity":"1"}]}}`))
	item := s.LineItems.Data[0]
	got := []string{
		string(s.Currency), fmt.Sprint(s.Metadata), string(item.Currency), string(item.Price.Currency), fmt.Sprint(item.Price.Metadata, item.Price.Product.Metadata),
		fmt.Sprint(item.AmountSubtotal, item.AmountTotal, item.Quantity, item.Price.UnitAmount, item.Price.Product.Created), fmt.Sprint(previous),
	}
	want := []string{
		"eur", `map[big:123456789012345678901234567890.10 blank: gift:true map:{"a":null,"b":[1,"<"]} seats:3 text:EUR]`, "eur", "eur", "map[n:1] map[n:2]",
		"5600 5600 2 2800 1709889908", "map[currency:usd line_items:map[data:[map[quantity:1]]] metadata:map[new:<nil> seats:2]]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
