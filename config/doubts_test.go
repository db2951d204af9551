package config_test

import (
	"strings"
	"testing"

	"checkout-notifier/config"
)

const (
	templatedShop = minimal + "destinations:\n  - name: shop\n    type: http\n    url: https://shop.example/hooks\n    format: template\n    template: '"
	noLabel       = `line 1 names the label "team", which rule "ship" does not have`
	tooShort      = `where the text is shorter, slice fails, and the delivery becomes a dead letter at its first attempt`
	noKey         = `no key "plan" in its metadata`
)

func noKeyOf(name string) string { return strings.Replace(noKey, "plan", name, 1) }

// What a sample can be rendered with, and most deliveries cannot, is warned of.
func TestDoubtfulTemplatesAreWarnedOf(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": {{ .Session.customer_details.name }}}`:                                                          "is no JSON, which its content type says it is (rendered line 1, column 7: ",
		`{"a": {{ json .Session.id }}`:                                                                         "is no JSON",
		`{"a": {{ json .Session.id }}}`:                                                                        "",
		`total {{ .Session.amount_total }}`:                                                                    "is no JSON",
		`{"a": {{ json (time "YYYY-MM-DD" .Event.Time) }}}`:                                                    `9:36: warning: destinations[0].template: the layout "YYYY-MM-DD" does not say`,
		`{"a": {{ json (.Event.Time | time "date") }}}`:                                                        "the layout",
		`{"a": {{ json (time "2006-01-02 15:04" "UTC" .Event.Time) }}}`:                                        "",
		`{"a": {{ json (time "Jan" .Event.Time) }}}`:                                                           "",
		`{"a": {{ json (time .Event.Time) }}}`:                                                                 "",
		`{"a": {{ json (default .Session.customer_details.name "guest") }}}`:                                   "this is \"guest\" always: `default` takes the alternative first, as in `default \"guest\" .Session.customer_details.name`",
		`{"a": {{ json ("guest" | default .Labels.size) }}}`:                                                   "9:31: warning: destinations[0].template: this is \"guest\" always",
		`{"a": {{ range .Session.line_items.data }}{{ json (default (truncate 9 .description) 0) }}{{ end }}}`: "as in `default 0 (truncate 9 .description)`",
		`{"a": {{ json (default "guest" .Session.customer_details.name) }}, "b": {{ json (.Session.customer_details.name | default "guest") }}}`:           "",
		`{"a": {{ json (default .Session.customer_email .Session.customer_details.email) }}, "b": {{ json (default .Session.customer "") }}}`:              "",
		`{"a": {{ json (upper .Session.customer | default "guest") }}, "b": {{ json (default (default "x" .Session.customer) .Session.customer_email) }}}`: "",
		`{"a": {{ if gt .Session.amount_total 100.0 }}1{{ else }}0{{ end }}}`:                                                                              "9:53: warning: destinations[0].template: an amount is a whole number of the smallest unit: 100.0 USD are 10000",
		`{"a": {{ if and .Session.livemode (le 99.5 .Session.amount_total) }}1{{ else }}0{{ end }}}`:                                                       "99.5 USD are 9950",
		`{"a": [{{ $s := .Session }}{{ if ge $s.amount_total 1.125 }}1{{ end }}]}`:                                                                         "an amount is a whole number of the smallest unit",
		`{"a": {{ if gt .Session.amount_total 100_00 }}1{{ else }}0{{ end }}, "b": {{ gt .Session.amount_total 0.0 }}}`:                                    "",
		`{"a": {{ with .Session.metadata.amount }}{{ eq . "1.5" }}{{ end }}}`:                                                                              noKeyOf("amount"),
		`{"a": {{ json .Labels.team }}}`:                                                                                                      "11:12: warning: destinations[0].template: " + noLabel,
		`{"a": {{ json .Labels.size }}}`:                                                                                                      "",
		`{"a": {{ json (default "" .Labels.team) }}}`:                                                                                         "",
		`{"a": {{ with .Labels }}{{ json .team }}{{ end }}}`:                                                                                  noLabel,
		`{"a": "-{{ if eq .Rule "other" }}{{ .Labels.team }}{{ end }}"}`:                                                                      "",
		`{"a": {{ json .Labels.a }}, "b": {{ json .Labels.team }}}`:                                                                           noLabel,
		`{"a": {{ json .Session.metadata.plan }}}`:                                                                                            "9:30: warning: destinations[0].template: where a session has " + noKey,
		`{"a": {{ json .Previous.metadata.plan }}}`:                                                                                           noKey,
		`{"a": {{ json (default "" .Session.metadata.plan) }}}`:                                                                               "",
		`{"a": {{ json .Session.metadata }}}`:                                                                                                 "",
		`{"a": {{ json (slice .Session.client_reference_id 0 4) }}}`:                                                                          "9:31: warning: destinations[0].template: " + tooShort,
		`{"a": {{ json (slice .Session.client_reference_id 6) }}}`:                                                                            tooShort,
		`{"a": {{ json (slice .Session.customer_details.name 0 4) }}}`:                                                                        tooShort,
		`{"a": {{ json (slice (default "none" .Session.metadata.plan) 0 4) }}}`:                                                               tooShort,
		`{"a": {{ with .Session.shipping }}{{ json (slice .address.postal_code 0 2) }}{{ else }}""{{ end }}}`:                                 tooShort,
		`{"a": [{{ range .Session.line_items.data }}{{ json (slice .description 0 9) }}{{ end }}]}`:                                           tooShort,
		`{"a": {{ if gt (len .Session.client_reference_id) 4 }}{{ json (slice .Session.client_reference_id 0 4) }}{{ else }}"none"{{ end }}}`: "",
		`{"a": {{ if eq (default "" .Session.metadata.plan) "pro-1" }}{{ json (slice .Session.metadata.plan 0 3) }}{{ else }}"no"{{ end }}}`:  "",
		`{"a": {{ json (slice .Session.id 3 9) }}, "b": {{ json (slice .Session.currency 0 2) }}, "c": {{ json (slice .Event.ID 0 8) }}}`:     "",
		`{"a": {{ json (slice .Session.client_reference_id 0) }}, "b": {{ json (slice .Session.customer_details.email 0 3) }}}`:               "",
		`{"a": {{ json (printf "%.4s" .Session.client_reference_id) }}, "b": {{ json (truncate 4 .Session.customer_details.name) }}}`:         "",
		`{"a": {{ json (index .Session.line_items.data 0).description }}, "b": {{ json (slice .Session.payment_method_types 0 1) }}}`:         "",
	} {
		loaded := load(t, templatedShop+text+"'\nrules:\n  - {name: ship, events: [paid], labels: {size: big}, to: [shop]}\n", config.Options{})
		got := ""
		for _, w := range loaded.Warnings {
			if strings.Contains(w.Message, "template") {
				got += strings.Replace(w.String(), ": ", ": warning: ", 1) + "\n"
			}
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: says %q, want %q", text, got, want)
		}
	}
	text := templatedShop + "total: {{ .Session.amount_total }}'\n    content_type: text/plain\nrules: [{name: ship, events: [paid], to: [shop]}]\n"
	if got := lines(load(t, text, config.Options{}).Warnings); strings.Contains(got, "JSON") {
		t.Errorf("plain text: %s", got)
	}
	bus := minimal + `destinations: [{name: bus, type: nats, subject: 'a.{{ .Labels.team }}.{{ .Session.metadata.plan }}'}]
rules:
  - {name: ship, events: [paid], to: [bus]}
  - {name: own, events: [paid], subject: 'b.{{ .Labels.own }}', labels: {own: yes}, to: [bus]}
`
	if got := lines(load(t, bus, config.Options{}).Warnings); !strings.Contains(got, noLabel) || !strings.Contains(got, noKey) || strings.Contains(got, "rule own") {
		t.Errorf("a subject: %s", got)
	}
}

func TestMistakesInNamesOfTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`{{ .session.id }}`:          "there is no session (with a sample of checkout.session.paid), did you mean \"Session\"?",
		`{{ .Sesion.id }}`:           `did you mean "Session"?`,
		`{{ .Session.amount_totl }}`: `did you mean "amount_total"?`,
		`{{ .Event.Typ }}`:           `did you mean "Type"?`,
		`{{ jsn .Session.id }}`:      `did you mean "json"?`,
		`{{ session.id }}`:           `did you mean ".Session"?`,
		`{{ .amount_total }}`:        "there is no amount_total, but .Session.amount_total",
		`{{ range .Session.payment_method_types }}{{ .description }}{{ end }}`: "template: this value has no members, so no description",
	} {
		got := refused(t, templatedShop+text+"'\nrules: [{name: ship, events: [paid], to: [shop]}]\n", config.Options{})
		if !strings.Contains(got, want) {
			t.Errorf("%s: says %q, want %q", text, got, want)
		}
	}
}

// A chat of Slack refuses a message that has none of the members which it shows.
func TestMessagesWithoutATextForSlackAreWarnedOf(t *testing.T) {
	const slack = minimal + "destinations:\n  - {name: chat, type: http, url: 'https://hooks.slack.com/services/T0/B0/x', format: slack}\n  - {name: shop, type: http, url: 'https://shop.example/hooks'}\n"
	const noText = "rules[0].template: the body of checkout.session.expired has neither text nor blocks nor attachments, and Slack refuses it with 400 no_text"
	for rule, want := range map[string]string{
		`to: [chat], template: '{"message": {{ json .Change }}}'`:                                                  noText,
		`to: [chat], template: '{{ if eq .Change "paid" }}{"text": "paid"}{{ else }}{"content": "gone"}{{ end }}'`: noText,
		`to: [chat], template: '{"text": {{ json .Change }}}'`:                                                     "",
		`to: [chat], template: '{"channel": "#a", "blocks": [{"type": "divider"}]}'`:                               "",
		`to: [chat], template: '{"attachments": [{"text": {{ json .Change }}}]}'`:                                  "",
		`to: [shop], template: '{"message": {{ json .Change }}}'`:                                                  "",
		`to: [shop], format: slack`: "",
	} {
		got := lines(load(t, slack+"rules:\n  - {name: ship, events: [paid, expired], "+rule+"}\n", config.Options{}).Warnings)
		if strings.Contains(got, "no_text") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", rule, got)
		}
	}
	flow := strings.Replace(slack, "/services/", "/triggers/", 1) // a workflow has members of its own
	if got := lines(load(t, flow+`rules: [{name: ship, events: [paid], to: [chat], template: '{"message": {{ json .Change }}}'}]`, config.Options{}).Warnings); strings.Contains(got, "no_text") {
		t.Error(got)
	}
}

