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

	"github.com/expr-lang/expr/ast"
)

// conversion proposes what makes the two sides of an operator comparable.
func (c *Checker) conversion(b *ast.BinaryNode) string {
	if hint := presenceHint(b); hint != "" {
		return hint
	}
	left, right := b.Left, b.Right
	if !left.Nature().IsString() {
		left, right = right, left
	}
	if !left.Nature().IsString() {
		return conversionOfNumber(b)
	}
	literal, isLiteral := left.(*ast.StringNode)
	_, isTrue := right.(*ast.BoolNode)
	_, isList := right.(*ast.ArrayNode)
	switch nature := right.Nature(); {
	case slices.Contains([]string{"||", "or", "&&", "and"}, b.Operator) && isLiteral:
		return `; each side is a condition of its own; whether a value is one of several is asked as in session.currency in ["EUR", "USD"]`
	case nature.IsBool() && isLiteral && literal.Value != "true" && literal.Value != "false":
		return "; it is true or false, and no text"
	case nature.IsNumber() && isLiteral, nature.IsBool() && isLiteral:
		return fmt.Sprintf("; %s without quotes", map[bool]string{true: "a number stands", false: "true and false stand"}[nature.IsNumber()])
	case isTrue:
		return compareIt(left, false)
	case isList && logic.Spell(left) != "":
		return fmt.Sprintf("; whether it is one of several is asked by %s in […]", logic.Spell(left))
	case nature.IsNumber(), b.Operator == "in" && isNumberOrBool(right) && !isList:
		return c.asText(b, left, right)
	case nature.IsTime() && isLiteral && isDuration(literal.Value) && b.Operator != "+" && b.Operator != "-":
		return fmt.Sprintf("; a time is compared with a time, as in now() + duration(%q)", literal.Value)
	case nature.IsTime() && isLiteral && inLayouts(literal.Value, []string{"15:04", "15:04:05"}) && b.Operator != "+" && b.Operator != "-":
		return fmt.Sprintf("; the hour of a time, in UTC, is a number: %s.Hour()", cmp.Or(timeName(right), "…"))
	case nature.IsTime() && isLiteral && b.Operator != "+" && b.Operator != "-":
		return fmt.Sprintf("; a time is written date(%q)", example(literal.Value, isDate, "2026-01-31"))
	case (nature.IsTime() || nature.IsDuration()) && isLiteral:
		return fmt.Sprintf("; a span is written duration(%q)", example(literal.Value, isDuration, "30m"))
	case right.Type() == reflect.TypeFor[[]string]() && isLiteral && slices.Contains([]string{"==", "!=", "contains"}, b.Operator) && logic.Spell(right) != "":
		return fmt.Sprintf("; whether it is one of a list is asked by %q in %s", literal.Value, logic.Spell(right))
	case right.Type() == textMap && isLiteral && logic.Spell(right) != "":
		return fmt.Sprintf("; whether there is a key is asked by %q in %s", literal.Value, logic.Spell(right))
	case right.Type() != nil && schemaTypes[strings.TrimPrefix(right.Type().String(), "*")] != nil:
		t := schemaTypes[strings.TrimPrefix(right.Type().String(), "*")]
		if t == schema.EventType || t == schema.SystemType {
			return "; compare a member of it, such as .type"
		}
		return "; compare a member of it, such as ." + schema.FieldName(t.Field(0))
	case right.Type() == reflect.SliceOf(reflect.PointerTo(schema.LineItemType)) && isLiteral && logic.Spell(right) != "":
		return fmt.Sprintf("; each is asked for as in any(%s, .description contains %q)", logic.Spell(right), literal.Value)
	case nature.IsString() && b.Operator == "in":
		value := cmp.Or(logic.Spell(b.Left), "session.currency")
		return fmt.Sprintf(`; whether it is one of several is asked as in %s in ["a", "b"], whether it has a part as in %[1]s contains "a"`, value)
	}
	return ""
}

