package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"checkout-notifier/simulator"
)

// cloudEvent is a body as a receiver reads it.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema"`
	Account         string    `json:"account"`
	Livemode        *bool     `json:"livemode"`
	Sequence        string    `json:"sequence"`
	Data            eventData `json:"data"`
}

type eventData struct {
	Object             map[string]any `json:"object"`
	PreviousAttributes map[string]any `json:"previous_attributes"`
	Change             *struct {
		Field string `json:"field"`
		From  any    `json:"from"`
		To    any    `json:"to"`
	} `json:"change"`
	Revision       int       `json:"revision"`
	Inferred       bool      `json:"inferred"`
	Unexpected     bool      `json:"unexpected"`
	Async          bool      `json:"async"`
	Reason         string    `json:"reason"`
	OccurredAfter  time.Time `json:"occurred_after"`
	OccurredBefore time.Time `json:"occurred_before"`
	Match          struct {
		Rules    []string          `json:"rules"`
		Labels   map[string]string `json:"labels"`
		Overtook []string          `json:"overtook"`
	} `json:"match"`
}

const typePrefix = "checkout.session."

// short is the type without its prefix.
func (e *cloudEvent) short() string { return strings.TrimPrefix(e.Type, typePrefix) }

// state is what the event says of the session's two states.
func (e *cloudEvent) state() simulatedState {
	return simulatedState{word(e.Data.Object["status"]), word(e.Data.Object["payment_status"])}
}

type simulatedState struct{ status, payment string }

func word(v any) string {
	s, _ := v.(string)
	return s
}

func readEvent(body []byte) (*cloudEvent, error) {
	e := new(cloudEvent)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(e); err != nil {
		return nil, fmt.Errorf("it is no event of ours: %w", err)
	}
	return e, nil
}

// firstReceptions are the requests with an id that was not seen before.
func firstReceptions(requests []simulator.Received) []simulator.Received {
	seen := make(map[string]bool)
	var firsts []simulator.Received
	for _, r := range requests {
		if !seen[r.ID] {
			seen[r.ID] = true
			firsts = append(firsts, r)
		}
	}
	return firsts
}

// ledger is what a receiver of everything got, held against the truth.
type ledger struct {
	read     map[string]*cloudEvent // by body
	truth    []simulator.Session
	requests []simulator.Received
	// skew is how far the API's Date may be from the truth's clock.
	skew time.Duration
}

// missing says which net changes nobody was told of yet.
func (l *ledger) missing() []string {
	told, found := l.events()
	for i := range l.truth {
		s := &l.truth[i]
		var types []string
		for _, e := range told[s.ID] {
			types = append(types, e.short())
		}
		for _, want := range required(s) {
			if !slices.Contains(types, want) {
				found = append(found, fmt.Sprintf("session %s (%s, %s): no %s, only %v", s.ID, s.Status, s.PaymentStatus, want, types))
			}
		}
		if n := len(told[s.ID]); n > 0 {
			if last := told[s.ID][n-1].state(); last != (simulatedState{s.Status, s.PaymentStatus}) {
				found = append(found, fmt.Sprintf("session %s is %s, %s, and the last event says %v", s.ID, s.Status, s.PaymentStatus, last))
			}
		}
	}
	return found
}

// wrong says what was told that must not have been: things that never
// happened, or twice, or in another order.
func (l *ledger) wrong() []string {
	told, found := l.events()
	found = append(found, l.repeats()...)
	known := make(map[string]*simulator.Session)
	for i := range l.truth {
		known[l.truth[i].ID] = &l.truth[i]
	}
	for _, id := range slices.Sorted(maps.Keys(told)) {
		s := known[id]
		if s == nil {
			found = append(found, fmt.Sprintf("session %s never existed", id))
			continue
		}
		found = append(found, order(id, told[id])...)
		counts := make(map[string]int)
		for _, e := range told[id] {
			counts[e.short()]++
			found = append(found, l.untrue(s, e)...)
		}
		for name, n := range counts {
			if n > 1 && name != "updated" {
				found = append(found, fmt.Sprintf("session %s: %d events %s", id, n, name))
			}
		}
	}
	return found
}

// events are the distinct events by session, in the order of first reception.
func (l *ledger) events() (told map[string][]*cloudEvent, found []string) {
	told = make(map[string][]*cloudEvent)
	for _, r := range firstReceptions(l.requests) {
		e, err := l.event(r.Body)
		if err != nil {
			found = append(found, fmt.Sprintf("body of %s: %v", r.ID, err))
			continue
		}
		told[e.Subject] = append(told[e.Subject], e)
	}
	return told, found
}

