package config_test

import (
	"strings"
	"testing"

	"checkout-notifier/config"
)

// The embedded server has the streams that destinations ensure, and no others: what none
// of them takes waits for ever.
func TestSubjectsThatNoStreamOfTheEmbeddedServerTakes(t *testing.T) {
	const (
		embedded = "nats: {embedded: {enabled: true}}\n"
		bus      = "{name: bus, type: nats, subject: 'checkout.{{ .Account }}.{{ .Change }}'}"
		warning  = "destinations[0]: no stream of the embedded server takes "
	)
	with := func(more string) string { return strings.Replace(bus, "}'}", "}', "+more+"}", 1) }
	other := func(subjects string) string {
		return ", {name: other, type: nats, subject: 'x.{{ .Rule }}', stream: {name: OTHER, ensure: true, subjects: [" + subjects + "]}}"
	}
	for name, c := range map[string]struct{ nats, destinations, want string }{
		"no stream":              {embedded, bus, warning + "checkout.*.*: "},
		"a stream of some name":  {embedded, with("stream: {name: CHECKOUT}"), warning + "checkout.*.*: "},
		"by its address":         {"nats: {url: 'nats://127.0.0.1:4222', embedded: {enabled: true}}\n", bus, warning + "checkout.*.*: "},
		"ensured":                {embedded, with("stream: {name: CHECKOUT, ensure: true}"), ""},
		"core":                   {embedded, with("jetstream: false"), ""},
		"another server":         {embedded, with("url: 'nats://n1.example:4222'"), ""},
		"not enabled":            {"", bus, ""},
		"another's takes all":    {embedded, bus + other("'checkout.>'"), ""},
		"another's takes a part": {embedded, bus + other("checkout.*.paid, checkout.main.completed"), ""},
		"another's, by its form": {embedded, bus + ", {name: other, type: nats, subject: 'checkout.{{ .Account }}.{{ .Rule }}', stream: {name: OTHER, ensure: true}}", ""},
		"another's takes others": {embedded, bus + other("orders.>, checkout.paid, checkout.a.b.c"), warning + "checkout.*.*: "},
		"another's is elsewhere": {embedded, bus + ", {name: other, url: 'nats://n1.example', type: nats, subject: 'checkout.a.b', stream: {name: OTHER, ensure: true}}", warning + "checkout.*.*: "},
		"another's is not known": {embedded, bus + ", {name: other, type: nats, subject: 'checkout.{{ if .Rule }}a{{ end }}', stream: {name: OTHER, ensure: true, subjects: ['>']}}", ""},
		"its own is not known":   {embedded, "{name: bus, type: nats, subject: 'checkout.{{ if .Rule }}a{{ else }}b{{ end }}'}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.nats + "accounts: [{name: main, secret_key: sk_test_x}]\ndestinations: [" + c.destinations + "]\nrules: [{name: ship, events: [paid], to: [bus]}]\n"
			got := lines(load(t, text, config.Options{}).Warnings)
			if c.want == "" && strings.Contains(got, warning) || !strings.Contains(got, c.want) {
				t.Errorf("says %q, want %q", got, c.want)
			}
			if c.want != "" && !strings.Contains(got, "stream: {name: CHECKOUT, ensure: true}") {
				t.Errorf("does not say what to write: %q", got)
			}
		})
	}
}
