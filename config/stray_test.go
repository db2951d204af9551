package config_test

import (
	"strings"
	"testing"

	"checkout-notifier/config"
)

// A stream that `ensure` makes with listed subjects takes those alone: what the rules
// send elsewhere is said without a connection.
func TestSubjectsThatTheListedOnesOfAStreamDoNotCover(t *testing.T) {
	const accounts = `accounts:
  - {name: eu, secret_key: "${KEY_EU:-sk_test_abcdefghijklmnopqrstuvwx}", start: all}
  - {name: us, secret_key: sk_test_zyxwvutsrqponmlkjihgfedc, start: all}
`
	const usual = "'checkout.{{ .Account }}.{{ .Change }}'"
	const warning = "destinations[0].stream.subjects do not take "
	for name, c := range map[string]struct{ subject, stream, rules, want string }{
		"all taken":    {usual, `ensure: true, subjects: ["checkout.*.paid", "checkout.*.completed"]`, "{name: ship, events: [paid, completed], to: [bus]}", ""},
		"one is not":   {usual, `ensure: true, subjects: ["checkout.*.paid"]`, "{name: ship, events: [paid, completed], to: [bus]}", warning + "checkout.eu.completed, checkout.us.completed: "},
		"many are not": {usual, `ensure: true, subjects: ["other"]`, "{name: ship, events: [paid, completed], to: [bus]}", warning + "checkout.eu.completed, checkout.eu.paid, checkout.us.completed and 1 more: "},
		"one account":  {usual, `ensure: true, subjects: ["checkout.*.paid"]`, "{name: ship, events: [expired], accounts: [us], to: [bus]}", warning + "checkout.us.expired: "},
		"own subject":  {usual, `ensure: true, subjects: ["checkout.>"]`, "{name: ship, events: [paid], to: [bus], subject: 'orders.{{ .Change }}'}", warning + "orders.paid: "},
		"off":          {usual, `ensure: true, subjects: ["checkout.>"]`, "{name: ship, events: [paid], to: [bus], subject: 'orders.{{ .Change }}', enabled: false}", ""},
		"labels":       {"'{{ .Labels.team }}.{{ .Rule }}'", `ensure: true, subjects: ["shop.>"]`, "{name: ship, events: [paid], to: [bus], labels: {team: finance}}", warning + "finance.ship: "},
		"told by us":   {usual, `ensure: true`, "{name: ship, events: [paid], to: [bus]}", ""},
		"not ours":     {usual, `subjects: ["other"]`, "{name: ship, events: [paid], to: [bus]}", ""},
		"our own":      {usual, `ensure: true, subjects: ["checkout.*.dead", "checkout.eu.failing"]`, "{name: tell, on: system, events: [destination.failing, account.failing], to: [bus]}", warning + "checkout._.failing, checkout.us.failing: "},
		// The session decides, and a rule may let through only what the stream takes.
		"not known": {"'checkout.{{ .Session.currency }}'", `ensure: true, subjects: ["checkout.EUR"]`, "{name: ship, events: [paid], to: [bus]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := accounts + "destinations: [{name: bus, type: nats, subject: " + c.subject + ", stream: {name: CHECKOUT, " + c.stream + "}}]\nrules: [" + c.rules + "]\n"
			for _, missing := range []bool{false, true} {
				if missing {
					text = strings.Replace(text, "${KEY_EU:-sk_test_abcdefghijklmnopqrstuvwx}", "${NOT_SET_HERE}", 1)
				}
				got := lines(load(t, text, config.Options{AllowMissingSecrets: missing}).Warnings)
				if c.want == "" && strings.Contains(got, warning) || !strings.Contains(got, c.want) {
					t.Errorf("says %q, want %q", got, c.want)
				}
			}
		})
	}
}