// event is readEvent, once for each body: whoever waits for events asks many times.
func (l *ledger) event(body []byte) (*cloudEvent, error) {
	if e := l.read[string(body)]; e != nil {
		return e, nil
	}
	e, err := readEvent(body)
	if l.read == nil {
		l.read = make(map[string]*cloudEvent)
	}
	l.read[string(body)] = e
	return e, err
}

// repeats finds requests that are not signed, one id with two bodies, and one
// event with two ids.
func (l *ledger) repeats() []string {
	var found []string
	bodies := make(map[string][]byte)
	deliveries := make(map[string]string)
	for _, r := range l.requests {
		if r.Verification != simulator.Verified {
			found = append(found, fmt.Sprintf("request %s is %s: %s", r.ID, r.Verification, r.Reason))
		}
		if before, ok := bodies[r.ID]; ok && !bytes.Equal(before, r.Body) {
			found = append(found, fmt.Sprintf("delivery %s has two bodies:\n%s\n%s", r.ID, before, r.Body))
		}
		bodies[r.ID] = r.Body
		e, err := l.event(r.Body)
		if err != nil {
			continue // events says so
		}
		if before, ok := deliveries[e.ID]; ok && before != r.ID {
			found = append(found, fmt.Sprintf("event %s came as %s and as %s", e.ID, before, r.ID))
		}
		deliveries[e.ID] = r.ID
	}
	return found
}

// order finds events of a session that came before an earlier one.
func order(id string, events []*cloudEvent) []string {
	var found []string
	for i := 1; i < len(events); i++ {
		if before, now := events[i-1], events[i]; now.Sequence <= before.Sequence {
			found = append(found, fmt.Sprintf("session %s: %s %s came after %s %s", id, now.short(), now.Sequence, before.short(), before.Sequence))
		}
	}
	return found
}

// rounding is how exact the API's clock is known: its Date has whole seconds.
const rounding = 1100 * time.Millisecond

// untrue finds what an event says that the history of its session does not.
func (l *ledger) untrue(s *simulator.Session, e *cloudEvent) []string {
	var found []string
	say := func(format string, args ...any) {
		found = append(found, fmt.Sprintf("session %s, event %s %s: ", s.ID, e.short(), e.Sequence)+fmt.Sprintf(format, args...))
	}
	if !slices.Contains(possible(s), e.short()) {
		say("never happened in %v; previously %v", s.History, e.Data.PreviousAttributes)
	}
	at := slices.IndexFunc(s.History, func(c simulator.Change) bool {
		return simulatedState{c.Status, c.PaymentStatus} == e.state()
	})
	switch {
	case at < 0:
		say("the session never was %v", e.state())
	case e.Data.OccurredBefore.Before(s.History[at].Time.Add(-rounding - l.skew)):
		say("seen at %v, happened at %v", e.Data.OccurredBefore, s.History[at].Time)
	}
	if e.Data.Unexpected {
		say("it is called unexpected")
	}
	if n := len(e.Data.Match.Overtook); n > 0 {
		say("it says that it overtook %d", n)
	}
	if c := e.Data.Change; c != nil && (c.Field == "status" || c.Field == "payment_status") && !stepped(s, c.Field, word(c.From), word(c.To)) {
		say("%s never went from %v to %v", c.Field, c.From, c.To)
	}
	return found
}

// stepped says whether a field had a value and, later, another. From nothing is
// what first sight shows.
func stepped(s *simulator.Session, field, from, to string) bool {
	before := from == ""
	for _, c := range s.History {
		value := c.Status
		if field == "payment_status" {
			value = c.PaymentStatus
		}
		if before && value == to {
			return true
		}
		before = before || value == from
	}
	return false
}

// required are the types that the net change of a session that was created
// after the start demands.
func required(s *simulator.Session) []string {
	last := s.History[len(s.History)-1]
	types := reached(last.Status, last.PaymentStatus)
	return append([]string{"created"}, types...)
}

// possible are the types that anything in the session's history can explain.
func possible(s *simulator.Session) []string {
	types := []string{"created"}
	for _, c := range s.History {
		types = append(types, reached(c.Status, c.PaymentStatus)...)
		for _, field := range c.Fields {
			if field != "status" && field != "payment_status" {
				types = append(types, "updated")
			}
		}
	}
	return types
}

// reached are the types of the states that a session is in.
func reached(status, payment string) []string {
	var types []string
	switch status {
	case "complete":
		types = append(types, "completed")
	case "expired":
		types = append(types, "expired")
	}
	settled := payment == "paid" || payment == "no_payment_required"
	if settled {
		types = append(types, payment)
	}
	if settled && status == "complete" {
		types = append(types, "fulfillable")
	}
	return types
}

// complete fails unless nothing is missing.
func (l *ledger) complete() error {
	if missing := l.missing(); len(missing) > 0 {
		return fmt.Errorf("%d missing, the first: %s", len(missing), missing[0])
	}
	return nil
}
