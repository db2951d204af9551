package rules

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"checkout-notifier/rules/logic"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// unexpected is how the parser names what it did not expect.
var unexpected = regexp.MustCompile(`unexpected token (?:EOF|\w+\("(.*)"\))`)

// syntaxFault turns an error of expr's lexer or parser into a fault in the words
// of the reference.
func syntaxFault(err error, text string) fault {
	f := fault{code: CodeExpression, message: err.Error()}
	var at *file.Error
	if errors.As(err, &at) {
		f.at, f.message = at.From, at.Message
	}
	m := unexpected.FindStringSubmatch(f.message)
	switch {
	case strings.Contains(f.message, "unexpected token EOF") || f.message == "unexpected end of expression":
		f.code, f.message = CodeUnfinished, "unexpected end of the expression"
	case f.message == "literal not terminated" || f.message == "unclosed comment":
		f.code = CodeUnfinished
	case m != nil:
		f.message = strings.Replace(f.message, m[0], "unexpected "+m[1], 1) + misuse(m[1], []rune(text), f.at)
		if f.suggestion = otherSigns[signAt([]rune(text), f.at)]; f.suggestion == "" {
			f.suggestion = otherSigns[m[1]]
		}
	}
	return f
}

// misuse says how what was not expected is written in this language.
func misuse(token string, text []rune, at int) string {
	digit := func(i int) bool { return i >= 0 && i < len(text) && unicode.IsDigit(text[i]) }
	switch {
	case slices.Contains([]string{"contains", "startsWith", "endsWith", "matches"}, token):
		return fmt.Sprintf(`; %s stands between two texts, as in session.currency %s "E"`, token, token)
	case token == "," && digit(at-1) && digit(at+1):
		return "; the digits of a number are grouped by _, as in 100_000"
	}
	return ""
}

// otherSigns are what is written for these in other languages.
var otherSigns = map[string]string{
	"=": "==", "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=", "&": "&&",
	"AND": "and", "OR": "or", "NOT": "not", "IN": "in", "is": "==", "like": "matches",
}

// signAt is the run of signs around a place.
func signAt(text []rune, at int) string {
	isSign := func(i int) bool { return i >= 0 && i < len(text) && strings.ContainsRune("=<>!&|", text[i]) }
	from, to := at, at
	for isSign(from - 1) {
		from--
	}
	for isSign(to) {
		to++
	}
	return string(text[from:to])
}

