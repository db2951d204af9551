package check

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// unknownName begins expr's message about a name that is not in scope.
const unknownName = "unknown name "

const beginsWith = "; a name begins with session, previous or event, as in session.amount_total"

// explain turns an error of expr's checker into a fault in the words of the
// reference, and says where in the tree it is.
func (c *Checker) explain(err *file.Error, root ast.Node) (Fault, file.Location) {
	f := Fault{At: err.From, Code: CodeExpression, Message: err.Message}
	found := around(&root, err.Location)
	var node, parent ast.Node
	if len(found) > 0 {
		node = *found[0]
	}
	if len(found) > 1 {
		parent = *found[1]
	}
	if name, ok := strings.CutPrefix(f.Message, unknownName); ok {
		return c.explainName(f, name, found), err.Location
	}
	if m := noMember.FindStringSubmatch(f.Message); m != nil {
		return c.explainMember(f, m[1], m[2], m[3], found), err.Location
	}
	f.Message = plain(f.Message)
	switch {
	case strings.Contains(err.Message, "schema.lineItems"):
		f.Message = plain(noElements.ReplaceAllString(err.Message, "$1 has no elements")) + "; the items are session.line_items.data"
	case noElements.MatchString(err.Message):
		f.Message = plain(noElements.ReplaceAllString(err.Message, "$1 has no elements"))
		if strings.HasPrefix(err.Message, "type string[") {
			f.Message = "a text has no elements: its beginning is asked for as in session.customer_email startsWith \"x\""
		}
	case strings.HasPrefix(err.Message, "invalid operation: .. "):
		f.Message, f.Suggestion = "a range has whole numbers at both ends", wholeRange(node, parent)
	case err.Message == "string is not callable":
		f.Message += "; a key of the metadata is asked for as in session.metadata.plan"
	case strings.HasPrefix(err.Message, "array elements can only"):
		f.Message += ofElements(found)
	}
	f.Message += argumentHint(err.Message, node)
	if strings.Contains(f.Message, "(type location)") || strings.Contains(f.Message, "as type location") {
		f.Message += `; a time zone is written timezone("Europe/Berlin")`
	}
	switch n := node.(type) {
	case *ast.BinaryNode:
		if calendarHint(n) == "" && rangeHint(n) == "" {
			if at, message := unlike(n); message != "" {
				f.At, f.Message = at, message
				break
			}
		}
		hint := cmp.Or(calendarHint(n), callHint(n), rangeHint(n))
		if hint == "" && n.Operator != ".." && (strings.HasPrefix(err.Message, "invalid operation") || strings.HasPrefix(err.Message, "cannot use")) {
			hint = c.conversion(n)
		}
		f.Message += hint
	case *ast.UnaryNode:
		if b, ok := parent.(*ast.BinaryNode); ok && b.Left == node {
			f.Message += "; what is denied stands in parentheses: not (…)"
		} else {
			f.Message += compareIt(n.Node, n.Operator == "not" || n.Operator == "!")
		}
	case *ast.BuiltinNode:
		f.Message += ofInt(n)
	}
	return f, err.Location
}

// noElements is how expr names what is no list.
var noElements = regexp.MustCompile(`^type ([^\[\]]+)\[.*\] is undefined$`)

// wholeRange writes a range of amounts in the smallest unit, "" for any other range.
func wholeRange(node, parent ast.Node) string {
	bounds, ok := node.(*ast.BinaryNode)
	in, also := parent.(*ast.BinaryNode)
	if !ok || !also || !isMoney(in.Left) {
		return ""
	}
	least, ok := bounds.Left.(*ast.FloatNode)
	most, also := bounds.Right.(*ast.FloatNode)
	if !ok || !also {
		return ""
	}
	const hundredths = 2
	from, to := minorUnits(least.Value, hundredths), minorUnits(most.Value, hundredths)
	if from == "" || to == "" {
		return ""
	}
	return from + ".." + to
}

// unlike says which element of a list is of another type than what is looked for in it.
func unlike(b *ast.BinaryNode) (at int, message string) {
	list, ok := b.Right.(*ast.ArrayNode)
	value := typeWord(b.Left)
	if !ok || b.Operator != "in" || value == "" {
		return 0, ""
	}
	for _, element := range list.Nodes {
		if other := typeWord(element); other != "" && other != value {
			return element.Location().From, fmt.Sprintf("%s is %s, and never %s%s", cmp.Or(logic.Spell(b.Left), "this"), value, strings.Replace(other, "a ", "this ", 1), asElement[value][other])
		}
	}
	return 0, ""
}

// The types of values that are never equal to each other.
const (
	aText, aNumber, aBool, aTime, aList = logic.AText, logic.ANumber, "true or false", "a time", logic.AList
	inQuotes                            = `; a text stands in quotes, as in ["5", "true"]`
	oneList                             = "; a list stands in one pair of brackets"
)

// asElement is how an element is written that a value of a type can be.
var asElement = map[string]map[string]string{
	aText:   {aNumber: inQuotes, aBool: inQuotes, aList: oneList},
	aNumber: {aText: "; a number stands without quotes", aList: oneList},
	aBool:   {aText: "; true and false stand without quotes"},
	aTime:   {aText: `; a time is compared as in session.created >= date("2026-01-31")`},
}

