package publish

import (
	"encoding/json"
	"errors"
	"fmt"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/publish/internal/stripe"
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

// stripeBody renders an event as Stripe would. Stripe has no shape for the
// program's own events: their data is the object, and nothing was before it.
func stripeBody(e *event.Event, apiVersion string, omit []string) ([]byte, error) {
	type data struct {
		Object             json.RawMessage `json:"object"`
		PreviousAttributes json.RawMessage `json:"previous_attributes,omitempty"`
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
	if e.IsSystem() {
		body.Data.Object = e.System
		return event.Marshal(body)
	}
	object, previous, err := withoutFields(e, omit)
	if err != nil {
		return nil, err
	}
	if body.Data.Object, err = stripeObject(object, false); err != nil {
		return nil, err
	}
	if body.Data.PreviousAttributes, err = stripeObject(previous, true); err != nil {
		return nil, err
	}
	return event.Marshal(body)
}

// stripeObject is a session, or what it was before, as Stripe's types take it.
func stripeObject(raw json.RawMessage, previous bool) (json.RawMessage, error) {
	members, err := decodeMembers(raw)
	if err != nil {
		return nil, err
	}
	if err := stripe.Shape(members, previous); err != nil {
		return nil, err
	}
	return event.Marshal(members)
}

func withoutFields(e *event.Event, omit []string) (object, previous json.RawMessage, err error) {
	if object, err = checkout.Omit(e.Object, omit); err != nil {
		return nil, nil, err
	}
	previous, err = checkout.Omit(e.PreviousAttributes, omit)
	return object, previous, err
}

// decodeMembers reads an object with its numbers exact.
func decodeMembers(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	v, err := checkout.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}
	members, ok := v.(map[string]any)
	if !ok && v != nil {
		return nil, errors.New("reading the session: it is no object")
	}
	return members, nil
}
