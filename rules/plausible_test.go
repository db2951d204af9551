package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"checkout-notifier/checkout"
	"checkout-notifier/rules"
)

// Conditions that somebody may well write, by whether they hold of the session below.
var (
	plausible = []string{
		`session.amount_total > 100_00`,
		`session.amount_total != session.amount_subtotal`,
		`float(session.amount_total) / 100 > 99.99`,
		`session.amount_total / 100 >= 100`,
		`session.metadata.plan == "pro"`,
		`session.metadata["order-id"] startsWith "A"`,
		`"vip" in split(session.metadata.tags, ",")`,
		`session.metadata.gift == "true"`,
		`session.metadata.plan in ["pro", "team"]`,
		`"plan" in session.metadata`,
		`has("metadata.plan")`,
		`len(session.metadata) > 0`,
		`int(session.metadata.seats ?? "0") >= 3`,
		`(session.metadata.source ?? "web") == "web"`,
		`session.metadata.plan matches "^(pro|team)$"`,
		`lower(session.metadata.plan) == "pro"`,
		`session.expires_at - now() < duration("30m")`,
		`session.expires_at < now() + duration("2h")`,
		`now() - session.created > duration("15m")`,
		`session.expires_at.Sub(session.created) <= duration("24h")`,
		`session.created > date("2026-01-01")`,
		`session.created.In(timezone("Europe/Berlin")).Hour() >= 9 && session.created.In(timezone("Europe/Berlin")).Hour() < 18`,
		`session.created.In(timezone("Europe/Berlin")).Hour() in 9..17`,
		`session.created.Weekday().String() in ["Saturday", "Sunday"]`,
		`int(session.created.Weekday()) in [0, 6]`,
		`session.created.Month().String() == "November"`,
		`changed("payment_status") and previous.payment_status in ["", "unpaid"]`,
		`event.change.field == "payment_status" and event.change.to == "paid"`,
		`event.type in ["checkout.session.paid", "checkout.session.fulfillable"]`,
		`event.type endsWith ".paid"`,
		`event.type contains "paid"`,
		`event.async or event.unexpected`,
		`not event.inferred`,
		`event.account == "main"`,
		`event.revision > 1`,
		`session.customer_email endsWith "@example.com"`,
		`lower(session.customer_email) endsWith "@example.com"`,
		`(session.customer_email ?? session.customer_details.email) endsWith "@example.com"`,
		`last(split(session.customer_email, "@")) == "example.com"`,
		`session.customer_email matches "@(example|test)\\."`,
		`not (session.customer_email contains "test")`,
		`session.customer_email not contains "test"`,
		`len(session.line_items.data) > 1`,
		`count(session.line_items.data, .amount_total > 10_00) >= 2`,
		`sum(session.line_items.data, int(.quantity)) > 3`,
		`any(session.line_items.data, .price.product in ["prod_1", "prod_2"])`,
		`len(session.line_items.data) > 0 and all(session.line_items.data, .currency == session.currency)`,
		`any(session.line_items.data, .description contains "gift")`,
		`any(session.line_items.data, any(.discounts, .coupon.percent_off > 50))`,
		`any(session.line_items.data, .amount_discount > 0)`,
		`session.livemode`,
		`session.livemode == true`,
		`session.livemode and session.mode == "payment"`,
		`session.customer_details.address.country in ["DE", "AT", "CH"]`,
		`session.shipping.address.country != session.customer_details.address.country`,
		`session.shipping.address.country not in ["US", "CA"]`,
		`has("customer") and not has("payment_link")`,
		`session.client_reference_id matches "^order-[0-9]+$"`,
		`session.client_reference_id != ""`,
		`"card" in session.payment_method_types`,
		`len(session.payment_method_types) > 1`,
		`any(session.payment_method_types, # startsWith "sepa")`,
		`raw("loyalty.tier") == "gold"`,
		`raw("live_mode") == true`,
		`session.id startsWith "cs_"`,
		`session.status != "open"`,
		`session.amount_total > (session.currency == "JPY" ? 10000 : 100_00)`,
		`session.amount_total > {"USD": 100_00, "EUR": 90_00}[session.currency] ?? 50_00`,
		`let big = session.amount_total > 100_00; big and session.livemode`,
		`if session.currency == "JPY" { session.amount_total > 10000 } else { session.amount_total > 100_00 }`,
		`(now() - session.created).Minutes() > 30.5`,
		`session.metadata.delivery_date != "" and date(session.metadata.delivery_date) < now() + duration("48h")`,
		`session.currency == upper("usd")`,
	}
	implausible = []string{
		`session.amount_total >= 50000 and session.currency == "JPY"`,
		`session.currency in ["USD", "EUR"] && session.amount_total > 1_000_00`,
		`session.amount_total in 1_00..5_00`,
		`session.amount_subtotal - session.amount_total > 10_00`,
		`session.amount_total - previous.amount_total > 0`,
		`previous.amount_total > 0 and session.amount_total < previous.amount_total`,
		`not ("plan" in session.metadata)`,
		`session.created.Day() == 1`,
		`session.created.Format("2006-01-02") == "2026-11-24"`,
		`changed("amount_total")`,
		`changed("metadata") or changed("line_items")`,
		`changed("metadata.plan")`,
		`changed("customer_details.email")`,
		`previous.status in ["", "open"] and session.status == "complete"`,
		`previous.status == ""`,
		`event.reason == "manual"`,
		`len(session.line_items.data) == 1 and session.line_items.data[0].price.product == "prod_1"`,
		`len(session.line_items.data) > 0 and none(session.line_items.data, len(.discounts) > 0)`,
		`not session.livemode`,
		`session.customer_details.address.country == ""`,
		`has("shipping")`,
		`session.customer == ""`,
		`session.payment_method_types == ["card"]`,
		`raw("total_details.amount_discount", 0) > 0`,
		`raw("payment_method_options.card.request_three_d_secure", "") == "any"`,
		`session.status == "expired" and session.amount_total > 10_00`,
		`session.payment_status != "paid"`,
		`session.payment_status == "unpaid" and session.status == "complete"`,
		`session.mode == "subscription" and any(session.line_items.data, .price.recurring.interval == "year")`,
		`session.success_url contains "utm_source=news"`,
		`session.billing_address_collection == "required"`,
		`session.phone_number_collection.enabled`,
		`session.customer_creation == "always"`,
		`session.line_items.has_more`,
		`now().Sub(session.created).Hours() > 24`,
		`session.expires_at.Before(now())`,
		`session.amount_total % 100 == 99`,
		`session.amount_total == 0`,
	}
)