// typeWord is what a checked node is, "" where it is not known or anything else.
func typeWord(n ast.Node) string {
	nature := n.Nature()
	switch {
	case n.Type() == nil || n.Type().Kind() == reflect.Interface:
		return ""
	case nature.IsTime():
		return aTime
	case nature.IsDuration():
		return ""
	case nature.IsString():
		return aText
	case nature.IsBool():
		return aBool
	case nature.IsNumber():
		return aNumber
	case n.Type().Kind() == reflect.Slice:
		return aList
	}
	return ""
}

// calendarHint says how a weekday or a month is compared.
func calendarHint(b *ast.BinaryNode) string {
	for _, side := range []ast.Node{b.Left, b.Right} {
		switch side.Type() {
		case reflect.TypeFor[time.Weekday]():
			return `; the name of a weekday is .Weekday().String(), such as "Monday", its number int(….Weekday()), from 0 for Sunday`
		case reflect.TypeFor[time.Month]():
			return `; the name of a month is .Month().String(), such as "January", its number int(….Month()), from 1`
		}
	}
	return ""
}

// rangeHint says how a range is looked into.
func rangeHint(b *ast.BinaryNode) string {
	list, ok := b.Right.(*ast.ArrayNode)
	if !ok || len(list.Nodes) != 1 {
		return ""
	}
	if bounds, ok := list.Nodes[0].(*ast.BinaryNode); ok && bounds.Operator == ".." {
		return "; a range stands without brackets, as in x in 9..17"
	}
	return ""
}

// compareIt says how a value is made a condition that is neither true nor false; denied
// tells that it stands behind not.
func compareIt(n ast.Node, denied bool) string {
	text := logic.Spell(n)
	f, _, _ := fieldOf(n)
	words := strings.Fields(f.Tag.Get("words"))
	number, word, any, not := " > 0", "==", `!= ""`, ""
	if denied {
		number, word, any, not = " == 0", "!=", `== ""`, "not "
	}
	switch {
	case text == "":
		return ""
	case n.Nature().IsNumber():
		return "; it is a number: compare it, as in " + text + number
	case isMetadata(n) && denied:
		return fmt.Sprintf(`; it is a text: compare it, as in %[1]s != "true", or %[1]s == "" if there is to be no value`, text)
	case isMetadata(n):
		return fmt.Sprintf(`; it is a text: compare it, as in %[1]s == "true", or %[1]s != "" if any value will do`, text)
	case isWhole(n) && presence(n) != "", n.Type() == textMap && presence(n) != "":
		return "; whether it has a value is asked by " + not + presence(n)
	case !n.Nature().IsString():
		return ""
	case len(words) > 0:
		return fmt.Sprintf("; it is a text: compare it, as in %s %s %q", text, word, words[0])
	}
	return fmt.Sprintf("; it is a text: compare it, as in %s %s", text, any)
}

// callHint says that a method is called, and not read.
func callHint(b *ast.BinaryNode) string {
	for _, side := range []ast.Node{b.Left, b.Right} {
		if side.Type() == nil || side.Type().Kind() != reflect.Func {
			continue
		}
		switch side := side.(type) {
		case *ast.IdentifierNode:
			if schema.HasField(schema.EventType, side.Value) {
				return "; that of the event is event." + side.Value
			}
			return fmt.Sprintf("; %[1]s is a function: it is called by parentheses, %[1]s()", side.Value)
		case *ast.MemberNode:
			if name, ok := side.Property.(*ast.StringNode); ok {
				return fmt.Sprintf("; it is called by parentheses: .%s()", name.Value)
			}
		}
	}
	return ""
}

// noValue are the words for a missing value in other languages.
var noValue = []string{"null", "nul", "nill", "NULL", "Null", "None", "undefined", "nil", "Nil", "NIL"}

