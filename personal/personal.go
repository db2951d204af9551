// Package personal hides what says who a customer is, and where they pay, from the
// people who operate the notifier: in tables, in answers of the API, in the log. It keeps
// what tells one from another, changes nothing that is delivered, and keeps no text.
package personal

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"checkout-notifier/event"
)

var (
	mailAddress = regexp.MustCompile(`[._%+\-]*[A-Za-z0-9][A-Za-z0-9._%+\-]*@([A-Za-z0-9\-]+\.)+[A-Za-z]{2,}`)
	webAddress  = regexp.MustCompile(`(?i)\b(https?://[^\s/?#"'<>\\]+)[^\s"'<>\\]*`)
)

// hidden stands where something was left out.
const hidden = "***"

// Text leaves e-mail addresses out of a text, and of web addresses all that
// may lead to a payment page or carry a token.
func Text(text string) string {
	text = webAddress.ReplaceAllStringFunc(text, maskLink)
	return mailAddress.ReplaceAllStringFunc(text, maskMail)
}

// maskMail keeps of an address what tells it from others.
func maskMail(address string) string {
	name, domain, _ := strings.Cut(address, "@")
	return name[:min(1, len(name))] + hidden + "@" + domain
}

// maskLink keeps of a web address where it leads to.
func maskLink(address string) string {
	parts := webAddress.FindStringSubmatch(address)
	if parts == nil || strings.TrimSuffix(address, "/") == parts[1] {
		return address
	}
	return parts[1] + "/" + hidden
}

// people are the members of a session that are about a person, and personal the
// members of these that say who and where.
var (
	people   = []string{"customer_details", "shipping"}
	personal = []string{"name", "phone", "email", "line1", "line2", "city", "postal_code", "tracking_number"}
)

// Session leaves out of a session, or of a part of one, the payment page and
// what says who pays. Numbers stay as they are written.
func Session(object json.RawMessage) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var members map[string]any
	if len(object) == 0 || decoder.Decode(&members) != nil || members == nil {
		return nil
	}
	for name, value := range members {
		members[name] = maskValue(name, value, slices.Contains(people, name))
	}
	text, _ := event.Marshal(members) // it was read from JSON
	return text
}

func maskValue(name string, value any, person bool) any {
	switch v := value.(type) {
	case string:
		switch {
		case v == "":
			return v
		case name == "url":
			return maskLink(v)
		case person && slices.Contains(personal, name) && !strings.Contains(v, "@"):
			return hidden
		}
		return mailAddress.ReplaceAllStringFunc(v, maskMail)
	case []any:
		for i := range v {
			v[i] = maskValue(name, v[i], person)
		}
	case map[string]any:
		for member := range v {
			v[member] = maskValue(member, v[member], person)
		}
	}
	return value
}

// Change does the same to the field that an event is about.
func Change(c *event.Change) *event.Change {
	if c == nil {
		return nil
	}
	mask := func(value json.RawMessage) json.RawMessage {
		object, _ := event.Marshal(map[string]json.RawMessage{c.Field: value})
		var member map[string]json.RawMessage
		if json.Unmarshal(Session(object), &member) != nil {
			return nil
		}
		return member[c.Field]
	}
	return &event.Change{Field: c.Field, From: mask(c.From), To: mask(c.To)}
}
