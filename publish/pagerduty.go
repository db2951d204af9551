package publish

import (
	"cmp"
	"slices"
	"strings"

	"checkout-notifier/event"
)

// The lengths that PagerDuty takes.
const (
	pagerSummary  = 1024
	pagerKeyLimit = 255
)

// The actions of PagerDuty's Events API v2.
const (
	pagerTrigger = "trigger"
	pagerResolve = "resolve"
)

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type pagerPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp"`
	Component string            `json:"component"`
	Class     string            `json:"class"`
	Details   map[string]string `json:"custom_details"`
}

type pagerBody struct {
	RoutingKey  string       `json:"routing_key"`
	EventAction string       `json:"event_action"`
	DedupKey    string       `json:"dedup_key"`
	Client      string       `json:"client"`
	Links       []pagerLink  `json:"links,omitempty"`
	Payload     pagerPayload `json:"payload"`
}

// SetInstallation names the notifier whose incidents these are: others that page into the
// same service have destinations and accounts of the same names. It is called before the
// first message, with an id that stays over restarts.
func (r *Renderer) SetInstallation(id string) { r.installation = id }

// pagerDutyBody renders an event for PagerDuty.
func (r *Renderer) pagerDutyBody(m *Message) ([]byte, error) {
	n, err := newNotice(m, r.dest.Omit)
	if err != nil {
		return nil, err
	}
	details := make(map[string]string, len(n.facts)+len(m.Delivery.Labels)+2)
	for name, value := range m.Delivery.Labels {
		details[name] = value
	}
	details["event_id"], details["event_type"] = m.Event.ID, m.Event.Type
	for _, f := range n.facts {
		details[f.key()] = f.value // of a dead delivery event_type is that of its event
	}
	source, component := event.SourcePrefix+m.Event.Account, m.Event.Account
	if m.Event.IsSystem() {
		source, component = event.SystemSource, m.Event.Subject
		details["rules"] = strings.Join(m.Delivery.Rules, ", ")
		if r.installation != "" {
			details["installation"] = r.installation
		}
	}
	incident, action := r.incidentOf(m, n)
	body := pagerBody{
		RoutingKey: r.dest.RoutingKey.Reveal(), EventAction: action, DedupKey: incident, Client: "notifier",
		Payload: pagerPayload{
			Summary: truncate(pagerSummary, n.headline), Source: source, Component: component,
			Severity: severity(m.Delivery.Labels["severity"]), Timestamp: event.FormatTime(m.Event.Time),
			Class: m.Event.Type, Details: details,
		},
	}
	if link := r.link(&m.Event); link != "" {
		body.Links = []pagerLink{{link, "Event"}}
	}
	return event.Marshal(body)
}

// closing are the types that end an incident whatever rule sends them. An event
// whose data has a status says itself whether it ends one.
var closing = map[string]bool{
	event.DestinationRecovered: true,
	event.AccountRecovered:     true,
}

// What a rule tells of a session opens an incident, unless the rule also tells
// of trouble and this is the good end of it. A rule that never tells of trouble
// is meant to page: there would be nothing to resolve.
var (
	troubles = []string{event.Expired, event.Unresolved, event.Regressed}
	goodEnds = []string{event.Completed, event.NoPaymentRequired, event.Paid, event.Fulfillable}
)

// incidentOf says which incident an event belongs to, and what it does to it.
func (r *Renderer) incidentOf(m *Message, n notice) (key, action string) {
	scope, rule, action := m.Event.Session, ruleOf(&m.Delivery), pagerTrigger
	switch {
	case m.Event.IsSystem():
		scope, rule = r.systemScope(&m.Event, n.data), m.Delivery.OwnRule
		if closing[m.Event.Type] || text(n.data["status"]) == event.StatusResolved {
			action = pagerResolve
		}
	case slices.Contains(goodEnds, m.Event.Type):
		rule, action = goodEnd(&m.Delivery, r.sent)
	}
	if key = strings.TrimSuffix(scope+"/"+rule, "/"); len(key) > pagerKeyLimit {
		key = event.DeliveryID(scope, m.Delivery.Destination, rule)
	}
	return key, action
}

// goodEnd says for which rule of a delivery the good end of a session counts:
// for one that wants to page with it, if there is one, else for the first.
func goodEnd(d *event.Delivery, sent map[string][]string) (rule, action string) {
	rules := d.Rules
	if d.OwnRule != "" {
		rules = []string{d.OwnRule}
	}
	action = pagerTrigger // what nobody sends any more may have been meant to page
	for _, name := range rules {
		types, known := sent[name]
		if !known {
			continue
		}
		if !slices.ContainsFunc(troubles, func(trouble string) bool { return slices.Contains(types, trouble) }) {
			return name, pagerTrigger
		}
		action = pagerResolve
	}
	return ruleOf(d), action
}

// systemScope is what an incident of the program's own is about, and of which installation:
// the same when it begins and when it ends. Which rules heard of it is no part of it: they may
// be others at its end.
func (r *Renderer) systemScope(e *event.Event, data map[string]any) string {
	subject := e.Subject
	if e.Type == event.DeliveryDead { // each is to be looked at
		subject = cmp.Or(text(data["delivery"]), e.ID)
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(e.Type, event.SystemPrefix), ".")
	return strings.TrimSuffix("notifier/"+r.installation, "/") + "/" + kind + "/" + subject
}

// Severities are the values of the label `severity` that PagerDuty is told of: its
// own four words, and the label's usual word for its highest.
func Severities() []string { return []string{"critical", "error", "warning", "info", severityPage} }

const severityPage = "page"

// severity is a label as PagerDuty says it. Without one, and with one that was
// stored before its rule was corrected, it is a warning.
func severity(label string) string {
	switch {
	case label == severityPage:
		return "critical"
	case slices.Contains(Severities(), label):
		return label
	}
	return "warning"
}

// ruleOf is the rule that a delivery goes by: its own, or the first that matched.
func ruleOf(d *event.Delivery) string {
	if d.OwnRule != "" || len(d.Rules) == 0 {
		return d.OwnRule
	}
	return d.Rules[0]
}