// A key of the metadata that the condition of a rule demands is there.
func TestKeysThatTheConditionDemandsAreThere(t *testing.T) {
	for when, warns := range map[string]bool{
		`"plan" in session.metadata and session.livemode`:                   false,
		`session.metadata.plan != ""`:                                       false,
		`session.metadata.plan == "pro" and session.amount_total > 100_00`:  false,
		`session.metadata.plan in ["pro", "team"]`:                          false,
		`session.metadata.plan == "pro" or session.metadata.plan == "team"`: false,
		`session.metadata["plan"] startsWith "pro"`:                         false,
		`not (session.metadata.plan == "")`:                                 false,
		`has("metadata.plan")`:                                              false,
		`session.livemode`:                                                  true,
		`"plans" in session.metadata`:                                       true,
		`"plan" in session.metadata or session.livemode`:                    true,
		`not ("plan" in session.metadata)`:                                  true,
		`session.metadata.plan != "pro"`:                                    true,
		`session.metadata.plan in ["pro", ""]`:                              true,
		`session.metadata.plan == "pro" or session.metadata.size == "big"`:  true,
		`session.metadata.plan startsWith ""`:                               true,
		`previous.metadata.plan == "pro"`:                                   true,
	} {
		for rule, path := range map[string]string{
			`{name: own, events: [updated], when: '` + when + `', subject: 'plans.{{ .Session.metadata.plan }}', to: [bus]}`:   "rules[0].subject",
			`{name: own, events: [updated], when: '` + when + `', template: '[{{ json .Session.metadata.plan }}]', to: [bus]}`: "rules[0].template",
			`{name: own, events: [updated], when: '` + when + `', to: [other]}`:                                                "destinations[1].subject",
		} {
			source := minimal + "destinations: [{name: bus, type: nats, subject: a}, {name: other, type: nats, subject: 'b.{{ .Session.metadata.plan }}'}]\nrules: [" + rule + "]\n"
			if got := lines(load(t, source, config.Options{}).Warnings); strings.Contains(got, path+": where a session has "+noKey) != warns {
				t.Errorf("%s: %s", rule, got)
			}
		}
	}
	shared := minimal + `destinations: [{name: bus, type: nats, subject: 'a.{{ .Session.metadata.plan }}'}]
rules:
  - {name: plans, events: [paid], when: '"plan" in session.metadata', to: [bus]}
  - {name: all, events: [paid], to: [bus]}
`
	if got := lines(load(t, shared, config.Options{}).Warnings); !strings.Contains(got, noKey) {
		t.Errorf("another rule sends without: %s", got)
	}
}