// What is right is checked in silence, matches when it should, and fails neither on
// a full session nor on one that has nothing but what every session has.
func TestPlausibleRules(t *testing.T) {
	e, previous := paid(t, map[string]any{
		"amount_total": 150_00, "amount_subtotal": 160_00, "metadata": map[string]any{"plan": "pro", "seats": 3, "gift": true, "tags": "new,vip", "order-id": "A17", "delivery_date": "2026-11-23"},
		"expires_at": now.Unix() + 1200, "client_reference_id": "order-1", "payment_method_types": []any{"card", "sepa_debit"},
		"customer_details": map[string]any{"email": "jane@example.com", "address": map[string]any{"country": "DE"}},
		"line_items": map[string]any{"data": []any{
			map[string]any{"id": "li_1", "amount_total": "12000", "currency": "USD", "quantity": 3, "description": "gift card", "price": map[string]any{"product": "prod_1", "recurring": map[string]any{"interval": "year"}}, "discounts": []any{map[string]any{"coupon": map[string]any{"percent_off": 60}}}},
			map[string]any{"id": "li_2", "amount_total": 3000, "currency": "USD", "quantity": "1", "amount_discount": 5},
		}},
		"loyalty": map[string]any{"tier": "gold"}, "live_mode": true,
	})
	bare, err := checkout.Parse(json.RawMessage(`{"id":"cs_1","created":1795341600,"status":"open","payment_status":"unpaid"}`))
	if err != nil {
		t.Fatal(err)
	}
	empty := *e
	empty.Object = bare.Object
	for i, when := range append(plausible[:len(plausible):len(plausible)], implausible...) {
		set, problems := rules.Compile([]rules.Rule{{Name: "r", To: []string{"bus"}, When: when, Events: []string{"*"}, Enabled: true}}, known)
		if set == nil || len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
			continue
		}
		result := set.Match(e, previous, now)
		if matched := len(result.Targets) > 0; matched != (i < len(plausible)) {
			t.Errorf("%s: matched %t", when, matched)
		}
		if errs := append(result.Errors, set.Match(&empty, nil, now).Errors...); len(errs) > 0 {
			t.Errorf("%s: %v", when, errs)
		}
	}
}

