package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/secret"
)

// The names under which handlers of Stripe's events know ours.
const (
	stripeCompleted = event.TypePrefix + "completed"
	stripeAsyncPaid = event.TypePrefix + "async_payment_succeeded"
)

func stripeType(e *event.Event) string {
	switch {
	case e.Async && (e.Type == event.Fulfillable || e.Type == event.Paid):
		return stripeAsyncPaid
	case e.Type == event.Fulfillable:
		return stripeCompleted
	}
	return e.Type
}

func stripeBody(e *event.Event, apiVersion string, omit []string) ([]byte, error) {
	object, previous, err := withoutFields(e, omit)
	if err != nil {
		return nil, err
	}
	type data struct {
		Object             json.RawMessage `json:"object"`
		PreviousAttributes json.RawMessage `json:"previous_attributes"`
	}
	body := struct {
		ID         string  `json:"id"`
		Object     string  `json:"object"`
		APIVersion *string `json:"api_version"`
		Created    int64   `json:"created"`
		Livemode   bool    `json:"livemode"`
		Type       string  `json:"type"`
		Data       data    `json:"data"`
	}{ID: e.ID, Object: "event", Created: e.Time.Unix(), Livemode: e.Livemode, Type: stripeType(e)}
	if apiVersion != "" {
		body.APIVersion = &apiVersion
	}
	if body.Data.Object, err = lowerCurrencies(object); err != nil {
		return nil, err
	}
	if body.Data.PreviousAttributes, err = lowerCurrencies(previous); err != nil {
		return nil, err
	}
	return marshal(body)
}

func withoutFields(e *event.Event, omit []string) (object, previous json.RawMessage, err error) {
	if object, err = checkout.Omit(e.Object, omit); err != nil {
		return nil, nil, err
	}
	previous, err = checkout.Omit(e.PreviousAttributes, omit)
	return object, previous, err
}

// lowerCurrencies writes currencies as Stripe does, in the session and in its
// line items, and touches nothing else: a merchant's metadata may use the word.
func lowerCurrencies(raw json.RawMessage) (json.RawMessage, error) {
	members, err := decodeMembers(raw)
	if err != nil {
		return nil, err
	}
	lowerCurrency(members)
	if items, ok := members["line_items"].(map[string]any); ok {
		list, _ := items["data"].([]any)
		for _, item := range list {
			if item, ok := item.(map[string]any); ok {
				lowerCurrency(item)
				if price, ok := item["price"].(map[string]any); ok {
					lowerCurrency(price)
				}
			}
		}
	}
	return marshal(members)
}

func lowerCurrency(members map[string]any) {
	if text, ok := members["currency"].(string); ok {
		members["currency"] = strings.ToLower(text)
	}
}

