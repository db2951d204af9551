package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// look says in which odd way a session is shown in one answer. The zero value
// shows it as usual.
type look struct {
	seconds bool       // times in seconds
	strings bool       // numbers as strings
	rotate  bool       // another key in url
	flip    bool       // empty fields missing, null or "" at random
	live    bool       // the mode of the rotated key
	rng     *rand.Rand // needed by rotate and flip
}

// The ways to show a field that has no value.
const (
	styleMissing = iota
	styleNull
	styleBlank
)

// emptyTexts are the fields that are shown missing, null or "" when empty.
func emptyTexts() []string {
	return []string{
		"billing_address_collection", "cancel_url", "client_reference_id", "currency", "customer",
		"customer_creation", "customer_email", "payment_intent", "payment_link", "payment_status",
		"setup_intent", "status", "success_url", "url",
	}
}

// emptyOthers are those that are shown missing or null, because they are no
// strings.
func emptyOthers() []string {
	return []string{
		"amount_subtotal", "amount_total", "customer_details", "expires_at", "line_items", "metadata",
		"payment_method_options", "payment_method_types", "phone_number_collection", "shipping",
		"shipping_address_collection",
	}
}

// document returns the session as the API would show it.
func (v version) document(num uint64, l look) map[string]any {
	doc := maps.Clone(v.fields)
	doc["created"] = number(v.created)
	if v.expires != 0 {
		doc["expires_at"] = number(v.expires)
	}
	for _, name := range emptyTexts() {
		showEmpty(doc, name, num, 3, l)
	}
	for _, name := range emptyOthers() {
		showEmpty(doc, name, num, 2, l)
	}
	if l.rotate {
		if link, _, ok := strings.Cut(text(doc["url"]), "?key="); ok {
			doc["url"] = link + "?key=" + urlKey(l.live, l.rng.Uint32())
		}
	}
	if l.seconds {
		doc = inSeconds(doc)
	}
	if l.strings {
		doc = numbersAsStrings(doc).(map[string]any)
	}
	return doc
}

// showEmpty writes an empty field in one of the first ways: always the same for
// a session, unless the look says to change.
func showEmpty(doc map[string]any, name string, num uint64, ways int, l look) {
	if !isEmpty(doc[name]) {
		return
	}
	style := int(share(num, name) * float64(ways))
	switch {
	case l.flip:
		style = l.rng.IntN(ways)
	case name == "payment_status" && doc["mode"] == "setup":
		style = styleMissing
	}
	switch style {
	case styleMissing:
		delete(doc, name)
	case styleNull:
		doc[name] = nil
	case styleBlank:
		doc[name] = ""
	}
}

// inSeconds returns doc with every time of day cut to seconds.
func inSeconds(doc map[string]any) map[string]any {
	out := maps.Clone(doc)
	for name, value := range doc {
		switch v := value.(type) {
		case json.Number:
			if name == "created" || name == "expires_at" {
				if ms, err := v.Int64(); err == nil {
					out[name] = number(ms / 1000)
				}
			}
		case map[string]any:
			if name != "metadata" {
				out[name] = inSeconds(v)
			}
		}
	}
	return out
}

// numbersAsStrings returns a copy of value in which each number is a string.
func numbersAsStrings(value any) any {
	switch v := value.(type) {
	case json.Number:
		return v.String()
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[name] = numbersAsStrings(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = numbersAsStrings(inner)
		}
		return out
	}
	return value
}

// usual is a version as it is shown when no fault strikes: many answers show it.
type usual struct {
	once sync.Once
	raw  []byte
	err  error
}

// usual encodes the session as it is shown when no fault strikes. The bytes are
// shared.
func (s shown) usual() ([]byte, error) {
	u := s.state.usual
	u.once.Do(func() { u.raw, u.err = encodeSession(s.state.document(s.num, look{})) })
	return u.raw, u.err
}

// encode encodes the session as one answer shows it. The bytes may be shared.
func (s shown) encode(l look) ([]byte, error) {
	if !l.seconds && !l.strings && !l.rotate && !l.flip {
		return s.usual()
	}
	return encodeSession(s.state.document(s.num, l))
}

// encodeSession writes a document with the fields that a reader looks for first
// in front and the others by name.
func encodeSession(doc map[string]any) ([]byte, error) {
	names := make([]string, 0, len(doc))
	front := []string{"id", "object", "created", "livemode", "status", "payment_status"}
	for _, name := range front {
		if _, ok := doc[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if !slices.Contains(front, name) {
			names = append(names, name)
		}
	}
	var out bytes.Buffer
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		for j, part := range []any{name, doc[name]} {
			raw, err := json.Marshal(part)
			if err != nil {
				return nil, fmt.Errorf("encoding field %s of a session: %w", name, err)
			}
			if j == 1 {
				out.WriteByte(':')
			}
			out.Write(raw)
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
