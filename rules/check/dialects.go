package check

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// otherWays are how what other languages call on a text is written here.
var otherWays = map[string]string{
	"length": "len(%s)", "len": "len(%s)", "size": "len(%s)", "contains": `%s contains "x"`, "includes": `%s contains "x"`,
	"startswith": `%s startsWith "x"`, "endswith": `%s endsWith "x"`, "matches": `%s matches "x"`, "match": `%s matches "x"`,
	"lower": "lower(%s)", "lowercase": "lower(%s)", "tolower": "lower(%s)", "tolowercase": "lower(%s)", "downcase": "lower(%s)", "lcase": "lower(%s)",
	"upper": "upper(%s)", "uppercase": "upper(%s)", "toupper": "upper(%s)", "touppercase": "upper(%s)", "upcase": "upper(%s)", "ucase": "upper(%s)",
	"split": `split(%s, "x")`, "trim": "trim(%s)", "replace": `replace(%s, "x", "y")`, "indexof": `indexOf(%s, "x")`,
	"isempty": `%s == ""`,
}

// ofElements says how the elements of a list are asked for.
func ofElements(found []*ast.Node) string {
	if len(found) < 2 {
		return ""
	}
	node, parent := *found[0], *found[1]
	property, ok := node.(*ast.StringNode)
	member, also := parent.(*ast.MemberNode)
	if !ok || !also {
		return ""
	}
	if hint := ofMethod(property.Value, member.Node, found[2:]); hint != "" {
		return hint
	}
	list := strings.Join(logic.PathOf(member.Node), ".")
	if made, ok := member.Node.(*ast.BuiltinNode); ok {
		list = made.Name + "(…)"
	}
	switch {
	case list == "":
		return ""
	case slices.Contains([]string{"length", "len", "size", "count"}, property.Value):
		return fmt.Sprintf("; it is written len(%s)", list)
	case member.Node.Type() == reflect.SliceOf(reflect.PointerTo(schema.LineItemType)):
		path := property.Value
		for _, place := range found[2:] {
			outer, ok := (*place).(*ast.MemberNode)
			if !ok {
				break
			}
			if name, ok := outer.Property.(*ast.StringNode); ok {
				path += "." + name.Value
			}
		}
		asked := strings.Replace(schema.Placed("line_items.data[]."+path, ""), "session.line_items.data", list, 1)
		if !schema.HasPath(schema.LineItemType, path) {
			asked = "any(" + list + ", .… == …)"
		}
		return fmt.Sprintf("; each is asked for as in %s", asked)
	}
	return ""
}

// ofMethod says how that is asked for which other languages have a method of a list for,
// as in ["EUR", "USD"].includes(x). around are the nodes around the name of the method.
func ofMethod(name string, list ast.Node, around []*ast.Node) string {
	if len(around) == 0 || !slices.Contains([]string{"includes", "contains", "indexof", "has"}, strings.ToLower(name)) {
		return ""
	}
	call, ok := (*around[0]).(*ast.CallNode)
	if !ok || len(call.Arguments) != 1 {
		return ""
	}
	value, field := call.Arguments[0], logic.Spell(list)
	text, isText := value.(*ast.StringNode)
	of, _ := folded(value)
	switch {
	case field != "" && isText:
		return fmt.Sprintf("; whether it has an element is asked as in %q in %s", text.Value, field)
	case isList(list) && logic.Spell(of) != "":
		return fmt.Sprintf("; whether a value is one of several is asked as in %s in […]", value)
	}
	return ""
}

func isList(n ast.Node) bool {
	_, ok := n.(*ast.ArrayNode)
	return ok
}

// sqlPattern is what stands behind LIKE.
var sqlPattern = regexp.MustCompile("^\\s*[\"'`](%?)[^\"'`%]*(%?)[\"'`]")

// like says which operator stands for LIKE, by the text behind it.
func like(behind string) (hint, suggestion string) {
	const without = "; a text without the % that stands for any"
	parts := sqlPattern.FindStringSubmatch(behind)
	switch {
	case parts == nil && strings.Contains(behind, "%"):
		return "; in a pattern any text is .*", "matches"
	case parts == nil, parts[1]+parts[2] == "":
		return "", "matches"
	case parts[1] == "":
		return without, "startsWith"
	case parts[2] == "":
		return without, "endsWith"
	}
	return without, "contains"
}
