package rules_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"checkout-notifier/rules"
	"checkout-notifier/rules/schema"
)

// fullSession has a value for every field of the reference.
func fullSession() map[string]any {
	session := map[string]any{}
	for _, f := range schema.Fields() {
		path, ok := strings.CutPrefix(f.Name, "session.")
		if !ok {
			continue
		}
		names := strings.Split(path, ".")
		in := session
		for _, name := range names[:len(names)-1] {
			if list, isList := strings.CutSuffix(name, "[]"); isList {
				in = in[list].([]any)[0].(map[string]any)
			} else {
				in = in[name].(map[string]any)
			}
		}
		in[names[len(names)-1]] = map[string]any{
			"string": "text", "int": 7, "float": 1.5, "bool": true, "time": now.Unix(), "object": map[string]any{},
			"map of string": map[string]any{"key": "text"}, "list of string": []any{"text"}, "list of object": []any{map[string]any{}},
		}[f.Type]
	}
	for _, name := range []string{"id", "object", "status", "payment_status", "created", "expires_at"} {
		delete(session, name) // as in every other sample
	}
	return session
}

// wrongNames are names that some object of the reference does not have: those of
// others, those of other APIs, and misspelt ones.
func wrongNames() (names map[string]bool, objects []string) {
	names = map[string]bool{}
	objects = []string{"session", "previous", "event"}
	for _, f := range schema.Fields() {
		if strings.ContainsAny(f.Name, "(") || f.Name == "previous" || strings.Count(f.Name, "[]") > 1 {
			continue
		}
		path := strings.ReplaceAll(f.Name, "[]", "[0]")
		switch f.Type {
		case "object":
			objects = append(objects, path)
		case "list of object":
			objects = append(objects, path+"[0]")
		case "string":
			if strings.HasPrefix(path, "session.c") {
				objects = append(objects, path) // some of those that have no fields at all
			}
		}
		name := path[strings.LastIndexByte(path, '.')+1:]
		names[name] = true
		if len(name) > 4 {
			names[name[:1]+name[2:]] = true
		}
	}
	for _, name := range strings.Fields("amount total amount_due amount_paid subtotal created_at date timestamp expires expiry expiration customer_id items " +
		"live billing_details customer_name customer_phone shipping_details shipping_address payment_method payment_intent_id reference reference_id " +
		"payment_state old new length hour no_such") {
		names[name] = true
	}
	return names, objects
}

var (
	itemInHint = regexp.MustCompile(`\.([a-z_.]*[a-z])(\.…)? == …`)
	inSession  = regexp.MustCompile(`session\.[a-z_]+\)|"[a-z_]+"`)
	// own are names that each object may have of its own, undocumented: another one's is not meant.
	own = strings.Fields("id object url created livemode metadata name status type description")
)

