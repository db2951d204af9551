package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// Ids are a number behind a prefix, in both modes: what Stripe writes into them is told.
func TestIDsAsStripeHasThem(t *testing.T) {
	const mode = "session.livemode or event.account"
	for when, want := range map[string]string{
		`session.id startsWith "cs_live_"`:                        mode + ` asks for that (did you mean "session.livemode")`,
		`not (session.id startsWith "cs_test_")`:                  mode + ` asks for that (did you mean "not session.livemode")`,
		`session.id contains "_test_"`:                            `(did you mean "not session.livemode")`,
		`session.id contains "live" and session.amount_total > 5`: `(did you mean "session.livemode")`,
		`session.id matches "^cs_test_"`:                          `(did you mean "not session.livemode")`,
		`session.id matches "(?i)^CS_LIVE_\\w+"`:                  `(did you mean "session.livemode")`,
		`session.id matches "^cs_(live|test)_[0-9]+$"`:            mode + ` asks for that (did you mean "")`,
		`lower(session.id) startsWith "cs_live_"`:                 `(did you mean "session.livemode")`,
		`session.id == "cs_test_a1B2" or event.async`:             mode + ` asks for that (did you mean "")`,
		`session.id in ["cs_1", "cs_test_2"]`:                     mode,
		`previous.id startsWith "cs_test_"`:                       "previous.id has neither live nor test in it",
		`session.id startsWith "ch_"`:                             `session.id never begins with "ch_": what it has begins with cs_`,
		`session.id matches "^sess_[0-9]+"`:                       `never begins with "sess_"`,
		`session.payment_intent startsWith "ch_"`:                 `what it has begins with pi_`,
		`session.payment_intent in ["pi_1", "seti_2"]`:            `never begins with "seti_"`,
		`session.customer == "gcus_1"`:                            `what it has begins with cus_`,
		`let s = session; s.id startsWith "cs_live_"`:             mode,
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || !strings.Contains(describe(problems), want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
	for _, when := range []string{
		`session.id startsWith "cs_"`, `session.id startsWith "cs_20312"`, `session.id == "cs_2031282752732528640"`, `session.id matches "^cs_[0-9]+$"`,
		`session.id matches "^cs_(test_)?[0-9]+$"`, `session.id contains "2031"`, `session.id endsWith "640"`, `"cs_test_1,cs_1" contains session.id`,
		`session.url contains "cs_test_"`, `session.url contains "/live/"`, `session.success_url contains "test"`, `session.customer == "" or session.payment_intent != ""`,
		`session.customer startsWith "cus_"`, `session.payment_intent matches "^pi_"`, `session.customer in ["cus_1", ""]`, `session.payment_intent == "pi_1"`,
		`session.payment_link startsWith "plink_"`, `session.client_reference_id startsWith "cs_test_"`, `session.metadata.id startsWith "ch_live_"`,
		`any(session.line_items.data, .id == "li_test_1")`, `session.customer_email contains "test"`, `event.id startsWith "evt_test"`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}

// Payment methods are in lower case, and the countries of a list in upper case.
func TestCodesOfLists(t *testing.T) {
	for when, meant := range map[string]string{
		`"Card" in session.payment_method_types`:                                        "card",
		`"CARD" in session.payment_method_types or session.livemode`:                    "card",
		`"WeChat_Pay" not in session.payment_method_types`:                              "wechat_pay",
		`session.payment_method_types == ["Card"]`:                                      "card",
		`session.payment_method_types != ["card", "PayNow"]`:                            "paynow",
		`any(session.payment_method_types, # == "Card")`:                                "card",
		`any(session.payment_method_types, "Card" == #)`:                                "card",
		`any(previous.payment_method_types, # in ["card", "Alipay"])`:                   "alipay",
		`none(session.payment_method_types, # startsWith "Sepa")`:                       "sepa",
		`len(filter(session.payment_method_types, # != "Card")) > 0`:                    "card",
		`count(session.payment_method_types, # contains "Pay") > 1`:                     "pay",
		`"de" in session.shipping_address_collection.allowed_countries`:                 "DE",
		`any(session.shipping_address_collection.allowed_countries, # == "de")`:         "DE",
		`any(session.shipping_address_collection.allowed_countries, # in ["DE", "UK"])`: "GB",
		`"Germany" in session.shipping_address_collection.allowed_countries`:            "",
	} {
		problems := warningsOf(t, when)
		if len(problems) != 1 || problems[0].Code != rules.CodeNeverMatches || problems[0].Suggestion != meant || !strings.Contains(problems[0].Message, " never has ") {
			t.Errorf("%s: want %s, got %s", when, meant, describe(problems))
		}
	}
	for _, when := range []string{
		`"card" in session.payment_method_types`, `any(session.payment_method_types, # == "card")`, `session.payment_method_types == ["card"]`,
		`any(session.payment_method_types, upper(#) == "CARD")`, `any(session.payment_method_types, lower(#) contains "pay")`, `"" in session.payment_method_types`,
		`any(session.payment_method_types, # startsWith "sepa_")`, `any(session.payment_method_types, # in ["card", "alipay"])`,
		`"DE" in session.shipping_address_collection.allowed_countries`, `any(session.shipping_address_collection.allowed_countries, # in ["DE", "AT"])`,
		`any(session.payment_method_types, any(split(session.metadata.tags, ","), # == "Card"))`, `"Card" in split(session.metadata.methods, ",")`,
		`any(map(session.line_items.data, .description), # contains "Card")`,
	} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}
