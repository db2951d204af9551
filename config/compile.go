package config

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"checkout-notifier/publish"
	"checkout-notifier/rules"
)

// compile compiles the rules and reports what is wrong with them at the place
// in the file. Names are left out: the loader has looked at them already.
func (l *loader) compile() *rules.Set {
	var known rules.Known
	for _, d := range l.config.Destinations {
		known.Destinations = append(known.Destinations, d.Name)
	}
	for _, account := range l.config.Accounts {
		known.Accounts = append(known.Accounts, account.Name)
	}
	set, problems := rules.Compile(l.config.Rules, known)
	for _, p := range problems {
		if p.Code == rules.CodeName || p.Code == rules.CodeDuplicate {
			continue
		}
		rule := index(rulesKey, p.Rule)
		if p.Code == rules.CodeMatchesEverything && (l.untouchable(join(rule, "events")) || l.untouchable(join(rule, "when"))) {
			continue // what would narrow it was refused
		}
		path := join(rule, p.Key)
		if p.Index >= 0 {
			path = index(path, p.Index)
		}
		found := Problem{
			Severity: SeverityError, Code: "rules/" + p.Code, Message: scrub(p.Message),
			Suggestion: scrub(p.Suggestion), Snippet: scrubSnippet(p.Snippet),
		}
		if p.Warning {
			found.Severity = SeverityWarning
		}
		l.reportInside(path, found, p.Line, p.Column)
	}
	return set
}

// reportInside reports a problem with a place inside a text.
func (l *loader) reportInside(path string, p Problem, line, column int) {
	if l.untouchable(path) {
		return
	}
	at := l.near(path, false)
	p.File, p.Line, p.Column = at.File, at.Line, at.Column
	if place, ok := l.places[path]; ok && line > 0 {
		if l, c, ok := place.inside(line, column); ok {
			p.Line, p.Column = l, c
		}
	}
	l.add(p)
}

// checkTemplates compiles the templates and subjects, of destinations and rules.
func (l *loader) checkTemplates() {
	for i, d := range l.config.Destinations {
		path := index("destinations", i)
		if d.Format == publish.FormatTemplate && d.Template != "" {
			l.checkTemplate(join(path, "template"), d.Template, publish.CheckTemplate)
		}
		if d.Type == publish.TypeNATS && d.Subject != "" {
			l.checkTemplate(join(path, "subject"), d.Subject, publish.CheckSubject)
		}
	}
	for i, rule := range l.config.Rules {
		path := index(rulesKey, i)
		if rule.Template != "" {
			l.checkTemplate(join(path, "template"), rule.Template, publish.CheckTemplate)
		}
		if rule.Subject != "" {
			l.checkTemplate(join(path, "subject"), rule.Subject, publish.CheckSubject)
		}
	}
}

func (l *loader) checkTemplate(path, text string, check func(string) error) {
	err := check(text)
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
		own := make(map[string]publish.Rendering)
		for _, rule := range l.config.Rules {
			if rule.OwnRendering() && slices.Contains(rule.To, d.Name) {
				own[rule.Name] = publish.Rendering{
					Format: rule.Format, Template: rule.Template, ContentType: rule.ContentType, Subject: rule.Subject,
				}
			}
		}
		renderer, err := publish.NewRenderer(d, own, l.config.Admin.ExternalURL)
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
