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
		"a rule that is off, in its own template": {`rules: [{name: ship, events: [paid], template: "{{ .Nothing }}", enabled: false, to: [shop]}]`,
			"rules[0].template: there is no Nothing (with a sample of checkout.session.paid)"},
	} {
		if got := refused(t, templated+c.rules, config.Options{}); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
