package publish_test

import (
	"encoding/json"
	"strings"
	"testing"

	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// A body or a subject that cannot be made is final, says where, and quotes
// nothing of the session.
func TestRenderErrorsAreFinalAndSayWhere(t *testing.T) {
	const private = "buyer@example.com"
	url, got := callback(t, nil)
	for text, want := range map[string]string{
		"a\n {{ money .Session.customer_email \"EUR\" }}":                                                 "line 2, column 5: money: not an amount in minor units",
		"{{ time .Session.customer_email }}":                                                              "line 1, column 4: time: neither seconds nor RFC 3339; the time comes last, after a layout and a zone",
		"{{ time .Session.created `2006-01-02` }}":                                                        "line 1, column 4: time: neither seconds nor RFC 3339; the time comes last, after a layout and a zone",
		"{{ time \"15:04\" .Session.customer_email .Session.created }}":                                   "line 1, column 4: time: unknown zone",
		"{{ range .Session.customer_email }}{{ end }}":                                                    "line 1, column 10: range can't iterate over this value",
		"{{ range $a, $b := .Session.amount_total }}{{ end }}":                                            "line 1, column 20: this value has only one variable to iterate over",
		"{{ if eq .Session.customer_details .Session.customer_details }}{{ end }}":                        "line 1, column 7: these values cannot be compared",
		"{{ index .Session.payment_method_types .Session.amount_total }}":                                 "line 1, column 4: index out of range",
		"{{ slice .Session.customer_email 5 2 }}":                                                         "line 1, column 4: invalid slice index",
		"{{ index .Session.customer_email .Session.metadata.order_id }}":                                  "line 1, column 4: index: this value has no elements",
		"{{ (index .Session.payment_method_types 0).id }}":                                                "line 1, column",
		"{{ call .Session.customer_email }}":                                                              "line 1, column 4: only a function takes something behind it",
		"{{ range .Session.amount_total }}{{ range 100000 }}x{{ end }}{{ end }}":                          "rendering as template: the template takes too many steps",
		"{{ .Session.metadata.missing }}":                                                                 "line 1, column 4: there is no Session.metadata.missing",
		"{{ gt .Session.amount_total .Session.customer_email }}":                                          "line 1, column 4: incompatible types for comparison",
		"{{ define \"x\" }}{{ range .Session.customer_email }}{{ end }}{{ end }}\n{{ template \"x\" . }}": "line 1",
	} {
		d := httpDestination(url)
		d.Template = text
		renderer, err := publish.NewRenderer(d, nil, "") // a rule that has gone meanwhile: nothing was tried
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := publisherAs(t, d, renderer).Publish(t.Context(), message(event.Paid))
		if r.Outcome != event.OutcomeRefused || r.Class != publish.ClassRender || !r.Final || !strings.Contains(r.Error, want) {
			t.Errorf("%s: %+v", text, r)
		}
		if strings.Contains(r.Error, private) || strings.Contains(r.Error, "12900") || strings.Contains(r.Error, "Berlin") {
			t.Errorf("%s: the error quotes the session: %s", text, r.Error)
		}
	}
	if len(got) > 0 {
		t.Error("something was sent")
	}
	n := natsDestination("nats://127.0.0.1:1") // never asked
	n.Subject = "checkout.{{ range .Session.customer_email }}{{ end }}"
	renderer, err := publish.NewRenderer(n, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r := publisherAs(t, n, renderer).Publish(t.Context(), message(event.Paid))
	if r.Class != publish.ClassRender || !r.Final || !strings.Contains(r.Error, "line 1, column 19") || strings.Contains(r.Error, private) {
		t.Errorf("a subject: %+v", r)
	}
}

// What cannot be read is not quoted either.
func TestUnreadableSessionsAreNotQuoted(t *testing.T) {
	for _, format := range []string{publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty} {
		for _, omit := range [][]string{nil, {"url"}} {
			d := publish.DefaultHTTP()
			d.Format, d.RoutingKey, d.Omit = format, "R", omit
			m := message(event.Paid)
			m.Event.Object = json.RawMessage(`{"customer_email":"buyer@example.com",`)
			_, err := renderer(t, d, nil).Render(m)
			if err == nil || strings.Contains(err.Error(), "buyer") {
				t.Errorf("%s without %v: %v", format, omit, err)
			}
		}
	}
	d := publish.DefaultHTTP()
	d.Format = publish.FormatSlack
	m := message(event.Paid)
	m.Event.Object = json.RawMessage(`{"amount_total":"buyer@example.com"}`)
	if _, err := renderer(t, d, nil).Render(m); err == nil || strings.Contains(err.Error(), "buyer") {
		t.Errorf("an amount that is none: %v", err)
	}
}
