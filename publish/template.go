package publish

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"checkout-notifier/publish/internal/slips"
)

// TemplateError is a mistake in a template or subject, found at load by
// compiling it and rendering samples of every type of event that it can meet.
type TemplateError struct {
	Line   int // from 1, within the template; 0 when unknown
	Column int // from 1; 0 when the parser knows the line alone
	Type   string
	Sparse bool // the sample had no value where the API may send null
	Reason string

	Name  string   // that does not exist, "" when the mistake is another one
	Known []string // the names that do, there
	owner string   // of the name: labels or metadata, which are no mistake
}

// Error implements error.
func (e *TemplateError) Error() string {
	message := e.where() + e.Reason
	if e.Type != "" {
		message += " (with " + sampleName(e.Type, e.Sparse) + ")"
	}
	return message
}

func sampleName(eventType string, sparse bool) string {
	if sparse {
		return "a sample of " + eventType + " with null wherever the API may send it"
	}
	return "a sample of " + eventType
}

func (e *TemplateError) where() string {
	switch {
	case e.Line == 0:
		return ""
	case e.Column == 0:
		return fmt.Sprintf("line %d: ", e.Line)
	}
	return fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
}

const (
	templateName  = "template"
	writtenAmount = "money .Session.amount_total .Session.currency"
)

// otherWays are what other languages have in their templates: what the parser says of it,
// where it stands, and how it is written here.
var otherWays = []struct {
	reason, place *regexp.Regexp
	written       string
}{
	{regexp.MustCompile(`bad character U\+002D`), regexp.MustCompile(`\{\{[^{}]*?(\.[A-Z][\w.]*)\.(\w+(?:-\w+)+)`), `: a name with other signs in it is read as in index $1 "$2"`},
	{regexp.MustCompile(`bad character U\+005B|unexpected "\.`), regexp.MustCompile(`\{\{[^{}]*?(\.[A-Z][\w.]*?)(?:\[(\d+|"[^"]*")\]|\.(\d+))`), ": an element is read as in index $1 $2$3"},
	{regexp.MustCompile(`unexpected "[/*+%]" in operand|illegal number syntax: "[+-]"|bad character U\+002F|function "(?:div|mul|add|sub|mod|round)f?"`), regexp.MustCompile(``), ": nothing is computed in a template; an amount is written as in " + writtenAmount},
	{regexp.MustCompile(`(?i)function "(?:to_?lower(?:case)?|lowercase|downcase|lcase)"`), regexp.MustCompile(``), ": it is written lower"},
	{regexp.MustCompile(`(?i)function "(?:to_?upper(?:case)?|uppercase|upcase|ucase)"`), regexp.MustCompile(``), ": it is written upper"},
}

// otherwise says how that is written which the parser did not take.
func otherwise(text string, err error) string {
	for _, w := range otherWays {
		if at := w.place.FindStringSubmatchIndex(text); at != nil && w.reason.MatchString(err.Error()) {
			return string(w.place.ExpandString(nil, w.written, text, at))
		}
	}
	return ""
}

// The forms of text/template's messages: where, and what at the end.
var (
	templateWhere = regexp.MustCompile(`^template: ` + templateName + `:(\d+)(?::(\d+))?: `)
	templateCall  = regexp.MustCompile(`^executing "[^"]*" at <.*>: (?:error calling _?\w+: )?`)
)

// explain turns an error of text/template into a TemplateError, without the
// values that it quotes, and keeps the named errors of this package in its chain.
func explain(err error, eventType string) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	} else if errors.Is(err, ErrTooLong) {
		return ErrTooLong
	}
	reason := err.Error()
	e := &TemplateError{Type: eventType}
	if m := templateWhere.FindStringSubmatch(reason); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		if column, err := strconv.Atoi(m[2]); err == nil { // it may know the line alone
			e.Column = column + 1 // it counts from 0
		}
		reason = reason[len(m[0]):]
	}
	e.Reason = withoutValues(templateCall.ReplaceAllString(reason, ""))
	e.about(err)
	return e
}

// about notes which name an error is about.
func (e *TemplateError) about(err error) {
	var missing *noName
	if errors.As(err, &missing) {
		e.Name, e.Known, e.owner = missing.path[len(missing.path)-1], missing.known, missing.owner
	}
}

// mistake is an error at a place in a template.
type mistake struct {
	at  int
	err error
}