// example is a text that can be read, or else one that shows how it is written.
func example(text string, readable func(string) bool, shown string) string {
	if readable(text) {
		return text
	}
	return shown
}

func isDate(text string) bool { return inLayouts(text, schema.DateLayouts) }

func inLayouts(text string, layouts []string) bool {
	return slices.ContainsFunc(layouts, func(layout string) bool {
		_, err := time.Parse(layout, text)
		return err == nil
	})
}

func isDuration(text string) bool {
	_, err := schema.ParseDuration(text)
	return err == nil
}

// conversionOfNumber is conversion for an operator without a text.
func conversionOfNumber(b *ast.BinaryNode) string {
	value, other := b.Left, b.Right
	if !value.Nature().IsTime() {
		value, other = other, value
	}
	literal, isLiteral := other.(*ast.IntegerNode)
	_, isSum := other.(*ast.BinaryNode)
	switch {
	case value.Nature().IsTime() && other.Nature().IsDuration():
		return `; a time is compared with a time, as in now() + duration("1h")`
	case value.Nature().IsTime() && methodUnits[methodOfTime(other)] != noUnit:
		return fmt.Sprintf("; a time is compared with a time: leave .%s() out", methodOfTime(other))
	case value.Nature().IsTime() && isSum && readsTime(other):
		return `; a time is compared with a time, as in now() - duration("1h")`
	case value.Nature().IsTime() && isSum && other.Nature().IsInteger:
		return `; a time is written date("2026-01-31")`
	case b.Left.Nature().IsDuration(), b.Right.Nature().IsDuration(),
		value.Nature().IsTime() && other.Nature().IsNumber() && (b.Operator == "+" || b.Operator == "-"):
		return `; a span is written duration("30m")`
	case b.Left.Type() == textMap:
		return "; its values are texts, each asked for by its key, as in session.metadata.key == \"true\""
	case b.Left.Nature().IsBool() && b.Right.Nature().IsNumber():
		return "; it is true or false, and no number"
	case b.Operator == "in" && b.Right.Nature().IsNumber():
		return "; a range is asked for as in session.amount_total in 1_00..5_00"
	case !value.Nature().IsTime() || !other.Nature().IsNumber():
		return ""
	case isLiteral && int64(literal.Value) >= firstMillisecond:
		return fmt.Sprintf("; a time is written date(%q)", time.UnixMilli(int64(literal.Value)).UTC().Format(time.RFC3339))
	case isLiteral && int64(literal.Value) >= firstSecond:
		return fmt.Sprintf("; a time is written date(%q)", time.Unix(int64(literal.Value), 0).UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("; the seconds of a time are %s.Unix()", cmp.Or(logic.Spell(value), "…"))
}

// Numbers from these on are meant as times: of 2001 and later.
const (
	firstSecond      = 1e9
	firstMillisecond = 1e12
)

// orZero adds what a metadata value is while it is missing.
func orZero(n ast.Node, text string) string {
	if _, ok := metadataKey(n); ok {
		return text + ` ?? "0"`
	}
	return text
}

// argument is how expr names what a method is not called with.
var argument = regexp.MustCompile(`^cannot use \w+ as argument \(type time\.(Duration|Time)\) to call (\w+)`)

// argumentHint says how the span or the time is written that a method is called with.
func argumentHint(message string, node ast.Node) string {
	m := argument.FindStringSubmatch(message)
	text, isText := node.(*ast.StringNode)
	switch {
	case m == nil:
		return ""
	case m[1] == "Duration" && isText:
		return fmt.Sprintf("; a span is written duration(%q)", example(text.Value, isDuration, "30m"))
	case m[1] == "Duration":
		return `; a span is written duration("30m")`
	case isText && m[2] == "Sub" && isDuration(text.Value):
		return fmt.Sprintf("; a span is taken away as in session.created - duration(%q)", text.Value)
	case isText:
		return fmt.Sprintf("; a time is written date(%q)", example(text.Value, isDate, "2026-01-31"))
	}
	return ""
}