// Whatever hint a wrong name gets, a rule written by it can match: it leads to a
// field that a session has, and never to raw where the name is documented elsewhere.
func TestEveryHintLeadsToARuleThatMatches(t *testing.T) {
	if raceEnabled {
		t.Skip("the work of one goroutine, which the race detector makes ten times as long: make full does it")
	}
	names, objects := wrongNames()
	reference := map[string]bool{}
	for _, f := range schema.Fields() {
		if strings.HasPrefix(f.Name, "session.") {
			reference[f.Name[strings.LastIndexByte(f.Name, '.')+1:]] = true
		}
	}
	var wrong []rules.Rule
	var shown []func(hint string) string // the condition that a hint makes of it
	try := func(when string, by func(hint string) string) {
		wrong = append(wrong, rule(fmt.Sprintf("r%d", len(wrong)), when))
		shown = append(shown, by)
	}
	text := func(value string) string { return "string(" + value + `) != ""` }
	whole := func(prefix string) func(string) string {
		return func(hint string) string {
			if root, _, inside := strings.Cut(hint, "."); inside && (root == "session" || root == "event" || root == "previous") || prefix == "" {
				return text(hint)
			}
			return text(prefix + "." + hint)
		}
	}
	calls := []string{`has(%q)`, `changed(%q) or true`, `raw(%q, "") != ""`}
	for n, name := range slices.Sorted(maps.Keys(names)) {
		try(text(name), whole(""))
		for o, object := range objects {
			if !reference[name] && strings.Contains(object, "[0]") {
				continue // a misspelt name, where it has been tried already
			}
			try(text(object+"."+name), whole(object))
			path, isSession := strings.CutPrefix(object+"."+name, "session.")
			if !isSession {
				continue
			}
			path = strings.NewReplacer("[", ".", "]", "").Replace(path)
			call := calls[(n+o)%len(calls)] // each name in each call, each object in each call
			try(fmt.Sprintf(call, path), func(hint string) string { return fmt.Sprintf(call, hint) })
		}
	}
	set, problems := rules.Compile(wrong, known)
	if set != nil {
		t.Fatal("no name is wrong")
	}
	var right []rules.Rule
	from := map[string]rules.Problem{}
	lead := func(p rules.Problem, when string) {
		r := rule(fmt.Sprintf("r%d", len(right)), when)
		right, from[r.Name] = append(right, r), p
	}
	for _, p := range problems {
		when := wrong[p.Rule].When
		name := strings.TrimRight(when[:strings.LastIndexAny(when, `),`)], `"`)
		name = strings.TrimRight(name[max(strings.LastIndexAny(name, `.("`), 0)+1:], `"`)
		switch {
		case p.Code == rules.CodeMatchesEverything || p.Code == rules.CodeNotBoolean:
		case p.Suggestion != "":
			lead(p, shown[p.Rule](p.Suggestion))
		case name == "subscription" && strings.Contains(p.Message, "raw("):
		case strings.Contains(p.Message, "raw(") && reference[name] && (inSession.MatchString(when) || !slices.Contains(own, name)) && !strings.Contains(when, "previous.") && strings.Count(when, "[0]") == 0:
			t.Errorf("%s: %s", when, p.Message)
		case strings.Contains(p.Message, "there is "):
			_, places, _ := strings.Cut(p.Message, "there is ")
			for place := range strings.SplitSeq(places, " and ") {
				root, _, _ := strings.Cut(place, ".")
				switch {
				case strings.HasPrefix(place, "any("):
					lead(p, itemInHint.ReplaceAllString(place, `string(.$1) != ""`))
				case root == "session" || root == "previous":
					lead(p, text(strings.ReplaceAll(place, "[]", "[0]")))
				default: // of has
					lead(p, text("session."+strings.ReplaceAll(place, "[]", "[0]")))
				}
			}
		}
	}
	set, problems = rules.Compile(right, known)
	for _, p := range problems {
		if !p.Warning {
			t.Errorf("%s became %s: %s", wrong[from[right[p.Rule].Name].Rule].When, right[p.Rule].When, p.Message)
		}
	}
	if set == nil {
		t.FailNow()
	}
	e, previous := paid(t, fullSession())
	e.Reason = "manual"
	matched := map[string]bool{}
	for _, target := range set.Match(e, previous, now).Targets {
		for _, name := range target.Rules {
			matched[name] = true
		}
	}
	for _, r := range right {
		if !matched[r.Name] {
			t.Errorf("%s: the hint %q (%s) leads to %s, which does not match", wrong[from[r.Name].Rule].When, from[r.Name].Suggestion, from[r.Name].Message, r.When)
		}
	}
	t.Logf("%d wrong conditions, %d hints", len(wrong), len(right))
}

