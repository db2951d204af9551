package rules

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

	"github.com/expr-lang/expr/ast"
)

var (
	eventType    = reflect.TypeFor[eventFields]()
	lineItemType = reflect.TypeFor[lineItem]()
	durationType = reflect.TypeFor[time.Duration]()
)

// suggestField proposes a field of t for a name that it does not have: one that
// is spelt like it, one that is known by that name elsewhere, or the one place
// deeper down where the field really is.
func suggestField(t reflect.Type, name string) string {
	if near := closest(name, fieldNames(t)); near != "" {
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

// otherNames are what fields are called elsewhere.
var otherNames = map[string]string{
	"amount": "amount_total", "total_amount": "amount_total", "total": "amount_total", "amount_due": "amount_total", "amount_paid": "amount_total",
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
	return deeper(t, func(inner reflect.Type) string { return closest(name, fieldNames(inner)) })
}

func deeper(t reflect.Type, pick func(reflect.Type) string) (places []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct || f.Type == timeType {
			continue
		}
		prefix := fieldName(f) + "."
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
			f, ok = fieldByName(t, name)
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
	t = sessionType
	for name := range strings.SplitSeq(path, ".") {
		_, err := strconv.Atoi(name)
		switch {
		case t.Kind() == reflect.Slice && err == nil:
			t = t.Elem()
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
		case t.Kind() != reflect.Struct || t == timeType || t == sessionType && name == freeForm:
			return nil, "", "", ""
		default:
			f, ok := fieldByName(t, name)
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
		if t != sessionType {
			return suggestField(t, name)
		}
		if name == "live_mode" { // which the API is known to send
			return ""
		}
		return closest(name, fieldNames(t))
	})
}

// reference are the paths of the fields of a session, the shallow ones first.
var reference = sync.OnceValue(func() (paths []string) {
	for _, f := range structFields("session", sessionType, nil) {
		paths = append(paths, strings.TrimPrefix(f.Name, "session."))
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
		places = placesOf(sessionType, name)
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
func (s *scope) explainMember(f fault, owner, kind, name string, found []*ast.Node) fault {
	f.message = fmt.Sprintf("%s has no %s %s", plain(owner), kind, name)
	path, inside := wholePath(found, name)
	t, ok := envTypes[strings.TrimPrefix(owner, "*")]
	switch {
	case !ok:
		return ofValue(f, owner, kind, name, path)
	case kind == "method" && slices.Contains(functionNames, name):
		f.message += fmt.Sprintf("; %s is called alone: %s(…)", name, name)
		return f
	case t == sessionType && name == freeForm:
		f.message = fmt.Sprintf("the members of session.%s are not documented", name)
		f.suggestion = rawCall(path, inside)
		return f
	}
	if f.suggestion = suggestField(t, name); f.suggestion != "" {
		return f
	}
	prefix := "session."
	if len(path) > 0 && path[0] == "previous" {
		prefix = "previous."
	}
	elsewhere := otherPlaces(name, prefix)
	switch {
	case t == systemType:
		f.message += "; what the event's data holds is read with " + rawCall(path, inside)
	case t == eventType && slices.Contains([]string{"session", "data", "object"}, name):
		f.message += "; the session is session, as in session.amount_total"
	case t == eventType && slices.Contains([]string{"previous", "previous_attributes", "before"}, name):
		f.suggestion = "previous"
	case t == eventType && isField(sessionType, name):
		f.suggestion = "session." + name
	case t == sessionType && isField(eventType, name):
		f.suggestion = "event." + name
	case elsewhere != "":
		f.message += elsewhere
	case t == reflect.TypeFor[lineItems]() && slices.Contains([]string{"length", "len", "size", "count"}, name):
		f.message += "; it is written len(" + prefix + "line_items.data)"
	case wordOfAnother(name) != "":
		f.message += wordOfAnother(name)
	case len(path) > 0 && path[0] == "session" && kind == "field":
		f.message += "; an undocumented field is read with " + rawCall(path, inside)
		if t == sessionType && len(path) == 2 {
			f.message += ", a key of the metadata with session.metadata." + name
		}
	}
	return f
}

// ofValue says how that is written which a text or a time is asked for as in other
// languages, and where the field is that a text does not have.
func ofValue(f fault, owner, kind, name string, path []string) fault {
	times := map[string]reflect.Type{"time.Time": timeType, "time.Duration": durationType}
	if near := closest(strings.TrimPrefix(name, "get"), methods[times[owner]]); near != "" {
		f.suggestion = near
		if kind == "field" {
			f.suggestion += "()"
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
		f.message += "; it is written " + fmt.Sprintf(written, subject)
	case len(path) < 3 || path[0] == "event":
	case path[1] == "metadata":
		f.message += fmt.Sprintf("; a key with a dot in it is written %s.metadata[%q]", path[0], strings.Join(path[2:], "."))
	default:
		if places := placesOf(sessionType, name); len(places) == 1 {
			f.suggestion = path[0] + "." + places[0]
		}
		if f.suggestion == "" {
			f.message += otherPlaces(name, path[0]+".")
		}
	}
	return f
}

// otherWays are how what other languages call on a text is written here.
var otherWays = map[string]string{
	"length": "len(%s)", "len": "len(%s)", "size": "len(%s)", "contains": `%s contains "x"`, "includes": `%s contains "x"`,
	"startswith": `%s startsWith "x"`, "endswith": `%s endsWith "x"`, "matches": `%s matches "x"`, "match": `%s matches "x"`,
	"lower": "lower(%s)", "tolowercase": "lower(%s)", "upper": "upper(%s)", "touppercase": "upper(%s)",
	"split": `split(%s, "x")`, "trim": "trim(%s)", "replace": `replace(%s, "x", "y")`, "indexof": `indexOf(%s, "x")`,
}

// ofElements says how the elements of a list are asked for.
func ofElements(node, parent ast.Node) string {
	property, ok := node.(*ast.StringNode)
	member, also := parent.(*ast.MemberNode)
	if !ok || !also {
		return ""
	}
	list := strings.Join(logic.PathOf(member.Node), ".")
	switch {
	case list == "":
		return ""
	case slices.Contains([]string{"length", "len", "size", "count"}, property.Value):
		return fmt.Sprintf("; it is written len(%s)", list)
	case member.Node.Type() == reflect.TypeFor[[]*lineItem]():
		return fmt.Sprintf("; each is asked for as in any(%[1]s, .%[2]s == …) or map(%[1]s, .%[2]s)", list, property.Value)
	}
	return ""
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
