package simulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"strconv"
)

// Second seeds of the random sources, so that none repeats another.
const (
	streamFaults  = 1
	streamSession = 2
	streamTraffic = 3
)

// newFields fills in what the creator of a session did not give. Everything
// random follows from the id, so that it does not depend on who creates first.
func (a *API) newFields(id string, num uint64, ms int64, given map[string]any) map[string]any {
	rng := rand.New(rand.NewPCG(num, a.seed<<8|streamSession))
	amount := json.Number(strconv.Itoa(500 + rng.IntN(50_000)))
	fields := map[string]any{
		"id":                         id,
		"object":                     "checkout.session",
		"amount_subtotal":            amount,
		"amount_total":               amount,
		"billing_address_collection": "auto",
		"cancel_url":                 "https://shop.example/cart",
		"currency":                   "USD",
		"customer":                   "",
		"livemode":                   a.live,
		"mode":                       "payment",
		"payment_intent":             fmt.Sprintf("pi_%d", num+1170<<22+5),
		"payment_method_types":       []any{"card"},
		"payment_status":             "unpaid",
		"status":                     "open",
		"success_url":                "https://shop.example/thanks",
		"url":                        a.payURL(num, rng.Uint32()),
	}
	if rng.IntN(3) == 0 {
		fields["payment_method_types"] = nil
	}
	if rng.IntN(2) == 0 {
		fields["live_mode"] = !a.live
	}
	withItems := rng.IntN(3) == 0
	if text(given["mode"]) == "setup" {
		for _, name := range []string{"amount_subtotal", "amount_total", "currency", "payment_intent", "payment_status"} {
			fields[name] = nil
		}
		fields["setup_intent"] = fmt.Sprintf("seti_%d", num+1170<<22+7)
		withItems = false
	}
	if email := text(given["customer_email"]); email != "" {
		customer := fmt.Sprintf("cus_%d", num-7000<<22+3)
		fields["customer"] = customer
		fields["customer_details"] = customerObject(customer, email, "", "", ms-7000, a.live)
	}
	maps.Copy(fields, withoutTimes(given))
	complement(fields, given)
	if _, ok := given["line_items"]; !ok && withItems {
		fields["line_items"] = lineItems(num, fields)
	}
	return fields
}

// complement derives the fields that follow from given ones.
func complement(fields, given map[string]any) {
	_, hasTotal := given["amount_total"]
	_, hasSubtotal := given["amount_subtotal"]
	switch {
	case hasTotal && !hasSubtotal:
		fields["amount_subtotal"] = fields["amount_total"]
	case hasSubtotal && !hasTotal:
		fields["amount_total"] = fields["amount_subtotal"]
	}
	if _, ok := given["payment_status"]; ok || fields["status"] != "complete" || fields["mode"] == "setup" {
		return
	}
	fields["payment_status"] = "paid"
	if fields["amount_total"] == json.Number("0") {
		fields["payment_status"] = "no_payment_required"
	}
}

// payURL is the page on which a customer would pay. Its path says cs_test_ in
// test mode although the id does not.
func (a *API) payURL(num uint64, key uint32) string {
	host, prefix := "checkouttest.example", "cs_test_"
	if a.live {
		host, prefix = "checkout.example", "cs_"
	}
	return fmt.Sprintf("https://%s/pay/%s%d?key=%s", host, prefix, num, urlKey(a.live, key))
}

// urlKey is a publishable key as it stands in a pay link.
func urlKey(live bool, key uint32) string {
	mode := "test"
	if live {
		mode = "live"
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "pk_%s_%08x", mode, key))
}

// customerObject is what the API puts into customer_details: a whole customer,
// with a livemode that contradicts the session's.
func customerObject(id, email, name, country string, ms int64, live bool) map[string]any {
	c := map[string]any{
		"id":       id,
		"object":   "customer",
		"created":  number(roundToSecond(ms)),
		"livemode": !live,
		"email":    email,
		"address":  nil,
	}
	if name != "" {
		c["name"] = name
	}
	if country != "" {
		c["address"] = map[string]any{"country": country}
	}
	return c
}

// lineItems is one item worth the whole session.
func lineItems(num uint64, fields map[string]any) map[string]any {
	currency, amount := fields["currency"], fields["amount_total"]
	return map[string]any{
		"object": "list",
		"data": []any{map[string]any{
			"id":              fmt.Sprintf("li_%d", num+7<<22+1),
			"object":          "item",
			"currency":        currency,
			"description":     "apple",
			"quantity":        number(1),
			"amount_subtotal": amount,
			"amount_total":    amount,
			"price": map[string]any{
				"id":             fmt.Sprintf("price_%d", num+6<<22+1),
				"object":         "price",
				"active":         true,
				"billing_scheme": "per_unit",
				"currency":       currency,
				"type":           "one_time",
				"unit_amount":    amount,
			},
		}},
	}
}

// share maps a session to a fixed point in [0,1) for one purpose.
func share(num uint64, purpose string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(num, h.Sum64())).Float64()
}
