package publish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// bare is a delivery of a session of which the API sent next to nothing.
func bare(eventType string) publish.Message {
	m := message(eventType)
	m.Event.Object = json.RawMessage(`{"id":"cs_1","created":1796119200,"status":"complete","payment_status":"paid",` +
		`"metadata":null,"amount_total":null,"currency":null,"customer_details":null,"line_items":null,"client_reference_id":null,"shipping":null}`)
	m.Event.PreviousAttributes, m.Event.Change = json.RawMessage(`{}`), nil
	return m
}

// Null is empty for every function, those of text/template included.
func TestNullIsEmptyInTemplates(t *testing.T) {
	const null = ".Session.currency"
	for text, want := range map[string]string{
		`{{ json (default "none" (index .Session.metadata "order-id")) }}`:           `"none"`,
		`{{ len .Session.metadata }}`:                                                "0",
		`{{ if gt .Session.amount_total 1000 }}big{{ else }}small{{ end }}`:          "small",
		`{{ printf "%s" .Session.currency }}`:                                        "",
		`{{ printf "[%5s|%d|%v|%q]" N N N N }}`:                                      "[     |||]",
		`{{ urlquery .Session.client_reference_id }}`:                                "",
		`{{ html N }}{{ js N }}{{ print N }}{{ println N }}`:                         "\n",
		`{{ print .Session.customer_details }}{{ printf "%v" .Session.shipping }}`:   "",
		`{{ index .Session.line_items.data 0 }}`:                                     "",
		`{{ (index .Session.line_items.data 0).description }}`:                       "",
		`{{ index .Session.line_items "data" 0 "price" }}`:                           "",
		`{{ slice N 0 2 }}{{ len (slice N 1) }}`:                                     "0",
		`{{ eq N N }} {{ eq N "" }} {{ eq N "EUR" }} {{ ne N "EUR" }} {{ ne N "" }}`: "true true false true false",
		`{{ lt N 1 }} {{ le N 1 }} {{ gt N 1 }} {{ ge 1 N }} {{ lt N N }}`:           "false false false false false",
		`{{ not N }} {{ and N "x" }} {{ or N "x" }}`:                                 "true  x",
		`{{ range .Session.line_items.data }}x{{ else }}none{{ end }}`:               "none",
		`{{ with N }}x{{ else }}none{{ end }}`:                                       "none",
		`{{ lower N }}{{ upper N }}{{ truncate 3 N }}{{ truncate N "abc" }}`:         "",
		`{{ money N N }}{{ time N }}{{ time "15:04" N }}{{ time N N N }}`:            "",
		`{{ json N }}`:       "null",
		`{{ printf N "x" }}`: "",
		`{{ .Event.Field }}{{ printf "%v" .Event.From }}{{ len .Event.To }}`: "0",
	} {
		m := bare(event.Updated)
		r, err := unchecked(strings.ReplaceAll(text, " N", " "+null))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		body, err := r.Render(m)
		if err != nil || string(body.Content) != want {
			t.Errorf("%s: %q, want %q (%v)", text, body.Content, want, err)
		}
	}
}

// unchecked is a renderer of a template that no rule uses, so that no sample is tried.
func unchecked(text string) (*publish.Renderer, error) {
	d := publish.DefaultHTTP()
	d.Format, d.Template = publish.FormatTemplate, text
	return publish.NewRenderer(d, nil, "")
}

