package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	stripewebhook "github.com/stripe/stripe-go/v84/webhook"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// Every kind of destination goes through the same list of checks, with every
// format, with an event of a session and with one of the program's own: sent by
// the real publisher to a real receiver or server.

// arrival is what a receiver got.
type arrival struct {
	id, contentType, subject string
	header                   map[string][]string
	body                     []byte
}

// wire is one kind of destination.
type wire struct {
	name string
	dest publish.Destination
	take func(t *testing.T) arrival
	// sealed checks what belongs to this kind: signatures, attributes.
	sealed func(t *testing.T, c conforming, got arrival)
}

// conforming is one case.
type conforming struct {
	dest    publish.Destination
	message publish.Message
}

const conformingTemplate = `{"type":{{ json .Event.Type }},"account":{{ json .Account }},"summary":{{ json .Alert }},` +
	`"session":{{ json .Session }},"previous":{{ json .Previous }},"from":{{ json .Event.From }},"rule":{{ json .Rule }}}`

// What no body may say: the secrets of a destination, and what is omitted.
const (
	secretBearer = "b34r3r-t0k3n"
	secretHeader = "h34d3r-v4lu3"
	secretPath   = "/p4th-t0k3n"
	secretKey    = "0123456789abcdef0123456789abcdef" // of PagerDuty
)

var private = []string{"buyer@example.com", "old@example.com", "A. Buyer", "pay.example", "cus_100"}

func TestConformance(t *testing.T) {
	for _, w := range []wire{httpWire(t), natsWire(t, true), natsWire(t, false)} {
		for _, format := range []string{publish.FormatCloudEvents, publish.FormatStripe, publish.FormatSlack, publish.FormatPagerDuty, publish.FormatTemplate} {
			modes := []string{w.dest.Mode}
			if w.dest.Type == publish.TypeNATS && format == publish.FormatCloudEvents {
				modes = []string{publish.ModeBinary, publish.ModeStructured}
			}
			for _, mode := range modes {
				for _, eventType := range []string{event.Updated, event.DestinationFailing} {
					name := strings.Join([]string{w.name, format, mode, event.Short(eventType)}, "/")
					t.Run(name, func(t *testing.T) { conforms(t, w, newConforming(w, name, format, mode, eventType)) })
				}
			}
		}
	}
}

func newConforming(w wire, name, format, mode, eventType string) conforming {
	c := conforming{dest: w.dest, message: message(eventType)}
	c.dest.Format, c.dest.Mode = format, mode
	c.dest.Omit = []string{"customer_email", "customer_details", "customer", "url", "shipping"}
	c.dest.RoutingKey = secretKey
	if format == publish.FormatTemplate {
		c.dest.Template = conformingTemplate
	}
	c.message.Delivery.ID = event.DeliveryID(c.message.Event.ID, name, "")
	c.message.Delivery.Subject = c.message.Event.Subject
	if e := &c.message.Event; !e.IsSystem() {
		e.PreviousAttributes = json.RawMessage(`{"amount_total":9900,"customer_email":"old@example.com"}`)
		e.Change = &event.Change{Field: "customer_email", From: json.RawMessage(`"old@example.com"`), To: json.RawMessage(`"buyer@example.com"`)}
	}
	return c
}

// conforms is the list of checks.
func conforms(t *testing.T, w wire, c conforming) {
	own := map[string]publish.Rendering{"audit": {Template: `{"t":{{ json .Event.Type }},"rule":"{{ .Rule }}"}`}}
	types := []string{c.message.Event.Type}
	renderer, err := publish.NewRenderer(c.dest, own, "https://ops.example",
		publish.RuleTypes{Rule: "ship", Types: types}, publish.RuleTypes{Rule: "audit", Types: types})
	if err != nil {
		t.Fatal(err)
	}
	p := publisherAs(t, c.dest, renderer)
	var bodies [][]byte
	for range 2 { // a repeat carries the same id and, of the same configuration, the same body
		r := p.Publish(t.Context(), c.message)
		if r.Outcome != event.OutcomeAccepted || r.Contact != publish.ContactMade || r.Class != "" || r.Error != "" || r.Final {
			t.Fatalf("result %+v", r)
		}
		got := w.take(t)
		if got.id != c.message.Delivery.ID || strings.Contains(got.id, ".") {
			t.Errorf("id %q, want %q", got.id, c.message.Delivery.ID)
		}
		w.sealed(t, c, got)
		checkBody(t, c, got)
		checkPrivacy(t, c, got)
		bodies = append(bodies, got.body)
	}
	if !bytes.Equal(bodies[0], bodies[1]) {
		t.Errorf("the repeat differs:\n%s\n%s", bodies[0], bodies[1])
	}
	conformsOtherwise(t, w, c, p)
}

