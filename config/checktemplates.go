package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/rules"
	"checkout-notifier/spelling"
)

// Renderings is what NewRenderer takes of the rules that send to a destination: own is
// the format, template or subject of each rule that has one of these itself, by the
// rule's name; sent is which types of events each rule can send.
func (l *Loaded) Renderings(destination string) (own map[string]publish.Rendering, sent []publish.RuleTypes) {
	return renderings(&l.Config, l.loader.types, destination)
}

// renderings does the same for a configuration that is being checked. types are those
// that each rule can match. A rule with enabled: false sends nothing, and is in sent only
// for what it has of its own: that is checked, too.
func renderings(c *Config, types [][]string, destination string) (own map[string]publish.Rendering, sent []publish.RuleTypes) {
	own = make(map[string]publish.Rendering)
	for i, rule := range c.Rules {
		if !slices.Contains(rule.To, destination) {
			continue
		}
		if rule.OwnRendering() {
			own[rule.Name] = publish.Rendering{
				Format: rule.Format, Template: rule.Template, ContentType: rule.ContentType, Subject: rule.Subject,
			}
		}
		if rule.Enabled || rule.OwnRendering() {
			sent = append(sent, publish.RuleTypes{Rule: rule.Name, Types: types[i]})
		}
	}
	return own, sent
}

// Samples are made-up messages such as the rules send to a destination: one for each
// rule, account and type.
func (l *Loaded) Samples(destination string) []publish.Message {
	return samples(&l.Config, l.Rules, destination)
}

func samples(c *Config, set *rules.Set, destination string) (all []publish.Message) {
	for _, rule := range c.Rules {
		if !rule.Enabled || !slices.Contains(rule.To, destination) {
			continue
		}
		accounts := set.Reach(rule.Name).Accounts
		for _, account := range c.Accounts {
			if len(accounts) > 0 && !slices.Contains(accounts, account.Name) {
				continue
			}
			for _, eventType := range set.Types(rule.Name) {
				m := publish.Message{Event: event.SampleEvent(eventType)}
				if m.Event.IsSystem() {
					m.Event.Subject = account.Name // of those about an account; the others are about none
				} else {
					m.Event.Account = account.Name
				}
				m.Delivery.Rules, m.Delivery.Labels = []string{rule.Name}, rule.Labels
				if rule.OwnRendering() {
					m.Delivery.OwnRule = rule.Name
				}
				all = append(all, m)
			}
		}
	}
	return all
}

// ClosesIncidents says whether the messages of a rule to a destination open and
// close incidents. The rule is "" for what all rules without a rendering of
// their own share.
func (l *Loaded) ClosesIncidents(destination, ownRule string) bool {
	i := slices.IndexFunc(l.Config.Destinations, func(d publish.Destination) bool { return d.Name == destination })
	if i < 0 {
		return false
	}
	var rule rules.Rule
	if n := slices.IndexFunc(l.Config.Rules, func(r rules.Rule) bool { return r.Name == ownRule }); n >= 0 {
		rule = l.Config.Rules[n]
	}
	return formatOf(rule, l.Config.Destinations[i]) == publish.FormatPagerDuty
}

// formatOf is the format in which a rule sends to a destination.
func formatOf(rule rules.Rule, d publish.Destination) string {
	switch {
	case rule.Format != "":
		return rule.Format
	case rule.Template != "":
		return publish.FormatTemplate
	}
	return d.Format
}

// checkTemplates compiles the templates and subjects of destinations and rules,
// and renders with each a sample of every type that rules send with it.
func (l *loader) checkTemplates() {
	for i, d := range l.config.Destinations {
		path := index("destinations", i)
		var body, subject []publish.Sender // the rules that use the destination's own
		for n, rule := range l.config.Rules {
			if !slices.Contains(rule.To, d.Name) || !rule.Enabled && !rule.OwnRendering() {
				continue
			}
			if rule.Template == "" && (rule.Format == "" || rule.Format == publish.FormatTemplate) {
				body = append(body, l.sender(n))
			}
			if rule.Subject == "" {
				subject = append(subject, l.sender(n))
			}
		}
		if d.Format == publish.FormatTemplate && d.Template != "" {
			l.checkBody(join(path, "template"), d.Template, d.ContentType, d, body)
		}
		if d.Type == publish.TypeNATS && d.Subject != "" {
			l.checkSubject(join(path, "subject"), d.Subject, d.Omit, subject)
		}
	}
	for i, rule := range l.config.Rules {
		path := index(rulesKey, i)
		for _, d := range l.config.Destinations {
			if !slices.Contains(rule.To, d.Name) {
				continue
			}
			alone := []publish.Sender{l.sender(i)}
			if rule.Template != "" {
				l.checkBody(join(path, "template"), rule.Template, cmp.Or(rule.ContentType, d.ContentType), d, alone)
			}
			if rule.Subject != "" && d.Type == publish.TypeNATS {
				l.checkSubject(join(path, "subject"), rule.Subject, d.Omit, alone)
			}
		}
	}
}

// sender is a rule as its templates see it.
func (l *loader) sender(i int) publish.Sender {
	rule := l.config.Rules[i]
	return publish.Sender{Rule: rule.Name, Labels: rule.Labels, Types: l.types[i], Keys: l.compiled.Reach(rule.Name).Keys}
}

