package publish_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

var systemRule = publish.RuleTypes{Rule: "ops", Types: event.SystemTypes()}

// systemMessage is a delivery of a sample of the program's own.
func systemMessage(eventType string) publish.Message {
	m := message(eventType)
	m.Delivery.Rules, m.Delivery.Subject = []string{"ops"}, m.Event.Subject
	return m
}

func TestSystemSamplesSayWhatTheyAreAbout(t *testing.T) {
	for _, eventType := range event.SystemTypes() {
		e := event.SampleEvent(eventType)
		var data map[string]any
		if err := json.Unmarshal(e.System, &data); err != nil {
			t.Fatal(err)
		}
		if e.Type != eventType || !e.IsSystem() || e.Subject == "" || e.Account != "" || data["summary"] == "" {
			t.Errorf("%s: %+v", eventType, e)
		}
		for name, value := range data {
			if value == "" || value == nil {
				t.Errorf("%s: the sample has no %s", eventType, name)
			}
		}
	}
}

func TestSystemEventsInSlack(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format = publish.FormatSlack
	for eventType, wants := range map[string][]string{
		event.DeliveryDead:         {"*Destination*\nshop", "*Account*\nmain", "*Session*\ncs_2031282752732528640", "*Attempts*\n12", "*Status code*\n404", "*Reason*\ngiven up", "*What to do*\nnotifier deadletters get dlv_"},
		event.DestinationFailing:   {"*Destination*\nshop", "*Since*\n2026-12-01T08:57:57", "*Failures*\n10", "*Reason*\nstatus", "*Pending*\n42"},
		event.DestinationRecovered: {"*Destination*\nshop", "*Down for*\n1h2m3s"},
		event.DestinationPaused:    {"*By*\nanna", "*Reason*\ndeploy", "*Pending*\n7"},
		event.AccountFailing:       {"*Account*\nmain", "*Since*\n2026", "*Error*\nthe API answered 401"},
		event.AccountRecovered:     {"*Account*\nmain", "*Down for*\n1h2m3s"},
		event.RuleFailing:          {"*Rule*\nship", "*Failures*\n10", "*Error*\nover budget"},
		event.StoreLowSpace:        {"*Free*\n512.0 MiB", "*Store*\n3.0 GiB", "*Path*\n/var"},
	} {
		m := systemMessage(eventType)
		body := rendered(t, renderer(t, d, nil), m)
		var got struct {
			Text   string
			Blocks []struct {
				Fields []struct{ Text string }
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, f := range got.Blocks[1].Fields {
			all.WriteString(f.Text + "\n")
		}
		var data struct{ Summary string }
		if err := json.Unmarshal(m.Event.System, &data); err != nil || got.Text != data.Summary {
			t.Errorf("%s: headline %q, want %q, %v", eventType, got.Text, data.Summary, err)
		}
		if n := len(got.Blocks[1].Fields); n > 10 {
			t.Errorf("%s: %d fields", eventType, n)
		}
		if strings.Contains(all.String(), "*Since*\n") { // it may have waited: when it was so
			wants = append(wants, "*Time*\n"+event.FormatTime(m.Event.Time))
		}
		for _, want := range wants {
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s: no %q in\n%s", eventType, want, all.String())
			}
		}
	}
}

// incident is what PagerDuty makes of a body.
type incident struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	Key        string `json:"dedup_key"`
	Payload    struct {
		Summary, Source, Severity, Timestamp, Component, Class string
		Details                                                map[string]string `json:"custom_details"`
	}
}