// What a rule cannot hear of, or hears of always or at each first sight, is told.
func TestConditionsThatAreNotWhatTheySeem(t *testing.T) {
	const never, first, always = "exclude each other", "it holds then for each order", "matches every event, for its condition always holds"
	for _, tt := range []struct{ events, when, want string }{
		{"paid", `not changed("payment_status")`, never},
		{"expired", `not changed("status")`, never},
		{"completed", `session.livemode and not changed("status")`, never},
		{"paid", `not changed("status")`, ""}, // what is paid later
		{"paid", `changed("payment_status")`, ""},
		{"paid", `event.type endsWith "expired"`, never},
		{"paid", `event.type contains "expired"`, never},
		{"paid", `event.type startsWith "checkout.session.exp"`, never},
		{"paid", `not (event.type endsWith "paid")`, never},
		{"paid expired", `event.type contains "expired"`, ""},
		{"paid", `event.type startsWith "checkout."`, ""},
		{"*", `event.type endsWith "paid"`, ""},
		{"fulfillable", `previous.amount_total != session.amount_total`, first},
		{"fulfillable", `session.amount_total > previous.amount_total and session.livemode`, first},
		{"completed", `previous.customer_details.email != session.customer_details.email`, first},
		{"fulfillable", `session.amount_total < previous.amount_total`, ""},
		{"fulfillable", `previous.amount_total != session.amount_total && not event.inferred`, ""},
		{"fulfillable", `previous.amount_total != session.amount_total && previous.status != ""`, ""},
		{"updated", `previous.amount_total != session.amount_total`, ""},
		{"", `previous.amount_total != session.amount_total`, ""},
		{"fulfillable", `event.change.from == "open"`, `the field that changed never has this value: it is payment_status, and event.change.from is one of "", "unpaid", "paid", "no_payment_required"`},
		{"*", `event.change.field == "status" and event.change.to == "paid"`, `it is status, and event.change.to is one of "", "open", "complete", "expired"`},
		{"fulfillable", `event.change.from in ["", "unpaid", "paid", "no_payment_required"] and session.livemode`, ""},
		{"updated", `event.change.field == "mode" and event.change.from == "open"`, ""},
		{"*", `event.change.field == "status" and event.change.to == "expired"`, ""},
		{"", `session.amount_total >= 0`, always},
		{"", `not (session.amount_subtotal < 0) or session.livemode`, always},
		{"", `event.revision >= 1 and session.amount_total > -1`, always},
		{"", `session.amount_total > 0`, ""},
		{"", `session.amount_total >= 0 && session.livemode`, ""},
		{"*", `session.amount_total >= 0`, ""},
	} {
		r := rule("r", tt.when)
		r.Events = strings.Fields(tt.events)
		_, problems := rules.Compile([]rules.Rule{r}, known)
		got := describe(problems)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || len(problems) > 1 {
			t.Errorf("[%s] %s: want %q, got %s", tt.events, tt.when, tt.want, got)
		}
	}
}

// Amounts are never negative, and the first look at a session is its revision 1.
func TestNumbersThatAreNeverSoSmall(t *testing.T) {
	for when, want := range map[string]string{
		`session.amount_total < 0`:                                                   "session.amount_total is never below 0",
		`0 > session.amount_subtotal`:                                                "session.amount_subtotal is never below 0",
		`session.amount_total <= -1 and session.livemode`:                            "session.amount_total is never below 0",
		`session.amount_total == -5_00`:                                              "session.amount_total is never below 0",
		`session.amount_total in [-1, -2] or session.livemode`:                       "session.amount_total is never below 0",
		`session.amount_total in -5..-1`:                                             "session.amount_total is never below 0",
		`previous.amount_total < 0`:                                                  "previous.amount_total is never below 0",
		`not (session.amount_total >= 0)`:                                            "session.amount_total is never below 0",
		`session.livemode and (event.async or event.revision < 1)`:                   "event.revision is never below 1: it is 1 when a session is first seen",
		`session.amount_total in 500_00..100_00`:                                     "nothing is in the range 50000..10000",
		`session.amount_total in 5..1 and session.amount_total > 2`:                  "nothing is in the range 5..1",
		`event.revision == 0`:                                                        "event.revision is never below 1",
		`event.revision <= 0 and session.livemode`:                                   "event.revision is never below 1",
		`session.livemode ? session.amount_total < 0 : event.async`:                  "",
		`any(session.line_items.data, .amount_total < 0)`:                            "", // a credit
		`session.amount_total - session.amount_subtotal < 0`:                         "",
		`session.amount_total < session.amount_subtotal`:                             "",
		`session.amount_total <= 0`:                                                  "",
		`session.amount_total < 1`:                                                   "",
		`session.amount_total in [-1, 0]`:                                            "",
		`session.amount_total != -1 and session.livemode`:                            "",
		`not (session.amount_total < 0) and session.livemode`:                        "",
		`session.amount_total > -1 and session.livemode`:                             "",
		`event.revision < 2 or session.livemode`:                                     "",
		`int(session.metadata.points ?? "0") < 0`:                                    "",
		`raw("balance", 0) < 0`:                                                      "",
		`session.expires_at - now() < duration("0s")`:                                "",
		`not (event.revision == 0 or session.amount_total < 0) and session.livemode`: "",
	} {
		problems := warningsOf(t, when, "*")
		got := describe(problems)
		if want == "" && got != "" || !strings.Contains(got, want) || want != "" && (len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || problems[0].Snippet == "") {
			t.Errorf("%s: want %q, got %s", when, want, got)
		}
	}
}
