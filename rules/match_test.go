package rules_test

import (
	"testing"

	"checkout-notifier/rules"
)

func TestExpressions(t *testing.T) {
	e, previous := paid(t, map[string]any{
		"customer_details": map[string]any{"email": "jane@example.com", "address": map[string]any{"country": "DE"}},
		"line_items": map[string]any{"data": []any{
			map[string]any{"id": "li_1", "amount_total": "1200", "quantity": 2, "price": map[string]any{"product": "prod_a", "unit_amount": 600}},
			map[string]any{"id": "li_2", "amount_total": 34, "quantity": "1", "price": map[string]any{"product": map[string]any{"id": "prod_b"}}},
		}},
		"payment_method_types": []any{"card", "sepa"},
		"loyalty":              map[string]any{"tier": "gold", "points": 12, "rate": 1.5, "tags": []any{"x", 7}},
	})
	for when, want := range map[string]bool{
		`true`:  true,
		`false`: false,
		`session.status == "complete" && session.amount_total > 100_000`:                             true,
		`session.currency in ["EUR", "GBP"]`:                                                         false,
		`session.currency in ["EUR", "USD"] && session.amount_total in 100_000..5_000_000`:           true,
		`session.amount_total in [1, 123400]`:                                                        true,
		`session.amount_total in 1..10`:                                                              false,
		`session.metadata["plan"] == "pro" && session.metadata.seats == "3"`:                         true,
		`session.metadata.trial == "false" && session.metadata["none"] == ""`:                        true,
		`"plan" in session.metadata && not ("none" in session.metadata)`:                             true,
		`session.customer_email endsWith "@example.com"`:                                             true,
		`session.customer_email contains "doe"`:                                                      false,
		`session.customer_email matches "^j.*@"`:                                                     true,
		`session.customer_email not matches "^k"`:                                                    true,
		`session.client_reference_id == "" && session.payment_link == ""`:                            true,
		`session.customer_details.address.country == "DE"`:                                           true,
		`session.shipping.address.country == ""`:                                                     true,
		`session.payment_method_types == ["card", "sepa"] && "card" in session.payment_method_types`: true,
		`any(session.line_items.data, {.price.product == "prod_b"})`:                                 true,
		`sum(session.line_items.data, {.amount_total}) == 1234`:                                      true,
		`sum(map(session.line_items.data, int(.quantity))) == 3`:                                     true,
		`count(session.line_items.data, .price.unit_amount >= 600) == 1`:                             true,
		`session.expires_at - now() == duration("1h")`:                                               true,
		`session.created + duration("1d") > now()`:                                                   true,
		`session.created < date("2026-11-22") || session.created.Year() == 2026`:                     true,
		`session.created.In(timezone("Europe/Berlin")).Hour() == 10`:                                 true,
		`date("2026-11-22 10:00:00", "2006-01-02 15:04:05", "Europe/Berlin") == session.created`:     true,
		`session.created.Format("2006-01") == "2026-11"`:                                             true,
		`duration("1d12h") == duration("36h") && duration("-7d") < duration("0s")`:                   true,
		`session.livemode and not event.inferred and event.async`:                                    true,
		`event.type == "checkout.session.paid" && event.account == "main"`:                           true,
		`event.change.field == "payment_status" && event.change.from == "unpaid"`:                    true,
		`event.revision == 3 && event.id startsWith "evt_" && event.time == now()`:                   true,
		`previous.payment_status == "unpaid" && previous.status == session.status`:                   true,
		`previous.payment_status != session.payment_status`:                                          true,
		`previous.line_items == session.line_items && previous != session`:                           true,
		`changed("payment_status") && !changed("status")`:                                            true,
		`has("customer") && !has("payment_link") && has("customer_details.email")`:                   true,
		`has("metadata.plan") && !has("metadata.none")`:                                              true,
		`raw("loyalty.tier") == "gold" && raw("loyalty.points") > 11`:                                true,
		`raw("loyalty.rate") == 1.5 && raw("loyalty.tags.1") == 7 && raw("no.such") == nil`:          true,
		`"x" in raw("loyalty.tags")`:                                                                 true,
		`let a = session.amount_total; a > 5 ? a < 10 : false`:                                       false,
		`0 < session.amount_total < 200_000`:                                                         true,
		`toJSON(session.customer_details) contains "jane@example.com"`:                               true,
		`upper(session.metadata.plan) + "!" == "PRO!"`:                                               true,
		`"a-b" == join(split("a b", " "), "-") && replace("aXa", "a", "b") == "bXb"`:                 true,
		`session?.customer_details?.email == "jane@example.com"`:                                     true,
		`[3, 1, 2] | sort() | first() == 1`:                                                          true,
		`sortBy(session.line_items.data, .amount_total)[0].id == "li_2"`:                             true,
		`len(groupBy(session.line_items.data, .price.product)) == 2`:                                 true,
		`string(session.amount_total) == "123400" && float("1.5") == 1.5`:                            true,
		`reduce(1..4, #acc + #) == 10 && repeat("ab", 2) == "abab"`:                                  true,
		`fromJSON('{"a": 1}').a == 1 && fromBase64(toBase64("x")) == "x"`:                            true,
		`uniq([1, 1, 2]) == [1, 2] && flatten([[1], [2]]) == [1, 2] && max([1, 3]) == 3`:             true,
		"session.status == \"complete\" // a comment\n&& true":                                       true,
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if set == nil {
			t.Errorf("%s: %s", when, describe(problems))
			continue
		}
		result := set.Match(e, previous, now)
		if len(result.Errors) > 0 {
			t.Errorf("%s: %v", when, result.Errors)
		} else if got := len(result.Targets) == 1; got != want {
			t.Errorf("%s: got %t", when, got)
		}
	}
}
