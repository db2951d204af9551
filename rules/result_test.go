package rules_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/rules"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTargets(t *testing.T) {
	e, previous := paid(t, nil)
	r := func(name string, to []string, labels map[string]string, f func(*rules.Rule)) rules.Rule {
		rule := rules.Rule{Name: name, To: to, Labels: labels, Enabled: true, Events: []string{"p*"}}
		if f != nil {
			f(&rule)
		}
		return rule
	}
	set := compile(t,
		r("one", []string{"ops-slack", "bus", "bus"}, map[string]string{"severity": "page", "team": "a"}, nil),
		r("own-1", []string{"bus"}, map[string]string{"x": "1"}, func(r *rules.Rule) { r.Subject = "a.b" }),
		r("other-type", []string{"bus"}, nil, func(r *rules.Rule) { r.Events = []string{"expired", "checkout.session.c*"} }),
		r("other-account", []string{"bus"}, nil, func(r *rules.Rule) { r.Accounts = []string{"backup"} }),
		r("off", []string{"bus"}, nil, func(r *rules.Rule) { r.Enabled = false }),
		r("false", []string{"bus"}, nil, func(r *rules.Rule) { r.When = "event.inferred" }),
		r("two", []string{"bus"}, map[string]string{"severity": "info", "shop": "eu"}, func(r *rules.Rule) { r.Accounts = []string{"backup", "main"} }),
		r("own-2", []string{"fulfilment", "bus"}, nil, func(r *rules.Rule) { r.Format, r.Template = "template", "x" }),
		r("failing", []string{"bus"}, nil, func(r *rules.Rule) {
			r.When = "1 % session.metadata.seats.len == 0"
			r.When = "int(session.customer_email) == 1"
		}),
	)
	got := set.Match(e, previous, now)
	want := rules.Result{
		Targets: []rules.Target{
			{Destination: "bus", Rules: []string{"one", "two"}, Labels: map[string]string{"severity": "page", "team": "a", "shop": "eu"}},
			{Destination: "bus", OwnRule: "own-1", Rules: []string{"own-1"}, Labels: map[string]string{"x": "1"}},
			{Destination: "bus", OwnRule: "own-2", Rules: []string{"own-2"}, Labels: map[string]string{}},
			{Destination: "fulfilment", OwnRule: "own-2", Rules: []string{"own-2"}, Labels: map[string]string{}},
			{Destination: "ops-slack", Rules: []string{"one"}, Labels: map[string]string{"severity": "page", "team": "a"}},
		},
		Errors: []event.RuleError{{Rule: "failing", Error: "int of a text that is no integer, at 1:1 of when"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(rules.Result{})); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}

	// An event of a type that this version does not know is for rules of all types.
	later := *e
	later.Type = "checkout.session.refunded"
	set = compile(t, rules.Rule{Name: "all", To: []string{"bus"}, Enabled: true}, rule("paid", ""))
	if got := set.Match(&later, previous, now); len(got.Targets) != 1 || len(got.Targets[0].Rules) != 1 {
		t.Errorf("later type: %v", got)
	}
}