// A documented member that the API left out is null, wherever a template meets its object.
// A key of the merchant's own is missing.
func TestMembersThatTheAPILeavesOutAreNull(t *testing.T) {
	m := bare(event.Updated)
	m.Event.Object = json.RawMessage(`{"id":"cs_1","created":1796119200,"status":"complete","payment_status":"paid","metadata":{"size":"L"},` +
		`"customer_details":{"email":"jo@example.com"},"line_items":{"data":[{"price":{"id":"p1"}},{}]}}`)
	for text, want := range map[string]string{
		`{{ with .Session.customer_details }}{{ json .name }}{{ .address.city }}{{ end }}`: "null",
		`{{ range .Session.line_items.data }}{{ json .description }},{{ end }}`:            "null,null,",
		`{{ range .Session.line_items.data }}{{ json .price.lookup_key }},{{ end }}`:       "null,null,",
		`{{ range .Session.line_items.data }}{{ .price.recurring.interval }}{{ end }}`:     "",
		`{{ $d := .Session.customer_details }}{{ json $d.phone }}`:                         "null",
		`{{ json (index .Session.line_items.data 0).price.nickname }}`:                     "null",
		`{{ (index .Session.line_items.data 1).price.product }}`:                           "",
		`{{ with .Session.metadata }}{{ .size }}{{ end }}`:                                 "L",
		`{{ with .Session.metadata }}{{ .name }}{{ end }}`:                                 "error",
		`{{ $m := .Session.metadata }}{{ $m.currency }}`:                                   "error",
		`{{ range .Session.line_items.data }}{{ .sku }}{{ end }}`:                          "error",
		`{{ .Labels.name }}`: "error",
	} {
		r, err := unchecked(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		body, err := r.Render(m)
		if got := string(body.Content); err == nil && got != want || err != nil && want != "error" {
			t.Errorf("%s: %q, want %q (%v)", text, got, want, err)
		}
	}
}

// Comparisons and look-ups of values that are there are those of text/template.
func TestComparisonsInTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`{{ eq .Session.amount_total 12900 }} {{ eq 1 2 1 }} {{ eq "a" "b" "c" }}`:                       "true true false",
		`{{ lt 1 2.5 }} {{ ge .Session.amount_total 12900 }} {{ gt "b" "a" }} {{ le 2 1 }}`:              "true true true false",
		`{{ eq .Session.livemode true }} {{ ne .Session.livemode true }}`:                                "true false",
		`{{ len .Session.currency }} {{ len .Session.payment_method_types }}`:                            "3 1",
		`{{ index .Session.payment_method_types 0 }} {{ index .Session.metadata "order_id" }}`:           "card 1001",
		`{{ slice .Session.currency 1 }} {{ slice .Session.currency 0 2 }}`:                              "SD US",
		`{{ print .Session.customer_details.address.city 1 }} {{ printf "%05d" .Session.amount_total }}`: "Berlin1 12900",
		`{{ index .Session.line_items.data 0 "quantity" }}`:                                              "1",
	} {
		if got := rendered(t, template(t, text), message(event.Paid)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		`{{ eq .Session.amount_total "12900" }}`, `{{ lt .Session.livemode true }}`, `{{ eq 1 }}`, `{{ len 5 }}`,
		`{{ gt .Session.metadata 1 }}`, `{{ index .Session.metadata 1 }}`, `{{ index .Session.payment_method_types "a" }}`,
		`{{ slice .Session.metadata 1 }}`, `{{ slice .Session.currency 1 2 3 }}`, `{{ slice .Session.currency 2 9 }}`,
		`{{ slice .Session.currency 2 1 }}`, `{{ truncate "a" "b" }}`, `{{ index .Session.payment_method_types 1 }}`,
	} {
		if _, err := unchecked(text); err != nil {
			continue // refused when it is parsed
		}
		err := publish.CheckTemplate(text, nil, []string{event.Paid})
		var mistake *publish.TemplateError
		if !errors.As(err, &mistake) || mistake.Line != 1 {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What fails on null alone is a mistake that the load finds, with its place.
func TestTemplatesAreCheckedWithNulls(t *testing.T) {
	for text, want := range map[string]string{
		"{{ .Event.Type }}\n{{ if not .Session.currency }}{{ .Session.amount_totl }}{{ end }}": "line 2, column",
		`{{ if not .Session.customer_details }}{{ template "x" }}{{ end }}`:                    "null wherever the API may send it",
	} {
		err := publish.CheckTemplate(text, nil, []string{event.Paid})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "null wherever the API may send it") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, eventType := range append(event.Types(), event.SystemTypes()...) {
		for _, text := range []string{
			`{{ printf "%s: %v" .Session.id .Session.customer_details }}`, `{{ .Previous.currency }}{{ .Event.From }}`,
			`{{ range .Session.line_items.data }}{{ .description }}{{ end }}`, `{{ .Session.metadata.order_id }}`,
			`{{ printf "%s" .Alert.summary }}`,
		} {
			if event.IsSystemType(eventType) != strings.Contains(text, ".Alert") {
				continue
			}
			if err := publish.CheckTemplate(text, nil, []string{eventType}); err != nil {
				t.Errorf("%s with %s: %v", text, eventType, err)
			}
		}
	}
}

// fmt writes a wrong format into its output: no receiver shall get that.
func TestFormatsThatDoNotFitAreFoundAtLoad(t *testing.T) {
	for _, text := range []string{
		`{{ printf "%d" .Session.currency }}`, `{{ printf "%s" .Session.amount_total }}`, `{{ printf "%s %s" .Session.id }}`,
		`{{ printf "%s" .Session.id .Session.id }}`, `{{ printf "%" .Session.id }}`,
	} {
		err := publish.CheckTemplate(text, nil, []string{event.Paid})
		if err == nil || !strings.Contains(err.Error(), "line 1, column 4: printf: the format does not fit the values") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{`{{ printf "100%%! %s" .Session.id }}`, `{{ printf "%d %s" .Session.amount_total .Session.currency }}`} {
		if err := publish.CheckTemplate(text, nil, []string{event.Paid}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever is done with a null, a template that passed the check neither fails
// on a session without values nor shows Go's words for null.
func TestEveryFunctionTakesNull(t *testing.T) {
	functions := []string{"html", "js", "urlquery", "print", "println", "len", "not", "json", "time", "lower", "upper",
		`printf "%v"`, `printf "%d"`, `default "x"`, `truncate 2`, `eq "x"`, `ne "x"`, `lt 1`, `le 1`, `gt 1`, `ge 1`, `index`, `slice`, `and 1`, `or 0`, `money 1`}
	fields := []string{".Session.currency", ".Session.amount_total", ".Session.customer_details", ".Session.customer_details.address.city",
		".Session.line_items.data", ".Session.metadata", ".Previous.currency", ".Event.To", `(index .Session.metadata "k")`}
	for _, function := range functions {
		for _, field := range fields {
			text := fmt.Sprintf("{{ %s %s }}|{{ %s | %s }}", function, field, field, function)
			r, err := unchecked(text)
			if err != nil {
				t.Fatal(err)
			}
			body, err := r.Render(bare(event.Paid))
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			for _, word := range []string{"nil", "no value", "novalue", "%!", "NULL"} {
				if strings.Contains(string(body.Content), word) {
					t.Errorf("%s: %s", text, body.Content)
				}
			}
		}
	}
}
