package rules_test

import (
	"reflect"
	"strings"
	"testing"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules"
	"checkout-notifier/rules/schema"

	"github.com/google/go-cmp/cmp"
)

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	list := []rules.Rule{
		{Name: "ship", Events: []string{"fulfillable"}, To: []string{"bus"}, Enabled: true},
		{Name: "Ship It", Events: []string{"paid", "payed", "checkout.session.expred", "[", "notifier.*"}, To: []string{"bus", "fulfillment"}},
		{Name: "ship", Accounts: []string{"main", "mian"}, When: "session.statuss == 1", Events: []string{"paid"}},
		{Name: "own", Events: []string{"*"}, To: []string{"bus"}, Format: "slack", Template: "{{ .Link }}"},
		{Name: "own-2", Events: []string{"paid"}, To: []string{"bus"}, Format: "template"},
		{Name: "own-3", Events: []string{"paid"}, To: []string{"bus"}, Format: "slak", ContentType: "text/plain"},
		{Name: "late", Events: []string{"expired"}, To: []string{"bus"}, When: "\n\tsession.mode == 'payments' and\n\tevent.type == 'checkout.session.paid'"},
	}
	set, problems := rules.Compile(list, known)
	if set != nil {
		t.Error("a set was returned with errors")
	}
	type short struct {
		Rule, Index, Line, Column int
		Key, Code, Suggestion     string
		Warning                   bool
	}
	var got []short
	for _, p := range problems {
		got = append(got, short{p.Rule, p.Index, p.Line, p.Column, p.Key, p.Code, p.Suggestion, p.Warning})
	}
	want := []short{
		{1, -1, 0, 0, "name", rules.CodeName, "ship-it", false},
		{1, 1, 0, 0, "events", rules.CodeUnknownEvent, "paid", false},
		{1, 2, 0, 0, "events", rules.CodeUnknownEvent, "checkout.session.expired", false},
		{1, 3, 0, 0, "events", rules.CodeUnknownEvent, "", false},
		{1, 4, 0, 0, "events", rules.CodeUnknownEvent, "", false},
		{1, 1, 0, 0, "to", rules.CodeUnknownDestination, "fulfilment", false},
		{2, -1, 0, 0, "name", rules.CodeDuplicate, "", false},
		{2, 1, 0, 0, "accounts", rules.CodeUnknownAccount, "main", false},
		{2, -1, 0, 0, "to", rules.CodeNoDestination, "", false},
		{2, -1, 1, 9, "when", rules.CodeExpression, "status", false},
		{3, -1, 0, 0, "format", rules.CodeRendering, "", false},
		{4, -1, 0, 0, "format", rules.CodeRendering, "", false},
		{5, -1, 0, 0, "format", rules.CodeRendering, "slack", false},
		{5, -1, 0, 0, "content_type", rules.CodeNoEffect, "", true},
		{6, -1, 2, 18, "when", rules.CodeNeverMatches, "payment", true},
		{6, -1, 3, 16, "when", rules.CodeNeverMatches, "", true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s%s", diff, describe(problems))
	}
	last := problems[len(problems)-1]
	if want := "\tevent.type == 'checkout.session.paid'\n\t              ^"; last.Snippet != want {
		t.Errorf("snippet %q, want %q", last.Snippet, want)
	}
	if first := problems[6]; !strings.Contains(first.Message, "rules[0]") {
		t.Errorf("the duplicate does not name the first: %s", first.Message)
	}
}

func TestExpressionProblems(t *testing.T) {
	for when, want := range map[string]struct {
		column           int
		code, suggestion string
		message          string
	}{
		`session.payment_statuss == "paid"`:                      {9, rules.CodeExpression, "payment_status", "has no field payment_statuss"},
		`sesion.status == "open"`:                                {1, rules.CodeExpression, "session", "unknown name"},
		`status == "open"`:                                       {1, rules.CodeExpression, "session.status", "unknown name"},
		`session.email == ""`:                                    {9, rules.CodeExpression, "customer_details.email", "no field email"},
		`previous.amout_total > 5`:                               {10, rules.CodeExpression, "amount_total", "no field"},
		`event.change.feild == ""`:                               {14, rules.CodeExpression, "field", "no field"},
		`session.loyalty.points > 5`:                             {9, rules.CodeExpression, "", `raw("loyalty.points", 0)`},
		`session.payment_method_options.card != nil`:             {9, rules.CodeExpression, `raw("payment_method_options.card")`, "not documented"},
		`session.amount_total == "5"`:                            {22, rules.CodeExpression, "", "mismatched types int and string"},
		`session.created > 5`:                                    {17, rules.CodeExpression, "", "mismatched types time and int"},
		`session.status`:                                         {9, rules.CodeNotBoolean, "", "but is string"},
		`raw("x")`:                                               {1, rules.CodeNotBoolean, "", "compare it"},
		`session.status ==`:                                      {17, rules.CodeUnfinished, "", "unexpected end of the expression"},
		`any(session.line_items.data, .prize.id == "x")`:         {31, rules.CodeExpression, "price", "no field prize"},
		`"status" in session`:                                    {10, rules.CodeExpression, "", `has("field")`},
		`has("custmer_details.email")`:                           {5, rules.CodeExpression, "customer_details.email", "no documented field"},
		`changed("paymentstatus")`:                               {9, rules.CodeExpression, "payment_status", "no documented field"},
		`has("loyalty")`:                                         {5, rules.CodeExpression, "", `raw("loyalty")`},
		`has("line_items.data.price")`:                           {5, rules.CodeExpression, "", "no documented field"},
		`has(session.status)`:                                    {13, rules.CodeExpression, `"status"`, "constant"},
		`raw("a..b") == 1`:                                       {5, rules.CodeExpression, "", "no path"},
		`now() > session.created + duration("7x")`:               {36, rules.CodeExpression, "", "no duration"},
		`hass("customer")`:                                       {1, rules.CodeExpression, "has", "unknown name"},
		`session.created.In(timezone("Europe/Berlim")) == now()`: {29, rules.CodeExpression, "", "unknown time zone"},
		`session.id matches "("`:                                 {20, rules.CodeExpression, "", "no regular expression: missing closing"},
		`session.id matches session.mode`:                        {28, rules.CodeExpression, "", "constant"},
		`let a = 1..1000; all(a, {# > 1 && $env == nil})`:        {35, rules.CodeExpression, "", "$env"},
		`env("HOME") == ""`:                                      {1, rules.CodeExpression, "", "unknown name env"},
	} {
		r := rule("r", when)
		set, problems := rules.Compile([]rules.Rule{r}, known)
		if set != nil || len(problems) != 1 {
			t.Errorf("%s: %s", when, describe(problems))
			continue
		}
		p := problems[0]
		if p.Column != want.column || p.Line != 1 || p.Code != want.code || p.Suggestion != want.suggestion || !strings.Contains(p.Message, want.message) {
			t.Errorf("%s: got%s", when, describe(problems))
		}
		if caret := strings.LastIndexByte(p.Snippet, '\n') + want.column; len(p.Snippet) != caret+1 || p.Snippet[caret] != '^' {
			t.Errorf("%s: snippet %q", when, p.Snippet)
		}
	}
}