func TestFirstSight(t *testing.T) {
	e, _ := paid(t, nil)
	e.Revision, e.Change, e.PreviousAttributes = 1, nil, json.RawMessage(`{}`)
	set := compile(t, rule("r", `previous.status == "" && previous.amount_total == 0 && previous.created.IsZero() &&
		len(previous.line_items.data) == 0 && previous.metadata["plan"] == "" && changed("status") && not changed("shipping") &&
		event.change.field == "" && event.change.from == "" && event.change.to == ""`))
	if got := set.Match(e, nil, now); len(got.Errors) > 0 || len(got.Targets) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestChanged(t *testing.T) {
	object := session(t, map[string]any{"customer_details": map[string]any{"email": "a@example.com", "phone": "1"}, "shipping": nil})
	for _, c := range []struct {
		attributes, path string
		want             bool
	}{
		{`{}`, "status", false},
		{`{"status": "open"}`, "status", true},
		{`{"payment_link": null}`, "payment_status", false},
		{`{"customer_details": {"email": null}}`, "customer_details.email", true},
		{`{"customer_details": {"email": null}}`, "customer_details.phone", false},
		{`{"customer_details": {"email": null}}`, "customer_details", true},
		{`{"customer_details": null}`, "customer_details.email", true},
		{`{"customer_details": null}`, "customer_details.name", false},
		{`{"shipping": {"carrier": "dhl", "name": null}}`, "shipping.carrier", true},
		{`{"shipping": {"carrier": "dhl", "name": null}}`, "shipping.name", false},
		{`{"shipping": {"carrier": "dhl", "address": {"city": "Bonn"}}}`, "shipping.address.city", true},
		{`{"metadata": {"plan": "basic"}}`, "metadata.plan", true},
	} {
		e := &event.Event{Type: event.Paid, Account: "main", Time: now, Revision: 2, Object: object, PreviousAttributes: json.RawMessage(c.attributes)}
		got := compile(t, rule("r", `changed("`+c.path+`")`)).Match(e, nil, now)
		if len(got.Errors) > 0 || (len(got.Targets) == 1) != c.want {
			t.Errorf("%s in %s: %v, want %t", c.path, c.attributes, got, c.want)
		}
	}
}

// At first sight there is no look before: what has a value has changed.
func TestChangedAtFirstSight(t *testing.T) {
	object := session(t, map[string]any{"loyalty": "gold", "customer": "", "shipping": map[string]any{"name": nil}, "payment_method_types": []any{},
		"customer_details": map[string]any{"email": "a@example.com", "address": map[string]any{"city": ""}}})
	for path, want := range map[string]bool{
		"payment_status": true, "amount_total": true, "livemode": true, "customer_details.email": true, "metadata.plan": true, "loyalty": true,
		"customer": false, "payment_link": false, "shipping": false, "payment_method_types": false, "customer_details.address": false,
		"metadata.none": false, "customer_details.phone": false, "nothing": false,
	} {
		e := &event.Event{Type: event.Paid, Account: "main", Time: now, Revision: 1, Object: object, PreviousAttributes: json.RawMessage(`{}`)}
		got := compile(t, rule("r", `changed("`+path+`")`)).Match(e, nil, now)
		if len(got.Errors) > 0 || (len(got.Targets) == 1) != want {
			t.Errorf("%s: %v, want %t", path, got, want)
		}
	}
}

// Undocumented fields change as a whole; a member of one is a mistake.
func TestUndocumentedFieldsChange(t *testing.T) {
	e := &event.Event{Type: event.Updated, Account: "main", Time: now, Revision: 2, Object: session(t, map[string]any{"loyalty": "gold", "other": 1}),
		PreviousAttributes: json.RawMessage(`{"loyalty":"silver"}`)}
	r := rule("r", `changed("loyalty") && !changed("other") && !changed("nothing")`)
	r.Events = []string{"updated"}
	if got := compile(t, r).Match(e, nil, now); len(got.Errors) > 0 || len(got.Targets) != 1 {
		t.Errorf("got %v", got)
	}
	for _, path := range []string{"loyalty.points", "line_items.data.id", "paymentstatus", ".", "", "a..b"} {
		if set, _ := rules.Compile([]rules.Rule{rule("r", `changed("`+path+`")`)}, known); set != nil {
			t.Errorf("changed(%q) was accepted", path)
		}
	}
}

func TestValuesInTheirPlace(t *testing.T) {
	e, previous := paid(t, map[string]any{"metadata": map[string]any{"plan": "", "size": 12, "rate": "1.5"}, "loyalty": map[string]any{"points": nil, "tier": "gold", "zero": 0}})
	for when, want := range map[string]string{
		`raw("loyalty.points", 7) == 7 && raw("no.such", "x") == "x" && raw("loyalty.tier", "x") == "gold"`: "",
		`raw("loyalty.zero", 5) == 0 && raw("loyalty.points", session.amount_total) == 123400`:              "",
		`raw("loyalty.points", nil) == nil && raw("x", [1])[0] == 1`:                                        "",
		`raw("total_details.amount_discount", 0) > -1`:                                                      "",
		`raw("total_details.amount_discount") > 0`:                                                          "a value has the wrong type, at 1:38 of when",
		`int(session.metadata.size ?? "0") == 12 && int(session.metadata.none ?? "0") == 0`:                 "",
		`int(session.metadata.plan ?? "3") == 3 && float(session?.metadata?.rate ?? "0") == 1.5`:            "",
		`(session.metadata["plan"] ?? "basic") == "basic" && (session.payment_link ?? "none") == "none"`:    "",
		`any([1], {(session.metadata.none ?? session.metadata.rate ?? "") == "1.5"})`:                       "",
		`int(session.metadata.none) > 1`:                                                                    "int of session.metadata.none, which is missing or empty, at 1:1 of when",
		`float(previous.metadata["a b"]) > 1`:                                                               `float of previous.metadata["a b"], which is missing or empty, at 1:1 of when`,
		`int(session.payment_link) > 1`:                                                                     "int of session.payment_link, which is missing or empty, at 1:1 of when",
		`int(lower(session.payment_link)) > 1`:                                                              "int of an empty text, at 1:1 of when",
		`int(session.metadata.rate) > 1`:                                                                    "int of a text that is no integer, at 1:1 of when",
		`any([{"a": ""}], int(.a) > 1)`:                                                                     "int of .a, which is missing or empty, at 1:18 of when",
		`has("metadata.none") or has("shipping")`:                                                           "no match",
	} {
		got := compile(t, rule("r", when)).Match(e, previous, now)
		switch {
		case want == "" && (len(got.Errors) > 0 || len(got.Targets) != 1), want == "no match" && len(got.Errors)+len(got.Targets) > 0,
			want != "" && want != "no match" && (len(got.Errors) != 1 || got.Errors[0].Error != want):
			t.Errorf("%s: %v, want %q", when, got, want)
		}
	}
}

func TestChangeValuesAreTexts(t *testing.T) {
	for value, want := range map[string]string{`"a\"b"`: `a\"b`, `12`: `12`, `null`: ``, `{"a":1}`: `{\"a\":1}`, `true`: `true`, ``: ``} {
		e, previous := paid(t, nil)
		e.Change.To = json.RawMessage(value)
		if got := compile(t, rule("r", `event.change.to == "`+want+`"`)).Match(e, previous, now); len(got.Targets) != 1 {
			t.Errorf("%s: %v", value, got)
		}
	}
}

// A field that cannot be read is zero nowhere: who looks at it fails.
func TestUnreadableSessions(t *testing.T) {
	list := []rules.Rule{
		rule("none", ""), rule("event", `event.async`), rule("status", `session.status == "complete"`), rule("has", `has("status")`),
		rule("amount", `session.amount_total == 0`), rule("items", `len(session.line_items.data) == 0`),
		rule("whole", `toJSON(session) != ""`), rule("previous", `previous.amount_total == 0`),
	}
	set := compile(t, list...)
	for _, c := range []struct {
		name, object, previous string
		matched, failed        string
	}{
		{"object", `{"status":"complete"}`, `{"amount_total":1}`, "none event status has amount items whole", ""},
		{"amount", `{"status":"complete","amount_total":"12.5"}`, ``, "none event status has items previous", "amount whole"},
		{"line items", `{"status":"complete","line_items":{"data":[{"amount_total":"a"}]}}`, `null`, "none event status has amount previous", "items whole"},
		{"status", `{"status":5e3,"amount_total":[]}`, `[]`, "none event has items", "amount whole previous"},
		{"status again", `{"status":{"x":1}}`, ``, "none event has amount items previous", "status whole"},
		{"no object", `[]`, `{}`, "none event previous", "status has amount items whole"},
		{"no JSON", `{"status":`, ``, "none event previous", "status has amount items whole"},
		{"nothing", ``, ``, "none event previous", "status has amount items whole"},
	} {
		e := &event.Event{Type: event.Paid, Account: "main", Time: now, Revision: 2, Async: true,
			Object: json.RawMessage(c.object), PreviousAttributes: json.RawMessage(`{}`)}
		got := set.Match(e, json.RawMessage(c.previous), now)
		var failed []string
		for _, err := range got.Errors {
			failed = append(failed, err.Rule)
			if !strings.Contains(err.Error, "cannot be read") {
				t.Errorf("%s: %s", c.name, err.Error)
			}
		}
		if matched := strings.Join(got.Targets[0].Rules, " "); matched != c.matched || strings.Join(failed, " ") != c.failed {
			t.Errorf("%s: matched %q, failed %q", c.name, matched, failed)
		}
	}
}

// Errors are stored and shown: they quote the rule's place, not the customer.
func TestErrorsQuoteNothingOfTheSession(t *testing.T) {
	e, previous := paid(t, map[string]any{"secret": map[string]any{"list": []any{"jane@example.com"}, "text": "jane@example.com"}})
	for when, want := range map[string]string{
		`int(session.customer_email) == 1`:                               "int of a text that is no integer, at 1:1 of when",
		`float(session.customer_email) == 1`:                             "float of a text that is no number",
		`date(session.customer_email) == now()`:                          "date of a text that is no date",
		`fromJSON(session.customer_email) == 1`:                          "fromJSON of a text that is no JSON",
		`fromBase64(session.customer_email) == ""`:                       "fromBase64 of a text that is no base64",
		"true &&\n  session.line_items.data[3].id == ''":                 "index out of range, at 2:",
		`raw("secret.text") > 5`:                                         "a value has the wrong type",
		`raw("secret.list") + 1 == 2`:                                    "a value has the wrong type",
		`raw("secret.text").foo == 1`:                                    "at 1:",
		`raw("secret").text`:                                             "",
		`{(session.customer_email): 1}[raw("secret.list")] == 1`:         "at 1:",
		`1 % int(session.amount_total - session.amount_total) == 0`:      "integer division by zero",
		`len(groupBy([raw("secret.list")], #)) == 1`:                     "a list or map cannot be a key",
		`reduce(map(session.line_items.data, .amount_total), #acc) == 1`: "reduce of an empty list without an initial value",
		`join(raw("secret.text")) == ""`:                                 "join of what is no list",
		`sort([1, session.customer_email])[0] == 1`:                      "a value has the wrong type",
		`raw("secret.text") ? true : false`:                              "a value has the wrong type",
		`string(reduce(1..300, {[#acc]}, [1])) == ""`:                    "lists are nested too deeply",
		`any(raw("secret.text"), #.x)`:                                   "at 1:",
	} {
		set, _ := rules.Compile([]rules.Rule{rule("r", when)}, known)
		if set == nil {
			if want != "" {
				t.Errorf("%s: does not compile", when)
			}
			continue
		}
		got := set.Match(e, previous, now)
		if len(got.Errors) != 1 {
			t.Errorf("%s: %v", when, got)
			continue
		}
		if text := got.Errors[0].Error; strings.Contains(text, "jane") || !strings.Contains(text, want) || len(text) > 120 {
			t.Errorf("%s: %q, want %q", when, text, want)
		}
	}
}

func TestSetsAreSafeForConcurrentUse(t *testing.T) {
	set := compile(t, rule("a", `session.status == "complete" && any(1..100, # == 99)`), rule("b", `len(map(1..9999999, #)) > 0`),
		rule("c", `let x = session.metadata.plan; x + "!" == "pro!"`))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				e, previous := paid(t, nil)
				got := set.Match(e, previous, now)
				if len(got.Errors) != 1 || len(got.Targets) != 1 || len(got.Targets[0].Rules) != 2 {
					t.Errorf("got %v", got)
					return
				}
			}
		})
	}
	wait.Wait()
}
