package event

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
)

// encoding has no dot, which Standard Webhooks forbids in an id, and no case.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idLength characters are 130 bits: no two things of one store meet.
const idLength = 26

// digest hashes parts so that no two lists of parts have the same text.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(strconv.Itoa(len(part))))
		h.Write([]byte{':'})
		h.Write([]byte(part))
	}
	return encoding.EncodeToString(h.Sum(nil))[:idLength]
}

// ID is the id of the n-th event of a type in a session's life. Values are the
// new values of the types whose id depends on them (updated, regressed).
func ID(account, session, eventType string, n int, values ...string) string {
	parts := append([]string{account, session, eventType, strconv.Itoa(n)}, values...)
	return "evt_" + digest(parts...)
}

// DeliveryID is the id of an event's delivery to a destination: rule is set
// only for a rule that renders the event in its own way.
func DeliveryID(eventID, destination, rule string) string {
	if rule == "" {
		return "dlv_" + digest(eventID, destination)
	}
	return "dlv_" + digest(eventID, destination, rule)
}

// KeyHash identifies an API key without giving it away.
func KeyHash(host, key string) string { return digest("key", host, key) }