// typesSent are the types that meet a template, each once.
func typesSent(senders []publish.Sender) []string {
	var types []string
	for _, s := range senders {
		types = append(types, s.Types...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func (l *loader) checkBody(path, text, contentType string, d publish.Destination, senders []publish.Sender) {
	l.checkTemplate(path, text, publish.CheckTemplate(text, d.Omit, typesSent(senders)))
	l.warnTemplate(path, text, publish.DoubtsOfBody(text, contentType, d, typesSent(senders), senders))
}

func (l *loader) checkSubject(path, text string, omit []string, senders []publish.Sender) {
	l.checkTemplate(path, text, publish.CheckSubject(text, omit, typesSent(senders)))
	l.warnTemplate(path, text, publish.DoubtsOfSubject(text, omit, senders))
}

// warnTemplate reports what is probably not meant: at its place in the template,
// or at the rule that it is about.
func (l *loader) warnTemplate(path, text string, doubts []publish.Doubt) {
	for _, d := range doubts {
		if d.Rule != "" {
			n := slices.IndexFunc(l.config.Rules, func(r rules.Rule) bool { return r.Name == d.Rule })
			l.warnf(join(index(rulesKey, n), "name"), codeTemplate, "%s: %s", path, d.Text)
			continue
		}
		l.reportInside(path, Problem{Severity: SeverityWarning, Code: codeTemplate, Message: path + ": " + d.Text},
			d.Line, inRunes(text, d.Line, d.Column))
	}
}

// checkTemplate reports what is wrong with a template at its place in the file.
func (l *loader) checkTemplate(path, text string, err error) {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		seen := make(map[string]bool) // two samples may miss a name in different words
		for _, one := range several.Unwrap() {
			said := one.Error()
			if at := (*publish.TemplateError)(nil); errors.As(one, &at) && at.Name != "" {
				said = fmt.Sprint(at.Line, at.Column, at.Name)
			}
			if !seen[said] {
				seen[said] = true
				l.checkTemplate(path, text, one)
			}
		}
		return
	}
	if err == nil {
		return
	}
	p := Problem{Severity: SeverityError, Code: codeTemplate}
	var at *publish.TemplateError
	if !errors.As(err, &at) {
		p.Message = path + ": " + scrub(err.Error())
		l.reportInside(path, p, 0, 0)
		return
	}
	unplaced := *at
	unplaced.Line, unplaced.Column = 0, 0 // they are said as a place in the file
	p.Message = path + ": " + scrub(unplaced.Error())
	p.Suggestion = spelling.Suggest(at.Name, at.Known)
	if slices.Contains(at.Known, "payment_status") && p.Suggestion == "" { // a name of the session itself
		switch field := rules.SuggestField(at.Name); {
		case field == at.Name:
			p.Message += "; omit leaves it out"
		case field != "":
			p.Suggestion = field
		default:
			p.Message += "; `default \"\"` before the name takes a field that the API does not document; .Session.metadata has your own keys"
		}
	}
	l.reportInside(path, p, at.Line, inRunes(text, at.Line, at.Column))
}

// inRunes turns a column in bytes, as templates count, into one in runes.
func inRunes(text string, line, column int) int {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return 1
	}
	return 1 + utf8.RuneCountInString(lines[line-1][:min(max(0, column-1), len(lines[line-1]))])
}

// build makes what delivers out of a configuration without other mistakes, so
// that nothing which passes here can fail at the start.
func (l *loader) build(set *rules.Set) {
	if len(l.of(SeverityError)) > 0 {
		return
	}
	connections := publish.NewConnections(nil) // opens none
	renderers := make([]*publish.Renderer, len(l.config.Destinations))
	defer l.warnUnstreamed(renderers)
	for i, d := range l.config.Destinations {
		path := index("destinations", i)
		own, sent := renderings(&l.config, l.types, d.Name)
		renderer, err := publish.NewRenderer(d, own, l.config.Admin.ConsoleURL(), sent...)
		if err == nil && d.Stream.Ensure {
			l.warnStrays(join(path, "stream.subjects"), d.Stream.Name, renderer.Strays(samples(&l.config, set, d.Name)))
		}
		if e := l.config.NATS.Embedded; e.Enabled && d.NATS.Server.Reveal() == embeddedURL(e.Listen) {
			renderers[i] = renderer
		}
		at := path
		switch {
		case l.options.AllowMissingSecrets:
			continue // what is missing may be all that is wrong
		case err != nil:
		case d.Type == publish.TypeHTTP:
			_, err = publish.NewHTTP(d, renderer, publish.HTTPOptions{Network: l.config.Network})
		default:
			_, err = publish.NewNATS(d, renderer, connections)
			if d.NATS.Context != "" {
				at = join(path, "context")
			}
		}
		if err != nil {
			l.errorf(at, codeValue, "%s: %s", path, scrub(strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
}

// warnStrays names subjects that a stream's listed ones do not take.
func (l *loader) warnStrays(path, stream string, strays []string) {
	const few = 3
	if len(strays) == 0 {
		return
	}
	text := strings.Join(strays[:min(len(strays), few)], ", ")
	if more := len(strays) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	l.warnf(path, codeStrays, "%s do not take %s: unless stream %s has other subjects on the server that do, what is sent there waits for ever; add them, or leave the list out, so that it follows from `subject`", path, text, stream)
}