// explain turns a mistake into a TemplateError.
func (m mistake) explain(text, eventType string) error {
	e := &TemplateError{Type: eventType, Reason: m.err.Error()}
	e.Line, e.Column = placeIn(text, m.at)
	e.about(m.err)
	return e
}

// placeIn is the line and the column of an offset.
func placeIn(text string, at int) (line, column int) {
	before := text[:min(at, len(text))]
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// quoting are the messages of text/template that quote a value, which may be the
// buyer's.
var quoting = []struct {
	form  *regexp.Regexp
	plain string
}{
	{regexp.MustCompile(`(?s)(can't give argument to )?non-function .*`), "only a function takes something behind it"},
	{regexp.MustCompile(`(?s)range can't iterate over .*`), "range can't iterate over this value"},
	{regexp.MustCompile(`(?s)can't use .* iterate over more than one variable`), "this value has only one variable to iterate over"},
	{regexp.MustCompile(`(?s)if/with can't use .*`), "if and with can't use this value"},
	{regexp.MustCompile(`(?s)non-comparable type.*`), "these values cannot be compared"},
	{regexp.MustCompile(`(?s)(index out of range|invalid slice index): .*`), "$1"},
}

func withoutValues(reason string) string {
	for _, q := range quoting {
		reason = q.form.ReplaceAllString(reason, q.plain)
	}
	return reason
}

// program is a compiled template. It is safe for concurrent use.
type program struct {
	template *template.Template
	text     string
	needs    needs
	texts    []*parse.TextNode
	forks    bool      // what it does depends on values
	runs     sync.Pool // of *run
}

// run is a template with functions of its own: those belong to one execution.
type run struct {
	template  *template.Template
	execution *execution
}

// compile parses a text and prepares it: names are looked up leniently where
// the contract says so, loops count their steps, and what is inserted goes
// through the function named last. A program that comes with an error has nothing
// in the place of functions that do not exist, so that its samples can be tried.
func compile(text, last string) (*program, error) {
	trees, err := parseAll(text)
	if err != nil {
		if at, opened := slips.Unclosed(text); opened != "" && strings.HasSuffix(err.Error(), "unexpected EOF") {
			return nil, mistake{at, fmt.Errorf("this {{ %s }} has no {{ end }}", opened)}.explain(text, "")
		}
		return nil, explain(fmt.Errorf("%w%s", err, otherwise(text, err)), "")
	}
	t := template.New(templateName).Option("missingkey=error").Funcs(functions(&execution{})).Funcs(internals(&execution{}))
	rewriter := rewriter{last: last, needs: needs{words: make(map[string]bool)}, functions: functions(&execution{})}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		if trees[name].Root != nil {
			rewriter.root(trees[name].Root)
		}
		if _, err := t.AddParseTree(name, trees[name]); err != nil {
			return nil, explain(err, "")
		}
	}
	known := append(slices.Clone(ownFunctions), slices.Sorted(maps.Keys(rewriter.functions))...)
	for _, name := range topNames {
		known = append(known, "."+name) // which its dot was forgotten of
	}
	var unknown []error
	for _, name := range rewriter.unknown {
		undefined := fmt.Errorf("function %q not defined", name.Ident)
		e := &TemplateError{Reason: undefined.Error() + otherwise(text, undefined), Name: name.Ident, Known: known}
		e.Line, e.Column = placeIn(text, int(name.Pos))
		if there := ofSession(name.Ident); there != "" {
			e.Reason += ", but " + there
		}
		unknown = append(unknown, e)
	}
	return &program{template: t, text: text, needs: rewriter.needs, texts: rewriter.texts, forks: rewriter.forks}, errors.Join(unknown...)
}

// parseAll parses a text and the templates that it defines, whatever functions
// they call.
func parseAll(text string) (map[string]*parse.Tree, error) {
	trees := make(map[string]*parse.Tree)
	tree := parse.New(templateName)
	tree.Mode = parse.SkipFuncCheck
	_, err := tree.Parse(text, "", "", trees)
	return trees, err
}

// run renders a message. The output is bounded, and so is the work.
func (p *program) run(m *Message, omit []string, link string) ([]byte, error) {
	data, err := templateData(m, p.needs, omit, link)
	if err != nil {
		return nil, err
	}
	return p.execute(data, false, "")
}

