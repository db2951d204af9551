package publish

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"checkout-notifier/event"
)

// BodyLimit is the size that no body exceeds.
const BodyLimit = 1 << 20

// The content types of our bodies.
const (
	contentCloudEvents = "application/cloudevents+json; charset=utf-8"
	contentJSON        = "application/json"
)

// Errors of rendering. All are final: the same event would meet them again.
var (
	// ErrTooLarge is returned for a body over BodyLimit.
	ErrTooLarge = errors.New("the body is over the limit of 1 MiB: leave fields out with `omit`, or render less with a template")
	// ErrTooLong is returned for a template that does not end in its budget.
	ErrTooLong = errors.New("the template takes too many steps")
	// ErrSubject is returned for a NATS subject that may not be used.
	ErrSubject = errors.New("not a usable subject")
)

// Body is a rendered message.
type Body struct {
	Content     []byte
	ContentType string
	Format      string
}

// Renderer turns the messages of one destination into bodies and subjects. It
// is compiled once and safe for concurrent use.
type Renderer struct {
	dest        Destination
	externalURL string
	shared      rendering
	own         map[string]rendering // by rule
	sent        map[string][]string  // by rule: the types that it sends here

	installation string // whose incidents of the program's own these are, "" if unknown
}

// rendering is one compiled way to render.
type rendering struct {
	format      string
	contentType string
	body        *program // format template
	subject     *program // type nats
}

// RuleTypes says which types of events a rule can send to a destination.
type RuleTypes struct {
	Rule  string
	Types []string // whole names, session and system types alike
}

