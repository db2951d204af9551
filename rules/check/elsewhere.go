package check

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// suggestField proposes a field of t for a name that it does not have: one that
// is spelt like it, one that is known by that name elsewhere, or the one place
// deeper down where the field really is.
func suggestField(t reflect.Type, name string) string {
	if near := Closest(name, fieldNames(t)); near != "" {
		return near
	}
	if known := otherNames[strings.ToLower(name)]; known != "" && hasPath(t, known) {
		return known
	}
	if places := placesOf(t, name); len(places) == 1 {
		return places[0]
	}
	return ""
}

// SuggestField proposes a field of a session for a name that it does not have.
func SuggestField(name string) string { return suggestField(schema.SessionType, name) }

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

// placesOf lists where inside the objects of t a field of a name is, or else one
// that is spelt like it.
func placesOf(t reflect.Type, name string) []string {
	places := deeper(t, func(inner reflect.Type) string {
		if isField(inner, name) {
			return name
		}
		return ""
	})
	if len(places) > 0 {
		return places
	}
	return deeper(t, func(inner reflect.Type) string { return Closest(name, fieldNames(inner)) })
}

func deeper(t reflect.Type, pick func(reflect.Type) string) (places []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct || f.Type == timeType {
			continue
		}
		prefix := schema.FieldName(f) + "."
		if found := pick(f.Type); found != "" {
			places = append(places, prefix+found)
		}
		for _, place := range deeper(f.Type, pick) {
			places = append(places, prefix+place)
		}
	}
	return places
}

// hasPath says whether a path of names leads to a field of t.
func hasPath(t reflect.Type, path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		f, ok := reflect.StructField{}, false
		if t.Kind() == reflect.Struct {
			f, ok = schema.FieldByName(t, name)
		}
		if !ok {
			return false
		}
		t = f.Type
	}
	return true
}

// unknownPart finds the first name of a path that is not documented, with what it
// was looked for in and what stands around it; t is nil when there is none.
func unknownPart(path string) (t reflect.Type, before, name, behind string) {
	t = schema.SessionType
	for name := range strings.SplitSeq(path, ".") {
		_, err := strconv.Atoi(name)
		switch {
		case t.Kind() == reflect.Slice && err == nil:
			t = t.Elem()
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
		case t.Kind() != reflect.Struct || t == timeType || t == schema.SessionType && name == freeForm:
			return nil, "", "", ""
		default:
			f, ok := schema.FieldByName(t, name)
			if !ok {
				return t, before, name, strings.TrimPrefix(path, before+name)
			}
			t = f.Type
		}
		before += name + "."
	}
	return nil, "", "", ""
}

// nearPath is the documented path that one which is none was probably meant to be,
// "" where nothing is near. suggest proposes a field.
func nearPath(path string, suggest func(t reflect.Type, name string) string) string {
	t, before, name, behind := unknownPart(path)
	if t == nil {
		return ""
	}
	near := suggest(t, name)
	switch {
	case near == "":
		return ""
	case hasPath(t, near+behind):
		near += behind
	}
	return before + near
}

// misspeltPath is nearPath for raw, which may well mean a field that is called as
// ours are elsewhere.
func misspeltPath(path string) string {
	return nearPath(path, func(t reflect.Type, name string) string {
		if t != schema.SessionType {
			return suggestField(t, name)
		}
		if name == "live_mode" { // which the API is known to send
			return ""
		}
		return nearest(min(2, mostEdits(len(name))), name, fieldNames(t)) // amount_tax is another field than amount_total
	})
}

// reference are the paths of the fields of a session, the shallow ones first.
var reference = sync.OnceValue(func() (paths []string) {
	for _, f := range schema.Fields() {
		if path, ok := strings.CutPrefix(f.Name, "session."); ok {
			paths = append(paths, path)
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(strings.Count(a, "."), strings.Count(b, ".")) })
	return paths
})

// otherPlaces says where a session has a field of a name, or of one that is spelt
// like it, "" if nowhere. prefix stands before a path.
func otherPlaces(name, prefix string) string {
	const items, most = "line_items.data[].", 3
	var places []string
	for _, path := range reference() {
		if path == name || strings.HasSuffix(path, "."+name) {
			places = append(places, path)
		}
	}
	if len(places) == 0 {
		places = placesOf(schema.SessionType, name)
	}
	places = places[:min(len(places), most)]
	for i, path := range places {
		if member, ok := strings.CutPrefix(path, items); ok && !strings.Contains(member, "[]") {
			places[i] = fmt.Sprintf("any(%s.line_items.data, .%s == …)", cmp.Or(strings.TrimSuffix(prefix, "."), "session"), member)
		} else {
			places[i] = prefix + path
		}
	}
	if len(places) == 0 {
		return ""
	}
	return "; there is " + strings.Join(places, " and ")
}

// noMember is how expr names what a value does not have.
var noMember = regexp.MustCompile(`^type (.+) has no (field|method) (\w+)$`)