// A body without a text is no message: a receiver such as Slack refuses it.
func TestBodiesThatSayNothingAreWarnedOf(t *testing.T) {
	for text, says := range map[string][]string{
		`{{ if eq .Change "paid" }}{"text": "paid"}{{ end }}`:     {"says nothing for expired:"},
		`{{ if eq .Change "refunded" }}{"text": "back"}{{ end }}`: {"says nothing for expired, paid:"},
		"{{/* later */}} \t": {"says nothing for expired, paid:"},
		`{"text": "{{ if eq .Change "paid" }}paid{{ end }}"}`:                                                                        {"says nothing for expired:"},
		`{"blocks": [{"text": {"text": "{{ if eq .Change "paid" }}paid{{ end }} "}}], "emoji": ""}`:                                  {"says nothing for expired:"},
		`{{ with .Session.customer_details.name }}{"text": {{ json . }}}{{ end }} `:                                                  {"says nothing for expired, paid where the API sends null:"},
		`{{ if eq .Change "paid" }}{{ with .Session.customer }}{"text": {{ json . }}}{{ end }}{{ end }}`:                             {"says nothing for expired:", "says nothing for paid where the API sends null:"},
		`{"text": {{ json (default "" .Session.customer_details.name) }}}`:                                                           {"says nothing for expired, paid where the API sends null:"},
		`{"text": {{ json (default "" .Session.metadata.note) }}}`:                                                                   {"says nothing for expired, paid where the API sends null:"},
		`{"order": {{ json (default "" .Session.metadata.order) }}}`:                                                                 nil, // to a program that says something
		`{ "content": {{ json (.Session.customer_details.name | default " ") }} }`:                                                   {"says nothing for expired, paid where the API sends null:"},
		`{"text": {{ json (default "no name" .Session.customer_details.name) }}}`:                                                    nil,
		`{"text": {{ json .Session.customer_details.name }}}`:                                                                        nil, // null
		`{"name": {{ json (default "" .Session.customer_details.name) }}, "order": {{ json (default "" .Session.metadata.order) }}}`: nil, // one of them may be there
		`{"text": "{{ .Change }}", "emoji": ""}`:                                                                                     nil,
		`{"paid": {{ eq .Change "paid" }}}`:                                                                                          nil,
		`{"count": 0, "text": ""}`:                                                                                                   nil,
		`{}`:                                                                                                                         nil,
		`{"text": "paid"}`:                                                                                                           nil,
	} {
		for _, kind := range []string{"application/json", "text/plain"} {
			loaded := load(t, templatedShop+text+"'\n    content_type: "+kind+"\nrules:\n  - {name: ship, events: [paid, expired], to: [shop]}\n", config.Options{})
			got := lines(loaded.Warnings)
			if strings.Count(got, "destinations[0].template: ") != len(says) {
				t.Errorf("%s: %s", text, got)
			}
			for _, part := range says {
				if !strings.Contains(got, "template: the body "+part) {
					t.Errorf("%s: want %s, got %s", text, part, got)
				}
			}
		}
	}
	for text, kind := range map[string]string{`"{{ .Change }}": ""`: "text/plain", `total {{ .Session.amount_total }}`: "application/json"} {
		loaded := load(t, templatedShop+text+"'\n    content_type: "+kind+"\nrules:\n  - {name: ship, events: [paid, expired], to: [shop]}\n", config.Options{})
		if got := lines(loaded.Warnings); strings.Contains(got, "says nothing") || strings.Contains(got, "no JSON") != (kind == "application/json") || strings.Contains(got, "paid") {
			t.Errorf("%s: %s", text, got) // of several types the first is named whose body is no JSON
		}
	}
	source := minimal + `destinations: [{name: shop, type: http, url: "https://shop.example/hooks"}]
rules: [{name: own, events: [paid, expired], to: [shop], content_type: text/plain, template: '{{ if eq .Change "paid" }}paid{{ end }}'}]
`
	if got := lines(load(t, source, config.Options{}).Warnings); !strings.Contains(got, "rules[0].template: the body says nothing for expired:") {
		t.Errorf("of a rule: %s", got)
	}
}