// decodeMembers reads an object with its numbers exact.
func decodeMembers(raw json.RawMessage) (map[string]any, error) {
	members := make(map[string]any)
	if len(raw) == 0 {
		return members, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	return members, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// fact is one line of a message for people.
type fact struct{ title, value string }

// facts are what people want to know of an event first. Omitted and empty
// fields do not appear.
func facts(m *Message, omit []string) ([]fact, error) {
	object, err := checkout.Omit(m.Event.Object, omit)
	if err != nil {
		return nil, err
	}
	s, err := decodeMembers(object)
	if err != nil {
		return nil, err
	}
	details, _ := s["customer_details"].(map[string]any)
	amount, err := money(s["amount_total"], s["currency"])
	if err != nil {
		return nil, err
	}
	all := []fact{
		{"Session", m.Event.Session},
		{"Account", m.Event.Account},
		{"Status", joinWords(s["status"], s["payment_status"])},
		{"Amount", amount},
		{"Reference", text(s["client_reference_id"])},
		{"Customer", firstText(s["customer_email"], details["email"], s["customer"])},
		{"Reason", m.Event.Reason},
		{"Rules", strings.Join(m.Delivery.Rules, ", ")},
	}
	var known []fact
	for _, f := range all {
		if f.value != "" {
			known = append(known, f)
		}
	}
	return known, nil
}

func joinWords(values ...any) string {
	var words []string
	for _, v := range values {
		if word := text(v); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func firstText(values ...any) string {
	for _, v := range values {
		if s := text(v); s != "" {
			return s
		}
	}
	return ""
}

// headline says in one line what happened.
func headline(e *event.Event, list []fact) string {
	line := "Checkout session " + strings.ReplaceAll(event.Short(e.Type), "_", " ")
	for _, f := range list {
		if f.title == "Amount" {
			line += ": " + f.value
		}
	}
	line += " (" + e.Account + ")"
	if !e.Livemode {
		line += " [test]"
	}
	return line
}

// The lengths that Slack and PagerDuty take.
const (
	slackTextLimit  = 2900
	slackFieldLimit = 1900
	slackFieldCount = 10
	pagerSummary    = 1024
	pagerKeyLimit   = 255
)

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackBody(m *Message, omit []string, link string) ([]byte, error) {
	list, err := facts(m, omit)
	if err != nil {
		return nil, err
	}
	type textObject struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	type block struct {
		Type   string       `json:"type"`
		Text   *textObject  `json:"text,omitempty"`
		Fields []textObject `json:"fields,omitempty"`
	}
	title := slackEscapes.Replace(truncate(slackTextLimit/5, headline(&m.Event, list)))
	shown := "*" + title + "*"
	if link != "" {
		shown += "\n<" + link + "|Details>"
	}
	var fields []textObject
	for _, f := range list[:min(len(list), slackFieldCount)] {
		value := slackEscapes.Replace(truncate(slackFieldLimit/5, f.value)) // an escape takes up to five
		fields = append(fields, textObject{"mrkdwn", "*" + f.title + "*\n" + value})
	}
	return marshal(struct {
		Text   string  `json:"text"`
		Blocks []block `json:"blocks"`
	}{title, []block{
		{Type: "section", Text: &textObject{"mrkdwn", shown}},
		{Type: "section", Fields: fields},
	}})
}

func pagerDutyBody(m *Message, key secret.String, omit []string, link string) ([]byte, error) {
	list, err := facts(m, omit)
	if err != nil {
		return nil, err
	}
	details := make(map[string]string, len(list)+len(m.Delivery.Labels))
	for name, value := range m.Delivery.Labels {
		details[name] = value
	}
	for _, f := range list {
		details[strings.ToLower(f.title)] = f.value
	}
	details["event_id"], details["event_type"] = m.Event.ID, m.Event.Type
	type linkObject struct {
		Href string `json:"href"`
		Text string `json:"text"`
	}
	type payload struct {
		Summary   string            `json:"summary"`
		Source    string            `json:"source"`
		Severity  string            `json:"severity"`
		Timestamp string            `json:"timestamp"`
		Class     string            `json:"class"`
		Details   map[string]string `json:"custom_details"`
	}
	body := struct {
		RoutingKey  string       `json:"routing_key"`
		EventAction string       `json:"event_action"`
		DedupKey    string       `json:"dedup_key"`
		Client      string       `json:"client"`
		Links       []linkObject `json:"links,omitempty"`
		Payload     payload      `json:"payload"`
	}{
		RoutingKey: key.Reveal(), EventAction: "trigger", DedupKey: dedupKey(m), Client: "notifier",
		Payload: payload{
			Summary: truncate(pagerSummary, headline(&m.Event, list)), Source: event.SourcePrefix + m.Event.Account,
			Severity: severity(m.Delivery.Labels["severity"]), Timestamp: event.FormatTime(m.Event.Time),
			Class: m.Event.Type, Details: details,
		},
	}
	if link != "" {
		body.Links = []linkObject{{link, "Event"}}
	}
	return marshal(body)
}

// dedupKey keeps the events of one session under one rule in one incident.
func dedupKey(m *Message) string {
	key := m.Event.Session + "/" + ruleOf(&m.Delivery)
	if len(key) > pagerKeyLimit {
		return event.DeliveryID(m.Event.Session, m.Delivery.Destination, ruleOf(&m.Delivery))
	}
	return key
}

// severity maps a label to the four words that PagerDuty takes.
func severity(label string) string {
	switch label {
	case "critical", "error", "warning", "info":
		return label
	case "page":
		return "critical"
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