func (p *program) execute(data map[string]any, strict bool, eventType string) ([]byte, error) {
	r, ok := p.runs.Get().(*run)
	if !ok {
		t, err := p.template.Clone()
		if err != nil {
			return nil, fmt.Errorf("preparing the template: %w", err)
		}
		x := &execution{}
		r = &run{t.Funcs(functions(x)).Funcs(internals(x)), x}
	}
	defer p.runs.Put(r)
	*r.execution = execution{strict: strict, data: data}
	var out limitedBuffer
	err := r.template.Execute(&out, data)
	if err != nil {
		err = explain(err, eventType)
	}
	if excused := r.execution.excused; len(excused) > 0 {
		var found []error
		for _, m := range excused {
			found = append(found, m.explain(p.text, eventType))
		}
		err = errors.Join(append(found, err)...)
	}
	if err != nil {
		return nil, err
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

// CheckTemplate compiles a body template and renders with it two samples of every
// given type of event, a full one and one with null wherever the API may send it,
// without the fields to omit. Its errors are
// *TemplateError where a place is known, joined when there are several.
func CheckTemplate(text string, omit, types []string) error {
	_, err := compileTemplate(text, omit, types)
	return err
}

func compileTemplate(text string, omit, types []string) (*program, error) {
	p, err := compile(text, "_show")
	if p == nil {
		return nil, err
	}
	return p, errors.Join(err, p.try(omit, types, nil))
}

// try renders the samples of every given type, strictly: a name that no session
// can have is an error here, and null at run time. A mistake that several samples
// show is reported once.
func (p *program) try(omit, types []string, check func(rendered []byte) error) error {
	var problems []error
	seen := make(map[string]bool)
	for _, sparse := range []bool{false, true} {
		for _, eventType := range slices.Compact(slices.Sorted(slices.Values(types))) {
			out, err := p.renderSample(eventType, sparse, omit)
			if err == nil && check != nil {
				err = check(out)
			}
			for _, one := range each(err) {
				key := one.Error()
				var mistake *TemplateError
				if errors.As(one, &mistake) {
					mistake.Sparse = sparse
					key = mistake.where() + mistake.Reason
				} else {
					one = fmt.Errorf("%w (with %s)", one, sampleName(eventType, sparse))
				}
				if !seen[key] {
					seen[key] = true
					problems = append(problems, one)
				}
			}
			if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTooLong) {
				return errors.Join(problems...) // the others would take as long
			}
		}
	}
	return errors.Join(problems...)
}

// each lists the errors that were joined.
func each(err error) []error {
	switch joined, ok := err.(interface{ Unwrap() []error }); { //nolint:errorlint // no wrapped one
	case err == nil:
		return nil
	case ok:
		return joined.Unwrap()
	}
	return []error{err}
}

func (p *program) renderSample(eventType string, sparse bool, omit []string) ([]byte, error) {
	m := sampleMessage(eventType)
	link := "https://notifier.invalid/events/" + m.Event.ID
	if sparse {
		link = ""
	}
	data, err := templateData(&m, p.needs, omit, link)
	if err != nil {
		return nil, err
	}
	p.fill(data)
	if sparse {
		withNulls(data)
	}
	return p.execute(data, true, eventType)
}

// always are the members of a session that the API never leaves out: without an
// id an item is no session, and without a creation time or a status it is
// ignored.
var always = map[string]bool{"id": true, "created": true, "status": true, "payment_status": true}

// withNulls makes null what an event and its session may leave open. The keys of
// metadata stay, since a key that is missing is an error: their values go.
func withNulls(data map[string]any) {
	if e, ok := data[nameEvent].(map[string]any); ok {
		e["Field"], e["From"], e["To"], e["Reason"] = nil, nil, nil, ""
	}
	for _, name := range []string{nameSession, namePrevious} {
		session, _ := data[name].(map[string]any)
		for member, value := range session {
			metadata, isObject := value.(map[string]any)
			if member == "metadata" && isObject {
				for key := range metadata {
					metadata[key] = nil
				}
			} else if !always[member] || name == namePrevious {
				session[member] = nil
			}
		}
	}
}

// fill gives a sample every label and every metadata key that the template
// names: those are the operator's and the merchant's, and cannot be checked.
func (p *program) fill(data map[string]any) {
	free := []map[string]any{data[nameLabels].(map[string]any)}
	for _, name := range []string{nameSession, namePrevious} {
		session, _ := data[name].(map[string]any)
		if metadata, ok := session["metadata"].(map[string]any); ok {
			free = append(free, metadata)
		}
	}
	for i, members := range free {
		for word := range p.needs.words {
			if _, known := members[word]; !known {
				members[word] = [...]string{"sample", "a \"sample\" \\"}[min(i, 1)] // a merchant's own may be any text
			}
		}
	}
}
