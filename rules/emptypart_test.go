package rules_test

import (
	"strings"
	"testing"

	"checkout-notifier/rules"
)

// Each text has the empty one in it: a constant that is asked for a part that a field may
// leave empty has it wherever the field is empty.
func TestConstantsThatAreAskedForAField(t *testing.T) {
	const country = "session.customer_details.address.country"
	for when, want := range map[string]string{
		`"DE,AT,CH" contains ` + country:                                    `1:1 misleading this is true where ` + country + ` is empty, for every text has an empty one in it (did you mean "` + country + ` in [\"DE\", \"AT\", \"CH\"]")`,
		`"DE, AT; CH" contains ` + country:                                  `["DE", "AT", "CH"]`,
		`"DE AT" contains session.shipping.address.country`:                 `session.shipping.address.country in ["DE", "AT"]`,
		`"de|at" contains lower(` + country + `)`:                           `lower(` + country + `) in ["de", "at"]`,
		`"EUR,USD" contains session.currency`:                               `session.currency in ["EUR", "USD"]`,
		`"eur,usd" contains session.currency`:                               `session.currency in ["EUR", "USD"]`,
		`not ("DE,AT" contains ` + country + `) and session.livemode`:       `in ["DE", "AT"]`,
		`"pro,team" contains session.metadata.plan`:                         `session.metadata.plan in ["pro", "team"]`,
		`"pro,team" contains session.metadata["the plan"]`:                  `session.metadata["the plan"] in ["pro", "team"]`,
		`"@x.com" endsWith session.customer_details.email`:                  `session.customer_details.email endsWith "…"`,
		`"+49" startsWith session.customer_details.phone`:                   `session.customer_details.phone startsWith "+49"`,
		`"premium" contains session.metadata.plan`:                          `session.metadata.plan contains "premium"`,
		`"New York" contains session.customer_details.address.city`:         `session.customer_details.address.city contains "New York"`,
		`any(session.line_items.data, "a,b" contains .price.lookup_key)`:    `.price.lookup_key in ["a", "b"]`,
		`"DE,AT" contains ` + country + ` or session.amount_total > 100_00`: `in ["DE", "AT"]`,
		`session.currency == "EUR" and "DE,AT" contains ` + country:         `in ["DE", "AT"]`,
		`"DE,AT" contains previous.customer_details.address.country`:        `previous.customer_details.address.country in ["DE", "AT"]`,
		`"open complete" contains previous.status`:                          `previous.status in ["open", "complete"]`,
	} {
		problems := warningsOf(t, when, "fulfillable")
		want = strings.ReplaceAll(want, `"DE", "AT"`, `\"DE\", \"AT\"`)
		got := strings.ReplaceAll(describe(problems), `\"`, `"`)
		if want = strings.ReplaceAll(want, `\"`, `"`); len(problems) != 1 || problems[0].Code != rules.CodeMisleading || !strings.Contains(got, want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
	for _, when := range []string{
		country + ` != "" and "DE,AT" contains ` + country,
		`"DE,AT" contains ` + country + ` and has("customer_details.address.country")`,
		`len(` + country + `) == 2 and ("DE,AT" contains ` + country + ` or session.livemode)`,
		`"plan" in session.metadata and "pro,team" contains session.metadata.plan`,
		`"DE,AT" contains (` + country + ` ?? "none")`,
		`"main,backup" contains event.account`,
		`"open complete" contains session.status`,
		`"paid,no_payment_required" contains session.payment_status and session.livemode`,
		`session.metadata.countries contains ` + country,
		country + ` contains "D"`,
		`session.metadata.plan contains "pro" and session.customer_details.email endsWith "@x.com"`,
		`session.client_reference_id contains session.customer`,
		`"cs_1,cs_2" contains session.id`,
	} {
		if problems := warningsOf(t, when, "fulfillable"); len(problems) > 0 {
			t.Errorf("%s:%s", when, describe(problems))
		}
	}
}
