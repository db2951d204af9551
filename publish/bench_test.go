package publish_test

import (
	"testing"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/publish"
)

// stored is a message with the session as it is stored.
func stored(b *testing.B) publish.Message {
	b.Helper()
	m := message(event.Paid)
	s, err := checkout.Parse(m.Event.Object)
	if err != nil {
		b.Fatal(err)
	}
	m.Event.Object = s.Object
	return m
}

func BenchmarkSubject(b *testing.B) {
	for name, text := range map[string]string{
		"plain":    "checkout.{{ .Account }}.{{ .Change }}",
		"session":  "checkout.{{ .Session.currency }}.{{ .Change }}",
		"previous": "checkout.{{ .Previous.status }}.{{ .Change }}",
	} {
		b.Run(name, func(b *testing.B) {
			d := publish.DefaultNATS()
			d.Subject = text
			r, m := renderer(b, d, nil), stored(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Subject(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	omitting := publish.DefaultHTTP()
	omitting.Omit = []string{"url", "customer_details"}
	templated := publish.DefaultHTTP()
	templated.Template = `{"order":{{ json .Session.client_reference_id }},"amount":"{{ money .Session.amount_total .Session.currency }}"}`
	brief := publish.DefaultHTTP()
	brief.Template = `{{ .Event.Type }} {{ .Labels.severity }} {{ .Link }}`
	slack := publish.DefaultHTTP()
	slack.Format = publish.FormatSlack
	for name, d := range map[string]publish.Destination{
		"cloudevents": publish.DefaultHTTP(), "cloudevents-omit": omitting, "template": templated,
		"template-brief": brief, "slack": slack,
	} {
		b.Run(name, func(b *testing.B) {
			r, m := renderer(b, d, nil), stored(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Render(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
