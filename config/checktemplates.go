package config

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// Renderings says what the renderer of a destination must know of the rules:
// those that render their deliveries to it in their own way, and which types
// each rule can send to it. It is what NewRenderer takes.
func (l *Loaded) Renderings(destination string) (own map[string]publish.Rendering, sent []publish.RuleTypes) {
	return renderings(&l.Config, typesOf(l.Rules, l.Config.Rules), destination)
}

// renderings is Renderings for a configuration that is being checked, with the
// types of its rules. A rule that is switched off sends nothing; its own
// templates are checked all the same, like its expression.
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
		own, sent := renderings(&l.config, l.types, d.Name)
		var body, subject []string // the types that meet the destination's own
		for _, rule := range sent {
			way := own[rule.Rule]
			if way.Template == "" && (way.Format == "" || way.Format == publish.FormatTemplate) {
				body = append(body, rule.Types...)
			}
			if way.Subject == "" {
				subject = append(subject, rule.Types...)
			}
		}
		if d.Format == publish.FormatTemplate && d.Template != "" {
			l.checkBody(join(path, "template"), d.Template, d.Omit, body)
		}
		if d.Type == publish.TypeNATS && d.Subject != "" {
			l.checkTemplate(join(path, "subject"), d.Subject, publish.CheckSubject(d.Subject, d.Omit, subject))
		}
	}
	for i, rule := range l.config.Rules {
		path := index(rulesKey, i)
		for _, d := range l.config.Destinations {
			if !slices.Contains(rule.To, d.Name) {
				continue
			}
			if rule.Template != "" {
				l.checkBody(join(path, "template"), rule.Template, d.Omit, l.types[i])
			}
			if rule.Subject != "" && d.Type == publish.TypeNATS {
				l.checkTemplate(join(path, "subject"), rule.Subject, publish.CheckSubject(rule.Subject, d.Omit, l.types[i]))
			}
		}
	}
}

// checkBody checks the template of a body. One that is JSON only as long as
// nothing is null is warned of.
func (l *loader) checkBody(path, text string, omit, types []string) {
	l.checkTemplate(path, text, publish.CheckTemplate(text, omit, types))
	if broken := publish.BrokenByNulls(text, omit, types); broken != "" {
		l.warnf(path, codeTemplate, "%s: the body of %s is no valid JSON where the API sends null: insert values with `json`", path, broken)
	}
}

// checkTemplate reports what is wrong with a template at its place in the file.
func (l *loader) checkTemplate(path, text string, err error) {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, one := range several.Unwrap() {
			l.checkTemplate(path, text, one)
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
func (l *loader) build() {
	if len(l.of(SeverityError)) > 0 || l.options.AllowMissingSecrets {
		return
	}
	connections := publish.NewConnections(nil) // opens none
	for i, d := range l.config.Destinations {
		path := index("destinations", i)
		own, sent := renderings(&l.config, l.types, d.Name)
		renderer, err := publish.NewRenderer(d, own, l.config.Admin.ConsoleURL(), sent...)
		at := path
		switch {
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
