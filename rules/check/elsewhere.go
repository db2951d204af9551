package check

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// otherPlaces says where a session has a field of a name, or of one that is spelt
// like it, "" if nowhere. prefix stands before a path.
func otherPlaces(name, prefix string) string {
	const items, most = "line_items.data[].", 3
	var places []string
	for _, path := range schema.Paths() {
		if path == name || strings.HasSuffix(path, "."+name) {
			places = append(places, path)
		}
	}
	if len(places) == 0 {
		places = schema.PlacesOf(schema.SessionType, name)
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
	case t == schema.SessionType && name == schema.FreeForm:
		f.Message = fmt.Sprintf("the members of session.%s are not documented", name)
		f.Suggestion = rawCall(path, inside)
		return f
	}
	if len(path) > 2 && path[1] == name && t != schema.SystemType && slices.Contains([]string{"session", "data", "object"}, name) {
		f.Suggestion = ofEnvelope(path[1:])
	}
	f.Suggestion = cmp.Or(f.Suggestion, schema.SuggestField(t, name))
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
	case t == schema.EventType && schema.HasField(schema.SessionType, name):
		f.Suggestion = "session." + name
	case t == schema.SessionType && schema.HasField(schema.EventType, name):
		f.Suggestion = "event." + name
	case elsewhere != "":
		f.Message += elsewhere
	case t == schema.LineItemsType && slices.Contains([]string{"length", "len", "size", "count"}, name):
		f.Message += "; it is written len(" + prefix + "line_items.data)"
	case wordOfAnother(name) != "":
		f.Message += wordOfAnother(name)
	case len(path) > 0 && path[0] == "session" && kind == "field":
		f.Message += "; an undocumented field is read with " + rawCall(path, inside)
		if key := keyFor(name, inside); key != "" && t == schema.SessionType && len(path) == 2 {
			f.Message += ", a key of the metadata with " + key
		}
	}
	return f
}

// ofValue says how that is written which a text or a time is asked for as in other
// languages, and where the field is that a text does not have.
func ofValue(f Fault, owner, kind, name string, path []string) Fault {
	times := map[string]reflect.Type{"time.Time": timeType, "time.Duration": durationType}
	if near := spelling.Closest(strings.TrimPrefix(name, "get"), schema.Methods(times[owner])); near != "" {
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
		if places := schema.PlacesOf(schema.SessionType, name); len(places) == 1 {
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
// the rule would fail without, or take nil for a value.
func rawCall(path []string, inside ast.Node) string {
	if len(path) == 0 {
		return `raw("…")`
	}
	fallback := neutral(inside, nil)
	if b, ok := inside.(*ast.BinaryNode); ok {
		fallback = cmp.Or(fallback, emptyValue(b))
	}
	if fallback != "" {
		fallback = ", " + fallback
	}
	return fmt.Sprintf("raw(%q%s)", strings.Join(path[1:], "."), fallback)
}

// keyFor is how a key of the metadata, which is a text, is written in a place: where there
// is to be a number, or what is true or false, it is made one. It is "" for a list.
func keyFor(name string, inside ast.Node) string {
	value := "session.metadata." + name
	kind := neutral(inside, nil)
	if b, ok := inside.(*ast.BinaryNode); ok && kind == "" && !slices.Contains([]string{"contains", "startsWith", "endsWith", "matches"}, b.Operator) {
		other := b.Right
		if list, isList := other.(*ast.ArrayNode); isList && len(list.Nodes) > 0 && b.Operator == "in" {
			other = list.Nodes[0]
		}
		kind = cmp.Or(zeroOf(b.Left), zeroOf(other))
	}
	switch kind {
	case "0":
		return fmt.Sprintf(`int(%s ?? "0")`, value)
	case "false":
		return fmt.Sprintf(`(%s == "true")`, value)
	case "[]", "{}":
		return ""
	}
	return value
}