// explainMember says where that is found which a value does not have.
func (c *Checker) explainMember(f Fault, owner, kind, name string, found []*ast.Node) Fault {
	f.Message = fmt.Sprintf("%s has no %s %s", plain(owner), kind, name)
	path, inside := wholePath(found, name)
	t, ok := schemaTypes[strings.TrimPrefix(owner, "*")]
	switch {
	case !ok:
		return ofValue(f, owner, kind, name, path)
	case kind == "method" && slices.Contains(functionNames, name):
		f.Message += fmt.Sprintf("; %s is called alone: %s(…)", name, name)
		return f
	case t == schema.SessionType && name == freeForm:
		f.Message = fmt.Sprintf("the members of session.%s are not documented", name)
		f.Suggestion = rawCall(path, inside)
		return f
	}
	if len(path) > 2 && path[1] == name && t != schema.SystemType && slices.Contains([]string{"session", "data", "object"}, name) {
		f.Suggestion = ofEnvelope(path[1:])
	}
	f.Suggestion = cmp.Or(f.Suggestion, suggestField(t, name))
	if f.Suggestion != "" {
		return f
	}
	if t == schema.ChangeType {
		if f.Suggestion = changeNames[name]; f.Suggestion == "" {
			f.Message += "; a change has field, from and to"
		}
		return f
	}
	prefix := "session."
	if len(path) > 0 && path[0] == "previous" {
		prefix = "previous."
	}
	elsewhere := otherPlaces(name, prefix)
	switch {
	case t == schema.SystemType:
		f.Message += "; what the event's data holds is read with " + cmp.Or(ofSystem(path[min(1, len(path)):], inside), rawCall(path, inside))
	case t == schema.EventType && slices.Contains([]string{"session", "data", "object"}, name):
		f.Message += "; the session is session, as in session.amount_total"
	case t == schema.EventType && slices.Contains([]string{"previous", "previous_attributes", "before"}, name):
		f.Message += "; the session of the look before stands alone"
		f.Suggestion = logic.SpellPath(append([]string{"previous"}, path[min(2, len(path)):]...))
	case (t == schema.EventType || t == schema.SystemType) && slices.Contains([]string{"name", "kind", "event"}, name):
		f.Suggestion = "type"
	case t == schema.EventType && isField(schema.SessionType, name):
		f.Suggestion = "session." + name
	case t == schema.SessionType && isField(schema.EventType, name):
		f.Suggestion = "event." + name
	case elsewhere != "":
		f.Message += elsewhere
	case t == schema.LineItemsType && slices.Contains([]string{"length", "len", "size", "count"}, name):
		f.Message += "; it is written len(" + prefix + "line_items.data)"
	case wordOfAnother(name) != "":
		f.Message += wordOfAnother(name)
	case len(path) > 0 && path[0] == "session" && kind == "field":
		f.Message += "; an undocumented field is read with " + rawCall(path, inside)
		if t == schema.SessionType && len(path) == 2 {
			f.Message += ", a key of the metadata with session.metadata." + name
		}
	}
	return f
}

// ofValue says how that is written which a text or a time is asked for as in other
// languages, and where the field is that a text does not have.
func ofValue(f Fault, owner, kind, name string, path []string) Fault {
	times := map[string]reflect.Type{"time.Time": timeType, "time.Duration": durationType}
	if near := Closest(strings.TrimPrefix(name, "get"), schema.Methods(times[owner])); near != "" {
		f.Suggestion = near
		if kind == "field" {
			f.Suggestion += "()"
		}
		return f
	}
	subject := "session.customer_email"
	if len(path) > 2 {
		subject = strings.Join(path[:len(path)-1], ".")
	}
	switch written := otherWays[strings.ToLower(name)]; {
	case owner != "string":
	case written != "":
		f.Message += "; it is written " + fmt.Sprintf(written, subject)
	case len(path) < 3 || path[0] == "event":
	case path[1] == "metadata":
		f.Message += fmt.Sprintf("; a key with a dot in it is written %s.metadata[%q]", path[0], strings.Join(path[2:], "."))
	default:
		if places := placesOf(schema.SessionType, name); len(places) == 1 {
			f.Suggestion = path[0] + "." + places[0]
		}
		if f.Suggestion == "" {
			f.Message += otherPlaces(name, path[0]+".")
		}
	}
	return f
}

// wholePath is the path of constant names that the unknown name is a part of, and
// the node that the path stands in.
func wholePath(found []*ast.Node, name string) (path []string, inside ast.Node) {
	for _, place := range found {
		longer := constantPath(*place)
		if longer == nil && path != nil {
			return path, *place
		}
		if longer != nil && slices.Contains(longer, name) {
			path = longer
		}
	}
	return path, nil
}

// constantPath is pathOf, through constant indices of lists too.
func constantPath(n ast.Node) []string {
	member, ok := n.(*ast.MemberNode)
	if !ok {
		return logic.PathOf(n)
	}
	base := constantPath(member.Node)
	switch property := member.Property.(type) {
	case *ast.StringNode:
		if base != nil {
			return append(base, property.Value)
		}
	case *ast.IntegerNode:
		if base != nil && property.Value >= 0 {
			return append(base, fmt.Sprint(property.Value))
		}
	}
	return nil
}

// rawCall is how a path of the session is read with raw, with a default where
// the rule would fail without.
func rawCall(path []string, inside ast.Node) string {
	if len(path) == 0 {
		return `raw("…")`
	}
	fallback := neutral(inside, nil)
	if fallback != "" {
		fallback = ", " + fallback
	}
	return fmt.Sprintf("raw(%q%s)", strings.Join(path[1:], "."), fallback)
}

// documentedPath says whether has and changed can look at a dotted path:
// documented objects may be entered, lists and free-form objects may not,
// metadata excepted.
func documentedPath(path string) bool {
	t := schema.SessionType
	for name := range strings.SplitSeq(path, ".") {
		switch {
		case t.Kind() == reflect.Map && name != "":
			t = t.Elem()
			continue
		case t.Kind() != reflect.Struct || t == timeType:
			return false
		}
		next, ok := schema.FieldByName(t, name)
		if !ok {
			return t == schema.SessionType && path == freeForm
		}
		t = next.Type
	}
	return true
}

// freeForm is the one documented field without a documented shape: has and
// changed know it, and raw enters it.
const freeForm = "payment_method_options"
