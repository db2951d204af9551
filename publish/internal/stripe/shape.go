// Package stripe brings sessions into the types of Stripe's SDKs.
package stripe

import (
	"encoding/json"
	"fmt"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// The API documents amounts of line items as text, and its metadata holds
// whatever a merchant put there. Stripe's SDKs read a session into types, and
// refuse it as a whole for one value of another type.

// integers and times are the members that Stripe has as integers,
// wherever they stand.
var (
	integers = map[string]bool{
		"amount_subtotal": true, "amount_total": true, "amount_discount": true, "amount_tax": true, "quantity": true,
		"unit_amount": true, "flat_amount": true, "up_to": true, "interval_count": true,
	}
	times = map[string]bool{"created": true, "updated": true}
)

// shape is how a session, or what it was before, is brought into Stripe's types. What
// makes no sense as an integer stays as it is: that a receiver refuses it is
// better than an amount that nobody sent.
type shape struct{ previous bool }

// Shape changes the members of a session, or of what it was before, to what Stripe's
// types take.
func Shape(members map[string]any, previous bool) error {
	return shape{previous}.object(members, true)
}

func (s shape) object(members map[string]any, top bool) error {
	for name, v := range members {
		text, isText := v.(string)
		metadata, isObject := v.(map[string]any)
		switch {
		case name == "metadata" && isObject:
			if err := s.metadata(metadata); err != nil {
				return err
			}
		case name == "currency" && isText:
			members[name] = strings.ToLower(text)
		case integers[name] || times[name]:
			if n, ok := integer(name, v); ok {
				members[name] = n
			} else if checkout.Empty(v) && !top && !s.previous {
				delete(members, name) // Stripe has null in a session alone
			}
		case name == "payment_method_options" && checkout.Empty(v):
			members[name] = nil // [] for {}, say: it has no documented type
		default:
			if err := s.value(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func integer(name string, v any) (json.Number, bool) {
	if times[name] {
		return checkout.Seconds(v)
	}
	return checkout.Integer(v)
}

func (s shape) value(v any) error {
	switch v := v.(type) {
	case map[string]any:
		return s.object(v, false)
	case []any:
		for _, element := range v {
			if err := s.value(element); err != nil {
				return err
			}
		}
	}
	return nil
}

// metadata makes every value a text. A key without a value does not exist for
// Stripe; before a change, null says that it was not there.
func (s shape) metadata(members map[string]any) error {
	for key, v := range members {
		switch v.(type) {
		case string:
		case nil:
			if !s.previous {
				delete(members, key)
			}
		default:
			text, err := event.Marshal(v)
			if err != nil {
				return fmt.Errorf("writing metadata as text: %w", err)
			}
			members[key] = string(text)
		}
	}
	return nil
}
