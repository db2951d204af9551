package config_test

import (
	"strings"
	"testing"

	"checkout-notifier/config"
)

// What YAML takes for its own, and keys that are called otherwise elsewhere, are
// told with what to write.
func TestMistakesOfNewcomers(t *testing.T) {
	const quotes, braces = ": put the text in quotes", "(a text with {{ }} is put in quotes: '{{ … }}')"
	for source, want := range map[string]string{
		"    labels: {team: {{ .Account }}}\n":                                             "test.yaml:11:20: rules[1].labels.team must be text, not a map" + quotes,
		"    template: {{ .Session.id }}\n":                                                "test.yaml:11:15: rules[1].template must be text, not a map" + quotes,
		"    template: {{ .Session.id }} paid\n":                                           "not valid YAML: did not find expected key " + braces,
		"    subject: {{ .Account }}.x\n":                                                  "not valid YAML: did not find expected key " + braces,
		"  - {name: x, to: [shop], template: id {{ .Session.id }}}\n":                      "not valid YAML: did not find expected ',' or '}' " + braces,
		"  - {name: x, to: [shop], when: ${file:/nonexistent/key}}\n":                      `(inside [ ] and { } a variable is quoted: "${NAME}")`,
		"    when: {session.livemode}\n":                                                   "rules[1].when must be text, not a map" + quotes,
		"    when:\n      - session.livemode\n":                                            "rules[1].when must be text, not a list" + quotes + ", and join several conditions by and",
		"    when: |\n      session.livemode\n      event.async\n":                         "test.yaml:13:7: unexpected event; conditions are joined by and",
		"  - {name: x, events: [paid], to: [shop], when: session.currency in [\"USD\"]}\n": "(inside { } an expression is put in quotes)",
		"  - {name: x, events: [paid], to: [shop], when: raw(\"x\", 0) > 5}\n":             "unknown key \"0) > 5\" in rules[2]; inside { } a comma ends a value: put it in quotes",
		"    if: session.livemode\n":                                                       `unknown key "if" in rules[1], did you mean "when"?`,
		"  - {name: x, events: [paid], destinations: [shop]}\n":                            `unknown key "destinations" in rules[2], did you mean "to"?`,
		"  - {name: x, type: paid, to: [shop]}\n":                                          `unknown key "type" in rules[2], did you mean "events"?`,
		"    on: paid\n": `rules[1].on must be event or system, not "paid": types of events stand in events: [paid]`,
		"  - {name: x, events: [refunded], to: [shop]}\n":          `no event type matches "refunded"; there are created, completed, expired,`,
		"  - {name: x, events: [payment_succeeded], to: [shop]}\n": `no event type matches "payment_succeeded", did you mean "paid"?`,
		"  - {name: x, events: [paid expired], to: [shop]}\n":      `no event type matches "paid expired": each stands apart, as in [paid, expired]`,
		"  - {name: x, events: ['paid,updated'], to: [shop]}\n":    `no event type matches "paid,updated": each stands apart, as in [paid, updated]`,
		"  - {name: x, events: ['!paid'], to: [shop]}\n":           `no event type matches "!paid": a list says what is meant, and excludes nothing`,
		"  - {name: x, events: [all], to: [shop]}\n":               `no event type matches "all", did you mean "*"?`,
		"  - {name: x, events: [changed], to: [shop]}\n":           `no event type matches "changed", did you mean "updated"?`,
		"  - {name: x, events: [succeeded], to: [shop]}\n":         `no event type matches "succeeded", did you mean "paid"?`,
		"  - {name: x, events: [*], to: [shop]}\n":                 `an asterisk is put in quotes: '*'`,
		"  - name: x\n    events: *\n    to: [shop]\n":             `an asterisk is put in quotes: '*'`,
	} {
		if got := strings.TrimSpace(refused(t, withRule(source), config.Options{})); !strings.Contains(got, want) {
			t.Errorf("%s got %s\nwant %s", source, got, want)
		}
	}
}
