package publish

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// subjectLimit is the longest subject that is sent, in bytes.
const subjectLimit = 255

// Beginnings of subjects that belong to NATS itself.
const (
	systemPrefix = "$"
	inboxPrefix  = "_INBOX"
)

// CheckSubject compiles a subject template and renders with it a sample of every
// given type of event, without the fields to omit. Its errors are
// *TemplateError where a place is known, joined when there are several.
func CheckSubject(text string, omit, types []string) error {
	_, err := compileSubject(text, omit, types)
	return err
}

func compileSubject(text string, omit, types []string) (*program, error) {
	if text == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrSubject)
	}
	if strings.HasPrefix(text, systemPrefix) || strings.HasPrefix(text, inboxPrefix) {
		return nil, fmt.Errorf("%w: subjects that begin with $ or _INBOX are NATS's own", ErrSubject)
	}
	p, err := compile(text, "_token")
	if p == nil {
		return nil, err
	}
	for _, written := range p.texts {
		err = errors.Join(err, checkText(written, text))
	}
	return p, errors.Join(err, p.try(omit, types, func(rendered []byte) error {
		if strings.Contains(string(rendered), token("{{")) {
			return fmt.Errorf("%w: it inserts the text of an action, such as {{ .Account }}, and not its value", ErrSubject)
		}
		_, err := finishSubject(string(rendered))
		return err
	}))
}

// checkText looks at a text that the operator wrote between insertions.
func checkText(n *parse.TextNode, whole string) error {
	for i, c := range string(n.Text) {
		if c > ' ' && c != '*' && c != '>' && c != 0x7f {
			continue
		}
		line, column := placeIn(whole, int(n.Pos)+i)
		return &TemplateError{Line: line, Column: column, Reason: fmt.Sprintf("%q cannot stand in a subject", c)}
	}
	return nil
}

// finishSubject checks a rendered subject.
func finishSubject(subject string) (string, error) {
	switch {
	case strings.HasPrefix(subject, systemPrefix):
		return "", fmt.Errorf("%w: it begins with $", ErrSubject)
	case strings.HasPrefix("."+subject+".", "..") || strings.Contains("."+subject+".", ".."):
		return "", fmt.Errorf("%w: it has an empty token", ErrSubject)
	case strings.HasPrefix(subject, inboxPrefix):
		subject = "=5F" + subject[1:] // only an inserted value can begin so
	}
	if len(subject) > subjectLimit {
		return "", fmt.Errorf("%w: %d bytes, at most %d", ErrSubject, len(subject), subjectLimit)
	}
	return subject, nil
}

// token makes one subject token of a value: bytes outside [A-Za-z0-9_-] as =XX.
func token(s string) string {
	if s == "" {
		return "_"
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('=')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// subjectPattern is the subject with a wildcard in every token that is inserted
// wholly or in part; ok is false for a template that branches.
func (p *program) subjectPattern() (pattern string, ok bool) {
	const inserted = "*"
	var b strings.Builder
	for i, node := range p.template.Root.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			b.Write(n.Text)
		case *parse.ActionNode:
			if i > 0 && len(n.Pipe.Decl) == 0 { // the first one counts steps
				b.WriteString(inserted)
			}
		default:
			return "", false
		}
	}
	tokens := strings.Split(b.String(), ".")
	for i, t := range tokens {
		if strings.Contains(t, inserted) {
			tokens[i] = inserted
		}
	}
	return strings.Join(tokens, "."), true
}