// conformsOtherwise checks what is not sent as the destination says.
func conformsOtherwise(t *testing.T, w wire, c conforming, p publish.Publisher) {
	m := c.message
	m.Delivery.ID, m.Delivery.OwnRule = event.DeliveryID(c.message.Delivery.ID, "shop", "audit"), "audit"
	if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
		t.Errorf("the rule's own body: %+v", r)
	} else if got := string(w.take(t).body); got != `{"t":"`+m.Event.Type+`","rule":"audit"}` {
		t.Errorf("the rule's own body: %s", got)
	}
	m.Delivery.ID, m.Delivery.OwnRule = event.DeliveryID(c.message.Delivery.ID, "shop", "gone"), "gone"
	if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeAccepted {
		t.Errorf("a rule that is gone: %+v", r)
	} else {
		checkPrivacy(t, c, w.take(t))
	}
	m.Siblings = []string{""}
	if r := p.Publish(t.Context(), m); r.Outcome != event.OutcomeRefused || r.Class != publish.ClassRender || !r.Final || r.Contact != publish.ContactNone {
		t.Errorf("a rule that is gone beside the shared delivery: %+v", r)
	}
	broken := c.message
	broken.Event.Object, broken.Event.System = json.RawMessage(`{"id":`), bytes.Replace(broken.Event.System, []byte("{"), nil, 1)
	if r := p.Publish(t.Context(), broken); r.Outcome != event.OutcomeRefused || r.Class != publish.ClassRender || !r.Final || r.Contact != publish.ContactNone {
		t.Errorf("an event that cannot be rendered: %+v", r)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if r := p.Publish(cut, c.message); r.Outcome == event.OutcomeAccepted {
		t.Errorf("with a context that has ended: %+v", r)
	}
}

func publisherAs(t *testing.T, d publish.Destination, renderer *publish.Renderer) publish.Publisher {
	t.Helper()
	if d.Type != publish.TypeHTTP {
		p, err := publish.NewNATS(d, renderer, publish.NewConnections(nil))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close(context.Background()) })
		return p
	}
	p, err := publish.NewHTTP(d, renderer, publish.HTTPOptions{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func httpWire(t *testing.T) wire {
	url, requests := callback(t, nil)
	d := httpDestination(url + secretPath)
	d.Secrets = []secret.String{secretA, secretB}
	d.Auth.Bearer = secretBearer
	d.Headers = map[string]secret.String{"X-Shop": secretHeader}
	return wire{name: "http", dest: d, sealed: checkHTTPHeaders, take: func(t *testing.T) arrival {
		select {
		case q := <-requests:
			if q.method != http.MethodPost {
				t.Errorf("method %s", q.method)
			}
			return arrival{id: q.header.Get("Webhook-Id"), contentType: q.header.Get("Content-Type"), header: q.header, body: q.body}
		default:
			t.Fatal("accepted, and nothing has arrived")
			return arrival{}
		}
	}}
}

func checkHTTPHeaders(t *testing.T, c conforming, got arrival) {
	header := http.Header(got.header)
	for name, want := range map[string]string{
		"User-Agent": "notifier/1.2.3", "X-Shop": secretHeader, "Authorization": "Bearer " + secretBearer, "Accept-Encoding": "",
	} {
		if header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, header.Get(name), want)
		}
	}
	seconds, err := strconv.ParseInt(header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("webhook-timestamp %q", header.Get("Webhook-Timestamp"))
	}
	for _, key := range c.dest.Secrets {
		verifier, err := standardwebhooks.NewWebhook(key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.body, header); err != nil {
			t.Errorf("Standard Webhooks: %v", err)
		}
		signature := header.Get("Stripe-Signature")
		if c.dest.Format != publish.FormatStripe {
			if signature != "" {
				t.Errorf("Stripe-Signature with format %s", c.dest.Format)
			}
		} else if err := stripewebhook.ValidatePayload(got.body, signature, key.Reveal()); err != nil {
			t.Errorf("Stripe-Signature: %v", err)
		}
	}
	want := "application/json"
	if c.dest.Format == publish.FormatCloudEvents {
		want = "application/cloudevents+json; charset=utf-8"
	}
	if got.contentType != want {
		t.Errorf("Content-Type %q, want %q", got.contentType, want)
	}
}

func natsWire(t *testing.T, jetStream bool) wire {
	url := embedded(t)
	nc, sub := listener(t, url)
	d := natsDestination(url)
	d.JetStream = jetStream
	name := "core"
	if jetStream {
		name = "jetstream"
		stream(t, nc, jetstream.StreamConfig{Name: "CHECKOUT", Subjects: []string{"checkout.>"}})
	}
	return wire{name: name, dest: d, sealed: checkNATSHeaders, take: func(t *testing.T) arrival {
		m := next(t, sub)
		contentType := m.Header.Get("Content-Type")
		if contentType == "" {
			contentType = m.Header.Get("content-type") // of binary mode; NATS tells them apart
		}
		return arrival{id: m.Header.Get(nats.MsgIdHdr), contentType: contentType, subject: m.Subject, header: m.Header, body: m.Data}
	}}
}

