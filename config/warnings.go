package config

import (
	"path"
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// warnModes says which rules send test and live accounts to one place: a test
// order that ships is as bad as a live one that does not.
func (l *loader) warnModes() {
	for i, rule := range l.config.Rules {
		modes := make(map[string]bool)
		for _, account := range l.config.Accounts {
			if len(rule.Accounts) == 0 || slices.Contains(rule.Accounts, account.Name) {
				modes[accountMode(account)] = true
			}
		}
		delete(modes, "")
		if rule.Enabled && len(modes) > 1 && len(rule.To) > 0 {
			at := index(rulesKey, i)
			l.warnf(join(at, "to"), codeMixedModes, "%s can send test and live accounts to the same destination", l.ruleName(i))
		}
	}
}

// accountMode is the mode of an account, "" while its key is not known.
func accountMode(account poller.Account) string {
	if account.SecretKey == "" {
		return ""
	}
	if poller.KeyMode(account.SecretKey.Reveal()) == poller.ModeLive {
		return poller.ModeLive
	}
	return poller.ModeTest
}

func (l *loader) ruleName(i int) string {
	if name := l.config.Rules[i].Name; name != "" {
		return "rule " + quote(name)
	}
	return index(rulesKey, i)
}

// warnUnused says which destinations hear of nothing.
func (l *loader) warnUnused() {
	for i, d := range l.config.Destinations {
		used := slices.ContainsFunc(l.config.Rules, func(rule rules.Rule) bool {
			return rule.Enabled && slices.Contains(rule.To, d.Name)
		})
		if !used && d.Name != "" {
			l.warnf(index("destinations", i)+".name", codeUnused, "destination %s is used by no rule", quote(d.Name))
		}
	}
}

// stripeTypes are the types that keep a name which Stripe has. `paid` has one
// only when the payment came after the checkout.
var stripeTypes = []string{event.Completed, event.Expired, event.Fulfillable}

// warnStripe looks at what each destination gets in Stripe's format.
func (l *loader) warnStripe() {
	for _, d := range l.config.Destinations {
		twice := map[string]int{} // the first rule that sends a type here
		for i, rule := range l.config.Rules {
			if !rule.Enabled || !slices.Contains(rule.To, d.Name) || effectiveFormat(rule, d) != publish.FormatStripe {
				continue
			}
			types := matchingTypes(rule.Events)
			l.warnUnknownToStripe(i, d.Name, types)
			for _, eventType := range types {
				if _, known := twice[eventType]; !known {
					twice[eventType] = i
				}
			}
		}
		ship, ships := twice[event.Fulfillable]
		for _, other := range []string{event.Completed, event.Paid} {
			if second, also := twice[other]; ships && also {
				l.warnf(rulePath(max(ship, second), l), codeStripeTwice,
					"destination %s gets both fulfillable and %s in Stripe's format: a handler of Stripe's events would act twice",
					quote(d.Name), event.Short(other))
				break
			}
		}
	}
}

func rulePath(i int, l *loader) string {
	if at := join(index(rulesKey, i), "events"); l.own(at) {
		return at
	}
	return join(index(rulesKey, i), "to")
}

func (l *loader) warnUnknownToStripe(i int, destination string, types []string) {
	var unknown []string
	for _, eventType := range types {
		if !slices.Contains(stripeTypes, eventType) {
			unknown = append(unknown, event.Short(eventType))
		}
	}
	if len(unknown) > 0 {
		l.warnf(rulePath(i, l), codeStripeType, "%s sends destination %s types that Stripe does not know: %s",
			l.ruleName(i), quote(destination), strings.Join(unknown, ", "))
	}
}

func effectiveFormat(rule rules.Rule, d publish.Destination) string {
	switch {
	case rule.Format != "":
		return rule.Format
	case rule.Template != "":
		return publish.FormatTemplate
	}
	return d.Format
}

// matchingTypes lists the types that a rule's events name; all without any.
func matchingTypes(patterns []string) []string {
	if len(patterns) == 0 {
		return event.Types()
	}
	var found []string
	for _, eventType := range event.Types() {
		if slices.ContainsFunc(patterns, func(pattern string) bool {
			// An unusable pattern was reported and matches nothing.
			short, _ := path.Match(pattern, event.Short(eventType))
			whole, _ := path.Match(pattern, eventType)
			return short || whole
		}) {
			found = append(found, eventType)
		}
	}
	return found
}