func pagerRenderer(t testing.TB, own map[string]publish.Rendering, rules ...publish.RuleTypes) *publish.Renderer {
	t.Helper()
	d := publish.DefaultHTTP()
	d.Name, d.Format, d.RoutingKey = "pager", publish.FormatPagerDuty, "R0UT1NG"
	r, err := publish.NewRenderer(d, own, "", rules...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func paged(t testing.TB, r *publish.Renderer, m publish.Message) incident {
	t.Helper()
	var got incident
	if err := json.Unmarshal([]byte(rendered(t, r, m)), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSystemEventsInPagerDuty(t *testing.T) {
	r := pagerRenderer(t, nil, systemRule)
	keys := make(map[string]string)
	for _, eventType := range event.SystemTypes() {
		got := paged(t, r, systemMessage(eventType))
		keys[eventType] = got.Key
		action := "trigger"
		if strings.HasSuffix(eventType, ".recovered") {
			action = "resolve"
		}
		if got.Action != action || got.Payload.Source != "/notifier" || got.Payload.Severity != "critical" ||
			got.Payload.Component == "" || got.Payload.Summary == "" || got.Payload.Class != eventType {
			t.Errorf("%s: %+v", eventType, got)
		}
	}
	if keys[event.DestinationFailing] != keys[event.DestinationRecovered] || keys[event.DestinationPaused] != keys[event.DestinationRecovered] ||
		keys[event.AccountFailing] != keys[event.AccountRecovered] {
		t.Errorf("what begins and what ends have different keys: %v", keys)
	}
	distinct := map[string]bool{}
	for _, key := range keys {
		distinct[key] = true
	}
	if len(distinct) != 5 { // delivery, destination, account, rule, store
		t.Errorf("keys %v", keys)
	}
}

func TestIncidentsAreAboutTheirSubject(t *testing.T) {
	own := map[string]publish.Rendering{"loud": {Format: publish.FormatPagerDuty}}
	r := pagerRenderer(t, own, systemRule, publish.RuleTypes{Rule: "loud", Types: event.SystemTypes()})
	failing, recovered := systemMessage(event.DestinationFailing), systemMessage(event.DestinationRecovered)
	failing.Delivery.Rules = []string{"a", "b"}
	recovered.Delivery.Rules = []string{"b"} // the first rule does not hear of it
	if a, b := paged(t, r, failing).Key, paged(t, r, recovered).Key; a != b {
		t.Errorf("keys %s and %s", a, b)
	}
	failing.Delivery.OwnRule = "loud"
	if a, b := paged(t, r, failing).Key, paged(t, r, recovered).Key; a == b {
		t.Error("another rule's incident is closed")
	}
	failing.Delivery.OwnRule, failing.Event.Subject = "", "bus"
	if a, b := paged(t, r, failing).Key, paged(t, r, recovered).Key; a == b {
		t.Error("another destination's incident is closed")
	}
	dead := systemMessage(event.DeliveryDead)
	first := paged(t, r, dead)
	dead.Event.System = json.RawMessage(strings.ReplaceAll(string(dead.Event.System), "dlv_", "dlv_x"))
	if other := paged(t, r, dead); other.Key == first.Key {
		t.Error("two dead deliveries are one incident")
	}
	if first.Payload.Details["event_type"] != event.Fulfillable || first.Payload.Details["status_code"] != "404" {
		t.Errorf("details %v", first.Payload.Details)
	}
}

// Of two notifiers that have destinations of the same name, neither ends what the other
// opened; an order is the same one for both.
func TestIncidentsAreOfTheirInstallation(t *testing.T) {
	long := systemMessage(event.DestinationFailing)
	long.Event.Subject = strings.Repeat("x", 250)
	for name, m := range map[string]publish.Message{
		"destination": systemMessage(event.DestinationFailing), "account": systemMessage(event.AccountRecovered),
		"dead letter": systemMessage(event.DeliveryDead), "a long name": long,
	} {
		keys := make(map[string]bool)
		for _, id := range []string{"5d0c3f7a", "5d0c3f7b", "5d0c3f7a", ""} {
			r := pagerRenderer(t, nil, systemRule)
			r.SetInstallation(id)
			got := paged(t, r, m)
			if keys[got.Key] = true; len(got.Key) > 255 || got.Payload.Details["installation"] != id {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if len(keys) != 3 {
			t.Errorf("%s: keys %v", name, keys)
		}
	}
	r := pagerRenderer(t, nil)
	r.SetInstallation("5d0c3f7a")
	if got := paged(t, r, message(event.Expired)); got.Key != "cs_2031282752732528640/ship" || got.Payload.Details["installation"] != "" {
		t.Errorf("an order: %+v", got)
	}
}

func TestSessionsOpenAndCloseIncidents(t *testing.T) {
	watching := publish.RuleTypes{Rule: "ship", Types: []string{event.Expired, event.Unresolved, event.Fulfillable}}
	paging := publish.RuleTypes{Rule: "ship", Types: []string{event.Fulfillable, event.Completed}}
	other := publish.RuleTypes{Rule: "audit", Types: []string{event.Paid, event.Fulfillable}}
	for _, c := range []struct {
		name   string
		rules  []publish.RuleTypes
		event  string
		action string
		rule   string
	}{
		{"trouble", []publish.RuleTypes{watching}, event.Unresolved, "trigger", "ship"},
		{"its good end", []publish.RuleTypes{watching}, event.Fulfillable, "resolve", "ship"},
		{"a rule that only tells of good news", []publish.RuleTypes{paging}, event.Fulfillable, "trigger", "ship"},
		{"another rule pages with it", []publish.RuleTypes{watching, other}, event.Fulfillable, "trigger", "audit"},
		{"a rule of no part tells of trouble", []publish.RuleTypes{{Rule: "none", Types: watching.Types}, paging}, event.Fulfillable, "trigger", "ship"},
		{"rules that are gone", nil, event.Fulfillable, "trigger", "ship"},
		{"neither good nor bad", []publish.RuleTypes{watching}, event.Updated, "trigger", "ship"},
	} {
		got := paged(t, pagerRenderer(t, nil, c.rules...), message(c.event))
		if got.Action != c.action || got.Key != "cs_2031282752732528640/"+c.rule || got.Payload.Component != "main" {
			t.Errorf("%s: %s of %s", c.name, got.Action, got.Key)
		}
	}
	mine := message(event.Fulfillable)
	mine.Delivery.OwnRule = "ship"
	own := map[string]publish.Rendering{"ship": {Format: publish.FormatPagerDuty}}
	if got := paged(t, pagerRenderer(t, own, watching, other), mine); got.Action != "resolve" {
		t.Errorf("a rule's own rendering: %s", got.Action)
	}
	long := message(event.Expired)
	long.Event.Session = strings.Repeat("x", 250)
	if key := paged(t, pagerRenderer(t, nil), long).Key; len(key) > 255 || key == "" {
		t.Errorf("a key of %d bytes", len(key))
	}
}

func TestSystemEventsInStripesShape(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format, d.APIVersion = publish.FormatStripe, "2026-01-28.clover"
	m := systemMessage(event.DestinationFailing)
	var got struct {
		ID, Object, Type string
		APIVersion       string `json:"api_version"`
		Created          int64
		Livemode         *bool
		Data             map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(rendered(t, renderer(t, d, nil), m)), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != m.Event.ID || got.Object != "event" || got.Type != event.DestinationFailing || got.APIVersion != d.APIVersion ||
		got.Created != m.Event.Time.Unix() || got.Livemode == nil || len(got.Data) != 1 || string(got.Data["object"]) != string(m.Event.System) {
		t.Errorf("got %+v", got)
	}
}

func TestTemplatesOfSystemEvents(t *testing.T) {
	for text, want := range map[string]string{
		`{{ .Alert.summary }}|{{ .Account }}|{{ .Change }}`: "Account main cannot be polled since 08:57: the API answered 401|main|failing",
		`{{ .Session | json }}{{ json .Previous }}`:         "{}{}",
		`{{ .Event.Type }} {{ .Event.Field }}{{ .Rule }}`:   "notifier.account.failing ops",
		`{{ .Session.id | default "none" }}`:                "none",
	} {
		d := publish.DefaultHTTP()
		d.Template, d.Omit = text, []string{"url"}
		r, err := publish.NewRenderer(d, nil, "", publish.RuleTypes{Rule: "ops", Types: []string{event.AccountFailing}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := rendered(t, r, systemMessage(event.AccountFailing)); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	n := publish.DefaultNATS()
	n.Subject = "notifier.{{ .Account }}.{{ .Change }}"
	r, err := publish.NewRenderer(n, nil, "", systemRule)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Subject(systemMessage(event.DeliveryDead)); got != "notifier._.dead" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A template meets only the types that rules send with it.
func TestTemplatesAreCheckedWithWhatRulesSend(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Template = `{{ if eq .Event.Type "checkout.session.expired" }}{{ .Session.no_such }}{{ end }}`
	loads := func(own map[string]publish.Rendering, rules ...publish.RuleTypes) error {
		_, err := publish.NewRenderer(d, own, "", rules...)
		return err
	}
	paid, expired := publish.RuleTypes{Rule: "a", Types: []string{event.Paid}}, publish.RuleTypes{Rule: "b", Types: []string{event.Paid, event.Expired}}
	if err := loads(nil, paid); err != nil {
		t.Errorf("a mistake that no event meets: %v", err)
	}
	err := loads(nil, paid, expired)
	var mistake *publish.TemplateError
	if !errors.As(err, &mistake) || mistake.Type != event.Expired || !strings.Contains(err.Error(), event.Expired) || mistake.Line != 1 {
		t.Errorf("a mistake that an event meets: %v", err)
	}
	if err := loads(map[string]publish.Rendering{"b": {Format: publish.FormatSlack}}, paid, expired); err != nil {
		t.Errorf("a rule that renders in its own way meets the destination's template: %v", err)
	}
	own := map[string]publish.Rendering{"b": {Template: `{{ .Session.no_such }}`}, "c": {Template: `{{ .Alert.no_such }}`}}
	if err = loads(own, paid, expired, publish.RuleTypes{Rule: "c", Types: []string{event.StoreLowSpace}}); err == nil ||
		!strings.Contains(err.Error(), `rule "b": `) || !strings.Contains(err.Error(), `rule "c": `) || !strings.Contains(err.Error(), event.StoreLowSpace) {
		t.Errorf("the rules' own templates: %v", err)
	}
	// One mistake is said once, two are said at once.
	text := "{{ if eq .Change \"paid\" }}{{ .Foo }}{{ else }}{{ .Bar }}{{ end }}"
	err = publish.CheckTemplate(text, nil, event.Types())
	if n := strings.Count(err.Error(), "there is no"); n != 2 {
		t.Errorf("%d mistakes: %v", n, err)
	}
	if err := publish.CheckSubject("a.{{ .Session.id }}", []string{"id"}, event.Types()); err == nil {
		t.Error("a subject that names an omitted field is accepted")
	}
	if err := publish.CheckSubject("a{{ if eq .Change \"dead\" }}.{{ end }}", nil, slices.Concat(event.Types(), event.SystemTypes())); err == nil ||
		!strings.Contains(err.Error(), event.DeliveryDead) {
		t.Errorf("a subject that one type breaks: %v", err)
	}
}

// What is not named is not read; what may be read otherwise is there.
func TestTemplatesReadOnlyWhatTheyName(t *testing.T) {
	broken := message(event.Paid)
	broken.Event.Object = json.RawMessage(`{"id":`)
	for _, text := range []string{`{{ .Account }}`, `{{ define "a" }}{{ .Event.ID }}{{ end }}{{ template "a" . }}`, `{{ $x := .Labels }}{{ $x.severity }}`} {
		if _, err := template(t, text).Render(broken); err != nil {
			t.Errorf("%s needs no session: %v", text, err)
		}
	}
	for _, text := range []string{
		`{{ json . }}`, `{{ (index . "Session").id }}`, `{{ $x := . }}{{ (index $x "Session").id }}`, `{{ range $k, $v := . }}{{ json $v }}{{ end }}`,
		`{{ with $ }}{{ .Session.id }}{{ end }}`, `{{ define "a" }}{{ .Session.id }}{{ end }}{{ template "a" . }}`, `{{ define "a" }}{{ json . }}{{ end }}{{ template "a" $ }}`,
		`{{ $.Session.id }}`, `{{ (.).Session.id }}`, `{{ if . }}{{ json $ }}{{ end }}`,
	} {
		if got := rendered(t, template(t, text), message(event.Paid)); !strings.Contains(got, "cs_2031282752732528640") {
			t.Errorf("%s: %s", text, got)
		}
		if _, err := template(t, text).Render(broken); err == nil {
			t.Errorf("%s reads the session, and one that cannot be read is no error", text)
		}
	}
	if got := rendered(t, template(t, `{{ json .Previous.payment_status }}{{ .Alert | json }}`), message(event.Paid)); got != `"unpaid"{}` {
		t.Errorf("got %s", got)
	}
}

func TestSlackIsWithinItsLimits(t *testing.T) {
	d := publish.DefaultHTTP()
	d.Format = publish.FormatSlack
	m := systemMessage(event.DestinationFailing)
	m.Event.System = json.RawMessage(`{"summary":"` + strings.Repeat("<", 5000) + `","reason":"` + strings.Repeat("&é", 5000) + `"}`)
	var got struct {
		Text   string
		Blocks []struct {
			Text   *struct{ Text string }
			Fields []struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(rendered(t, renderer(t, d, nil), m)), &got); err != nil {
		t.Fatal(err)
	}
	if utf8.RuneCountInString(got.Blocks[0].Text.Text) > 3000 || utf8.RuneCountInString(got.Blocks[1].Fields[0].Text) > 2000 {
		t.Error("over the limits")
	}
	m.Event.System = json.RawMessage(`{"summary":"x"}`)
	if body := rendered(t, renderer(t, d, nil), m); strings.Contains(body, "fields") || !strings.Contains(body, "*x*") {
		t.Errorf("without facts: %s", body)
	}
}

// A sample is what its type says: the session is in the state after the change.
func TestSamplesAgreeWithThemselves(t *testing.T) {
	for _, eventType := range event.Types() {
		e := event.SampleEvent(eventType)
		var object map[string]json.RawMessage
		if err := json.Unmarshal(e.Object, &object); err != nil {
			t.Fatal(err)
		}
		if got := string(object[e.Change.Field]); got != string(e.Change.To) {
			t.Errorf("%s: %s is %s, and became %s", eventType, e.Change.Field, got, e.Change.To)
		}
		if paid := string(object["payment_status"]) == `"paid"`; paid != slices.Contains([]string{event.Paid, event.Fulfillable}, eventType) {
			t.Errorf("%s: payment_status %s", eventType, object["payment_status"])
		}
	}
}
