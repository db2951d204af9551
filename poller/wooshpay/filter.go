package wooshpay

import (
	"encoding/json"
	"fmt"
	"strings"

	"checkout-notifier/checkout"
)

// Filter restricts a list to some of the sessions; empty members do not filter.
type Filter struct {
	Customer      string `koanf:"customer"`
	CustomerEmail string `koanf:"customer_email"`
	PaymentIntent string `koanf:"payment_intent"`
}

// Verdict is what a filter says of a session.
type Verdict int

// The verdicts, from the best to the worst.
const (
	Wanted   Verdict = iota
	Unclear          // the session does not show what the filter asks for
	Unwanted         // it shows another value
)

// Judge compares a session with the filter, for an API that ignores it.
func (f Filter) Judge(s *checkout.Session) (Verdict, error) {
	var shown struct {
		Customer      string `json:"customer"`
		CustomerEmail string `json:"customer_email"`
		PaymentIntent string `json:"payment_intent"`
		Details       struct {
			Email string `json:"email"`
		} `json:"customer_details"`
	}
	if f == (Filter{}) {
		return Wanted, nil
	}
	if err := json.Unmarshal(s.Object, &shown); err != nil {
		return Unclear, fmt.Errorf("reading session %s: %w", s.ID, err)
	}
	email := shown.Details.Email
	if email == "" || strings.EqualFold(shown.CustomerEmail, f.CustomerEmail) {
		email = shown.CustomerEmail
	}
	worst := Wanted
	for _, c := range []struct{ asked, shown string }{
		{f.Customer, shown.Customer}, {strings.ToLower(f.CustomerEmail), strings.ToLower(email)}, {f.PaymentIntent, shown.PaymentIntent},
	} {
		switch {
		case c.asked == "" || c.asked == c.shown:
		case c.shown == "":
			worst = max(worst, Unclear)
		default:
			worst = Unwanted
		}
	}
	return worst, nil
}