// What only follows from a mistake is not told beside it: which events a rule is meant
// for, and what the rules do together, is known once the mistake is mended.
func TestWarningsThatFollowFromMistakesAreLeftOut(t *testing.T) {
	const pager = `  - {name: pager, type: http, url: "https://events.example/v2/enqueue", format: pagerduty, routing_key: R0UT1NG}
`
	const open = `when: 'session.status == "open"', to: [shop, pager]}`
	for _, rules := range []string{
		"rules:\n  ship: {events: [fulfillable], to: [shop]}\n",
		"rules:\n  - {name: ship, events: [fulfillable], to: [shp, pager]}\n",
		"rules:\n  - {name: stays, on: session, for: 30m, " + open,
		"rules:\n  - {name: stays, for: 30m, " + open,
		"rules:\n  - {name: stays, on: sesion, " + open,
		"rules:\n  - {name: stays, event: [created], " + open,
		"rules:\n  - {name: stays, event: [created], to: [shop, pager]}\n",
		ship + "  - {name: night, on: system, events: [account.failing, acount.recovered], to: [pager]}\n",
	} {
		_, err := config.Load(config.Options{Source: []byte(minimal + shop + pager + rules), Name: "test.yaml", Environ: environ()})
		if err == nil {
			t.Errorf("%s is no mistake", rules)
		} else if found := problemsOf(t, err).Warnings; len(found) > 0 {
			t.Errorf("%s: %s", rules, lines(found))
		}
	}
}

// A label in another case than PagerDuty's is no severity, and pages nobody.
func TestSeverityIsAskedForInItsCase(t *testing.T) {
	const pager = minimal + `destinations:
  - {name: pager, type: http, url: "https://events.example/v2/enqueue", format: pagerduty, routing_key: R0UT1NG}
`
	for rule, want := range map[string]string{
		`{name: r, events: [expired], labels: {Severity: critical}, to: [pager]}`:                                          `label "Severity" is not the severity that PagerDuty is told: labels are written in the case in which they are asked for, did you mean "severity"?`,
		`{name: r, events: [expired], labels: {severity: critical, team: a}, to: [pager]}`:                                 "",
		`{name: r, events: [expired], labels: {SEVERITY: critical}, template: "{{ json .Labels.SEVERITY }}", to: [pager]}`: "",
	} {
		if got := lines(load(t, pager+"rules: ["+rule+"]", config.Options{}).Warnings); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s", rule, got)
		}
	}
}
