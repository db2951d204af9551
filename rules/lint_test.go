package rules_test

import (
	"slices"
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// warningsOf compiles one rule that must have warnings at most.
func warningsOf(t *testing.T, when string, events ...string) []rules.Problem {
	t.Helper()
	set, problems := rules.Compile([]rules.Rule{{Name: "r", To: []string{"bus"}, When: when, Events: events, Enabled: true}}, known)
	if set == nil {
		t.Errorf("%s: %s", when, describe(problems))
		return nil
	}
	return problems
}

func TestConditionsThatAreNeverTrue(t *testing.T) {
	for when, want := range map[string]string{
		`session.status == "completed"`:                                                                      "complete",
		`session.payment_status == "payed"`:                                                                  "paid",
		`session.payment_status in ["payed"]`:                                                                "paid",
		`session.payment_status in ["paid", "unpayed"]`:                                                      "unpaid",
		`"sub" == session.mode`:                                                                              "",
		`previous.status != "opened"`:                                                                        "open",
		`session.currency == "usd"`:                                                                          "USD",
		`session.amount_total > 5 or session.currency in ["eur"]`:                                            "EUR",
		`session.currency startsWith "us"`:                                                                   "US",
		`any(session.line_items.data, .currency == "eur")`:                                                   "EUR",
		`any(session.line_items.data, .price.currency == "eur")`:                                             "EUR",
		`any(session.line_items.data, .price.type == "onetime")`:                                             "one_time",
		`any(session.line_items.data, .price.recurring.interval == "monthly")`:                               "month",
		`any(session.line_items.data, #.price.billing_scheme in ["tierd"])`:                                  "tiered",
		`session.customer_creation == "ifrequired"`:                                                          "if_required",
		`session.billing_address_collection == "required " `:                                                 "required",
		`session.object == "session"`:                                                                        "",
		`let s = session; s.status == "completed"`:                                                           "complete",
		`event.type == "paid"`:                                                                               "checkout.session.paid",
		`event.reason == "manuel"`:                                                                           "manual",
		`event.account == "mian"`:                                                                            "main",
		`event.async or event.account in ["main", "bakup"]`:                                                  "backup",
		`session.status contains "paid"`:                                                                     "",
		`session.status startsWith "Comp" or event.async`:                                                    "",
		`event.type endsWith ".payed"`:                                                                       "",
		`not (session.payment_status matches "^succeeded$")`:                                                 "",
		`session.currency matches "^(usd|eur)$"`:                                                             "",
		`lower(session.status) == "completed"`:                                                               "complete",
		`session.livemode and upper(previous.payment_status) in ["PAYED", "UNPAID"]`:                         "PAID",
		`lower(session.currency) == "euro"`:                                                                  "",
		`event.change.field == "statuss"`:                                                                    "status",
		`event.change.field == "amount"`:                                                                     "amount_total",
		`event.change.field in ["status", "email"]`:                                                          "customer_details",
		`session.currency == "RMB"`:                                                                          "CNY",
		`lower(session.currency) in ["usd", "rmb"]`:                                                          "cny",
		`event.change.field == "metadata.x"`:                                                                 "metadata",
		`event.change.field in ["status", "custmer_details.email"]`:                                          "customer_details",
		`event.change.field == "loyalty.tier"`:                                                               "loyalty",
		`event.change.field == "url"`:                                                                        "",
		`event.change.to == "Paid"`:                                                                          "paid",
		`event.change.from == "Open" or event.async`:                                                         "open",
		`event.change.field == "status" and event.change.to == "canceled"`:                                   "",
		`event.change.field == "status" and event.change.to == "paid"`:                                       "",
		`changed("url")`:                                                                                     "",
		`previous == nil`:                                                                                    "",
		`nil != session.amount_total`:                                                                        "",
		`any(session.line_items.data, .quantity == nil)`:                                                     "",
		`session.metadata.plan == nil or event.change.to == "x"`:                                             "",
		`session.status == "open" && session.status == "complete"`:                                           "",
		`session.metadata.a == "x" and session.livemode and session.metadata["a"] == "y"`:                    "",
		`session.status == "open" && session.status != "open"`:                                               "",
		`session.status in ["open", "expired"] && not (session.status in ["expired", "open"])`:               "",
		`session.amount_total > 100 && session.amount_total < 50`:                                            "",
		`session.amount_total > 100 && session.amount_total < 101`:                                           "",
		`session.amount_total in 1..5 && session.amount_total >= 6`:                                          "",
		`session.amount_total == 5 && 6 < session.amount_total`:                                              "",
		`changed("status") and previous.status == session.status`:                                            "",
		`session.livemode && !session.livemode`:                                                              "",
		`session.livemode == true && session.livemode == false`:                                              "",
		`event.async or (session.mode == "setup" && session.mode == "payment")`:                              "",
		`any(session.line_items.data, .currency == "USD" && .currency == "EUR")`:                             "",
		`raw("a") == "x" && raw("a") == "y"`:                                                                 "",
		`not (session.status != "open") && session.status == "expired"`:                                      "",
		`session.status == "open" && (session.status == "complete" or session.status == "expired")`:          "",
		`(session.mode == "setup" or session.livemode) && session.mode == "payment" && not session.livemode`: "",
		`now().Weekday().String() == "monday"`:                                                               "Monday",
		`now().In(timezone("Asia/Tokyo")).Weekday().String() in ["Sat", "Sunday"]`:                           "Saturday",
		`"Mittwoch" != session.created.Weekday().String()`:                                                   "",
		`string(now().Month()) == "MAY"`:                                                                     "May",
		`now().Format("Mon") == "Monday"`:                                                                    "Mon",
		`now().Format("January") == "Janury"`:                                                                "January",
		`int(now().Weekday()) == 7`:                                                                          "",
		`7 == int(now().Weekday())`:                                                                          "",
		`int(now().Weekday()) in [6, 7]`:                                                                     "",
		`int(now().Weekday()) in 1..7`:                                                                       "",
		`int(now().Month()) == 0`:                                                                            "",
		`now().Hour() >= 24`:                                                                                 "",
		`0 > session.created.Hour()`:                                                                         "",
		`now().Minute() == 60 or now().Day() == 1`:                                                           "",
		`now().Hour() >= 22 && now().Hour() < 6`:                                                             "",
		`session.created.In(timezone("Asia/Tokyo")).Hour() > 21 and session.created.In(timezone("Asia/Tokyo")).Hour() < 6`: "",
		`now().Hour() in 22..6`: "",
		`now().Weekday().String() == "Monday" && event.async && now().Weekday().String() == "Tuesday"`:                       "",
		`len(session.line_items.data) > 5 and len(session.line_items.data) < 2`:                                              "",
		`int(session.metadata.seats ?? "0") > 5 and int(session.metadata.seats ?? "0") < 2`:                                  "",
		`session.amount_total - session.amount_subtotal > 5 and session.amount_total - session.amount_subtotal < 5`:          "",
		`lower(session.metadata.plan) == "a" && lower(session.metadata.plan) == "b"`:                                         "",
		`now() - session.created < duration("1h") and now() - session.created > duration("2h")`:                              "",
		`session.expires_at - session.created == duration("24h") and duration("2d") == session.expires_at - session.created`: "",
		`session.livemode and not (session.livemode or event.async)`:                                                         "",
		`has("customer") and not has("customer")`:                                                                            "",
		`any(session.line_items.data, lower(.currency) == "usd" && lower(.currency) == "eur")`:                               "",
		`session.created - now() > duration("1h")`:                                                                           "now() - session.created",
		`duration("1h") <= session.created.Sub(session.expires_at)`:                                                          "session.expires_at - session.created",
		`lower(session.customer_email) == "Jane@example.com"`:                                                                "",
		`"eur" != upper(session.currency)`:                                                                                   "",
		`lower(session.metadata.plan) in ["pro", "Team"]`:                                                                    "",
		`lower(session.customer_email) endsWith "@Example.com"`:                                                              "",
		`any(session.line_items.data, lower(.description) contains "Gift")`:                                                  "",
		`trim(session.metadata.code) == "X "`:                                                                                "X",
		`" pro" != trim(session.metadata.plan)`:                                                                              "pro",
		`trim(session.metadata.code) in ["x", "y\n"]`:                                                                        "y",
		`trim(session.metadata.code) startsWith " x"`:                                                                        "x",
		`trim(lower(session.metadata.code)) == "X"`:                                                                          "",
		`lower(trim(session.metadata.code)) == "x "`:                                                                         "x",
		`session.created.Year() == 26`:                                                                                       "2026",
		`event.time.Format("15:04") == "9:00"`:                                                                               "09:00",
		`now().Format("2006-01-02") in ["2026-1-05"]`:                                                                        "2026-01-05",
		`26 == now().Year()`:                   "2026",
		`session.created.Year() in [2025, 26]`: "2026",
		`session.created.Year() < 26`:          "2026",
		`session.created.Year() == 202`:        "",
		`event.async && false`:                 "",
		`1 == 2`:                               "",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || problems[0].Suggestion != want || problems[0].Snippet == "" {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}

// What can hold at some time has no warning.
func TestPartsOfATimeThatCanBe(t *testing.T) {
	for _, when := range []string{
		`now().Weekday().String() in ["Monday", "Tuesday"]`, `now().Format("Mon") != "Sun"`, `now().Format("15:04") == "09:30"`, `now().Format("15:04") >= "10:00" and now().Format("15:04") < "24:00"`, `now().Format("3:04") == "9:00"`, `now().Format("2006-01-02") >= "2026-1"`,
		`now().Format("Monday 15:04") > "9"`, `now().Format("15:04") matches "9:00"`, `now().Format("15:04") endsWith "9:00"`, `now().Format("2006-1-2") == "2026-1-5"`, `now().Format("15:04:05") > "09:00"`, `string(now().Month()) == "May"`,
		`now().Weekday().String() contains "day"`, `int(now().Weekday()) in 1..5`, `int(now().Weekday()) == 0`, `now().Hour() >= 23`, `now().Hour() <= 0`, `23 <= now().Hour()`,
		`now().Day() == 31`, `now().Year() == 2030`, `session.created.Year() in 2025..2030`, `session.expires_at.Year() == 1`, `session.expires_at.Year() > 1`, `now().Year() % 100 == 26`, `now().Year() - 26 > 2000`, `session.expires_at.Year() < 2000`, `now().Format("Weekday") == "x"`, `now().YearDay() > 365`, `now().Hour() + 30 > 40`, `now().Minute() % 60 == 0`, `not (now().Hour() in [1, 2])`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}

// A weekday is neither a text nor a number: the error says how it is made one.
func TestWeekdaysAreComparedAsTextOrNumber(t *testing.T) {
	for when, want := range map[string]string{
		`now().Weekday() == "Monday"`: `.Weekday().String()`, `1 == now().Weekday()`: `int(….Weekday())`, `now().Weekday() in ["Monday"]`: `.Weekday().String()`,
		`now().Month() > 5`: `int(….Month())`,
	} {
		if _, problems := rules.Compile([]rules.Rule{rule("r", when)}, known); len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
			t.Errorf("%s: %s, want %s", when, describe(problems), want)
		}
	}
}

func TestConditionsThatTheEventsOfTheRuleExclude(t *testing.T) {
	for _, c := range []struct{ events, when string }{
		{"fulfillable", `session.status == "expired"`},
		{"fulfillable", `session.livemode && session.payment_status == "unpaid"`},
		{"fulfillable", `session.payment_status != "paid" and session.payment_status != "no_payment_required"`},
		{"paid", `session.payment_status in ["unpaid", "no_payment_required"]`},
		{"expired", `session.status == "complete"`},
		{"completed", `session.status != "complete"`},
		{"completed expired", `session.status == "open"`},
		{"completed", `event.reason == "manual"`},
		{"expired", `event.async`},
		{"expired", `event.change.field == "payment_status"`},
		{"expired", `event.type == "checkout.session.paid"`},
		{"completed", `event.change.to == "canceled"`},
		{"paid fulfillable", `event.change.to == "unpaid"`},
		{"created", `previous.status == "open"`},
		{"created", `previous.payment_status != ""`},
		{"created", `previous.amount_total > 5 and session.livemode`},
		{"created", `event.change.from == "open"`},
		{"*", `event.type == "checkout.session.created" and previous.customer == "cus_1"`},
	} {
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || !strings.Contains(problems[0].Message, "exclude each other") {
			t.Errorf("%s of %s: %s", c.when, c.events, describe(problems))
		}
	}
}

// Of conditions that are joined by or, each that never holds is told, whether others
// do or not.
func TestEachPartThatTheEventsOfTheRuleExclude(t *testing.T) {
	for _, c := range []struct {
		events, when string
		columns      []int
	}{
		{"fulfillable", `session.status == "expired" or session.payment_status == "unpaid"`, []int{19, 58}},
		{"fulfillable", `session.status == "expired" or session.livemode or event.change.to == "unpaid"`, []int{19, 71}},
		{"fulfillable completed", `session.livemode and (session.status == "expired" or session.status == "open")`, []int{41, 72}},
		{"completed paid", `event.type == "checkout.session.expired" or event.reason == "manual"`, []int{15, 61}},
		{"expired", `event.type == "checkout.session.paid" || event.type == "checkout.session.completed"`, []int{15, 56}},
		{"created", `previous.status == "open" || session.livemode`, []int{20}},
		{"created", `previous.metadata.plan in ["pro", "team"] or previous.livemode`, []int{28, 55}},
		{"*", `event.type == "checkout.session.paid" and (session.payment_status == "unpaid" or session.livemode)`, []int{70}},
		{"*", `event.account == "mian" or event.account == "bar"`, []int{18, 45}},
		{"*", `session.status == "paid" || session.payment_status == "complete"`, []int{19, 55}},
		{"paid", `session.payment_status in ["complete"]`, []int{28}},
		{"expired completed", `session.status == "expired" or session.livemode`, nil},
		{"created paid", `previous.status == "open" or event.inferred`, nil},
		{"paid", `event.type == "checkout.session.paid" or session.livemode`, nil},
		{"paid", `previous.status == session.status or session.amount_total > previous.amount_total`, nil},
		{"", `event.type == "checkout.session.expired" or event.reason == "manual"`, nil},
	} {
		var columns []int
		problems := warningsOf(t, c.when, strings.Fields(c.events)...)
		for _, p := range problems {
			if p.Code == rules.CodeNeverMatches {
				columns = append(columns, p.Column)
			}
		}
		slices.Sort(columns)
		if !slices.Equal(columns, c.columns) || len(problems) != len(columns) {
			t.Errorf("%s of %s: at %d, want %d:%s", c.when, c.events, columns, c.columns, describe(problems))
		}
	}
}

func TestAmountsInFractions(t *testing.T) {
	for when, want := range map[string]string{
		`session.amount_total > 100.00`:                                        "100_00",
		`100.5 <= session.amount_total`:                                        "100_50",
		`session.amount_subtotal == 0.99`:                                      "99",
		`previous.amount_total < 19.999`:                                       "",
		`session.amount_total in [1000.00]`:                                    "1000_00",
		`any(session.line_items.data, .amount_discount > 5.0)`:                 "5_00",
		`any(session.line_items.data, .price.unit_amount > 5.0)`:               "5_00",
		`sum(session.line_items.data, .amount_total) > 50.00`:                  "50_00",
		`sum(map(session.line_items.data, .amount_total)) > 50.00`:             "50_00",
		`session.amount_total - session.amount_subtotal > 5.00`:                "5_00",
		`session.amount_total > -1.00`:                                         "1_00",
		`session.amount_total >= 500.00 && session.currency == "JPY"`:          "500",
		`session.currency in ["JPY", "KRW"] and session.amount_total > 99.50`:  "",
		`session.currency == "KWD" && session.amount_total > 5.5`:              "5_500",
		`session.amount_total > 99.90 * 2`:                                     "99_90",
		`2 * 100.00 < session.amount_total`:                                    "100_00",
		`session.amount_total > 99.90 + 5`:                                     "99_90",
		`session.amount_total == 19.90 * 100`:                                  "19_90",
		`session.amount_total > session.amount_subtotal + 5.00`:                "5_00",
		`float(session.amount_total) > 19.99`:                                  "19_99",
		`round(session.amount_total) >= 19.99`:                                 "19_99",
		`session.amount_total * 1.0 > 19.99`:                                   "19_99",
		`19.99 < 1.0 * session.amount_total`:                                   "19_99",
		`floor(float(session.amount_total) - session.amount_subtotal) > 19.99`: "19_99",
		`sum(session.line_items.data, float(.amount_total)) > 19.99`:           "19_99",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeFraction || problems[0].Suggestion != want || !problems[0].Warning {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}

// An amount without a fraction is another one in a currency without a smaller unit.
func TestFractionsSayTheUnit(t *testing.T) {
	for when, want := range map[string]string{
		`session.amount_total > 100.00`:                                       "such as cents: this is a fraction of one; of a currency without cents, such as JPY, it is 100",
		`session.amount_total > 100.00 && session.currency in ["USD", "JPY"]`: "such as JPY, it is 100",
		`session.amount_total > 100.00 && session.currency in ["USD", "EUR"]`: "such as cents: this is a fraction of one (did",
		`session.amount_total > 1.000`:                                        "; if the dot separates thousands, 1000 is meant, written 1000_00 (did you mean \"1_00\")",
		`session.amount_total > 1.000 && session.currency == "JPY"`:           "; if the dot separates thousands, 1000 is meant (did",
		`session.amount_total > 1.500 && session.currency == "KWD"`:           "a fraction of one (did",
		`session.amount_total > 99.90`:                                        "such as cents: this is a fraction of one (did",
		`session.amount_total > 100.00 && session.currency == "JPY"`:          "the smallest unit: JPY has no smaller one, and this is a fraction",
	} {
		if problems := warningsOf(t, when); len(problems) != 1 || !strings.Contains(describe(problems), want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
}

// What fails on each session without a value is told when it is loaded.
func TestValuesThatMayBeMissing(t *testing.T) {
	for when, want := range map[string]string{
		`raw("total_details.amount_discount") > 0`: `raw("total_details.amount_discount", 0)`,
		`raw("amount_total") > 0`:                  `session.amount_total`,
		`5 <= raw("x")`:                            `raw("x", 0)`,
		`raw("x") + 1 == 2`:                        `raw("x", 0)`,
		`-raw("x") == 2`:                           `raw("x", 0)`,
		`raw("x") * 2 == 2`:                        `raw("x", 0)`,
		`raw("x") < "b"`:                           `raw("x", "")`,
		`raw("x") && session.livemode`:             `raw("x", false)`,
		`not raw("x")`:                             `raw("x", false)`,
		`raw("x") ? session.livemode : false`:      `raw("x", false)`,
		`raw("x").y == 1`:                          `raw("x.y")`,
		`len(raw("x")) > 0`:                        `raw("x", [])`,
		`any(raw("x"), # == 1)`:                    `raw("x", [])`,
		`lower(raw("x")) == "a"`:                   `raw("x", "")`,
		`int(raw("x")) == 1`:                       `raw("x", 0)`,
		`raw("y") != nil && raw("x") > 1`:          `raw("x", 0)`,
		`raw("x") > 1 && raw("x") != nil`:          `raw("x", 0)`,
		`int(session.metadata.size) > 5`:           `int(session.metadata.size ?? "0")`,
		`int(session.metadata["the size"]) > 5`:    `int(session.metadata["the size"] ?? "0")`,
		`float(previous.metadata.size) > 5`:        `float(previous.metadata.size ?? "0")`,
		`any(session.line_items.data, int(.price.metadata.size) > 5)`: `int(.price.metadata.size ?? "0")`,
		`date(session.metadata.due) < now()`:                          "",
		`split(session.customer_email, "@")[1] == "example.com"`:      "",
		`session.line_items.data[0].amount_total > 5`:                 "",
		`session.livemode and previous.line_items.data[1].id == "x"`:  "",
		`max(map(session.line_items.data, .amount_total)) > 5`:        "",
		`first(session.line_items.data).amount_total == 5`:            "",
		`any(session.line_items.data, .discounts[0].id == "x")`:       "",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeMissing || problems[0].Suggestion != want || !problems[0].Warning {
			t.Errorf("%s: want %s:%s", when, want, describe(problems))
		}
	}
}

func TestConditionsThatMeanSomethingElse(t *testing.T) {
	for _, when := range []string{
		`session.status != "open" || session.status != "complete"`, `session.livemode or event.async or not session.livemode`,
		`session.livemode && (session.amount_total > 5 or session.amount_total < 10)`, `session.livemode; session.status == "open"`, `(session.amount_total ?? 5) > 1`,
		`now().Hour() >= 6 or now().Hour() < 22`, `session.created - now() < duration("1h")`, `session.metadata.plan == "pro" ?? "none"`, `session.amount_total > 5 ?? 0`,
		`session.currency == "USD" || session.currency == "EUR" && session.amount_total > 100_00`, `session.livemode and session.currency == "USD" or session.currency in ["EUR", "CHF"]`,
		`event.async or (event.account == "main" || session.mode == "setup" || session.mode == "payment" and session.livemode)`,
		`raw("metadata.seats") == 3`, `3 < raw("metadata.seats", 0)`, `raw("metadata.gift") == true`, `raw("line_items.data.0.quantity", 0) in [1, 2]`, `raw("line_items.data.0.amount_total", 0) > 5`,
		`raw("line_items.data.0.price.metadata.size") != -1`, `session.metadata.seats > "2"`, `"10" <= session.metadata.seats`, `any(session.line_items.data, .quantity > "1")`,
		`event.time.Format("15:04") >= "9:00"`, `"8:30" > session.created.UTC().Format("15:04")`, `now().Format("15") < "9"`,
		`session.metadata.zip_count > "10000"`, `session.client_reference_id >= "1000"`, `session.metadata.order_id > "900" and session.livemode`,
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeMisleading || !problems[0].Warning {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}

func TestWhatIsFineIsNotWarnedOf(t *testing.T) {
	for _, when := range []string{
		`session.shipping.address.postal_code >= "10000" and session.shipping.address.postal_code < "20000"`, `session.customer_details.address.postal_code > "8"`,
		`session.metadata.zip >= "10000"`, `session.metadata.id >= "100" and session.metadata.id <= "199"`, `session.metadata["postalCode"] < "20000"`, `session.customer_details.phone > "49"`, `"1000" <= session.metadata.shipping_zip`,
		`session.metadata.order_id >= "10000" and "19999" >= session.metadata.order_id`, `session.client_reference_id > "1000" and session.client_reference_id <= "2000" or session.livemode`,
		`event.type in ["checkout.session.paid", "checkout.session.expired"]`, `event.change.field == "loyalty"`,
		`raw("loyalty") == nil or not has("payment_method_types") or not has("metadata")`,
		`raw("x", 0) > 0 && raw("y", "") < "a" && raw("z", false)`, `raw("x") == 5 && raw("y") != "a" && "a" in raw("z")`,
		`raw("x") != nil && raw("x") > 5`, `raw("x") == nil or raw("x") > 5`, `raw("x") == nil ? false : raw("x") > 5`,
		`(raw("x") ?? 0) > 5`, `string(raw("x")) == "a"`, `raw("x") contains "a" or raw("x") matches "a"`,
		`len(session.line_items.data) > 1 and session.line_items.data[1].amount_total > 5`, `has("line_items") && session.line_items.data[0].id == "x"`,
		`session.customer_email contains "@" and split(session.customer_email, "@")[1] == "x"`, `[1, 2][0] == session.amount_total`, `max(session.amount_total, 5) > 6`,
		`(max(map(session.line_items.data, .amount_total)) ?? 0) > 5`, `last(split(session.customer_email, "@")) == "x"`, `(first(session.payment_method_types) ?? "") == "card"`,
		`"size" in session.metadata && int(session.metadata.size) > 5`, `has("metadata.size") && int(session.metadata.size) > 5`,
		`session.metadata.size != "" && int(session.metadata.size) > 5`, `int(session.metadata.size ?? "0") > 5`,
		`session.metadata.size matches "^[0-9]+$" && int(session.metadata.size) > 5`,
		`session.amount_total > 100_00 and session.amount_total / 100 > 99.5`, `mean(map(session.line_items.data, .amount_total)) > 10.5`,
		`session.mode == "setup" or session.mode == "payment"`, `session.amount_total < 5 or session.amount_total > 5`, `session.amount_total > 5 && session.amount_total < 7`,
		`session.status != "open" && session.status != "complete" || session.livemode`, `session.metadata.a == "x" && session.metadata.b == "y"`,
		`changed("loyalty") || changed("status")`,
		`session.expires_at - session.created == duration("24h") and duration("1d") == session.expires_at - session.created`,
		`session.livemode && !event.async`, `any(session.line_items.data, .currency == "USD") && any(session.line_items.data, .currency == "EUR")`,
		`session.created.Year() > 2025 && session.created < now()`, `(session.customer ?? "none") == "none"`,
		`any(session.line_items.data, {let c = .currency; c == "USD"})`,
		`now() - session.created < duration("2h") and now() - session.created > duration("1h")`, `session.expires_at - now() > duration("1h") and now() - session.created > duration("2h")`,
		`now().Hour() >= 22 or now().Hour() < 6`, `now().Hour() >= 9 && session.created.Hour() < 6`, `now().Hour() in 0..6 or now().Hour() in 22..23`, `now().In(timezone("Asia/Tokyo")).Hour() > 12 && now().Hour() < 6`,
		`len(session.line_items.data) > 1 && len(session.payment_method_types) < 1`, `any(session.line_items.data, .currency == "USD") && not any(session.line_items.data, .currency == "EUR")`,
		`session.currency == "USD" || (session.currency == "EUR" && session.amount_total > 100_00)`, `(session.currency == "USD" || session.currency == "EUR") && session.livemode`,
		`session.currency == "JPY" && session.amount_total > 10000 || session.currency == "USD" && session.amount_total > 100_00`, `event.async || session.livemode && event.account == "main"`,
		`event.type == "checkout.session.paid" && session.livemode || event.type == "checkout.session.expired"`,
		`session.amount_total / 100 > 50 and session.amount_total / 100 == 51`, `now() - session.created > duration("1h")`, `session.created - now() > duration("-1h")`, `session.expires_at - now() < duration("1h")`,
		`raw("metadata.seats") == "3" or raw("loyalty.points") == 3 or raw("amount_total", 0) > 5 or raw("livemode") == true or raw("x.metadata.y") == 1`,
		`lower(session.customer_email) == "jane@example.com" and upper(session.currency) in ["EUR"] and session.metadata.kind != "" and "A Gift" contains lower(session.metadata.kind)`,
		`lower(session.customer_email) == session.metadata.Mail or lower(session.metadata.plan) < "Pro"`,
		`trim(session.metadata.code) == "X" and trim(session.metadata.a) contains " b" and trim(session.metadata.c) startsWith "d " and trim(session.metadata.e, ".") == " f"`,
		`lower(trim(session.metadata.code)) in ["x", "a b"] and " x " != session.metadata.code`,
		`session.status contains "comp" and event.type matches "paid|fulfillable" and session.currency matches "(?i)^usd$" and session.currency matches "^U\\w\\w$"`,
		`lower(session.status) in ["complete", ""] and "open,complete" contains session.status and event.account startsWith "m"`,
		`session.metadata.day > "2026-01-31" and session.metadata.code > "007" and session.customer_email > "a"`, `(session.metadata.plan ?? "pro") == "pro" and (session.metadata.a ?? "" ?? "x") == "x"`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
	for _, c := range []struct{ events, when string }{
		{"fulfillable", `session.status == "complete" && session.payment_status != "unpaid"`}, {"paid expired", `session.status == "expired"`},
		{"completed", `session.status == "complete" && session.currency == "USD" && previous.status == ""`},
		{"created", `previous.status != "open" and previous.amount_total == 0 and not previous.livemode`},
		{"updated", `event.change.to == "gift"`}, {"updated", `event.change.field == "client_reference_id" and event.change.to == "Paid"`},
		{"created", `event.change.to == "open"`}, {"created", `event.change.from == ""`},
		{"updated", `event.change.field == "payment_status" and event.change.from == ""`},
		{"unresolved", `session.status == "open"`}, {"updated", `event.change.field == "loyalty"`}, {"*", `session.status == "expired"`},
		{"expired", `event.reason != "manual"`}, {"regressed", `session.payment_status == "unpaid"`},
	} {
		if problems := warningsOf(t, c.when, strings.Fields(c.events)...); len(problems) > 0 {
			t.Errorf("%s of %s: %s", c.when, c.events, describe(problems))
		}
	}
}

func TestRulesThatChooseNothing(t *testing.T) {
	all, paid := []string{"*"}, []string{"paid"}
	for _, tt := range []struct {
		events     []string
		when, code string
		message    string
	}{
		{nil, "", rules.CodeMatchesEverything, "neither events nor when: it"},
		{nil, "true", rules.CodeMatchesEverything, "its condition always holds"},
		{nil, " not false or session.livemode\n", rules.CodeMatchesEverything, "its condition always holds"},
		{nil, "1 == 1", rules.CodeMatchesEverything, "its condition always holds"},
		{all, "", "", ""}, // a clear intention
		{[]string{"checkout.*"}, " true\n", "", ""},
		{paid, "true", "", ""},
		{paid, "session.livemode or true", rules.CodeMisleading, "the condition always holds"},
		{all, "not false", rules.CodeMisleading, "the condition always holds"},
		{nil, "session.livemode and (event.async or true)", rules.CodeMisleading, "one side of this or is always true"},
		{paid, " false", rules.CodeNeverMatches, "never true"},
	} {
		problems := warningsOf(t, tt.when, tt.events...)
		if tt.code == "" {
			if len(problems) > 0 {
				t.Errorf("%v %q: %s", tt.events, tt.when, describe(problems))
			}
			continue
		}
		if len(problems) != 1 || !problems[0].Warning || problems[0].Code != tt.code || !strings.Contains(problems[0].Message, tt.message) {
			t.Errorf("%v %q: %s", tt.events, tt.when, describe(problems))
		}
	}
}

// A whole number is no fraction, however it is written.
func TestWholeAmounts(t *testing.T) {
	for _, when := range []string{`session.amount_total > 1e3`, `session.amount_total > 100_00`,
		`session.amount_total > session.amount_subtotal * 0.9`, `session.amount_total > 100_00 * 1.5`,
		`float(session.amount_total) > 19_99`, `float(session.amount_total) / 100 > 19.99`, `session.amount_total * 1.0 / 100 > 19.99`, `session.amount_total * 0.01 > 19.99`, `round(session.amount_total / 100) >= 19.5`,
		`session.amount_total > 50.00 * 100`, `100 * 50.0 < session.amount_total`, `session.amount_total >= 49.99 * 100`, `session.amount_total > 1000.00 * 100`} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}
