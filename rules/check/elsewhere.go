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

// noMember is how expr names what a value does not have.
var noMember = regexp.MustCompile(`^type (.+) has no (field|method) (\w+)$`)

// explainMember says where that is found which a value does not have.
func (c *Checker) explainMember(f Fault, owner, kind, name string, found []*ast.Node) Fault {
	f.Message = fmt.Sprintf("%s has no %s %s", plain(owner), kind, name)
	path, inside := wholePath(found, name)
	t, ok := schemaTypes[strings.TrimPrefix(owner, "*")]
	switch {
	case !ok:
		return ofValue(f, owner, kind, name, path, isItem(found))
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
	if t == schema.LineItemType && slices.Contains([]string{"name", "title", "product_name"}, name) {
		f.Suggestion = "description"
	}
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
	elsewhere := ""
	if !schema.IsOwn(t, name) {
		elsewhere = schema.OtherPlaces(name, prefix, isItem(found))
	}
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
	case wordOfAnother(name) != "" && !schema.IsOwn(t, name):
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
func ofValue(f Fault, owner, kind, name string, path []string, inItem bool) Fault {
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
		return ofID(f, name, path, inItem)
	}
	return f
}

// ofID says of an id, of which a member is read, what there is of the object that it names.
func ofID(f Fault, name string, path []string, inItem bool) Fault {
	i := slices.Index(path[2:], name)
	if i < 0 {
		return f
	}
	before := path[1 : 2+i]
	written, whole := strings.Join(path[:len(before)+1], "."), before
	if inItem {
		written, whole = "."+strings.Join(before, "."), append([]string{"line_items", "data", "0"}, before...)
	}
	field, _ := schema.At(whole)
	whose, isID := strings.CutPrefix(field.Doc, "id of ")
	details, _ := schema.FieldByName(schema.SessionType, "customer_details")
	member := schema.SuggestField(details.Type, name)
	if schema.HasField(details.Type, name) {
		member = name
	}
	switch {
	case !isID:
	case name == "id":
		f.Message += "; " + written + " is the id itself"
	case len(before) == 1 && before[0] == "customer" && member != "":
		f.Suggestion = path[0] + ".customer_details." + member
	default:
		f.Message += fmt.Sprintf("; %s is only the id of %s%s", written, whose, besideID[before[len(before)-1]])
	}
	return f
}

// besideID is what a session tells of the object that an id names.
var besideID = map[string]string{
	"payment_intent": `: whether it is paid is asked by session.payment_status == "paid"`,
	"product":        ": what the customer reads of it is the description of the item",
}

// isItem says whether a mistake is in what is read of an element that is a line item.
func isItem(found []*ast.Node) bool {
	for _, place := range found {
		n := *place
		for member, ok := n.(*ast.MemberNode); ok; member, ok = n.(*ast.MemberNode) {
			n = member.Node
		}
		if _, ok := n.(*ast.PointerNode); ok && n.Type() != nil {
			t := n.Type()
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			return t == schema.LineItemType
		}
	}
	return false
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
		fallback = cmp.Or(fallback, logic.EmptyValue(b))
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
	if b, ok := inside.(*ast.BinaryNode); ok && kind == "" && (b.Operator == "==" || b.Operator == "!=") {
		kind = cmp.Or(logic.ZeroOf(b.Left), logic.ZeroOf(b.Right))
	} else if ok && b.Operator == "in" {
		kind = elementZero(b.Right)
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

// elementZero is what a missing element is of a list or a range that is written out, "[]"
// for any other.
func elementZero(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ArrayNode:
		if len(n.Nodes) > 0 {
			return logic.ZeroOf(n.Nodes[0])
		}
	case *ast.BinaryNode:
		if n.Operator == ".." {
			return "0"
		}
	}
	return "[]"
}
