package config

import (
	"slices"
	"strings"

	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// onSession is the value of a rule's `on` that the format has a place for and
// this version does not know yet.
const onSession = "session"

// later are the rule keys, and the sections, that the format has a place for
// and this version does not do yet.
var (
	laterRuleKeys = []string{
		"for", "cooldown", "group_by", "threshold", "absence", "resolve", "active", "mute", "max_age", "catch_up",
	}
	laterSections = []string{"silences"}
)

func unsupported(path, key string) bool {
	return path == "" && slices.Contains(laterSections, key) ||
		strings.HasPrefix(path, rulesKey+"[") && slices.Contains(laterRuleKeys, key)
}

func (l *loader) checkRules() {
	l.names(rulesKey, len(l.config.Rules), func(i int) string { return l.config.Rules[i].Name })
	destinations := make(map[string]publish.Destination)
	for _, d := range l.config.Destinations {
		destinations[d.Name] = d
	}
	for i, rule := range l.config.Rules {
		path := index(rulesKey, i)
		if l.untouchable(path) {
			continue
		}
		l.checkOn(join(path, "on"), rule.On)
		l.checkFolded(join(path, whenKey), rule.When)
		l.checkHidden(join(path, whenKey))
		for n, name := range rule.To {
			if slices.Contains(rule.To[:n], name) {
				at := index(join(path, "to"), n)
				l.warnf(at, codeDuplicate, "%s names %s twice", join(path, "to"), quote(name))
			}
		}
		l.checkOwnRendering(path, rule, destinations)
	}
}

func (l *loader) checkOn(path, value string) {
	if value == onSession {
		l.errorf(path, codeUnsupported, "on: %s is not supported yet by this version", value)
		return
	}
	if value != "" && len(rules.TypesNamed(rules.OnEvent, []string{value})) > 0 {
		l.errorf(path, codeValue, "%s must be %s or %s, not %s: types of events stand in events: [%s]", path, rules.OnEvent, rules.OnSystem, quote(value), value)
		return
	}
	l.oneOf(path, value, rules.OnEvent, rules.OnSystem)
}

// checkOwnRendering checks the rule's format and subject against the
// destinations that get them; rules.Compile checks them against each other.
func (l *loader) checkOwnRendering(path string, rule rules.Rule, destinations map[string]publish.Destination) {
	switch {
	case !validHeaderValue(rule.ContentType):
		l.errorf(join(path, "content_type"), codeValue, "%s.content_type is no header value", path)
	case rule.ContentType != "" && rule.Format != "" && rule.Format != publish.FormatTemplate:
		l.errorf(join(path, "content_type"), codeConflict, "%s.content_type has no effect with format %s", path, rule.Format)
	}
	nats, severities := 0, false
	for _, name := range rule.To {
		d, known := destinations[name]
		if !known {
			continue
		}
		if d.Type == publish.TypeNATS {
			nats++
		}
		severities = severities || formatOf(rule, d) == publish.FormatPagerDuty
		if d.Type == publish.TypeNATS && slices.Contains([]string{publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty}, rule.Format) {
			l.errorf(join(path, "format"), codeConflict, "%s.format %s is for type http, and %q is of type nats", path, rule.Format, name)
		}
	}
	if severity, set := rule.Labels["severity"]; set && severities {
		l.oneOf(join(path, "labels.severity"), severity, publish.Severities()...)
	}
	for name := range rule.Labels {
		if severities && name != "severity" && strings.EqualFold(name, "severity") {
			l.report(join(path, "labels."+name), Problem{Severity: SeverityWarning, Code: codeReference, Suggestion: "severity",
				Message: "label " + quote(name) + " is not the severity that PagerDuty is told: labels are written in the case in which they are asked for"})
		}
	}
	if rule.Subject != "" && nats == 0 {
		l.errorf(join(path, "subject"), codeConflict, "%s.subject has no effect: none of its destinations is of type nats", path)
	}
}

// pending are the keys that are accepted before they do anything; a key leaves
// this table when it works.
var pending = []string{
	"admin.external_url",
}

// warnPending says once which settings have no effect yet.
func (l *loader) warnPending() {
	var found []string
	for s := range l.settings() {
		differs := s.Origin.Source != SourceDefault && !s.isDefault
		if differs && slices.Contains(pending, s.Path) {
			found = append(found, s.Path)
		}
	}
	if len(found) > 0 {
		l.warnf(found[0], codePending, "accepted, but without effect in this version: %s", strings.Join(found, ", "))
	}
}