// NewRenderer compiles the templates of a destination and of the rules that
// render their deliveries to it in their own way, and renders with each a sample
// of every type that it can meet, so that mistakes show at load: with those of
// own the types of their rule, with the destination's the types of all other
// rules. externalURL is where the operator reaches the console, "" for messages
// without links.
func NewRenderer(dest Destination, own map[string]Rendering, externalURL string, rules ...RuleTypes) (*Renderer, error) {
	r := &Renderer{
		dest: dest, externalURL: strings.TrimSuffix(externalURL, "/"),
		own: make(map[string]rendering), sent: make(map[string][]string),
	}
	var shared []string
	for _, rule := range rules {
		r.sent[rule.Rule] = rule.Types
		if _, renders := own[rule.Rule]; !renders {
			shared = append(shared, rule.Types...)
		}
	}
	base := Rendering{Format: dest.Format, Template: dest.Template, ContentType: dest.ContentType, Subject: dest.Subject}
	problems := make([]error, 1)
	r.shared, problems[0] = r.compile(base, shared)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		compiled, err := r.compile(merge(base, own[name]), r.sent[name])
		if err != nil {
			problems = append(problems, fmt.Errorf("rule %q: %w", name, err))
		}
		r.own[name] = compiled
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

// Stake is what the rules send to the destination.
func (r *Renderer) Stake() (s event.Stake) {
	for rule, types := range r.sent {
		form, own := r.own[rule]
		if !own {
			form = r.shared
		}
		s.Add(types, form.format == FormatSlack || form.format == FormatPagerDuty)
	}
	return s
}

// merge lays a rule's rendering over that of its destination. A template of its
// own needs no format beside it, and another format drops the template.
func merge(base, own Rendering) Rendering {
	merged := base
	switch {
	case own.Template != "":
		merged.Template, merged.Format, merged.ContentType = own.Template, FormatTemplate, base.ContentType
		if own.Format != "" {
			merged.Format = own.Format
		}
	case own.Format != "":
		merged.Format = own.Format
		if own.Format != FormatTemplate {
			merged.Template, merged.ContentType = "", ""
		}
	}
	if own.ContentType != "" {
		merged.ContentType = own.ContentType
	}
	if own.Subject != "" {
		merged.Subject = own.Subject
	}
	return merged
}

func (r *Renderer) compile(in Rendering, types []string) (rendering, error) {
	out := rendering{format: in.Format, contentType: in.ContentType}
	if in.Template != "" && (in.Format == FormatCloudEvents || in.Format == "") {
		out.format = FormatTemplate // a template says what is wanted
	}
	switch out.format {
	case "":
		out.format = FormatCloudEvents
	case FormatCloudEvents, FormatStripe, FormatSlack, FormatTemplate:
	case FormatPagerDuty:
		if r.dest.RoutingKey == "" {
			return rendering{}, errors.New("format pagerduty needs a routing_key")
		}
	default:
		return rendering{}, fmt.Errorf("format %q is none of cloudevents, stripe, slack, pagerduty, template", out.format)
	}
	if err := checkCompanions(out.format, in); err != nil {
		return rendering{}, err
	}
	var err error
	if out.format == FormatTemplate {
		if out.body, err = compileTemplate(in.Template, r.dest.Omit, types); err != nil {
			return rendering{}, fmt.Errorf("template: %w", err)
		}
	}
	if r.dest.Type == TypeNATS {
		if out.subject, err = compileSubject(in.Subject, r.dest.Omit, types); err != nil {
			return rendering{}, fmt.Errorf("subject: %w", err)
		}
	}
	return out, nil
}

// checkCompanions refuses keys that would have no effect beside a format.
func checkCompanions(format string, in Rendering) error {
	switch {
	case format == FormatTemplate && in.Template == "":
		return errors.New("format template needs a template")
	case format == FormatTemplate && in.ContentType != "" && !validHeaderValue(in.ContentType):
		return errors.New("content_type is not a header value")
	case format == FormatTemplate:
	case in.Template != "":
		return fmt.Errorf("a template is not used with format %s", format)
	case in.ContentType != "":
		return fmt.Errorf("content_type is only used with format template, not with %s", format)
	}
	return nil
}

// choose returns the rendering of a delivery: that of its own rule, or the
// destination's. A rule that has none any more gets the destination's as well, unless
// another delivery of the event has that form: the receiver would get it twice, under
// two ids.
func (r *Renderer) choose(m *Message) (rendering, error) {
	rule := m.Delivery.OwnRule
	if own, ok := r.own[rule]; ok {
		return own, nil
	}
	for _, other := range m.Siblings {
		if _, renders := r.own[other]; !renders && other < rule { // of several such rules the first one's is sent
			return rendering{}, fmt.Errorf("rule %q, whose template, format or subject it was to have, is not configured any more or has none, and in the destination's own form the receiver would get the event twice: give the rule that back and redrive it, or purge it", rule)
		}
	}
	return r.shared, nil
}

// Render renders the body of a message. Its errors are final.
func (r *Renderer) Render(m Message) (Body, error) {
	way, err := r.choose(&m)
	if err != nil {
		return Body{}, err
	}
	body := Body{ContentType: contentJSON, Format: way.format}
	switch way.format {
	case FormatStripe:
		body.Content, err = stripeBody(&m.Event, r.dest.APIVersion, r.dest.Omit)
	case FormatSlack:
		body.Content, err = slackBody(&m, r.dest.Omit, r.link(&m.Event))
	case FormatPagerDuty:
		body.Content, err = r.pagerDutyBody(&m)
	case FormatTemplate:
		if way.contentType != "" {
			body.ContentType = way.contentType
		}
		body.Content, err = way.body.run(&m, r.dest.Omit, r.link(&m.Event))
	default:
		body.ContentType = contentCloudEvents
		body.Content, err = m.Event.CloudEvent(m.Match(), r.dest.Omit)
	}
	return checked(body, err)
}

// RenderData renders a CloudEvent's data alone, for the binary mode of NATS.
func (r *Renderer) RenderData(m Message) (Body, error) {
	content, err := m.Event.Data(m.Match(), r.dest.Omit)
	return checked(Body{Content: content, ContentType: event.DataContentType, Format: FormatCloudEvents}, err)
}

func checked(body Body, err error) (Body, error) {
	if err != nil {
		return Body{}, fmt.Errorf("rendering as %s: %w", body.Format, err)
	}
	if len(body.Content) > BodyLimit {
		return Body{}, fmt.Errorf("rendering as %s: %w", body.Format, ErrTooLarge)
	}
	return body, nil
}

// Subject renders the NATS subject of a message. Its errors are final.
func (r *Renderer) Subject(m Message) (string, error) {
	way, err := r.choose(&m)
	if err != nil {
		return "", err
	}
	subject, err := way.subject.run(&m, r.dest.Omit, r.link(&m.Event))
	if err != nil {
		return "", fmt.Errorf("rendering the subject: %w", err)
	}
	return finishSubject(string(subject))
}

// link leads to an event in the console.
func (r *Renderer) link(e *event.Event) string {
	if r.externalURL == "" {
		return ""
	}
	return r.externalURL + "/events/" + e.ID
}
