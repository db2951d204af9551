package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/publish/internal/slips"
)

// Sender is a rule that sends with a template.
type Sender struct {
	Rule   string
	Labels map[string]string
	Types  []string
	Keys   []string // of the metadata, which its sessions have
}

// Doubt is what is probably not meant in a template that passes its check.
type Doubt struct {
	Line   int    // from 1, within the template; 0 when it is about all of it
	Column int    // from 1
	Rule   string // that it is about, "" for the template
	Text   string
}

// DoubtsOfBody looks for what goes wrong with a template of a body, although its
// samples can be rendered: bodies that say nothing or are no JSON, labels that a sender
// does not have, keys that a merchant need not set, what is written as elsewhere.
// types are those of all senders, each once.
func DoubtsOfBody(text, contentType string, d Destination, types []string, senders []Sender) []Doubt {
	p, err := compile(text, "_show")
	if err != nil {
		return nil // its check says so
	}
	return append(p.doubts(d.Omit, senders), p.doubtsOfSamples(isJSON(contentType), d, types)...)
}

// DoubtsOfSubject is DoubtsOfBody for a subject.
func DoubtsOfSubject(text string, omit []string, senders []Sender) []Doubt {
	p, err := compile(text, "_token")
	if err != nil {
		return nil
	}
	return p.doubts(omit, senders)
}

func (p *program) doubts(omit []string, senders []Sender) []Doubt {
	var doubts []Doubt
	for _, slip := range slips.Find(p.text) {
		line, column := placeIn(p.text, slip.At)
		doubts = append(doubts, Doubt{Line: line, Column: column, Text: slip.Text})
	}
	doubts = append(doubts, p.shortTexts(omit, senders)...)
	seen := make(map[Doubt]bool)
	missing := make(map[string][]*TemplateError) // of senders that are all the same to the template
	for _, s := range senders {
		like := p.likeness(s)
		if _, known := missing[like]; !known {
			missing[like] = p.missingNames(s, omit)
		}
		for _, e := range missing[like] {
			d := e.doubt(s.Rule)
			if !seen[d] {
				seen[d] = true
				doubts = append(doubts, d)
			}
		}
	}
	return doubts
}

// likeness is what a template may tell one sender from another by.
func (p *program) likeness(s Sender) string {
	parts := slices.Concat(s.Types, []string{""}, s.Keys)
	if p.needs.name(nameRule) {
		parts = append(parts, s.Rule)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if !p.needs.name(name) {
			continue
		}
		parts = append(parts, name)
		if p.forks {
			parts = append(parts, s.Labels[name])
		}
	}
	return strings.Join(parts, "\x00")
}

// doubt says of a name that need not be there what becomes of a delivery.
func (e *TemplateError) doubt(rule string) Doubt {
	if e.owner != ownerLabels {
		return Doubt{Line: e.Line, Column: e.Column, Text: fmt.Sprintf(
			"where a session has no key %[2]q in its metadata, the delivery becomes a dead letter at its first attempt: write `default \"\" .%[1]s.%[2]s`", e.owner, e.Name)}
	}
	return Doubt{Rule: rule, Text: fmt.Sprintf(
		"line %[1]d names the label %[2]q, which rule %[3]q does not have: its deliveries become dead letters at their first attempt. Give the rule the label, or write `default \"\" .Labels.%[2]s`",
		e.Line, e.Name, rule)}
}

// missingNames are the labels and keys of metadata that a template cannot do
// without, and that are not there when this rule alone sends a session without
// metadata.
func (p *program) missingNames(s Sender, omit []string) []*TemplateError {
	if !p.needs.name(nameLabels) && !p.needs.name("metadata") {
		return nil
	}
	const most = 20 // mistakes of one template
	var found []*TemplateError
	given := map[string][]string{ownerSession: slices.Clone(s.Keys)} // by owner
	for _, eventType := range s.Types {
		for _, sparse := range []bool{false, true} {
			for len(found) < most {
				e := p.missingName(eventType, sparse, omit, s, given)
				if e == nil {
					break
				}
				given[e.owner] = append(given[e.owner], e.Name)
				found = append(found, e)
			}
		}
	}
	return found
}

// missingName returns the first such name, beside those that are given, nil if
// there is none or the template has another mistake.
func (p *program) missingName(eventType string, sparse bool, omit []string, s Sender, given map[string][]string) *TemplateError {
	data, err := p.bareSample(eventType, sparse, omit, s, given)
	if err == nil {
		_, err = p.execute(data, true, eventType)
	}
	var e *TemplateError
	if !errors.As(err, &e) || e.owner == "" || slices.Contains(given[e.owner], e.Name) {
		return nil
	}
	return e
}