func (c *Checker) explainName(f Fault, name string, found []*ast.Node) Fault {
	if slices.Contains(noValue, name) {
		f.Message += `: what is missing is "", 0 or false; what raw returns for a missing path is nil`
		return f
	}
	var parent ast.Node
	if len(found) > 1 {
		parent = *found[1]
	}
	if _, ok := parent.(*ast.ArrayNode); ok && len(found) > 2 {
		parent = *found[2] // as an element of a list
	}
	path, inside := wholePath(found, name)
	if i := slices.IndexFunc(path, isNumber); i >= 0 { // the index of a list
		path = path[:i]
	}
	if typed := strings.Join(path, "."); slices.Contains(event.Types(), typed) || slices.Contains(event.SystemTypes(), typed) {
		f.Message += ": a text stands in quotes"
		f.Suggestion = strconv.Quote(typed)
		return f
	}
	inItem := slices.ContainsFunc(found, func(n *ast.Node) bool { _, ok := (*n).(*ast.PredicateNode); return ok })
	call, called := parent.(*ast.CallNode)
	called = called && call.Callee.Location() == parent.Location()
	b, compared := parent.(*ast.BinaryNode)
	around := !c.system && len(path) > 1 && path[0] == name && isEnvelope(name)
	switch method := spelling.Closest(name, schema.Methods(timeType)); {
	case inItem && schema.HasField(schema.LineItemType, name) && !c.system:
		f.Suggestion = "." + name
	case !c.system && !called && len(path) > 1 && path[0] == name && isText(name):
		f = ofValue(f, "string", "field", path[1], append([]string{"session"}, path...), false)
		if f.Suggestion == "" && f.Message == unknownName+name {
			f.Suggestion = "session." + name
		}
	case compared && b.Operator == "-" && isMetadata(b.Left):
		f.Message += fmt.Sprintf("; a key with a sign in it is written as in session.metadata[%q]", "a-b")
	case c.system && !called && ofSystem(path, inside) != "":
		f.Suggestion = ofSystem(path, inside)
	case around && inItem && schema.HasField(schema.LineItemType, path[1]):
		f.Suggestion = "." + strings.Join(path[1:], ".")
	case around && !inItem && ofEnvelope(path) != "":
		f.Suggestion = ofEnvelope(path)
	case around && name == "data":
		f.Message += beginsWith
	case c.suggestName(name, called) != "":
		f.Suggestion = c.suggestName(name, called)
	case called && strings.EqualFold(method, name):
		f.Message += fmt.Sprintf("; a time is asked for it, as in now().%s()", method)
	case isKey(parent, name):
		f.Message += ": a text stands in quotes"
		f.Suggestion = strconv.Quote(name)
	case compared && c.unquoted(b, name) != "":
		f.Message += ": a text stands in quotes"
		f.Suggestion = strconv.Quote(c.unquoted(b, name))
	case yesOrNo[name] != "":
		f.Suggestion = yesOrNo[name]
	case called && otherWays[strings.ToLower(name)] != "":
		f.Message += "; it is written " + fmt.Sprintf(otherWays[strings.ToLower(name)], cmp.Or(firstText(call), "session.customer_email"))
	case called && slices.Contains([]string{"empty", "isempty", "isnull", "is_null", "isnil", "isblank"}, strings.ToLower(name)):
		f.Message += askHas
	case strings.HasPrefix(name, "$") && len(path) < 2:
		f.Message += otherCharacters["€£¥"]
	case !called && !c.system:
		f.Message += schema.OtherPlaces(name, "session.", false)
		if f.Message == unknownName+name && around {
			f.Message += beginsWith
		}
	}
	return f
}

// isText says whether a name is that of a field of the session that is a text.
func isText(name string) bool {
	f, ok := schema.FieldByName(schema.SessionType, name)
	return ok && f.Type.Kind() == reflect.String
}

// firstText is the first of what a function is called with that is a field, "" if none is.
func firstText(call *ast.CallNode) string {
	for _, argument := range call.Arguments {
		if text := logic.Spell(argument); text != "" {
			return text
		}
	}
	return ""
}

// yesOrNo are the words of YAML for true and false that are none here.
var yesOrNo = map[string]string{"yes": "true", "Yes": "true", "YES": "true", "on": "true", "no": "false", "No": "false", "NO": "false", "off": "false"}

func isNumber(name string) bool {
	_, err := strconv.Atoi(name)
	return err == nil
}

// isKey says whether a name stands where the key of a map does.
func isKey(parent ast.Node, name string) bool {
	member, ok := parent.(*ast.MemberNode)
	if !ok || member.Node.Type() == nil || member.Node.Type().Kind() != reflect.Map {
		return false
	}
	key, ok := member.Property.(*ast.IdentifierNode)
	return ok && key.Value == name
}

func isMetadata(n ast.Node) bool {
	_, ok := metadataKey(n)
	return ok
}

// unquoted is the text that a name beside an operator was meant to be, in the words
// that the value on the other side can have; "" beside what is no text.
func (c *Checker) unquoted(b *ast.BinaryNode, name string) string {
	value := b.Left
	if here, ok := value.(*ast.IdentifierNode); ok && here.Value == name {
		value = b.Right
	}
	if value.Type() == textMap && b.Operator == "in" {
		return name
	}
	if _, literal := value.(*ast.StringNode); literal || !value.Nature().IsString() {
		return ""
	}
	if found := c.lintWords(b.Operator, value, &ast.StringNode{Value: name}); len(found) > 0 {
		return found[0].Suggestion
	}
	return name
}

// schemaTypes are the struct types of the schema by the names that expr's messages use.
var (
	schemaTypes   = structTypes(schema.SystemType, structTypes(schema.SessionType, structTypes(schema.EventType, map[string]reflect.Type{})))
	functionNames = []string{"has", "changed", "raw", "now", "duration",
		"all", "any", "none", "one", "filter", "map", "find", "count", "sum", "reduce", "len", "lower", "upper", "trim",
		"split", "join", "first", "last", "date", "timezone", "int", "float", "string", "abs", "min", "max"}
)

func structTypes(t reflect.Type, types map[string]reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType || types[t.String()] != nil {
		return types
	}
	types[t.String()] = t
	for i := range t.NumField() {
		structTypes(t.Field(i).Type, types)
	}
	return types
}
