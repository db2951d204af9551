// Package checkout is a checkout session as the API says it, read once.
//
// Parse turns one raw list item, with all that was observed of the API (times
// in milliseconds or seconds, numbers as strings, null for missing for ""),
// into the published schema: documented fields in their documented types and
// units, all of them present, null where the API sent nothing; fields that this
// version does not know ride along untouched, numbers exact.
//
// The package does no I/O, keeps no state and reads no clock.
package checkout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The documented values of status and payment_status. Both are open sets: any
// other value is carried along and never settles a session.
const (
	StatusOpen     = "open"
	StatusComplete = "complete"
	StatusExpired  = "expired"

	PaymentPaid        = "paid"
	PaymentUnpaid      = "unpaid"
	PaymentNotRequired = "no_payment_required"

	// ModeSetup is a session that saves a payment method and takes no money: it
	// has no payment_status and is settled once complete.
	ModeSetup = "setup"
)

// Fields that are named in more than one place.
const (
	FieldStatus        = "status"
	FieldPaymentStatus = "payment_status"
	FieldURL           = "url"
	fieldCreated       = "created"
)

// Session is one look at one session.
type Session struct {
	ID            string
	Created       time.Time // whole seconds, as the API rounds it
	ExpiresAt     time.Time // with the API's milliseconds; zero when it sent none
	Status        string    // "" when the API sent none
	PaymentStatus string    // "" when the API sent none
	Mode          string

	// Object is the session in the published schema.
	Object json.RawMessage
	// Hash covers all that counts as a change. Equal hashes mean equal content
	// but for collisions; Status and PaymentStatus are to be compared besides.
	Hash uint64
	// ScanHash is the hash that Scan gives for the same bytes; 0 if it refuses them.
	ScanHash uint64
	// Unreadable names the documented fields whose value made no sense; they
	// are null in Object and say nothing about the session.
	Unreadable []string
}

// Errors of Parse. Each concerns one item: its session is left as it was.
// Where the item has an id, Parse returns it beside the error.
var (
	ErrNotASession = errors.New("item is not a session object")
	ErrNoID        = errors.New("session has no readable id")
	ErrLongID      = errors.New("session has an id that is too long")
	ErrTooDeep     = errors.New("item is nested too deeply")
	ErrNoCreated   = errors.New("session has no readable creation time")
	ErrBadStatus   = errors.New("session has an unreadable status or payment_status")
)

// MaxID is the longest id, in bytes. The observed ones have 22; one that the
// store cannot keep would hold up the page on which it stands.
const MaxID = 255

// MaxDepth is how deeply the objects and arrays of an item may be nested; those
// of a session are eight levels deep. What is built around an item, in the store
// and in messages, stays far below the 10,000 levels at which encoding/json
// writes what it does not read.
const MaxDepth = 1000

// Parse reads one item of a list answer, or the answer to a look-up by id.
// The result shares no memory with raw.
func Parse(raw []byte) (Session, error) {
	item, err := Decode(raw)
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", ErrNotASession, err)
	}
	members, ok := item.(map[string]any)
	if !ok {
		return Session{ID: bareID(item)}, ErrNotASession
	}
	s := Session{}
	s.ID, _ = members["id"].(string) // a number would be another session's
	refuse := func(err error) (Session, error) { return Session{ID: s.ID}, err }
	if deeper(members, MaxDepth) {
		return refuse(ErrTooDeep)
	}
	expiresAt := members["expires_at"]
	for _, f := range sessionShape.fields {
		value, present := members[f.name]
		if !present {
			continue // Object shows it as null all the same
		}
		value, ok := read(f.shape, value, true)
		if !ok {
			s.Unreadable = append(s.Unreadable, f.name)
		}
		members[f.name] = value
	}
	s.Status = readWord(members, FieldStatus, StatusOpen, StatusComplete, StatusExpired)
	s.PaymentStatus = readWord(members, FieldPaymentStatus, PaymentPaid, PaymentUnpaid, PaymentNotRequired)
	s.Mode, _ = members["mode"].(string)
	switch {
	case s.ID == "":
		return refuse(ErrNoID)
	case len(s.ID) > MaxID:
		return refuse(ErrLongID)
	case slices.Contains(s.Unreadable, FieldStatus), slices.Contains(s.Unreadable, FieldPaymentStatus):
		return refuse(ErrBadStatus)
	}
	if s.ExpiresAt, ok = readTime(expiresAt); !ok {
		s.ExpiresAt = time.Time{}
	}
	if s.Created, ok = readTime(members[fieldCreated]); !ok {
		// The time inside the id is undocumented, and all that is left.
		if s.Created, ok = IDTime(s.ID); !ok {
			return refuse(ErrNoCreated)
		}
		s.Created = s.Created.Round(time.Second)
	}
	s.seal(members)
	if g, _, ok := Scan(bytes.TrimSpace(raw)); ok {
		s.ScanHash = g.Hash
	}
	return s, nil
}

// readWord returns a member whose value is a word, and brings it into the documented
// form if it differs from that in nothing but case and white space.
func readWord(members map[string]any, name string, documented ...string) string {
	text, _ := members[name].(string)
	if word := strings.ToLower(strings.Trim(text, " \t\r\n")); word != text && slices.Contains(documented, word) {
		members[name], text = word, word
	}
	return text
}

// bareID returns the id that stands in a list in place of its session, "" if an item
// is anything else: other texts may hold a customer's data.
func bareID(item any) string {
	id, _ := item.(string)
	if len(id) > MaxID || !strings.ContainsAny(id, "0123456789") || strings.Trim(id, idCharacters) != "" {
		return ""
	}
	return id
}

// idCharacters are those of the observed ids.
const idCharacters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// Adopt replaces the fields of s that made no sense by those of a stored
// object, so that they cannot look like a change.
func (s *Session) Adopt(stored json.RawMessage) error {
	if len(s.Unreadable) == 0 {
		return nil
	}
	mine, err := decodeObject(s.Object)
	if err != nil {
		return fmt.Errorf("reading session %s: %w", s.ID, err)
	}
	theirs, err := decodeObject(stored)
	if err != nil {
		return fmt.Errorf("reading the stored session %s: %w", s.ID, err)
	}
	for _, name := range s.Unreadable {
		mine[name] = theirs[name]
		if name == "expires_at" {
			s.ExpiresAt, _ = readTime(theirs[name])
		}
	}
	s.seal(mine)
	return nil
}

// seal fills in Object and Hash from the normalised members and consumes them.
func (s *Session) seal(members map[string]any) {
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.out = w.out[:0]
	w.object(members, sessionShape.fields)
	s.Object = bytes.Clone(w.out)

	delete(members, FieldURL) // rotates: written above, left out of the content
	w.out = w.out[:0]
	w.canonical(members)
	s.Hash = hash(w.out)
}