func checkNATSHeaders(t *testing.T, c conforming, got arrival) {
	e := &c.message.Event
	subject := "checkout.main." + event.Short(e.Type)
	if e.IsSystem() {
		subject = "checkout._." + event.Short(e.Type)
	}
	if got.subject != subject {
		t.Errorf("subject %s, want %s", got.subject, subject)
	}
	binary := c.dest.Format == publish.FormatCloudEvents && c.dest.Mode == publish.ModeBinary
	want := "application/json"
	if c.dest.Format == publish.FormatCloudEvents && !binary {
		want = "application/cloudevents+json"
	}
	if got.contentType != want {
		t.Errorf("content type %q, want %q", got.contentType, want)
	}
	var names []string
	for name, values := range got.header {
		if strings.HasPrefix(strings.ToLower(name), "ce-") {
			names = append(names, name)
			if len(values) != 1 || values[0] == "" {
				t.Errorf("%s: %q", name, values)
			}
		}
	}
	slices.Sort(names)
	wanted := []string{"ce-account", "ce-datacontenttype", "ce-dataschema", "ce-id", "ce-livemode", "ce-sequence", "ce-source", "ce-specversion", "ce-subject", "ce-time", "ce-type"}
	switch {
	case !binary:
		wanted = nil
	case e.IsSystem():
		wanted = []string{"ce-datacontenttype", "ce-id", "ce-source", "ce-specversion", "ce-subject", "ce-time", "ce-type"}
	}
	if !slices.Equal(names, wanted) {
		t.Errorf("attributes %v, want %v", names, wanted)
	}
	if binary && (got.header["ce-id"][0] != e.ID || got.header["ce-type"][0] != e.Type || got.header["ce-time"][0] != event.FormatTime(e.Time)) {
		t.Errorf("attributes %v", got.header)
	}
}

// checkBody checks the members that the format demands.
func checkBody(t *testing.T, c conforming, got arrival) {
	e := &c.message.Event
	var body map[string]any
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatalf("%v\n%s", err, got.body)
	}
	about := e.Session
	if e.IsSystem() {
		about = e.Subject
	}
	if !bytes.Contains(got.body, []byte(about)) {
		t.Errorf("nothing of %s in %s", about, got.body)
	}
	need := func(in map[string]any, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, ok := in[name]; !ok {
				t.Errorf("no %s in %v", name, in)
			}
		}
	}
	switch c.dest.Format {
	case publish.FormatCloudEvents:
		data := body
		if _, structured := body["specversion"]; structured {
			parsed := cloudevents.New()
			if err := json.Unmarshal(got.body, &parsed); err != nil || parsed.Validate() != nil || parsed.ID() != e.ID || parsed.Type() != e.Type {
				t.Errorf("%v, %v", err, parsed.Validate())
			}
			data, _ = body["data"].(map[string]any)
		}
		need(data, "match")
		if e.IsSystem() {
			need(data, "summary", "destination", "since", "failures", "reason", "pending")
			return
		}
		need(data, "object", "previous_attributes", "change", "revision", "inferred", "unexpected", "async", "reason", "occurred_after", "occurred_before")
		if change, _ := data["change"].(map[string]any); change["field"] != "customer_email" || change["from"] != nil || change["to"] != nil {
			t.Errorf("change %v", data["change"])
		}
	case publish.FormatStripe:
		need(body, "id", "object", "api_version", "created", "livemode", "type", "data")
		data, _ := body["data"].(map[string]any)
		need(data, "object")
	case publish.FormatSlack:
		need(body, "text", "blocks")
	case publish.FormatPagerDuty:
		need(body, "routing_key", "event_action", "dedup_key", "payload")
		payload, _ := body["payload"].(map[string]any)
		need(payload, "summary", "source", "severity", "timestamp", "component", "class", "custom_details")
		if body["routing_key"] != secretKey || body["dedup_key"] == "" {
			t.Errorf("body %v", body)
		}
	case publish.FormatTemplate:
		if body["type"] != e.Type || body["account"] != e.Account || body["rule"] != "ship" {
			t.Errorf("body %v", body)
		}
	}
}

var whsec = regexp.MustCompile(`whsec_|` + secretBearer + `|` + secretHeader + `|` + secretPath)

// checkPrivacy looks for secrets and for what is omitted, wherever it may stand.
func checkPrivacy(t *testing.T, c conforming, got arrival) {
	if found := whsec.Find(got.body); found != nil {
		t.Errorf("the body has a secret: %s", found)
	}
	if c.dest.Format != publish.FormatPagerDuty && bytes.Contains(got.body, []byte(secretKey)) {
		t.Error("the body has PagerDuty's key")
	}
	var headers strings.Builder
	for name, values := range got.header {
		headers.WriteString(name + strings.Join(values, " "))
	}
	for _, word := range private {
		if bytes.Contains(got.body, []byte(word)) || strings.Contains(got.subject+headers.String(), word) {
			t.Errorf("%q is omitted, and in\n%s", word, got.body)
		}
	}
}
