package rules_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/rules"
	"checkout-notifier/rules/schema"
)

var (
	leads   = regexp.MustCompile("(there is|each is asked for as in) (.*)")
	byRaw   = regexp.MustCompile(`read with (raw\(.*?\))(?:, a key of the metadata with (.*))?$`)
	members = regexp.MustCompile(`\.([a-z_.]*[a-z])(\.…)? == …`)
)

// Each hint for a path that is misspelt, or of no field, compiles in the place of the path,
// whatever it is compared with: no hint leads to the next mistake.
func TestHintsCompileWhereTheyArePasted(t *testing.T) {
	if raceEnabled {
		t.Skip("the work of one goroutine, which the race detector makes ten times as long: make full does it")
	}
	const inItems = "any(session.line_items.data, %s)"
	roots := []struct{ object, around string }{
		{"session.", "%s"}, {"previous.", "%s"}, {"session.customer_details.", "%s"}, {"session.shipping.address.", "%s"}, {"session.line_items.", "%s"}, {"session.line_items.data[0].", "%s"},
		{"session.payment_intent.", "%s"}, {"session.customer.", "%s"}, {"session.payment_link.", "%s"}, {"session.customer_email.", "%s"}, {"session.currency.", "%s"}, {"session.line_items.data[0].price.product.", "%s"},
		{".", inItems}, {"#.", inItems}, {".price.", inItems}, {".price.product.", inItems}, {".description.", inItems}, {"#.shipping.", inItems},
		{".", "any(session.line_items.data, any(.discounts, %s))"}, {".coupon.", "any(session.line_items.data, any(.discounts, %s))"},
		{"payment_intent.", "%s"}, {"customer.", "%s"}, {"session.payment_intent.session.", "%s"}, {"url.", "%s"}, {"customer_details.", "%s"}, {"", "%s"}, {"data.object.", "%s"}, {"session.line_items.data.", "%s"}, {"session.metadata.plan.", "%s"},
	}
	names := strings.Fields("tax_id gift subscription no_such sku points total amount_due created_at items title product_name amount_totl pament_status emial billing_details")
	for _, f := range schema.Fields() {
		if name := f.Name[strings.LastIndexByte(f.Name, '.')+1:]; strings.HasPrefix(f.Name, "session.") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var wrong []rules.Rule
	var paths, holes []string
	for _, root := range roots {
		for n, name := range names {
			uses := []string{`string(%s) != ""`}
			if n < 6 && root.object == "session." { // undocumented, of any type
				uses = append(uses, `%s != ""`, `"" == %s`, `%s == false`, `not %s`, `%s > 5`, `%s == 0`, `%s + 1 > 2`, `%s in ["", "a"]`, `%s in [0, 5]`, `lower(%s) == "a"`, `%s contains "a"`, `%s and session.livemode`)
			}
			for _, use := range uses {
				when := fmt.Sprintf(root.around, fmt.Sprintf(use, root.object+name))
				wrong, paths, holes = append(wrong, rule(fmt.Sprintf("r%d", len(wrong)), when)), append(paths, root.object+name), append(holes, fmt.Sprintf(root.around, use))
			}
		}
	}
	_, problems := rules.Compile(wrong, known)
	var pasted []rules.Rule
	from := map[string]rules.Problem{}
	paste := func(p rules.Problem, when string) {
		r := rule(fmt.Sprintf("r%d", len(pasted)), when)
		pasted, from[r.Name] = append(pasted, r), p
	}
	for _, p := range problems {
		path, hole := paths[p.Rule], holes[p.Rule]
		if strings.Contains(p.Message, "cannot be compiled") {
			t.Errorf("%s: %s", wrong[p.Rule].When, p.Message)
		}
		if p.Warning || p.Code == rules.CodeNotBoolean {
			continue
		}
		into := func(hint string) { paste(p, strings.Replace(hole, "%s", hint, 1)) }
		switch root, _, _ := strings.Cut(p.Suggestion, "."); {
		case p.Suggestion == "":
		case slices.Contains([]string{"session", "previous", "event", ""}, root) && strings.Contains(p.Suggestion, "."):
			into(p.Suggestion)
		default:
			into(path[:strings.LastIndexByte(path, '.')+1] + p.Suggestion)
		}
		if found := byRaw.FindStringSubmatch(p.Message); found != nil {
			into(found[1])
			if found[2] != "" {
				into(found[2])
			}
		}
		if found := leads.FindStringSubmatch(p.Message); found != nil {
			for place := range strings.SplitSeq(found[2], " and ") {
				if strings.HasPrefix(place, "any(") {
					paste(p, members.ReplaceAllString(strings.ReplaceAll(place, "any(session.line_items.data, .… == …)", "true"), `string(.$1) != ""`))
				} else {
					into(place)
				}
			}
		}
	}
	_, problems = rules.Compile(pasted, known)
	for _, p := range problems {
		if !p.Warning {
			led := from[pasted[p.Rule].Name]
			t.Errorf("%s: %s (did you mean %q) leads to %s: %s", wrong[led.Rule].When, led.Message, led.Suggestion, pasted[p.Rule].When, p.Message)
		}
	}
	t.Logf("%d wrong conditions, %d hints", len(wrong), len(pasted))
	if len(pasted) < len(wrong)/3 {
		t.Error("few hints")
	}
}

// A hint means what the author meant, or there is none: what an id names is no part of a
// session, and what each object may have of its own is not that of another one.
func TestHintsMeanWhatWasMeant(t *testing.T) {
	for when, want := range map[string]string{
		`any(session.line_items.data, .price.product.name contains "x")`: `.price.product is only the id of the product: what the customer reads of it is the description of the item (did you mean "")`,
		`session.line_items.data[0].price.product.name == "x"`:           `session.line_items.data.0.price.product is only the id`,
		`session.subscription != ""`:                                     `an undocumented field is read with raw("subscription", "")`,
		`any(session.line_items.data, .name contains "x")`:               `line item has no field name (did you mean "description")`,
		`any(session.line_items.data, .price.quantity == "1")`:           `price has no field quantity; there is .quantity (did`,
		`session.payment_intent.status == "succeeded"`:                   `session.payment_intent is only the id of the payment intent: whether it is paid is asked by session.payment_status == "paid" (did you mean "")`,
		`payment_intent.status == "succeeded"`:                           `asked by session.payment_status == "paid" (did you mean "")`,
		`session.payment_intent.session == "x"`:                          `is only the id of the payment intent`,
		`session.customer.customer == "x"`:                               `session.customer is only the id of the customer`,
		`session.payment_intent.amount > 5`:                              `is only the id of the payment intent`,
		`session.payment_link.url == "x"`:                                `session.payment_link is only the id of the payment link that created the session (did you mean "")`,
		`session.customer.id == "cus_1"`:                                 `session.customer is the id itself`,
		`customer.email == "a@x.com"`:                                    `"session.customer_details.email"`,
		`session.customer_details.id != ""`:                              `an undocumented field is read with raw("customer_details.id", "")`,
		`has("customer_details.id")`:                                     `use raw("customer_details.id") != nil`,
		`session.promotion_code == "x"`:                                  `there is any(session.line_items.data, any(.discounts, .promotion_code == …))`,
		`session.tiers == "x"`:                                           `there is any(session.line_items.data, len(.price.tiers) > 0)`,
	} {
		_, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if len(problems) != 1 || !strings.Contains(describe(problems), want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
}
