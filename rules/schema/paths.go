package schema

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"checkout-notifier/spelling"
)

// FieldNames lists the fields of a type of the schema by the names of the API.
func FieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		names = append(names, FieldName(t.Field(i)))
	}
	return names
}

// HasField says whether a type of the schema has a field of a name.
func HasField(t reflect.Type, name string) bool {
	_, ok := FieldByName(t, name)
	return ok
}

// SuggestField proposes a field of t for a name that it does not have: one that
// is spelt like it, one that is known by that name elsewhere, or the one place
// deeper down where the field really is.
func SuggestField(t reflect.Type, name string) string {
	if near := spelling.Closest(name, FieldNames(t)); near != "" {
		return near
	}
	if known := otherNames[strings.ToLower(name)]; known != "" && HasPath(t, known) {
		return known
	}
	if places := PlacesOf(t, name); len(places) == 1 {
		return places[0]
	}
	return ""
}

// otherNames are what fields are called elsewhere.
var otherNames = map[string]string{
	"meta": "metadata", "amount": "amount_total", "total_amount": "amount_total", "total": "amount_total", "amount_due": "amount_total", "amount_paid": "amount_total",
	"subtotal": "amount_subtotal", "created_at": "created", "date": "created", "timestamp": "created",
	"expires": "expires_at", "expiry": "expires_at", "expiration": "expires_at",
	"customer_id": "customer", "email": "customer_details.email", "items": "line_items.data", "live": "livemode",
	"billing_details": "customer_details", "customer_name": "customer_details.name", "customer_phone": "customer_details.phone",
	"shipping_details": "shipping", "shipping_address": "shipping.address", "payment_method": "payment_method_types",
	"payment_intent_id": "payment_intent", "reference": "client_reference_id", "reference_id": "client_reference_id",
	"state": "status", "payment_state": "payment_status", "old": "change.from", "new": "change.to",
}

// PlacesOf lists where inside the objects of t a field of a name is, or else one
// that is spelt like it.
func PlacesOf(t reflect.Type, name string) []string {
	places := deeper(t, func(inner reflect.Type) string {
		if HasField(inner, name) {
			return name
		}
		return ""
	})
	if len(places) > 0 {
		return places
	}
	return deeper(t, func(inner reflect.Type) string { return spelling.Closest(name, FieldNames(inner)) })
}

func deeper(t reflect.Type, pick func(reflect.Type) string) (places []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct || f.Type == timeType {
			continue
		}
		prefix := FieldName(f) + "."
		if found := pick(f.Type); found != "" {
			places = append(places, prefix+found)
		}
		for _, place := range deeper(f.Type, pick) {
			places = append(places, prefix+place)
		}
	}
	return places
}

// HasPath says whether a path of names leads to a field of t.
func HasPath(t reflect.Type, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		f, ok := reflect.StructField{}, false
		if t.Kind() == reflect.Struct {
			f, ok = FieldByName(t, name)
		}
		if !ok {
			return false
		}
		t = f.Type
	}
	return true
}

// UnknownPart finds the first name of a path that is not documented, with what it
// was looked for in and what stands around it; t is nil when there is none.
func UnknownPart(path string) (t reflect.Type, before, name, behind string) {
	t = SessionType
	for name := range strings.SplitSeq(path, ".") {
		_, err := strconv.Atoi(name)
		switch {
		case t.Kind() == reflect.Slice && err == nil:
			t = t.Elem()
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
		case t.Kind() != reflect.Struct || t == timeType || t == SessionType && name == FreeForm:
			return nil, "", "", ""
		default:
			f, ok := FieldByName(t, name)
			if !ok {
				return t, before, name, strings.TrimPrefix(path, before+name)
			}
			t = f.Type
		}
		before += name + "."
	}
	return nil, "", "", ""
}

// NearPath is the documented path that one which is none was probably meant to be,
// "" where nothing is near. suggest proposes a field.
func NearPath(path string, suggest func(t reflect.Type, name string) string) string {
	t, before, name, behind := UnknownPart(path)
	if t == nil {
		return ""
	}
	near := suggest(t, name)
	switch {
	case near == "":
		return ""
	case HasPath(t, near+behind):
		near += behind
	}
	return before + near
}

// MisspeltPath is NearPath for raw, which may well mean a field that is called as
// ours are elsewhere.
func MisspeltPath(path string) string {
	return NearPath(path, func(t reflect.Type, name string) string {
		if t != SessionType {
			return SuggestField(t, name)
		}
		if name == "live_mode" { // which the API is known to send
			return ""
		}
		return spelling.Nearest(min(2, spelling.MostEdits(len(name))), name, FieldNames(t)) // amount_tax is another field than amount_total
	})
}

// Paths are the paths of the fields of a session, the shallow ones first.
var Paths = sync.OnceValue(func() (paths []string) {
	for _, f := range Fields() {
		if path, ok := strings.CutPrefix(f.Name, "session."); ok {
			paths = append(paths, path)
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(strings.Count(a, "."), strings.Count(b, ".")) })
	return paths
})

// DocumentedPath says whether has and changed can look at a dotted path:
// documented objects may be entered, lists and free-form objects may not,
// metadata excepted.
func DocumentedPath(path string) bool {
	t := SessionType
	for name := range strings.SplitSeq(path, ".") {
		switch {
		case t.Kind() == reflect.Map && name != "":
			t = t.Elem()
			continue
		case t.Kind() != reflect.Struct || t == timeType:
			return false
		}
		next, ok := FieldByName(t, name)
		if !ok {
			return t == SessionType && path == FreeForm
		}
		t = next.Type
	}
	return true
}

// FreeForm is the one documented field without a documented shape: has and
// changed know it, and raw enters it.
const FreeForm = "payment_method_options"

// ownNames are what each object may have of its own: that of another object is not meant.
var ownNames = []string{"id", "object", "url", "created", "livemode", "metadata", "name", "status", "type", "description"}

// IsOwn says whether a name that a type does not have is not to be looked for elsewhere: an
// undocumented field is meant. A subscription is one of the session everywhere.
func IsOwn(t reflect.Type, name string) bool {
	return t != SessionType && slices.Contains(ownNames, name) || name == "subscription"
}

// At is the field of a session at a path, in which numbers choose elements of lists.
func At(path []string) (f Field, ok bool) {
	name := "session"
	for _, part := range path {
		if _, err := strconv.Atoi(part); err == nil {
			name += "[]"
		} else {
			name += "." + part
		}
	}
	i := slices.IndexFunc(sessionFields(), func(f Field) bool { return f.Name == name })
	if i < 0 {
		return f, false
	}
	return sessionFields()[i], true
}

var sessionFields = sync.OnceValue(Fields)
