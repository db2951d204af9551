package publish

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"checkout-notifier/event"
)

// TemplateError is a mistake in a template or subject, found at load by
// compiling it and rendering a sample of every event type.
type TemplateError struct {
	Line   int // from 1, within the template; 0 when unknown
	Column int // from 1; 0 when the parser knows the line alone
	Type   string
	Reason string
}

// Error implements error.
func (e *TemplateError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ", column %d", e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Reason)
	if e.Type != "" {
		b.WriteString(" (with a sample of " + e.Type + ")")
	}
	return b.String()
}

const templateName = "template"

// The forms of text/template's messages: where, and what at the end.
var (
	templateWhere = regexp.MustCompile(`^template: ` + templateName + `:(\d+)(?::(\d+))?: `)
	templateCall  = regexp.MustCompile(`^executing "[^"]*" at <.*>: (?:error calling _?\w+: )?`)
)

// explain turns an error of text/template into a TemplateError, and keeps the
// named errors of this package in its chain.
func explain(err error, eventType string) error {
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTooLong) {
		return err
	}
	reason := err.Error()
	e := &TemplateError{Type: eventType}
	if m := templateWhere.FindStringSubmatch(reason); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		if m[2] != "" {
			column, _ := strconv.Atoi(m[2])
			e.Column = column + 1 // it counts from 0
		}
		reason = reason[len(m[0]):]
	}
	e.Reason = templateCall.ReplaceAllString(reason, "")
	return e
}

// program is a compiled template. It is safe for concurrent use.
type program struct {
	template *template.Template
	words    []string // every name it uses, for samples
}

// compile parses a text and prepares it: names are looked up leniently where
// the contract says so, loops count their steps, and what is inserted goes
// through the function named last.
func compile(text, last string) (*program, error) {
	t, err := template.New(templateName).Option("missingkey=error").Funcs(functions(&execution{})).Parse(text)
	if err != nil {
		return nil, explain(err, "")
	}
	t.Funcs(internals(&execution{})) // after parsing: no template may name them
	p := &program{template: t}
	rewriter := rewriter{last: last, words: make(map[string]bool)}
	for _, part := range t.Templates() {
		if part.Tree != nil && part.Tree.Root != nil {
			rewriter.root(part.Tree.Root)
		}
	}
	for word := range rewriter.words {
		p.words = append(p.words, word)
	}
	return p, nil
}

// run renders a message. The output is bounded, and so is the work.
func (p *program) run(m *Message, omit []string, link string) ([]byte, error) {
	data, err := templateData(m, omit, link)
	if err != nil {
		return nil, err
	}
	return p.execute(data, &execution{}, "")
}

func (p *program) execute(data map[string]any, x *execution, eventType string) ([]byte, error) {
	t, err := p.template.Clone() // functions belong to one execution
	if err != nil {
		return nil, fmt.Errorf("preparing the template: %w", err)
	}
	t.Funcs(functions(x)).Funcs(internals(x))
	var out limitedBuffer
	if err := t.Execute(&out, data); err != nil {
		return nil, explain(err, eventType)
	}
	return out.Bytes(), nil
}

// limitedBuffer refuses to hold more than BodyLimit.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > BodyLimit {
		return 0, ErrTooLarge
	}
	return b.Buffer.Write(p)
}

// CheckTemplate compiles a body template and renders a sample of every event
// type with it. Its errors are *TemplateError where a place is known.
func CheckTemplate(text string) error {
	_, err := compileTemplate(text, nil)
	return err
}

func compileTemplate(text string, omit []string) (*program, error) {
	p, err := compile(text, "_show")
	if err != nil {
		return nil, err
	}
	return p, p.try(omit, nil)
}

// try renders a sample of every event type, strictly: a name that no session
// can have is an error here, and null at run time.
func (p *program) try(omit []string, check func(rendered []byte) error) error {
	for _, eventType := range event.Types() {
		m := sampleMessage(eventType)
		data, err := templateData(&m, omit, "https://notifier.invalid/events/"+m.Event.ID)
		if err != nil {
			return err
		}
		p.fill(data)
		out, err := p.execute(data, &execution{strict: true}, eventType)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill gives a sample every label and every metadata key that the template
// names: those are the operator's and the merchant's, and cannot be checked.
func (p *program) fill(data map[string]any) {
	free := []map[string]any{data["Labels"].(map[string]any)}
	for _, name := range []string{"Session", "Previous"} {
		if session, ok := data[name].(map[string]any); ok {
			if metadata, ok := session["metadata"].(map[string]any); ok {
				free = append(free, metadata)
			}
		}
	}
	for _, members := range free {
		for _, word := range p.words {
			if _, known := members[word]; !known {
				members[word] = "sample"
			}
		}
	}
}