// explain turns an error of expr's checker into a fault in the words of the
// reference, and says where in the tree it is.
func (s *scope) explain(err *file.Error, root ast.Node) (fault, file.Location) {
	f := fault{at: err.From, code: CodeExpression, message: err.Message}
	found := around(&root, err.Location)
	var node, parent ast.Node
	if len(found) > 0 {
		node = *found[0]
	}
	if len(found) > 1 {
		parent = *found[1]
	}
	if name, ok := strings.CutPrefix(f.message, "unknown name "); ok {
		return s.explainName(f, name, parent), err.Location
	}
	if rest, ok := strings.CutPrefix(f.message, "type "); ok {
		if owner, name, ok := strings.Cut(rest, " has no field "); ok {
			return s.explainField(f, owner, name, found), err.Location
		}
	}
	f.message = plain(f.message)
	if strings.Contains(err.Message, "rules.lineItems") {
		f.message += "; the items are session.line_items.data"
	}
	if strings.Contains(f.message, "(type location)") || strings.Contains(f.message, "as type location") {
		f.message += `; a time zone is written timezone("Europe/Berlin")`
	}
	if b, ok := node.(*ast.BinaryNode); ok {
		hint := cmp.Or(calendarHint(b), callHint(b))
		if hint == "" && strings.HasPrefix(err.Message, "invalid operation") {
			hint = conversion(b)
		}
		f.message += hint
	}
	return f, err.Location
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

// callHint says that a method is called, and not read.
func callHint(b *ast.BinaryNode) string {
	for _, side := range []ast.Node{b.Left, b.Right} {
		member, ok := side.(*ast.MemberNode)
		if !ok || side.Type() == nil || side.Type().Kind() != reflect.Func {
			continue
		}
		if name, ok := member.Property.(*ast.StringNode); ok {
			return fmt.Sprintf("; it is called by parentheses: .%s()", name.Value)
		}
	}
	return ""
}

// noValue are the words for a missing value in other languages.
var noValue = []string{"null", "NULL", "Null", "None", "undefined", "Nil", "NIL"}

func (s *scope) explainName(f fault, name string, parent ast.Node) fault {
	if slices.Contains(noValue, name) {
		f.message += `: what is missing is "", 0 or false; what raw returns for a missing path is nil`
		return f
	}
	call, called := parent.(*ast.CallNode)
	called = called && call.Callee.Location() == parent.Location()
	if f.suggestion = s.suggestName(name, called); f.suggestion != "" {
		return f
	}
	if b, ok := parent.(*ast.BinaryNode); ok && (b.Left.Nature().IsString() || b.Right.Nature().IsString()) {
		f.message += ": a text stands in quotes"
		f.suggestion = fmt.Sprintf("%q", name)
	}
	return f
}

func (s *scope) explainField(f fault, owner, name string, found []*ast.Node) fault {
	f.message = fmt.Sprintf("%s has no field %s", plain(owner), name)
	t, ok := envTypes[strings.TrimPrefix(owner, "*")]
	if !ok {
		return f
	}
	path, inside := wholePath(found, name)
	if t == sessionType && name == freeForm {
		f.message = fmt.Sprintf("the members of session.%s are not documented", name)
		f.suggestion = rawCall(path, inside)
		return f
	}
	if f.suggestion = suggestField(t, name); f.suggestion != "" {
		return f
	}
	switch {
	case t == systemType:
		f.message += "; what the event's data holds is read with " + rawCall(path, inside)
	case len(path) > 0 && path[0] == "session":
		f.message += "; an undocumented field is read with " + rawCall(path, inside)
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

// conversion proposes what makes the two sides of an operator comparable.
func conversion(b *ast.BinaryNode) string {
	left, right := b.Left, b.Right
	if !left.Nature().IsString() {
		left, right = right, left
	}
	if !left.Nature().IsString() {
		return conversionOfNumber(b)
	}
	literal, isLiteral := left.(*ast.StringNode)
	switch nature := right.Nature(); {
	case nature.IsNumber() && isLiteral, nature.IsBool() && isLiteral:
		return fmt.Sprintf("; a %s stands without quotes", map[bool]string{true: "number", false: "true or false"}[nature.IsNumber()])
	case nature.IsNumber():
		if text := spell(left); text != "" {
			return fmt.Sprintf("; a text is made a number by int(%s)", orZero(left, text))
		}
		return "; a text is made a number by int(…)"
	case nature.IsTime() && isLiteral && b.Operator != "+" && b.Operator != "-":
		return fmt.Sprintf("; a time is written date(%q)", literal.Value)
	case (nature.IsTime() || nature.IsDuration()) && isLiteral:
		return fmt.Sprintf("; a span is written duration(%q)", literal.Value)
	case nature.IsArray() && isLiteral && slices.Contains([]string{"==", "!=", "contains"}, b.Operator) && spell(right) != "":
		return fmt.Sprintf("; whether it is one of a list is asked by %q in %s", literal.Value, spell(right))
	case nature.IsString() && b.Operator == "in":
		return "; a text is looked for in another by contains"
	}
	return ""
}

// conversionOfNumber is conversion for an operator without a text.
func conversionOfNumber(b *ast.BinaryNode) string {
	value, other := b.Left, b.Right
	if !value.Nature().IsTime() {
		value, other = other, value
	}
	literal, isLiteral := other.(*ast.IntegerNode)
	switch {
	case b.Left.Nature().IsDuration(), b.Right.Nature().IsDuration(),
		value.Nature().IsTime() && other.Nature().IsNumber() && (b.Operator == "+" || b.Operator == "-"):
		return `; a span is written duration("30m")`
	case !value.Nature().IsTime() || !other.Nature().IsNumber():
		return ""
	case isLiteral && int64(literal.Value) >= firstMillisecond:
		return fmt.Sprintf("; a time is written date(%q)", time.UnixMilli(int64(literal.Value)).UTC().Format(time.RFC3339))
	case isLiteral && int64(literal.Value) >= firstSecond:
		return fmt.Sprintf("; a time is written date(%q)", time.Unix(int64(literal.Value), 0).UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("; the seconds of a time are %s.Unix()", cmp.Or(spell(value), "…"))
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

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// spell writes a constant path as an expression, "" for anything else.
func spell(n ast.Node) string {
	path := logic.PathOf(n)
	if len(path) < 2 {
		return ""
	}
	text := path[0]
	for _, name := range path[1:] {
		if identifier.MatchString(name) {
			text += "." + name
		} else {
			text += fmt.Sprintf("[%q]", name)
		}
	}
	return strings.TrimPrefix(text, "#")
}

// envTypes are the struct types of the env by the names that expr's messages use.
var (
	envTypes      = structTypes(reflect.TypeFor[systemEnv](), structTypes(reflect.TypeFor[env](), map[string]reflect.Type{}))
	functionNames = []string{"has", "changed", "raw", "now", "duration",
		"all", "any", "none", "one", "filter", "map", "find", "count", "sum", "reduce", "len", "lower", "upper", "trim",
		"split", "join", "first", "last", "date", "timezone", "int", "float", "string", "abs", "min", "max"}
)

func structTypes(t reflect.Type, types map[string]reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType || t == reflect.TypeFor[state]() || types[t.String()] != nil {
		return types
	}
	types[t.String()] = t
	for i := range t.NumField() {
		structTypes(t.Field(i).Type, types)
	}
	return types
}

// plainWords turn the names of Go in expr's messages into those of the
// reference, one after the other.
var plainWords = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`\*?rules\.(?:session|event|system)(?:Fields|Env)`), "$kind"},
	{regexp.MustCompile(`\*?rules\.(\w+)`), "$type"},
	{regexp.MustCompile(`\*?time\.(\w+)`), "$type"},
	{regexp.MustCompile(`func\([^()]*\)(?: [\w.{} ]*\w)?`), "a function"},
	{regexp.MustCompile(`map\[[^\]]*\]interface ?\{\}`), "map"},
	{regexp.MustCompile(`map\[[^\]]*\]`), "map of "},
	{regexp.MustCompile(`\[\]interface ?\{\}`), "list"},
	{regexp.MustCompile(`\[\]\*?`), "list of "},
	{regexp.MustCompile(`interface ?\{\}`), "any"},
	{regexp.MustCompile(`\bint64\b`), "int"},
	{regexp.MustCompile(`\bfloat64\b`), "float"},
	{regexp.MustCompile(`\bbuiltin (\w+) takes only array\b`), "$1 takes a list"},
	{regexp.MustCompile(`predicate should has (\w+) input.*`), "what is asked of each element is a condition, as in any(list, .name == \"x\")"},
	{regexp.MustCompile(`predicate should return boolean`), "what is asked of each element must be true or false"},
	{regexp.MustCompile(`non-bool expression \(type ([^)]*)\) used as condition`), "a condition must be true or false, not $1"},
	{regexp.MustCompile(`\barray elements can only be selected using an integer`), "an element of a list is chosen by a whole number"},
	{regexp.MustCompile(`\barray\b`), "list"},
	{regexp.MustCompile(`no matching overload for (\w+)`), "$1 takes no values of these types"},
	{regexp.MustCompile(`\bfunc (\w+)`), "$1"},
	{regexp.MustCompile(`cannot use pointer accessor outside predicate`), "# and a name that begins with a dot stand for an element inside any(…), filter(…) and the like only"},
	{regexp.MustCompile(`\bunknown pointer\b`), "unknown name"},
}

// plain puts a message of expr into the words of the reference.
func plain(message string) string {
	for _, w := range plainWords {
		switch w.plain {
		case "$kind":
			message = w.pattern.ReplaceAllStringFunc(message, func(name string) string {
				if strings.Contains(name, "session") {
					return "session"
				}
				return "event"
			})
		case "$type":
			message = w.pattern.ReplaceAllStringFunc(message, func(name string) string { return words(name[strings.IndexByte(name, '.')+1:]) })
		default:
			message = w.pattern.ReplaceAllString(message, w.plain)
		}
	}
	return strings.TrimSpace(message)
}

// words splits the name of a type: lineItem is a line item.
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
