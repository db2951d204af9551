package publish

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"checkout-notifier/event"
)

// TestPrefix begins the ids of whatever a test delivery sends: its own, which
// is its webhook-id and Nats-Msg-Id, its event's and its session's. No real id
// begins so.
const TestPrefix = "test_"

// Sample says what a test delivery carries. Empty members are made up.
type Sample struct {
	Destination string // its name
	Account     string
	EventType   string // whole or short; fulfillable by default
	Rule        string // one that renders in its own way
}

// SendSample sends a made-up event to a destination through its own publisher,
// rendered, signed and judged like any other, and returns the id of the
// delivery. Every call has an id of its own, for a receiver drops what it knows.
// The event is none of live mode, so that no handler takes it for an order.
// Nothing is stored, and nothing is tried again.
func SendSample(ctx context.Context, p Publisher, s Sample) (id string, r Result) {
	own := strings.ToLower(rand.Text())
	e := SampleEvent(cmp.Or(s.EventType, event.Fulfillable))
	session := "cs_" + TestPrefix + own
	e.Object = json.RawMessage(strings.NewReplacer(e.Session, session, `"livemode":true`, `"livemode":false`).Replace(string(e.Object)))
	e.ID, e.Session, e.Livemode = TestPrefix+"evt_"+own, session, false
	e.Account = cmp.Or(s.Account, e.Account)
	shift := time.Now().UTC().Truncate(time.Millisecond).Sub(e.Time)
	e.Time, e.OccurredBefore = e.Time.Add(shift), e.OccurredBefore.Add(shift)
	if !e.OccurredAfter.IsZero() {
		e.OccurredAfter = e.OccurredAfter.Add(shift)
	}
	id = TestPrefix + "dlv_" + own
	return id, p.Publish(ctx, Message{Event: e, Delivery: event.Delivery{
		ID: id, EventID: e.ID, EventType: e.Type, Account: e.Account, Session: e.Session, Destination: s.Destination,
		Rules: []string{cmp.Or(s.Rule, "test")}, OwnRule: s.Rule, Created: e.Time,
	}})
}