// What is written as in other languages, or with the types mixed up, is told how it
// is written here.
func TestOtherWaysToWriteARule(t *testing.T) {
	for when, want := range map[string]string{
		`session.customer_details.country == "DE"`:                   `"address.country"`,
		`session.country == "DE"`:                                    `there is session.shipping.address.country and session.customer_details.address.country`,
		`country == "DE"`:                                            `there is session.shipping.address.country and session.customer_details.address.country`,
		`session.customer.email == "a@x.com"`:                        `"session.customer_details.email"`,
		`session.quantity == "1"`:                                    `any(session.line_items.data, .quantity == …)`,
		`any(session.line_items.data, quantity == "1")`:              `".quantity"`,
		`session.order_id == "x"`:                                    `session.metadata.order_id`,
		`event.amount_total > 5`:                                     `"session.amount_total"`,
		`session.async`:                                              `"event.async"`,
		`event.data.object.status == "open"`:                         `event has no field data (did you mean "session.status")`,
		`event.data`:                                                 `the session is session, as in session.amount_total`,
		`session.created.hour > 8`:                                   `"Hour()"`,
		`session.created.day == 1`:                                   `"Day()"`,
		`now().getHours() > 8`:                                       `"Hour"`,
		`hour(now()) > 8`:                                            `now().Hour()`,
		`now > session.created`:                                      `now()`,
		`type == "checkout.session.paid"`:                            `event.type`,
		`endsWith(session.customer_email, "@x.com")`:                 `stands between two texts`,
		`session.customer_email.endsWith("@x.com")`:                  `session.customer_email endsWith "x"`,
		`session.customer_email.toLowerCase() == "x"`:                `lower(session.customer_email)`,
		`session.customer_email.length > 5`:                          `len(session.customer_email)`,
		`session.customer_email ends with "x"`:                       `"endsWith"`,
		`session.line_items.data.length > 2`:                         `len(session.line_items.data)`,
		`session.line_items.data.price.id == "x"`:                    `any(session.line_items.data, .price.id == …)`,
		`session.line_items.data.name == "x"`:                        `any(session.line_items.data, .… == …)`,
		`session.metadata == true`:                                   `session.metadata.key == "true"`,
		`session.metadata.gift == true`:                              `session.metadata.gift == "true"`,
		`not session.metadata.gift`:                                  `session.metadata.gift != "true"`,
		`session.metadata["gift"]`:                                   `session.metadata.gift == "true"`,
		`session.metadata.plan.name == "x"`:                          `session.metadata["plan.name"]`,
		`session.metadata.order-id == "x"`:                           `session.metadata["a-b"]`,
		`session.currency == "EUR" or "USD"`:                         `each side is a condition of its own`,
		`session.currency == ["EUR", "USD"]`:                         `session.currency in […]`,
		`session.currency in ("EUR", "USD")`:                         `a list stands in [ ]`,
		`session.currency == usd`:                                    `"\"USD\""`,
		`session.status == completed`:                                `"\"complete\""`,
		`session.amount_total between 1 and 5`:                       `session.amount_total in 1_00..5_00`,
		`now().Hour() in [9..17]`:                                    `without brackets`,
		`session.livemode == 1`:                                      `true or false, and no number`,
		`session.created > "yesterday"`:                              `date("2026-01-31")`,
		`now() - session.created > "2 hours"`:                        `duration("30m")`,
		`session.created > now() - 1h`:                               `duration("1h")`,
		`exists(session.customer)`:                                   `"has"`,
		`session.changed("status")`:                                  `changed(…)`,
		`changed(amount_total)`:                                      `"\"amount_total\""`,
		`has("customer_details.country")`:                            `"customer_details.address.country"`,
		`has("country")`:                                             `customer_details.address.country`,
		`has("customer.country")`:                                    `customer_details.address.country`,
		`has("line_items.data.quantity")`:                            `any(session.line_items.data, .quantity == …)`,
		`any(session.line_items.data, .product == "x")`:              `"price.product"`,
		`session.line_items.data == "x" and event.from > 1`:          `"change.from"`,
		`event.previous.status == "open"`:                            `"previous.status"`,
		`event.previous_attributes.status == "open"`:                 `"previous.status"`,
		`data.object.amount_total > 5`:                               `unknown name data (did you mean "session.amount_total")`,
		`data.amount_total > 5`:                                      `"session.amount_total"`,
		`data["object"]["status"] == "open"`:                         `"session.status"`,
		`data.object.amount_totl > 5`:                                `"session.amount_total"`,
		`data.object.metadata["a b"] == "x"`:                         `"session.metadata[\"a b\"]"`,
		`data.object.created.Hour() > 5`:                             `"session.created.Hour"`,
		`data.previous_attributes.status == "open"`:                  `"previous.status"`,
		`data.loyalty.tier == "gold"`:                                `unknown name data; a name begins with session, previous or event`,
		`data[0].amount_total > 5`:                                   `"session.line_items.data"`,
		`session.data.object.amount_total > 5`:                       `"session.amount_total"`,
		`$.amount_total > 5`:                                         `unknown name $ (did you mean "session.amount_total")`,
		`checkout.session.amount_total > 5`:                          `"session.amount_total"`,
		`payload.amount_total > 5`:                                   `"session.amount_total"`,
		`payload.type == "paid"`:                                     `"event.type"`,
		`payload.loyalty == "gold"`:                                  `a name begins with session, previous or event`,
		`price.currency == "EUR"`:                                    `there is any(session.line_items.data, .price.… == …)`,
		`any(session.line_items.data, item.price.id == "x")`:         `".price.id"`,
		`event.change.new == "paid"`:                                 `"to"`,
		`event.change.old == "paid"`:                                 `"from"`,
		`event.change.name == "paid"`:                                `"field"`,
		`event.change.status == "paid"`:                              `a change has field, from and to`,
		`has("data.object.status")`:                                  `(did you mean "status")`,
		`old.status == "open"`:                                       `"previous"`,
		`event.change == "status"`:                                   `such as .field`,
		`any(session.line_items.data, .price == "price_1")`:          `such as .id`,
		`session.metadata.get("plan") == "pro"`:                      `session.metadata.plan`,
		`session.metadata contains "plan"`:                           `"plan" in session.metadata`,
		`has("plan")`:                                                `has("metadata.plan")`,
		`session.paid`:                                               `"paid" is a word of session.payment_status`,
		`session.line_items.count > 2`:                               `len(session.line_items.data)`,
		`not session.customer_email contains "x"`:                    `not (…)`,
		`session.expires_at < duration("1h")`:                        `now() + duration("1h")`,
		`session.expires_at < "1h"`:                                  `now() + duration("1h")`,
		`session.created > 2026-01-01`:                               `date("2026-01-31")`,
		`session.livemode == "live"`:                                 `true or false, and no text`,
		`session.currency in [EUR, usd]`:                             `"\"USD\""`,
		`event.type in [paid]`:                                       `"\"checkout.session.paid\""`,
		`session.customer_email =~ "x"`:                              `asked by matches`,
		`session.status == “open”`:                                   `straight quotes`,
		`session.currency eq "EUR"`:                                  `"=="`,
		`session.currency in ["USD" "EUR"]`:                          `the elements of a list are separated by commas: "USD", "EUR"`,
		`session.amount_total in [5_00 10_00]`:                       `separated by commas: 5_00, 10_00`,
		`session.customer_email in ["a@x.com" "b@x.com"]`:            `1:38 expression unexpected text; the elements of a list are separated by commas: write one before this`,
		`startswith(session.customer_email, "x")`:                    `it is written session.customer_email startsWith "x"`,
		`endsWith(lower(session.customer_email), "x")`:               `stands between two texts`,
		`includes("x", session.customer_email)`:                      `it is written session.customer_email contains "x"`,
		`session.customer_email[0] == "a"`:                           `a text has no elements: its beginning is asked for as in session.customer_email startsWith "x"`,
		`session.amount_total[0] == 5`:                               `int has no elements`,
		`session.amount_total in 100.00..200.00`:                     `1:31 expression a range has whole numbers at both ends (did you mean "100_00..200_00")`,
		`session.amount_total in 1..2.5`:                             `a range has whole numbers at both ends (did you mean "")`,
		`session.created in "a".."b"`:                                `a range has whole numbers at both ends`,
		`session.customer == nul`:                                    `unknown name nul: what is missing is "", 0 or false`,
		`session.currency == nill`:                                   `unknown name nill: what is missing is "", 0 or false`,
		`session.currency in ["USD"; "EUR"]`:                         `separated by commas`,
		`session.amount_total in ["5", "10"]`:                        `session.amount_total is a number, and never this text; a number stands without quotes`,
		`session.currency in [5, 10]`:                                `session.currency is a text, and never this number; a text stands in quotes`,
		`session.metadata.seats not in [1, 2]`:                       `session.metadata.seats is a text, and never this number; a text stands in quotes`,
		`session.metadata.vip in [true]`:                             `is a text, and never true or false; a text stands in quotes`,
		`session.livemode in ["true"]`:                               `session.livemode is true or false, and never this text; true and false stand without quotes`,
		`session.created in ["2026-01-01"]`:                          `session.created is a time, and never this text; a time is compared as in session.created >= date("2026-01-31")`,
		`session.currency in [["USD", "EUR"]]`:                       `a list stands in one pair of brackets`,
		`session.metadata.vip`:                                       `session.metadata.vip == "true", or session.metadata.vip != "" if any value will do`,
		`session.status`:                                             `compare it, as in session.status == "open"`,
		`not previous.payment_status`:                                `previous.payment_status != "paid"`,
		`not session.customer`:                                       `compare it, as in session.customer == ""`,
		`! session.customer`:                                         `compare it, as in session.customer == ""`,
		`not session.amount_total`:                                   `compare it, as in session.amount_total == 0`,
		`not session.metadata.vip`:                                   `session.metadata.vip != "true", or session.metadata.vip == "" if there is to be no value`,
		`not session.metadata`:                                       `asked by not has("metadata")`,
		`session.customer`:                                           `compare it, as in session.customer != ""`,
		`session.amount_total`:                                       `compare it, as in session.amount_total > 0`,
		`session.livemode session.currency == "USD"`:                 `conditions are joined by and`,
		`session.livemode not event.async`:                           `conditions are joined by and`,
		`unless session.livemode`:                                    `not (…)`,
		`exists session.customer`:                                    `has("customer")`,
		`session.customer exists`:                                    `has("customer")`,
		`session.metadata.plan changed`:                              `changed("status")`,
		`empty(session.customer)`:                                    `has("customer")`,
		`isNull(session.customer)`:                                   `has("customer")`,
		`session.customer.isEmpty()`:                                 `session.customer == ""`,
		`session.currency not "USD"`:                                 `"!="`,
		`session.currency !in ["USD"]`:                               `"not in"`,
		`session.livemode | event.async`:                             "unexpected | (did you mean \"||\")",
		`session.livemode | async`:                                   "(did you mean \"||\")",
		`any(session.line_items.data, x => x.id == "y")`:             `an element has no name`,
		`any(session.line_items.data, x -> x.id == "y")`:             `an element has no name`,
		`session.amount_total > 100 USD`:                             `the currency is session.currency`,
		`session.amount_total > $100`:                                `an amount is a whole number of the smallest unit`,
		`session.amount_total > 1.000.00`:                            `grouped by _`,
		`session.amount_total > 100k`:                                `grouped by _`,
		`session.amount_total > 1e`:                                  `bad number syntax: "1e"`,
		`now() > "22:00"`:                                            `the hour of a time, in UTC, is a number: now().Hour()`,
		`"09:30:00" <= session.created`:                              `the hour of a time, in UTC, is a number: session.created.Hour()`,
		`session.created > now() - 7d`:                               `duration("7d")`,
		`session.amount_total in 100-200`:                            `session.amount_total in 1_00..5_00`,
		`event.type == checkout.session.paid`:                        `"\"checkout.session.paid\""`,
		`event.type in [checkout.session.paid]`:                      `"\"checkout.session.paid\""`,
		`event == "paid"`:                                            `such as .type`,
		`event.name == "paid"`:                                       `"type"`,
		`session.metadata[plan] == "pro"`:                            `"\"plan\""`,
		`plan in session.metadata`:                                   `"\"plan\""`,
		`session.metadata."order id" == "5"`:                         `session.metadata["a b"]`,
		`yes`:                                                        `"true"`,
		`session.metadata.note == 'it''s'`:                           `a quote in a text stands behind a backslash`,
		`session.metadata.plan matches pro`:                          `"\"pro\""`,
		`session.customer_email matches "*@x.com"`:                   `any text is .*`,
		`session.customer_details.phone matches "+49"`:               `"\"\\\\+49\""`,
		`session.currency is not "USD"`:                              `"!="`,
		`session.currency is in ["USD"]`:                             `"in"`,
		`session.currency isnt "USD"`:                                `"!="`,
		`["EUR", "USD"].includes(session.currency)`:                  `whether a value is one of several is asked as in session.currency in […]`,
		`["EUR"].indexOf(lower(session.currency)) > 0`:               `whether a value is one of several is asked as in lower(session.currency) in […]`,
		`session.payment_method_types.includes("card")`:              `whether it has an element is asked as in "card" in session.payment_method_types`,
		`session.customer_details.phone startsWith 49`:               `a text stands in quotes, as in session.customer_details.phone startsWith "49"`,
		`session.metadata.code endsWith 007`:                         `as in session.metadata.code endsWith "007"`,
		`session.amount_total contains 00`:                           `invalid operation: contains`,
		`lowercase(session.currency) == "eur"`:                       `it is written lower(session.currency)`,
		`toUpper(session.metadata.plan) == "PRO"`:                    `it is written upper(session.metadata.plan)`,
		`session.customer_email LIKE '%@x.com'`:                      `unexpected LIKE; a text without the % that stands for any (did you mean "endsWith")`,
		`session.customer_email like "jane%"`:                        `(did you mean "startsWith")`,
		`session.customer_email Like "%jane%"`:                       `(did you mean "contains")`,
		`session.customer_email LIKE "j%e"`:                          `(did you mean "matches")`,
		`session.customer_email ILIKE "jane"`:                        `(did you mean "matches")`,
		`session.currency starts_with "U"`:                           `"startsWith"`,
		`session.currency endswith "U"`:                              `"endsWith"`,
		`session.metadata.plan matches /pro/`:                        `a pattern stands in quotes`,
		`session.currency in ["USD", "EUR")`:                         `a [ is open here`,
		`session.livemode)`:                                          `no bracket is open here`,
		`session.line_items.data.0.id == "x"`:                        `session.line_items.data[0]`,
		`"prod_1" in session.line_items.data`:                        `any(session.line_items.data, .description contains "prod_1")`,
		`return session.livemode`:                                    `a condition stands alone`,
		`session.amount_total > 5 and < 9`:                           `each side is a condition of its own`,
		`session.metadata.plan in "pro,team"`:                        `is asked as in session.metadata.plan in ["a", "b"]`,
		`{{ session.livemode }}`:                                     `without {{ }}`,
		`${session.livemode}`:                                        `without ${ }`,
		`raw(loyalty.tier) == "gold"`:                                `"\"loyalty.tier\""`,
		`if session.livemode`:                                        `without if`,
		`session.meta.plan == "pro"`:                                 `"metadata"`,
		`session.livemode == no`:                                     `"false"`,
		`session.metadata.vip == yes`:                                `"\"yes\""`,
		`changed("session.status")`:                                  `"status"`,
		`has("session.customer")`:                                    `"customer"`,
		`session.line_items.data contains "x"`:                       `any(session.line_items.data, .description contains "x")`,
		`session.currency in ["USD", "EUR"`:                          `1:21 unfinished unexpected end of the expression: this [ is not closed`,
		`session.amount_total BETWEEN 100 AND 200`:                   `unexpected BETWEEN; a range is asked for as in session.amount_total in 1_00..5_00`,
		`.Session.currency == "EUR"`:                                 `inside any(…) and the like (did you mean "session.currency")`,
		`.Event.Type == "x"`:                                         `(did you mean "event.Type")`,
		`session.livemode and (.amount_total > 5)`:                   `unexpected .; what begins with a dot is a member of an element`,
		`session.created.Add("30m") < now()`:                         `to call Add; a span is written duration("30m")`,
		`session.created.Add(30) < now()`:                            `a span is written duration("30m")`,
		`session.created.Before("2026-01-01")`:                       `a time is written date("2026-01-01")`,
		`session.created.Sub("30m") < now()`:                         `a span is taken away as in session.created - duration("30m")`,
		`filter(session.line_items.data, .amount_total > 5).len > 0`: `it is written len(filter(…))`,
		`map(session.line_items.data, .amount_total).length > 0`:     `it is written len(map(…))`,
		`session.metadata.score ?? 0 > 5`:                            `1:24 expression a value and its default stand in parentheses beside >, as in int(session.metadata.score ?? "0") > …`,
		`session.livemode and session.customer ?? "x" == "y"`:        `1:39 expression a value and its default stand in parentheses beside ==, as in (session.customer ?? "x") == …`,
		`session.customer_email ?? "a@x.com" == "y"`:                 `as in (session.customer_email ?? …) == …`,
		`max(map(session.line_items.data, .amount_total)) ?? 0 > 5`:  `as in (… ?? 0) > …`,
		`session.livemode and (has("customer") or`:                   `1:22 unfinished unexpected end of the expression: this ( is not closed`,
		`session.currency == "USD'`:                                  `1:21 unfinished this text has no closing quote`,
	} {
		set, problems := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if set != nil || !strings.Contains(describe(problems), want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
	for when, want := range map[string]string{
		`raw("amount_totl", 0) > 5`:                                `"amount_total"`,
		`raw("amount_totl") > 5`:                                   `"amount_total"`,
		`raw("customer_details.country", "") == "DE"`:              `"customer_details.address.country"`,
		`raw("line_items.data.0.quantty") == "2"`:                  `"line_items.data.0.quantity"`,
		`event.type == "PAID"`:                                     `"checkout.session.paid"`,
		`session.currency == "euro"`:                               `codes of three letters`,
		`session.currency == "978"`:                                `codes of three letters`,
		`session.customer_details.address.country == "UK"`:         `"GB"`,
		`lower(session.shipping.address.country) in ["de", "uk"]`:  `"gb"`,
		`"EU" != session.shipping.address.country`:                 `the European Union is no country`,
		`session.currency in ["€"]`:                                `codes of three letters`,
		`session.customer_details.address.country == "Germany"`:    `codes of two letters`,
		`session.shipping.address.country in ["de", "AT"]`:         `countries are in upper case`,
		`session.created.Format("YYYY-MM-DD") == "2026-01-01"`:     `2006-01-02`,
		`session.customer == "null"`:                               `what is missing is ""`,
		`session.customer_email not in ["undefined"]`:              `what is missing is ""`,
		`session.customer_email matches "/example/i"`:              `"(?i)example"`,
		`session.metadata.plan matches "/^pro$/g"`:                 `"^pro$"`,
		`session.customer_details.phone matches "^+49"`:            `(did you mean "^\\+49")`,
		`session.customer_details.phone matches "(?i)^+49|^0"`:     `an anchor is not repeated`,
		`session.metadata.note matches "total$*"`:                  `an anchor is not repeated`,
		`lower(session.customer_email) matches "(\\b)+x"`:          `an anchor is not repeated`,
		`session.status == "paid"`:                                 `"paid" is a word of session.payment_status`,
		`raw("session.loyalty.tier") == "gold"`:                    `"loyalty.tier"`,
		`raw("data.object.loyalty") == "gold"`:                     `"loyalty"`,
		`session.amount_total in ["5", 10]`:                        `session.amount_total is a number, and never this text`,
		`session.metadata.vip in ["true", 1]`:                      `session.metadata.vip is a text, and never this number`,
		`now().Hour() in [9-17]`:                                   `"9..17"`,
		`any(session.line_items.data, session.amount_total > 5)`:   `asks nothing of the elements`,
		`count(session.line_items.data, session.livemode) > 2`:     `asks nothing of the elements`,
		`session.customer_email == "*@example.com"`:                `endsWith`,
		`session.customer_details.email in ["example.com"]`:        `endsWith`,
		`lower(session.customer_email) == "@example.com"`:          `endsWith`,
		`event.type == "checkout.session.async_payment_succeeded"`: `"checkout.session.fulfillable"`,
	} {
		if problems := warningsOf(t, when); len(problems) != 1 || !strings.Contains(describe(problems), want) {
			t.Errorf("%s: want %s, got %s", when, want, describe(problems))
		}
	}
	for _, when := range []string{`raw("loyalty.tier", "") == "x"`, `raw("amount", 0) > 5`, `raw("payment_method_options.crad.x") == 1`, `raw("metadata.amount_totl") == "x"`,
		`session.currency == "" or session.shipping.address.country in ["", "DE"]`, `session.currency startsWith "U"`, `raw("live_mode") == true`,
		`session.amount_total in [5, 10] or session.metadata.seats in ["1", ""]`, `count(session.line_items.data, true) > 2`, `any(session.line_items.data, #.id == "x") or has("line_items")`,
		`any(session.line_items.data, any(session.payment_method_types, # == "card") and .quantity == "1")`, `session.customer_email in ["", "jane@example.com"] or session.customer_email endsWith "@example.com"`,
		`len(filter(session.line_items.data, {let i = #; i.amount_total > 5})) > 1`, `session.customer_details.phone matches "^\\+49" and session.success_url matches "/thanks/i" and session.metadata.path matches "/shop/"`, `raw("amount_tax", 0) > 5 and session.metadata.note != "null" and raw("sessions.x") == 5 and raw("session") == nil`, `session.amount_total in [10-5]`} {
		if problems := warningsOf(t, when); len(problems) > 0 {
			t.Errorf("%s: %s", when, describe(problems))
		}
	}
}
