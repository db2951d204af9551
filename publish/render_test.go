package publish_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// everything is a rule that sends every type about a session.
var everything = publish.RuleTypes{Rule: "everything", Types: event.Types()}

func renderer(t testing.TB, d publish.Destination, own map[string]publish.Rendering) *publish.Renderer {
	t.Helper()
	r, err := publish.NewRenderer(d, own, "https://ops.example/console/", everything)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func template(t testing.TB, text string) *publish.Renderer {
	t.Helper()
	d := publish.DefaultHTTP()
	d.Format, d.Template = publish.FormatTemplate, text
	return renderer(t, d, nil)
}

func rendered(t testing.TB, r *publish.Renderer, m publish.Message) string {
	t.Helper()
	body, err := r.Render(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(body.Content)
}

func TestTemplates(t *testing.T) {
	m := message(event.Paid)
	for text, want := range map[string]string{
		`{{ .Account }} {{ .Change }} {{ .Rule }} {{ .Labels.severity }}`: "main paid ship page",
		`{{ .Event.ID }} {{ .Event.Type }}`:                               m.Event.ID + " checkout.session.paid",
		`{{ .Event.Time }} {{ .Event.Revision }} {{ .Event.Async }}`:      "2026-12-01T10:00:00.123Z 3 false",
		`{{ .Event.Field }}: {{ .Event.From }} -> {{ .Event.To }}`:        "payment_status: unpaid -> paid",
		`{{ .Link }}`: "https://ops.example/console/events/" + m.Event.ID,
		`{{ .Session.id }} {{ .Previous.payment_status }}`:                                     "cs_2031282752732528640 unpaid",
		`{{ money .Session.amount_total .Session.currency }}`:                                  "129.00 USD",
		`{{ if gt .Session.amount_total 10000 }}big{{ end }}`:                                  "big",
		`{{ time .Session.created }}`:                                                          "2026-12-01T10:00:00Z",
		`{{ .Session.created | time "2 Jan 15:04" }}`:                                          "1 Dec 10:00",
		`{{ time "15:04 MST" "Europe/Berlin" .Session.created }}`:                              "11:00 CET",
		`{{ .Session.payment_link }}|{{ .Session.payment_link | default "none" }}`:             "|none",
		`{{ default "x" .Session.metadata.nothing }} {{ .Labels.team | default "ops" }}`:       "x ops",
		`{{ json .Session.metadata }} {{ .Session.metadata }}`:                                 `{"order_id":"1001"} {"order_id":"1001"}`,
		`{{ .Session.customer_details.address.city | upper }} {{ lower "ABC" }}`:               "BERLIN abc",
		`{{ truncate 6 .Session.customer_email }}`:                                             "buyer…",
		`{{ range $i, $x := .Session.line_items.data }}{{ $i }} {{ $x.description }}{{ end }}`: "0 A thing",
		`{{ with .Session.shipping }}{{ .name }}{{ end }} {{ $.Account }}`:                     "A. Buyer main",
		`{{ define "a" }}[{{ .Account }}]{{ end }}{{ template "a" . }}`:                        "[main]",
		`{{ printf "%05d" .Session.amount_total }} {{ len .Session.payment_method_types }}`:    "12900 1",
		`{{ json .Session.customer_email }}`:                                                   `"buyer@example.com"`,
	} {
		if got := rendered(t, template(t, text), m); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// Until there is a console no message leads to it.
func TestLinksLeadToTheConsoleOrNowhere(t *testing.T) {
	m := message(event.Paid)
	for _, format := range []string{publish.FormatSlack, publish.FormatPagerDuty} {
		d := publish.DefaultHTTP()
		d.Format, d.RoutingKey = format, "R0UT1NG"
		for external, links := range map[string]bool{"": false, "https://ops.example/console/": true} {
			r, err := publish.NewRenderer(d, nil, external, everything)
			if err != nil {
				t.Fatal(err)
			}
			if body := rendered(t, r, m); strings.Contains(body, "/events/") != links {
				t.Errorf("%s with the console at %q: %s", format, external, body)
			}
		}
	}
}

func TestTemplatesMeetSparseSessions(t *testing.T) {
	m := message(event.Created)
	m.Event.Object = json.RawMessage(`{"id":"cs_1","amount_total":null,"currency":null,"customer_details":null,"shipping":{"name":"x"},"metadata":{},"created":1796119200}`)
	m.Event.PreviousAttributes, m.Event.Revision = json.RawMessage("{}"), 1
	text := `[{{ .Session.customer_details.address.city }}{{ .Session.shipping.carrier }}{{ money .Session.amount_total .Session.currency }}{{ .Previous.amount_total }}]`
	if got := rendered(t, template(t, text), m); got != "[]" {
		t.Errorf("got %s", got)
	}
	for _, metadata := range []string{`{}`, `null`} {
		m.Event.Object = json.RawMessage(`{"id":"cs_1","metadata":` + metadata + `}`)
		_, err := template(t, `{{ .Session.metadata.order_id }}`).Render(m)
		if err == nil || !strings.Contains(err.Error(), "Session.metadata.order_id") {
			t.Errorf("a missing key of metadata %s: %v", metadata, err)
		}
		if got := rendered(t, template(t, `{{ .Session.metadata.order_id | default "none" }}`), m); got != "none" {
			t.Errorf("default of metadata %s: %s", metadata, got)
		}
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	for text, want := range map[string]struct {
		line, column int
		reason       string
	}{
		"{{ .Acount }}":                         {1, 4, "there is no Acount"},
		"a\nb {{ .Session.stauts }}":            {2, 6, "there is no Session.stauts"},
		"{{ .Session.customer_details.emial }}": {1, 4, "there is no Session.customer_details.emial"},
		"{{ .Event.id }}":                       {1, 4, "there is no Event.id"},
		"{{ .Session.id.x }}":                   {1, 4, "Session.id has no members, so no x"},
		"a\n{{ if }}":                           {2, 0, "missing value for if"},
		"a\n b{{ if .Account }}c":               {2, 3, "this {{ if }} has no {{ end }}"},
		"{{- range .Session.discounts }}{{ if .id }}{{ else if .x }}{{ end }}": {1, 1, "this {{ range }} has no {{ end }}"},
		"{{ with .Session }}{{ .id":                {1, 0, "unclosed action"},
		"{{ nothing .Account }}":                   {1, 4, `function "nothing" not defined`},
		"{{ _get . }}":                             {1, 4, `function "_get" not defined`},
		"{{ money .Session.customer_email \"x\"}}": {1, 4, "money: not an amount in minor units"},
	} {
		err := publish.CheckTemplate(text, nil, event.Types())
		var mistake *publish.TemplateError
		if !errors.As(err, &mistake) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if mistake.Line != want.line || mistake.Column != want.column || mistake.Reason != want.reason {
			t.Errorf("%q: line %d, column %d, %q", text, mistake.Line, mistake.Column, mistake.Reason)
		}
	}
	for _, text := range []string{`{{ .Labels.team }}{{ .Session.metadata.any }}{{ .Session.payment_link }}`, ``, `{{ with .Session.shipping }}{{ .name }}{{ end }}`} {
		if err := publish.CheckTemplate(text, nil, event.Types()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A mistake does not hide the next one, and nothing is said of what only follows from it.
func TestAllMistakesOfATemplateAreFound(t *testing.T) {
	for text, want := range map[string][]string{
		"{{ .Session.amount_totl }} {{ .Acount }}\n{{ jsn .Session.id }}{{ .Session.curency | uper }}": {
			"line 1, column 4: there is no Session.amount_totl", "line 1, column 31: there is no Acount",
			`line 2, column 4: function "jsn" not defined`, "line 2, column 25: there is no Session.curency", `line 2, column 44: function "uper" not defined`},
		`{{ money .Session.amount_totl .Session.curency }}{{ if gt .Session.amount_totl 5 }}a{{ else }}{{ .Evnt.Type }}{{ end }}`: {
			"line 1, column 10: there is no Session.amount_totl", "line 1, column 31: there is no Session.curency",
			"line 1, column 59: there is no Session.amount_totl", "line 1, column 98: there is no Evnt"},
		`{{ range .Session.itms }}{{ .x }}{{ end }}{{ range .Session.line_items.data }}{{ .descripton }}{{ end }}{{ define "a" }}{{ foo 1 }}{{ end }}`: {
			"line 1, column 10: there is no Session.itms", "line 1, column 82: there is no descripton", `line 1, column 124: function "foo" not defined`},
		`{{ .Session.customer_details.country }}{{ .Session.name }}{{ customer_email }}`: {
			"line 1, column 4: there is no Session.customer_details.country, but .Session.customer_details.address.country",
			"line 1, column 43: there is no Session.name", `line 1, column 62: function "customer_email" not defined, but .Session.customer_email`},
		`{{ printf "%d" .Session.no }}{{ session.id }}{{ .amount_total }}{{ .Session.id.x }}`: {
			"line 1, column 16: there is no Session.no", `line 1, column 33: function "session" not defined`,
			"line 1, column 49: there is no amount_total, but .Session.amount_total", "line 1, column 68: Session.id has no members, so no x"},
	} {
		err := publish.CheckTemplate(text, nil, []string{event.Paid, event.Expired})
		got := strings.Split(regexp.MustCompile(`(?m) \(with .*\)$`).ReplaceAllString(fmt.Sprint(err), ""), "\n")
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	err := publish.CheckSubject("a.{{ .Acount }}.{{ .Session.no }} b.{{ foo }}", nil, []string{event.Paid})
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 4 {
		t.Errorf("a subject: %v", err)
	}
}

func TestTemplatesAreBounded(t *testing.T) {
	start := time.Now()
	for text, want := range map[string]error{
		`{{ range 1000000000 }}{{ end }}`: publish.ErrTooLong,
		`{{ define "a" }}{{ template "a" . }}{{ template "a" . }}{{ end }}{{ template "a" . }}`: publish.ErrTooLong,
		`{{ $x := "xxxxxxxx" }}{{ range 100 }}{{ $x = printf "%s%s" $x $x }}{{ end }}`:          publish.ErrTooLong,
		`{{ range 5000 }}{{ printf "%500d" 1 }}{{ end }}`:                                       publish.ErrTooLarge,
	} {
		if err := publish.CheckTemplate(text, nil, event.Types()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestOmittedFieldsAreNowhere(t *testing.T) {
	m := message(event.Paid)
	for _, format := range []string{publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty} {
		d := publish.DefaultHTTP()
		d.Format, d.RoutingKey = format, "R0UT1NG"
		d.Omit = []string{"customer_email", "customer_details", "url", "customer"}
		got := rendered(t, renderer(t, d, nil), m)
		if strings.Contains(got, "buyer@example.com") || strings.Contains(got, "pay.example") {
			t.Errorf("%s: %s", format, got)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON: %s", format, got)
		}
	}
	d := publish.DefaultHTTP()
	d.Template, d.Omit = "{{ .Session.customer_email }}", []string{"customer_email"}
	if _, err := publish.NewRenderer(d, nil, "", everything); err == nil {
		t.Error("a template that names an omitted field is accepted")
	}
}

func TestSlack(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format = publish.FormatSlack
	m := message(event.Paid)
	m.Event.Account = "<!channel> & co"
	var got struct {
		Text   string `json:"text"`
		Blocks []struct {
			Type   string `json:"type"`
			Fields []struct{ Type, Text string }
		} `json:"blocks"`
	}
	body := rendered(t, renderer(t, d, nil), m)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Text != "Checkout session paid: 129.00 USD (&lt;!channel&gt; &amp; co)" || len(got.Blocks) != 2 || len(got.Blocks[1].Fields) < 5 || len(got.Blocks[1].Fields) > 10 {
		t.Errorf("body %s", body)
	}
	if strings.Contains(body, "<!channel>") {
		t.Error("text of others can address the channel")
	}
}

// Whoever is paged reads what the event means and what to do, and nothing that is omitted.
func TestPeopleAreToldWhatAnEventOfASessionMeans(t *testing.T) {
	const means = "Checkout session unresolved: 129.00 USD (main). It is complete, but was not paid in time (poll.unpaid_for), and nobody looks for its payment any more: "
	for _, format := range []string{publish.FormatSlack, publish.FormatPagerDuty} {
		d := publish.DefaultHTTP()
		if d.Format = format; format == publish.FormatPagerDuty {
			d.RoutingKey = "R0UT1NG"
		}
		if got := rendered(t, renderer(t, d, nil), message(event.Unresolved)); !strings.Contains(got, means) || !strings.Contains(got, "backfill --account main --since 2026-12-01 announces it.") {
			t.Errorf("%s: %s", format, got)
		}
		d.Omit = []string{"created", "payment_status"}
		for eventType, hidden := range map[string]string{event.Unresolved: "2026-12-01 ", event.Regressed: "paid and is"} {
			if got := rendered(t, renderer(t, d, nil), message(eventType)); strings.Contains(got, hidden) {
				t.Errorf("%s: what is omitted is told: %s", format, got)
			}
		}
	}
}

func TestPagerDuty(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format, d.RoutingKey = publish.FormatPagerDuty, "R0UT1NG"
	var got struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		Key        string `json:"dedup_key"`
		Payload    struct{ Summary, Source, Severity, Timestamp string }
	}
	if err := json.Unmarshal([]byte(rendered(t, renderer(t, d, nil), message(event.Expired))), &got); err != nil {
		t.Fatal(err)
	}
	if got.RoutingKey != "R0UT1NG" || got.Action != "trigger" || got.Key != "cs_2031282752732528640/ship" ||
		got.Payload.Severity != "critical" || got.Payload.Source != "/wooshpay/accounts/main" || got.Payload.Summary == "" {
		t.Errorf("got %+v", got)
	}
	d.RoutingKey = ""
	if _, err := publish.NewRenderer(d, nil, "", everything); err == nil {
		t.Error("a pagerduty destination without routing_key is accepted")
	}
}

func TestStripeBodyKeepsNumbersAndMetadata(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format = publish.FormatStripe
	m := message(event.Paid)
	m.Event.Object = json.RawMessage(`{"id":"cs_1","currency":"EUR","metadata":{"currency":"EUR"},"big":123456789012345678901234567890.10,` +
		`"line_items":{"data":[{"currency":"EUR","price":{"currency":"EUR"}}]}}`)
	got := rendered(t, renderer(t, d, nil), m)
	for _, want := range []string{`"api_version":null`, `"big":123456789012345678901234567890.10`, `"metadata":{"currency":"EUR"}`,
		`"currency":"eur","id":"cs_1"`, `"price":{"currency":"eur"}`, `"previous_attributes":{"payment_status":"unpaid"}`} {
		if !strings.Contains(strings.ReplaceAll(got, `"big":123456789012345678901234567890.10,`, ``)+got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestFormatsAndTheirCompanions(t *testing.T) {
	for name, change := range map[string]func(*publish.Destination){
		"unknown format":    func(d *publish.Destination) { d.Format = "xml" },
		"no template":       func(d *publish.Destination) { d.Format = publish.FormatTemplate },
		"unused template":   func(d *publish.Destination) { d.Format, d.Template = publish.FormatSlack, "x" },
		"unused type":       func(d *publish.Destination) { d.ContentType = "text/plain" },
		"type with newline": func(d *publish.Destination) { d.Template, d.ContentType = "x", "text/plain\r\nA: b" },
	} {
		d := publish.DefaultHTTP()
		change(&d)
		if _, err := publish.NewRenderer(d, nil, "", everything); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d := publish.DefaultHTTP()
	d.Template, d.ContentType = "plain", "text/plain"
	body, err := renderer(t, d, map[string]publish.Rendering{"r": {Format: publish.FormatCloudEvents}}).Render(message(event.Paid))
	if err != nil || body.ContentType != "text/plain" || string(body.Content) != "plain" {
		t.Errorf("%+v, %v", body, err)
	}
}

func subjects(t testing.TB, text string) *publish.Renderer {
	t.Helper()
	d := publish.DefaultNATS()
	d.Subject = text
	return renderer(t, d, map[string]publish.Rendering{"own": {Subject: "own.{{ .Rule }}"}})
}

func TestSubjects(t *testing.T) {
	m := message(event.Paid)
	m.Event.Object = json.RawMessage(`{"id":"cs.1 *>é","customer":null,"client_reference_id":"_INBOX.x"}`)
	for text, want := range map[string]string{
		"checkout.{{ .Account }}.{{ .Change }}":        "checkout.main.paid",
		"a.{{ .Session.id }}":                          "a.cs=2E1=20=2A=3E=C3=A9",
		"a.{{ .Session.customer }}.b":                  "a._.b",
		"a.x{{ .Labels.severity }}y.{{ .Rule }}":       "a.xpagey.ship",
		"{{ .Session.client_reference_id }}":           "=5FINBOX=2Ex",
		"a.{{ if .Event.Async }}x{{ else }}y{{ end }}": "a.y",
	} {
		got, err := subjects(t, text).Subject(m)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	m.Delivery.OwnRule = "own"
	if got, err := subjects(t, "a.b").Subject(m); got != "own.own" || err != nil {
		t.Errorf("the rule's own: %q, %v", got, err)
	}
	long := m
	long.Delivery.OwnRule = ""
	long.Event.Object = json.RawMessage(`{"id":"` + strings.Repeat("x", 300) + `"}`)
	if _, err := subjects(t, "a.{{ .Session.id }}").Subject(long); !errors.Is(err, publish.ErrSubject) {
		t.Errorf("a long subject: %v", err)
	}
}

// What a rule was to send in a form of its own is sent in the destination's where that
// form is gone, but no event twice.
func TestRuleThatLostItsForm(t *testing.T) {
	dest := publish.Destination{Name: "shop", Type: publish.TypeHTTP, URL: "https://shop.example", Format: publish.FormatCloudEvents}
	own := map[string]publish.Rendering{"audit": {Template: "{}"}}
	for name, c := range map[string]struct {
		siblings []string
		sent     bool
	}{
		"alone":                                {nil, true},
		"beside one that keeps its form":       {[]string{"audit"}, true},
		"beside the shared one":                {[]string{""}, false},
		"beside both":                          {[]string{"audit", ""}, false},
		"before another one that lost its own": {[]string{"ship"}, true},
		"behind another one that lost its own": {[]string{"mail"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := publish.NewRenderer(dest, own, "")
			if err != nil {
				t.Fatal(err)
			}
			m := message(event.Paid)
			m.Delivery.OwnRule, m.Siblings = "note", c.siblings
			body, err := r.Render(m)
			if (err == nil) != c.sent || c.sent != (body.Format == publish.FormatCloudEvents) {
				t.Errorf("%v: %s", err, body.Content)
			}
			if err != nil && !strings.Contains(err.Error(), `rule "note"`) {
				t.Error(err)
			}
		})
	}
}

func TestSubjectMistakesAreFoundAtLoad(t *testing.T) {
	for _, text := range []string{"", "$JS.x", "_INBOX.x", "_INBOXES", "a b", "a.*", "a.>", "a..b", ".a", "a.", "a.{{ .Acount }}", "a\n", "a.{{ if .Link }} {{ end }}"} {
		if err := publish.CheckSubject(text, nil, event.Types()); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	var mistake *publish.TemplateError
	if err := publish.CheckSubject("ab.*", nil, nil); !errors.As(err, &mistake) || mistake.Line != 1 || mistake.Column != 4 {
		t.Errorf("got %v", err)
	}
}

// unescape undoes what a subject does to a value.
func unescape(t *rapid.T, token string) string {
	if token == "_" {
		return ""
	}
	var b []byte
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b = append(b, token[i])
			continue
		}
		var c byte
		if _, err := fmt.Sscanf(token[i+1:i+3], "%02X", &c); err != nil {
			t.Fatalf("%q: %v", token, err)
		}
		b = append(b, c)
		i += 2
	}
	return string(b)
}

func TestAnyValueIsOneToken(t *testing.T) {
	r := subjects(t, "a.{{ .Labels.x }}.z")
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringN(0, 60, 80).Draw(t, "value")
		m := message(event.Paid)
		m.Delivery.Labels = map[string]string{"x": value}
		got, err := r.Subject(m)
		if err != nil {
			t.Fatal(err)
		}
		tokens := strings.Split(got, ".")
		if len(tokens) != 3 || tokens[1] == "" || strings.ContainsAny(got, " *>\r\n\t") {
			t.Fatalf("subject %q", got)
		}
		if value != "_" && unescape(t, tokens[1]) != value {
			t.Fatalf("%q became %q", value, tokens[1])
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("{{ .Session.id }}")
	f.Add("{{ range .Session.line_items.data }}{{ .price.product | default 1 }}{{ end }}")
	f.Add("{{ if $.Labels.x }}{{ else with .Event }}{{ .ID }}{{ end }}{{ break }}")
	f.Add("{{ (index .Session.line_items.data 0).id }}{{ .Session.metadata.x | json | truncate 3 }}")
	f.Fuzz(func(t *testing.T, text string) {
		if err := publish.CheckTemplate(text, nil, event.Types()); err != nil {
			return
		}
		d := publish.DefaultHTTP()
		d.Format, d.Template = publish.FormatTemplate, text
		r, err := publish.NewRenderer(d, nil, "", everything)
		if text == "" {
			return
		}
		if err != nil {
			t.Fatalf("CheckTemplate accepts what NewRenderer does not: %v", err)
		}
		if body, err := r.Render(message(event.Paid)); err == nil && len(body.Content) > publish.BodyLimit {
			t.Errorf("a body of %d bytes", len(body.Content))
		}
	})
}

func FuzzSubject(f *testing.F) {
	f.Add("checkout.{{ .Account }}", "x")
	f.Add("a.{{ .Session.id }}.b{{ .Labels.l }}", "é. *")
	f.Fuzz(func(t *testing.T, text, value string) {
		if publish.CheckSubject(text, nil, event.Types()) != nil {
			return
		}
		d := publish.DefaultNATS()
		d.Subject = text
		r, err := publish.NewRenderer(d, nil, "", everything)
		if err != nil {
			t.Fatalf("CheckSubject accepts what NewRenderer does not: %v", err)
		}
		m := message(event.Paid)
		id, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		m.Event.Object = json.RawMessage(`{"id":` + string(id) + `}`)
		m.Delivery.Labels = map[string]string{"l": value}
		got, err := r.Subject(m)
		if err != nil {
			return
		}
		if len(got) > 255 || strings.ContainsAny(got, " *>\t\r\n") || strings.HasPrefix(got, "$") || strings.HasPrefix(got, "_INBOX") ||
			strings.Contains("."+got+".", "..") {
			t.Errorf("subject %q of %q with %q", got, text, value)
		}
	})
}

func TestSamplesRenderInEveryFormat(t *testing.T) {
	for _, eventType := range event.Types() {
		m := message(eventType)
		for _, format := range []string{publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty} {
			d := publish.DefaultHTTP()
			d.Format, d.RoutingKey = format, "R"
			if got := rendered(t, renderer(t, d, nil), m); !json.Valid([]byte(got)) || !bytes.Contains([]byte(got), []byte(m.Event.Session)) {
				t.Errorf("%s as %s: %s", eventType, format, got)
			}
		}
		if diff := cmp.Diff(eventType, event.SampleEvent(event.Short(eventType)).Type); diff != "" {
			t.Error(diff)
		}
	}
}
