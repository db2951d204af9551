package config_test

import (
	"strings"
	"testing"

	"checkout-notifier/config"
	"checkout-notifier/event"
)

const templated = minimal + `destinations:
  - name: shop
    type: http
    url: https://shop.example/hooks
    format: template
    template: '{{ if eq .Change "expired" }}{{ .Session.no_such }}{{ end }}'
`

// Only what a rule sends meets a template.
func TestTemplatesMeetWhatRulesSend(t *testing.T) {
	for name, rules := range map[string]string{
		"another type":            `rules: [{name: ship, events: [paid], to: [shop]}]`,
		"excluded by when":        `rules: [{name: ship, events: [paid, expired], when: 'event.type == "checkout.session.paid"', to: [shop]}]`,
		"switched off":            `rules: [{name: ship, events: [expired], enabled: false, to: [shop]}]`,
		"rendered in its own way": `rules: [{name: ship, events: [expired], format: slack, to: [shop]}]`,
		"no rule":                 `rules: []`,
	} {
		loaded := load(t, templated+rules, config.Options{})
		if _, sent := loaded.Renderings("shop"); name == "another type" && (len(sent) != 1 || sent[0].Types[0] != event.Paid) {
			t.Errorf("sent: %+v", sent)
		}
	}
	for name, c := range map[string]struct{ rules, want string }{
		"sent": {`rules: [{name: ship, events: [paid, expired], to: [shop]}]`,
			"template: there is no Session.no_such (with a sample of checkout.session.expired)"},
		"beside another mistake": {`rules: [{name: ship, events: [expired], to: [shop, shopp]}]`,
			"template: there is no Session.no_such (with a sample of checkout.session.expired)"},
		"null": {`rules: [{name: ship, events: [paid], template: "{{ if not .Session.currency }}{{ .Nothing }}{{ end }}", to: [shop]}]`,
			"rules[0].template: there is no Nothing (with a sample of checkout.session.paid with null wherever the API may send it)"},
		"a rule that is off, in its own template": {`rules: [{name: ship, events: [paid], template: "{{ .Nothing }}", enabled: false, to: [shop]}]`,
			"rules[0].template: there is no Nothing (with a sample of checkout.session.paid)"},
	} {
		if got := refused(t, templated+c.rules, config.Options{}); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A name that no session has is told once, with the field that was meant.
func TestTemplatesAreToldWhichFieldIsMeant(t *testing.T) {
	for name, want := range map[string]string{
		".Session.amount":           `there is no Session.amount (with a sample of checkout.session.paid), did you mean "amount_total"?`,
		".Previous.subtotal":        `, did you mean "amount_subtotal"?`,
		".Session.email":            `, did you mean "customer_details.email"?`,
		".Session.customer_emial":   `, did you mean "customer_email"?`,
		".Session.order_id":         "`default \"\"` before the name takes a field that the API does not document; .Session.metadata has your own keys",
		".Session.shipping.carier":  `, did you mean "carrier"?`,
		"(default 0 .Session.loan)": "",
	} {
		text := strings.Replace(templated, `{{ if eq .Change "expired" }}{{ .Session.no_such }}{{ end }}`, "{{ "+name+" }}", 1) + "rules: [{name: ship, events: [paid], to: [shop]}]"
		if want == "" {
			load(t, text, config.Options{})
			continue
		}
		if got := refused(t, text, config.Options{}); !strings.Contains(got, want) || strings.Count(got, "there is no") != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What a function cannot take is told with what to write.
func TestTemplatesAreToldWhatFunctionsTake(t *testing.T) {
	for call, want := range map[string]string{
		`time "2006-01-02" "Europe/Berlim" .Event.Time`: `unknown zone "Europe/Berlim": zones have names such as Europe/Berlin (with`,
		`gt .Session.amount_total "5"`:                  "incompatible types for comparison: numbers are written without quotes (with",
		`eq .Session.livemode "true"`:                   "incompatible types for comparison",
		`json .Session.metadata.order-id`:               `bad character U+002D '-': a name with other signs in it is read as in index .Session.metadata "order-id"`,
		`json .Session.line_items.data[0]`:              "bad character U+005B '[': an element is read as in index .Session.line_items.data 0",
		`json .Session.metadata["plan"]`:                `bad character U+005B '[': an element is read as in index .Session.metadata "plan"`,
		`json .Session.line_items.data.0`:               "an element is read as in index .Session.line_items.data 0",
		`printf "%.2f" .Session.amount_total`:           "printf: the format does not fit the values: a whole number is written by %d, an amount as in money .Session.amount_total .Session.currency",
		`printf "%d" .Session.currency`:                 "printf: the format does not fit the values (",
		`.Session.currency | lowercase`:                 `function "lowercase" not defined: it is written lower`,
		`toUpper .Session.currency`:                     `function "toUpper" not defined: it is written upper`,
		`div .Session.amount_total 100`:                 `function "div" not defined: nothing is computed in a template; an amount is written as in money .Session.amount_total .Session.currency`,
		`.Session.amount_total / 100`:                   `unexpected "/" in operand: nothing is computed in a template`,
		`.Session.amount_total - 100`:                   "nothing is computed in a template; an amount is written as in money",
		`.Session.amount_total "USD"`:                   "only a function takes something behind it (with",
		`.Event.Changes`:                                "there is no Event.Changes, but .Event.Field, .Event.From and .Event.To (with",
		`.Event.Change.Field`:                           "there is no Event.Change, but .Event.Field, .Event.From and .Event.To (with",
		`.Event.Account`:                                "there is no Event.Account, but .Account (with",
	} {
		text := strings.Replace(templated, `{{ if eq .Change "expired" }}{{ .Session.no_such }}{{ end }}`, "{{ "+call+" }}", 1) + "rules: [{name: ship, events: [paid], to: [shop]}]"
		if got := refused(t, text, config.Options{}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", call, got)
		}
	}
}

// PagerDuty refuses a severity that it does not know, event by event.
func TestUnknownSeveritiesAreRefused(t *testing.T) {
	const pager = minimal + `destinations:
  - {name: pager, type: http, url: "https://events.example/v2/enqueue", format: pagerduty, routing_key: R0UT1NG}
  - {name: shop, type: http, url: "https://shop.example/hooks", secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
`
	for rule, want := range map[string]string{
		`{name: r, events: [expired], labels: {severity: criticall}, to: [pager]}`:                        `did you mean "critical"`,
		`{name: r, events: [expired], labels: {severity: high}, to: [shop, pager]}`:                       "rules[0].labels.severity",
		`{name: r, events: [expired], labels: {severity: high}, format: pagerduty, to: [shop, pager]}`:    "rules[0].labels.severity",
		`{name: r, events: [expired], labels: {severity: high}, to: [shop]}`:                              "",
		`{name: r, events: [expired], labels: {severity: high}, template: "{{ .Account }}", to: [pager]}`: "",
		`{name: r, events: [expired], labels: {severity: page}, to: [pager]}`:                             "",
		`{name: r, events: [expired], labels: {team: high}, to: [pager]}`:                                 "",
	} {
		text := pager + "rules:\n  - " + rule
		if want == "" {
			load(t, text, config.Options{})
			continue
		}
		if got := refused(t, text, config.Options{}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", rule, got)
		}
	}
}

// An incident about a dead letter closes where its messages open and close incidents.
func TestClosesIncidents(t *testing.T) {
	loaded := load(t, minimal+`destinations:
  - {name: pager, type: http, url: "https://events.example/v2/enqueue", format: pagerduty, routing_key: R0UT1NG}
  - {name: shop, type: http, url: "https://shop.example/hooks", routing_key: R0UT1NG, secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
rules:
  - {name: plain, events: [expired], to: [pager, shop]}
  - {name: text, events: [expired], template: "{{ .Account }}", to: [pager]}
  - {name: paging, events: [expired], format: pagerduty, to: [shop]}
`, config.Options{})
	for _, c := range []struct {
		destination, rule string
		want              bool
	}{{"pager", "", true}, {"shop", "", false}, {"pager", "text", false}, {"shop", "paging", true}, {"pager", "gone", true}, {"gone", "", false}} {
		if got := loaded.ClosesIncidents(c.destination, c.rule); got != c.want {
			t.Errorf("%s, rule %q: %t", c.destination, c.rule, got)
		}
	}
}

// A body that is JSON for a full session, and broken by the first null, is warned of.
func TestBodiesBrokenByNullsAreWarnedOf(t *testing.T) {
	for text, want := range map[string]bool{
		`{"amount": {{ .Session.amount_total }}}`:                        true,
		`{"amount": {{ json .Session.amount_total }}}`:                   false,
		`{"currency": "{{ .Session.currency }}"}`:                        false,
		`{{ with .Session.amount_total }}{{ . }}{{ else }}none{{ end }}`: false, // a number alone may be text
		`amount={{ .Session.amount_total }}`:                             false,
		`{{ if .Session.currency }}{"a": 1}{{ else }}{"a": }{{ end }}`:   true,
		`{"id": {{ json .Session.id }}, "at": {{ .Session.created }}}`:   false,
	} {
		loaded := load(t, minimal+"destinations:\n  - {name: shop, type: http, url: \"https://shop.example/hooks\", format: template, template: '"+text+
			"'}\nrules: [{name: ship, events: [paid], to: [shop]}]\n", config.Options{})
		if got := strings.Contains(lines(loaded.Warnings), "no valid JSON where the API sends null"); got != want {
			t.Errorf("%s: %s", text, lines(loaded.Warnings))
		}
	}
}

// A text that stands in quotes is JSON only as long as nothing in it has to be escaped.
func TestBodiesBrokenByTextsAreWarnedOf(t *testing.T) {
	for text, want := range map[string]bool{
		`{"n": "{{ .Session.customer_details.name }}"}`:                                                                                      true,
		`{"n": {{ json .Session.customer_details.name }}}`:                                                                                   false,
		`{"n": "{{ default .Session.id .Session.customer_email }}"}`:                                                                         true,
		`{"n": "{{ .Session.shipping.address.line1 }}"}`:                                                                                     true,
		`{"n": "{{ default "" .Session.metadata.order }}"}`:                                                                                  true,
		`{"n": {{ json (default "" .Session.metadata.order) }}}`:                                                                             false,
		`{"n": "{{ .Session.client_reference_id }}"}`:                                                                                        true,
		`{"n": {{ range .Session.line_items.data }}"{{ .description }}"{{ end }}}`:                                                           true,
		`{"n": {{ json (printf "%s of %s" .Session.id .Session.customer_email) }}}`:                                                          false,
		`{"n": "{{ .Session.id }} {{ .Session.currency }} {{ .Session.status }} {{ .Session.created }}"}`:                                    false,
		`{"n": "{{ .Account }} {{ .Rule }} {{ .Change }} {{ .Event.Type }} {{ .Event.ID }} {{ .Event.To }}"}`:                                false,
		`{"n": "{{ .Session.shipping.address.country }} {{ default "" .Labels.team }} {{ money .Session.amount_total .Session.currency }}"}`: false,
	} {
		source := minimal + "destinations:\n  - {name: shop, type: http, url: \"https://shop.example/hooks\", format: template, content_type: TYPE, template: '" + text +
			"'}\nrules: [{name: ship, events: [paid], to: [shop]}]\n"
		loaded := load(t, strings.Replace(source, "TYPE", "application/json", 1), config.Options{})
		if got := lines(loaded.Warnings); want != strings.Contains(got, "insert values with `json` and without quotes around them") || !want && got != "" {
			t.Errorf("%s: %s", text, got)
		}
		if got := lines(load(t, strings.Replace(source, "TYPE", "text/plain", 1), config.Options{}).Warnings); got != "" {
			t.Errorf("%s as text: %s", text, got)
		}
	}
	loaded := load(t, minimal+`destinations:
  - {name: ops, type: http, url: "https://ops.example", format: template, template: '{"text": "{{ .Alert.summary }}"}'}
rules: [{name: ops, on: system, events: [rule.failing, account.failing], to: [ops]}]
`, config.Options{})
	if got := lines(loaded.Warnings); !strings.Contains(got, "without quotes around them") {
		t.Error(got)
	}
}

// A subject whose actions are quoted inserts their text, and nobody would listen there.
func TestSubjectsOfQuotedActionsAreRefused(t *testing.T) {
	got := refused(t, minimal+`destinations:
  - {name: bus, type: nats, subject: 'checkout.{{ "{{ .Account }}" }}.{{ .Change }}'}
rules: [{name: all, events: ['*'], to: [bus]}]
`, config.Options{})
	if !strings.Contains(got, "inserts the text of an action") {
		t.Error(got)
	}
}