// bareSample is a sample as a rule alone sends it, without metadata but for what is
// given.
func (p *program) bareSample(eventType string, sparse bool, omit []string, s Sender, given map[string][]string) (map[string]any, error) {
	m := sampleMessage(eventType)
	m.Delivery.Rules, m.Delivery.Labels = []string{s.Rule}, s.Labels
	data, err := templateData(&m, p.needs, omit, "")
	if err != nil {
		return nil, err
	}
	if sparse {
		withNulls(data)
	}
	free := make(map[string]map[string]any)
	free[ownerLabels], _ = data[nameLabels].(map[string]any)
	for name, owner := range map[string]string{nameSession: ownerSession, namePrevious: ownerPrevious} {
		if session, ok := data[name].(map[string]any); ok && session["metadata"] != nil {
			free[owner] = make(map[string]any)
			session["metadata"] = free[owner]
		}
	}
	for owner, members := range free {
		for _, name := range given[owner] {
			members[name] = "sample"
		}
	}
	return data, nil
}

// doubtsOfSamples finds the types whose body says nothing, and of the others the first
// whose body is no JSON although it is said to be, or is as long as nothing is null: an
// unquoted value leaves a hole in it, and a text in quotes ends at the first one in it.
func (p *program) doubtsOfSamples(said bool, d Destination, types []string) (doubts []Doubt) {
	var nothing, emptied []string
	for _, eventType := range types {
		full, err := p.renderSample(eventType, false, d.Omit)
		sparse, sparseErr := p.renderSample(eventType, true, d.Omit)
		place, name := invalidJSON(full), strings.TrimPrefix(eventType, event.TypePrefix) // as rules name it
		switch {
		case err != nil:
		case saysNothing(full):
			nothing = append(nothing, name)
		case sparseErr == nil && (len(bytes.TrimSpace(sparse)) == 0 || emptyMessage.Match(sparse)):
			emptied = append(emptied, name)
		case len(doubts) > 0:
		case place != "" && said:
			doubts = []Doubt{{Text: fmt.Sprintf("the body of %s is no JSON, which its content type says it is (%s): insert values with `json` and without quotes around them, since a text may have a quotation mark, a backslash or a line break in it; or set content_type", eventType, place)}}
		case place == "" && isChat(d) && !shownBySlack(full):
			doubts = []Doubt{{Text: fmt.Sprintf("the body of %s has neither text nor blocks nor attachments, and Slack refuses it with 400 no_text: write it as in {\"text\": {{ json .Change }}}", eventType)}}
		case place == "" && bytes.ContainsAny(bytes.TrimSpace(full)[:1], "{[") && sparseErr == nil && invalidJSON(sparse) != "":
			doubts = []Doubt{{Text: fmt.Sprintf("the body of %s is no valid JSON where the API sends null (%s): insert values with `json`", eventType, invalidJSON(sparse))}}
		}
	}
	if len(nothing) > 0 {
		doubts = append(doubts, Doubt{Text: fmt.Sprintf("the body says nothing for %s: it is sent all the same, and many receivers refuse it. Leave these out of the events of the rule, or write something for them", strings.Join(nothing, ", "))})
	}
	if len(emptied) > 0 {
		doubts = append(doubts, Doubt{Text: fmt.Sprintf("the body says nothing for %s where the API sends null: it is sent all the same, and many receivers refuse it. Write something for this case, as in `default \"nobody\" .Session.customer_details.name`", strings.Join(emptied, ", "))})
	}
	return doubts
}

var (
	memberNames = regexp.MustCompile(`"(?:[^"\\]|\\.)*"\s*:`)
	emptyTexts  = regexp.MustCompile(`^[\s{}\[\],]*(?:"(?:\s|\\n)*"[\s{}\[\],]*)+$`)

	// emptyMessage is a message to people, as chats take it, whose only text is blank.
	emptyMessage = regexp.MustCompile(`^\s*\{\s*"(?:text|content|message|body)"\s*:\s*"(?:\s|\\n)*"\s*\}\s*$`)
)

// saysNothing says whether a body is blank, or JSON all of whose values are blank texts.
func saysNothing(body []byte) bool {
	return len(bytes.TrimSpace(body)) == 0 || json.Valid(body) && emptyTexts.Match(memberNames.ReplaceAll(body, nil))
}

// isChat says whether a destination is a chat of Slack. Its workflows, at other paths,
// have members of their own.
func isChat(d Destination) bool {
	at, err := url.Parse(d.URL.Reveal())
	return err == nil && d.Format == FormatSlack && !strings.HasPrefix(at.Path, "/triggers/") && !strings.HasPrefix(at.Path, "/workflows/")
}

// shownBySlack says whether a message has one of the members that Slack shows.
func shownBySlack(body []byte) bool {
	var message map[string]json.RawMessage
	return json.Unmarshal(body, &message) == nil && (message["text"] != nil || message["blocks"] != nil || message["attachments"] != nil)
}

// invalidJSON says where and why a text is no JSON, "" if it is.
func invalidJSON(text []byte) string {
	var v any
	err := json.Unmarshal(text, &v)
	if err == nil {
		return ""
	}
	offset := len(text)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = int(syntax.Offset)
	}
	before := text[:max(0, min(offset-1, len(text)))]
	return fmt.Sprintf("rendered line %d, column %d: %v", 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'), err)
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(cmp.Or(contentType, contentJSON))
	return err == nil && (kind == contentJSON || strings.HasSuffix(kind, "+json"))
}
