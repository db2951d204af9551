package publish

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
)

// fact is one line of a message for people.
type fact struct{ title, value string }

// key is a fact's title as a name in JSON.
func (f fact) key() string { return strings.ReplaceAll(strings.ToLower(f.title), " ", "_") }

// notice is what people are told of an event: one line, and what they want to
// know of it first. Omitted and empty fields do not appear.
type notice struct {
	headline string
	facts    []fact
	data     map[string]any // of one of the program's own events, else nil
}

func newNotice(m *Message, omit []string) (notice, error) {
	if m.Event.IsSystem() {
		return systemNotice(m)
	}
	return sessionNotice(m, omit)
}

func sessionNotice(m *Message, omit []string) (notice, error) {
	object, err := checkout.Omit(m.Event.Object, omit)
	if err != nil {
		return notice{}, err
	}
	s, err := decodeMembers(object)
	if err != nil {
		return notice{}, err
	}
	details, _ := s["customer_details"].(map[string]any)
	amount, err := money(s["amount_total"], s["currency"])
	if err != nil {
		return notice{}, err
	}
	n := notice{headline: m.Event.Headline(amount, s)}
	n.add("Session", m.Event.Session)
	n.add("Account", m.Event.Account)
	n.add("Status", joinWords(s["status"], s["payment_status"]))
	n.add("Amount", amount)
	n.add("Reference", text(s["client_reference_id"]))
	n.add("Customer", cmp.Or(text(s["customer_email"]), text(details["email"]), text(s["customer"])))
	n.add("Reason", m.Event.Reason)
	n.add("Rules", strings.Join(m.Delivery.Rules, ", "))
	return n, nil
}

// systemFacts are the members of the program's own events that people need, in
// the order in which they are shown. What else the data has is in the event.
var systemFacts = []struct{ member, title string }{
	{"destination", "Destination"}, {"account", "Account"}, {"rule", "Rule"}, {"session", "Session"},
	{"event_type", "Event type"}, {"since", "Since"}, {"down_for", "Down for"}, {"failures", "Failures"},
	{"attempts", "Attempts"}, {"status_code", "Status code"}, {"reason", "Reason"}, {"error", "Error"},
	{"by", "By"}, {"pending", "Pending"}, {"refused", "Refused"}, {"path", "Path"}, {"free_bytes", "Free"}, {"store_bytes", "Store"},
	{"delivery", "Delivery"}, {"event", "Event"},
}

func systemNotice(m *Message) (notice, error) {
	data, err := plainObject(m.Event.System)
	if err != nil {
		return notice{}, err
	}
	n := notice{data: data, headline: text(data["summary"])}
	if n.headline == "" {
		n.headline = "notifier: " + strings.TrimPrefix(m.Event.Type, event.SystemPrefix)
	}
	for _, f := range systemFacts {
		value := text(data[f.member])
		if size, ok := data[f.member].(int64); ok && strings.HasSuffix(f.member, "_bytes") {
			value = binarySize(size)
		}
		if value != "0" { // no answer, no failure, nothing that waits
			n.add(f.title, value)
		}
		if f.member == "since" && value != "" { // it may be delivered late, when it is not so any more
			n.add("Time", event.FormatTime(m.Event.Time))
		}
	}
	if m.Event.Type == event.DeliveryDead && text(data["status"]) != event.StatusResolved {
		n.add("What to do", "notifier deadletters get "+text(data["delivery"]))
	}
	return n, nil
}

func (n *notice) add(title, value string) {
	if value != "" {
		n.facts = append(n.facts, fact{title, value})
	}
}

// binarySize writes a number of bytes for people.
func binarySize(n int64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatInt(n, 10) + " B"
	}
	size, names := float64(n)/unit, "KMGTPE"
	for size >= unit && len(names) > 1 {
		size, names = size/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", size, names[0])
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