func TestFieldsAreTheDocumentedOnes(t *testing.T) {
	top := map[string]bool{}
	for _, f := range schema.Fields() {
		if f.Type == "" || f.Doc == "" {
			t.Errorf("%s has no type or text", f.Name)
		}
		if name, ok := strings.CutPrefix(f.Name, "session."); ok && !strings.Contains(name, ".") {
			top[strings.TrimSuffix(name, "[]")] = true
		}
	}
	want := map[string]bool{}
	for _, name := range checkout.Fields() {
		want[name] = name != "payment_method_options"
	}
	delete(want, "payment_method_options")
	if !reflect.DeepEqual(top, want) {
		t.Errorf("fields (-documented +in scope):\n%s", cmp.Diff(want, top))
	}
}

func TestIdentity(t *testing.T) {
	base := []rules.Rule{
		{Name: "a", Events: []string{"paid", "expired"}, When: `session.status == "open"`, To: []string{"bus", "fulfilment"}, Labels: map[string]string{"x": "1"}, Enabled: true},
		{Name: "b", Accounts: []string{"main", "backup"}, To: []string{"bus"}, Enabled: true},
	}
	change := func(f func(list []rules.Rule)) string {
		list := append([]rules.Rule(nil), base...)
		f(list)
		return compile(t, list...).ID()
	}
	id := compile(t, base...).ID()
	// Events are stored with it: another version must give the same.
	if want := "rs_ok5zj3zjhm23tdgoquj56v4akq"; id != want {
		t.Errorf("id %q, want %q", id, want)
	}
	for name, f := range map[string]func(list []rules.Rule){
		"white space": func(l []rules.Rule) { l[0].When = "session . status=='open' // open\n" },
		"globs":       func(l []rules.Rule) { l[0].Events = []string{"checkout.session.expired", "p*"} },
		"order":       func(l []rules.Rule) { l[0].To = []string{"fulfilment", "bus", "bus"} },
		"accounts":    func(l []rules.Rule) { l[1].Accounts = []string{"backup", "main"} },
	} {
		if got := change(f); got != id {
			t.Errorf("%s changes the identity", name)
		}
	}
	for name, f := range map[string]func(list []rules.Rule){
		"when":       func(l []rules.Rule) { l[0].When = `session.status == "ope n"` },
		"no when":    func(l []rules.Rule) { l[0].When = "" },
		"event":      func(l []rules.Rule) { l[0].Events = []string{"paid"} },
		"to":         func(l []rules.Rule) { l[0].To = []string{"bus"} },
		"label":      func(l []rules.Rule) { l[0].Labels = map[string]string{"x": "2"} },
		"enabled":    func(l []rules.Rule) { l[1].Enabled = false },
		"account":    func(l []rules.Rule) { l[1].Accounts = []string{"main"} },
		"template":   func(l []rules.Rule) { l[1].Template = "x" },
		"subject":    func(l []rules.Rule) { l[1].Subject = "x" },
		"file order": func(l []rules.Rule) { l[0], l[1] = l[1], l[0] },
	} {
		if got := change(f); got == id {
			t.Errorf("%s does not change the identity", name)
		}
	}
}

// Stripe's pair for an order that is paid at the checkout or later is one type here: beside
// completed it would send each order twice.
func TestStripesPairOfTypesIsOneHere(t *testing.T) {
	for _, c := range []struct {
		events []string
		pair   bool
	}{
		{[]string{"checkout.session.completed", "checkout.session.async_payment_succeeded"}, true},
		{[]string{"completed", "async_payment_succeeded"}, true},
		{[]string{"async_payment_succeeded", "expired"}, false},
	} {
		_, problems := rules.Compile([]rules.Rule{{Name: "r", To: []string{"bus"}, Events: c.events, Enabled: true}}, known)
		if len(problems) != 1 || event.Short(problems[0].Suggestion) != "fulfillable" || strings.Contains(problems[0].Message, "takes the place of completed") != c.pair {
			t.Errorf("%v: %s", c.events, describe(problems))
		}
	}
}
