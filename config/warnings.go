package config

import (
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/poller"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// warnModes says which rules send test and live accounts to one place: a test
// order that ships is as bad as a live one that does not.
func (l *loader) warnModes(set *rules.Set) {
	for i, rule := range l.config.Rules {
		if rule.On == rules.OnSystem {
			continue // its events are of no account
		}
		reach := rules.Reach{Accounts: rule.Accounts}
		if set != nil {
			reach = set.Reach(rule.Name)
		}
		modes := make(map[string]bool)
		for _, account := range l.config.Accounts {
			if len(reach.Accounts) == 0 || slices.Contains(reach.Accounts, account.Name) {
				modes[accountMode(account)] = true
			}
		}
		delete(modes, "")
		if rule.Enabled && !reach.OneMode && len(modes) > 1 && len(rule.To) > 0 {
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
	_, mode := account.Binding()
	return mode
}

// warnSameKey finds accounts that poll the same sessions: each raises the events of
// every order, which then ships twice. Two filters that differ in a key share none.
func (l *loader) warnSameKey() {
	for i, a := range l.config.Accounts {
		path := join(index("accounts", i), "secret_key")
		for k, b := range l.config.Accounts[:i] {
			same := a.SecretKey != "" && a.SecretKey == b.SecretKey && strings.EqualFold(a.Endpoint(), b.Endpoint())
			if same && a.MayShare(b) {
				l.warnf(path, codeSameKey, "%s is the key of accounts[%d] as well: both poll the same sessions, so that each order is announced once by each; keep one of them, or give each a filter of its own",
					path, k)
				break
			}
		}
	}
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

// StripeTypes lists the types of events that Stripe has a name for, whenever they
// happen.
func StripeTypes() []string { return slices.Clone(stripeTypes) }

// warnStripe looks at what each destination gets in Stripe's format.
func (l *loader) warnStripe(set *rules.Set) {
	for n, d := range l.config.Destinations {
		twice := map[string]int{} // the first rule that sends a type here
		for i, rule := range l.config.Rules {
			if !rule.Enabled || !slices.Contains(rule.To, d.Name) || formatOf(rule, d) != publish.FormatStripe {
				continue
			}
			if rule.On == rules.OnSystem {
				l.warnf(join(index(rulesKey, i), "to"), codeStripeType, "%s sends destination %s the program's own events, which Stripe's format has no place for",
					l.ruleName(i), quote(d.Name))
				continue
			}
			types := l.types[i]
			l.warnUnknownToStripe(i, d.Name, types, set.Reach(rule.Name).Async)
			for _, eventType := range types {
				if _, known := twice[eventType]; !known {
					twice[eventType] = i
				}
			}
		}
		if len(twice) > 0 && d.APIVersion == "" {
			at := join(index("destinations", n), "api_version")
			l.report(at, Problem{Severity: SeverityNote, Code: codeAPIVersion,
				Message: at + " is not set: SDKs such as stripe-go and Stripe.net refuse an event of another version than theirs, and one without; write the version that yours expects, such as 2025-08-27.basil"})
		}
		ship, ships := twice[event.Fulfillable]
		done, completes := twice[event.Completed]
		if _, pays := twice[event.Paid]; completes && !ships && !pays {
			l.warnf(rulePath(done, l), codeStripeUnpaid, "destination %s gets completed in Stripe's format, and nothing when an order is paid later, as by bank transfer: write fulfillable instead, which goes out as checkout.session.completed, or as checkout.session.async_payment_succeeded when it was paid later",
				quote(d.Name))
		}
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

// warnUnknownToStripe names the types of a rule that Stripe has no name for. async
// says that the rule takes only what was paid after the checkout.
func (l *loader) warnUnknownToStripe(i int, destination string, types []string, async bool) {
	var unknown []string
	for _, eventType := range types {
		switch {
		case slices.Contains(stripeTypes, eventType):
		case eventType != event.Paid:
			unknown = append(unknown, event.Short(eventType))
		case !async:
			unknown = append(unknown, "paid (it knows only what is paid after the checkout: a rule for paid alone, with when: event.async)")
		}
	}
	if len(unknown) > 0 {
		l.warnf(rulePath(i, l), codeStripeType, "%s sends destination %s types that Stripe does not know: %s",
			l.ruleName(i), quote(destination), strings.Join(unknown, ", "))
	}
}

// aboutDestinations are the types of the program's own events that are about a
// destination, which is never told of itself.
var aboutDestinations = []string{event.DeliveryDead, event.DestinationFailing, event.DestinationRecovered, event.DestinationPaused}

// warnSelfReports finds rules that tell the only destination of its own troubles.
func (l *loader) warnSelfReports() {
	if len(l.config.Destinations) != 1 {
		return
	}
	for i, rule := range l.config.Rules {
		if !rule.Enabled || rule.On != rules.OnSystem || l.untouchable(join(index(rulesKey, i), "events")) {
			continue
		}
		types := rules.TypesNamed(rule.On, rule.Events)
		other := func(t string) bool { return !slices.Contains(aboutDestinations, t) }
		if len(types) > 0 && !slices.ContainsFunc(types, other) {
			l.warnf(rulePath(i, l), codeSelfReport, "%s tells nobody: its events are about the only destination, and none is told of its own troubles", l.ruleName(i))
		}
	}
}

// warnUnclosed finds rules that open incidents of PagerDuty which nothing closes:
// the next trouble would join one that is open, and page nobody.
func (l *loader) warnUnclosed() {
	for i, rule := range l.config.Rules {
		why := "no rule sends it "
		if rule.OwnRendering() {
			why = "its messages have incidents of their own, and it does not send "
		}
		for _, d := range l.config.Destinations {
			if l.opensAtGoodEnds(i, d) {
				l.warnf(rulePath(i, l), codeUnclosed, "%s opens an incident at destination %s for each order, and closes none: a good end closes what the same rule opened; add its events to the rule that sends expired or unresolved there",
					l.ruleName(i), quote(d.Name))
			}
			missing, unheard := l.compiled.Unclosed(rule.Name, l.closing(rule, d), d.Name)
			if len(missing) > 0 {
				l.warnf(rulePath(i, l), codeUnclosed, "%s opens incidents at destination %s that nothing closes: %s%s",
					l.ruleName(i), quote(d.Name), why, strings.Join(missing, ", "))
			} else if len(unheard) > 0 {
				l.warnf(join(index(rulesKey, i), whenKey), codeUnclosed, "%s opens incidents at destination %s that nothing closes: the condition never holds for %s, whose data has other members, and no other rule sends it: add a rule for it without the condition",
					l.ruleName(i), quote(d.Name), strings.Join(unheard, ", "))
			}
		}
	}
}

// opensAtGoodEnds says whether a rule sends the good ends of all sessions, and nothing else, to a
// destination in PagerDuty's format.
func (l *loader) opensAtGoodEnds(i int, d publish.Destination) bool {
	rule, bad := l.config.Rules[i], func(t string) bool { return !slices.Contains(event.Shipping(), t) }
	return rule.Enabled && rule.When == "" && slices.Contains(rule.To, d.Name) && formatOf(rule, d) == publish.FormatPagerDuty &&
		len(l.types[i]) > 0 && !slices.ContainsFunc(l.types[i], bad)
}

// closing are the rules whose messages can close, at a destination, the incidents that a
// rule opens there; none if it opens none.
func (l *loader) closing(rule rules.Rule, d publish.Destination) (names []string) {
	for _, other := range l.config.Rules {
		shared := !rule.OwnRendering() && !other.OwnRendering() || other.Name == rule.Name
		if shared && sendsIncidents(rule, d) && sendsIncidents(other, d) {
			names = append(names, other.Name)
		}
	}
	return names
}

// sendsIncidents says whether a rule sends the program's own events to a
// destination in PagerDuty's format.
func sendsIncidents(rule rules.Rule, d publish.Destination) bool {
	return rule.Enabled && rule.On == rules.OnSystem && slices.Contains(rule.To, d.Name) && formatOf(rule, d) == publish.FormatPagerDuty
}
