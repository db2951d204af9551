package check

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// fieldOf is the field of the schema that a checked node reads.
func fieldOf(n ast.Node) (f reflect.StructField, of reflect.Type, ok bool) {
	if chain, is := n.(*ast.ChainNode); is {
		n = chain.Node
	}
	member, is := n.(*ast.MemberNode)
	if !is || member.Node.Type() == nil {
		return f, nil, false
	}
	property, is := member.Property.(*ast.StringNode)
	of = member.Node.Type()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if !is || of.Kind() != reflect.Struct || of == timeType {
		return f, nil, false
	}
	f, ok = schema.FieldByName(of, property.Value)
	return f, of, ok
}

// documented are all the words that a field of the schema can have; none for one
// that takes any. The rest of the program takes other words for status and
// payment_status as well; a rule that waits for one is almost certainly misspelt.
func (c *Checker) documented(of reflect.Type, f reflect.StructField) []string {
	switch {
	case of == schema.SystemType && schema.FieldName(f) == "type":
		return event.SystemTypes()
	case of == schema.SystemType && schema.FieldName(f) == "subject":
		return slices.Concat(c.names.Destinations, c.names.Accounts, c.names.Rules, []string{event.SubjectStore})
	case of == schema.EventType && schema.FieldName(f) == "account":
		return c.names.Accounts
	case of == schema.EventType && schema.FieldName(f) == "type":
		return event.Types()
	case of == schema.EventType && schema.FieldName(f) == "reason":
		return []string{event.ReasonManual, event.ReasonTimer, event.ReasonUnknown}
	}
	return strings.Fields(f.Tag.Get("words"))
}

// lint warns of comparisons that are never true, or mean something else than
// they seem to.
func (c *Checker) lint(root ast.Node) (faults []Fault) {
	told := make(map[Fault]bool) // `a < b < c` has b twice
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		for _, f := range c.lintNode(n) {
			f.Warning = true
			if !told[f] {
				told[f] = true
				faults = append(faults, f)
			}
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

func (c *Checker) lintNode(n ast.Node) []Fault {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return c.lintSides(n)
	case *ast.CallNode:
		if c.system {
			return lintMember(n)
		}
		return lintCall(n)
	case *ast.BuiltinNode:
		return slices.Concat(lintPredicate(n), lintSum(n), c.lintEach(n))
	case *ast.SequenceNode:
		return []Fault{{At: n.Nodes[0].Location().From, Code: CodeMisleading, Message: "only what stands behind the last ; counts: join conditions by and"}}
	}
	return nil
}

// lintLogic warns of conditions that exclude each other, or always hold.
func lintLogic(root ast.Node) (faults []Fault) {
	for _, found := range logic.Contradictions(root) {
		f := Fault{At: found.At, Code: CodeNeverMatches, Warning: true,
			Message: "this and another condition, joined by and, exclude each other: both ask for " + found.Of}
		if strings.HasSuffix(found.Of, ".Hour()") {
			f.Message += "; hours over midnight are joined by or"
		}
		if found.Always {
			f.Code = CodeMisleading
			f.Message = fmt.Sprintf("this or another condition always holds, whatever %s is: join them by and", found.Of)
		}
		faults = append(faults, f)
	}
	for _, found := range logic.TooSmall(root) {
		least := "0"
		if found.Of == "event.revision" {
			least = "1: it is 1 when a session is first seen"
		}
		faults = append(faults, Fault{At: found.At, Code: CodeNeverMatches, Warning: true, Message: fmt.Sprintf("%s is never below %s", found.Of, least)})
	}
	return faults
}

func lintCall(n *ast.CallNode) []Fault {
	if method, _, of := methodCall(n); of == timeType && method == "Format" && len(n.Arguments) == 1 {
		return lintLayout(n.Arguments[0])
	}
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || len(n.Arguments) == 0 {
		return nil
	}
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return nil
	}
	f := Fault{At: arg.Location().From, Code: CodeNeverMatches}
	switch {
	case callee.Value == "changed" && arg.Value == checkout.FieldURL:
		f.Message = `changed("url") is true at first sight only: a rotating url is not a change`
	case callee.Value == "raw" && insideSession(arg.Value) != "":
		f.Code, f.Suggestion = CodeMisleading, insideSession(arg.Value)
		f.Message = fmt.Sprintf("raw reads the session itself, in which there is no %q", arg.Value)
	case callee.Value == "raw" && misspeltPath(arg.Value) != "":
		f.Code, f.Suggestion = CodeMisleading, misspeltPath(arg.Value)
		f.Message = fmt.Sprintf("no session is documented to have %q", arg.Value)
	default:
		return nil
	}
	return []Fault{f}
}

// insideSession is a path without what stands before the session elsewhere, "" if
// nothing of that does.
func insideSession(path string) string {
	for _, before := range []string{"session.", "data.object."} {
		if inside, found := strings.CutPrefix(path, before); found {
			return inside
		}
	}
	return ""
}

// foreignLayout finds the parts of layouts that other languages have.
var foreignLayout = regexp.MustCompile(`[Yy]{4}|DD|MM|HH|%[YmdHMS]`)

// lintLayout warns of a layout of a time that is not Go's.
func lintLayout(n ast.Node) []Fault {
	layout, ok := n.(*ast.StringNode)
	if !ok || !foreignLayout.MatchString(layout.Value) {
		return nil
	}
	return []Fault{{At: n.Location().From, Code: CodeNeverMatches,
		Message: fmt.Sprintf("the layout %q does not say what it seems to: layouts are written as 2006-01-02 15:04:05", layout.Value)}}
}

// comparing are the operators that compare a field with words.
var comparing = []string{"==", "!=", "in", "contains", "startsWith", "endsWith"}

// lintSides looks at both sides of an operator as that which is compared.
func (c *Checker) lintSides(n *ast.BinaryNode) (faults []Fault) {
	for _, side := range [][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
		if slices.Contains(comparing, n.Operator) {
			if partOf[n.Operator] == nil || side[0] == n.Left { // else lintEmptyParts tells
				faults = append(faults, c.lintWords(n.Operator, side[0], side[1])...)
			}
			faults = append(faults, c.lintData(n.Operator, side[0], side[1])...)
			faults = append(faults, c.lintZeros(side[0], side[1])...)
		}
		if partOf[n.Operator] == nil || side[0] == n.Left {
			faults = append(faults, lintID(n.Operator, side[0], side[1])...)
		}
		if f, bad := lintNil(n, side[0], side[1]); bad {
			faults = append(faults, f)
		}
	}
	faults = append(faults, lintCase(n)...)
	faults = append(faults, c.lintPart(n)...)
	faults = append(faults, lintValue(n.Operator, n.Left, n.Right)...)
	if operator := logic.Mirrored(n.Operator); operator != "" {
		faults = append(faults, lintValue(operator, n.Right, n.Left)...)
	}
	switch {
	case n.Operator == "??" && isConstant(n.Left):
		faults = append(faults, Fault{At: n.Right.Location().From, Code: CodeMisleading,
			Message: `this is never used: ?? binds closer than any other operator, and what stands before it is a constant; a value and its default stand in parentheses, as in (session.customer ?? "none") == "none"`})
	case n.Operator == "??" && neverNil(n.Left) && !n.Left.Nature().IsString():
		faults = append(faults, Fault{At: n.Right.Location().From, Code: CodeMisleading,
			Message: logic.Spell(n.Left) + " is never nil, so that this is never used: what is missing is 0 or false"})
	}
	return slices.Concat(faults, lintRange(n), lintElements(n), lintUnits(n))
}

// lintHolds warns of an or that always holds inside a condition that does not: whoever
// knows the rule's events tells of a whole condition that does.
func lintHolds(root ast.Node) (faults []Fault) {
	if _, constant := logic.Constant(root); constant {
		return nil
	}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		b, ok := n.(*ast.BinaryNode)
		if holds, constant := logic.Constant(n); ok && holds && constant && (b.Operator == "or" || b.Operator == "||") {
			faults = append(faults, Fault{At: n.Location().From, Code: CodeMisleading, Warning: true,
				Message: "one side of this " + b.Operator + " is always true, so that it always holds, whatever the other side is: leave the constant out"})
			return
		}
		for _, child := range logic.Children(n) {
			walk(*child)
		}
	}
	walk(root)
	return faults
}

// lintValue looks at a comparison of a value with another.
func lintValue(operator string, value, other ast.Node) []Fault {
	return slices.Concat(lintClock(operator, value, other), lintZeroTime(operator, value, other), lintRaw(value, other), lintDigits(operator, value, other), lintSpan(operator, value, other))
}

func lintNil(n *ast.BinaryNode, value, other ast.Node) (Fault, bool) {
	_, isNil := other.(*ast.NilNode)
	if !isNil || n.Operator != "==" && n.Operator != "!=" {
		return Fault{}, false
	}
	if !neverNil(value) {
		return lintNilList(n, value)
	}
	name := logic.Spell(value)
	if name == "" {
		name = strings.Join(logic.PathOf(value), ".")
	}
	f := Fault{At: other.Location().From, Code: CodeNeverMatches, Message: name + ` is never nil: what is missing is "", 0 or false`}
	if hint := presenceHint(n); hint != "" {
		f.Message = name + " is never nil" + hint
	}
	return f, true
}

// lintNilList warns of a map or a list of a session that is compared with nil.
func lintNilList(n *ast.BinaryNode, value ast.Node) (Fault, bool) {
	hint := absence(value)
	if n.Operator == "!=" {
		hint = presence(value)
	}
	if kind := value.Nature().Kind; hint == "" || kind != reflect.Map && kind != reflect.Slice {
		return Fault{}, false
	}
	return Fault{At: value.Location().From, Code: CodeMisleading,
		Message: logic.Spell(value) + " may be empty, and is not nil then: whether it has a value is asked by " + hint}, true
}

// neverNil says whether a part of the schema has a zero value instead. Maps and
// lists have none, and what raw returns may be nil.
func neverNil(n ast.Node) bool {
	path := logic.PathOf(n)
	if len(path) == 0 || !slices.Contains([]string{"session", "previous", "event", "#"}, path[0]) || n.Type() == nil {
		return false
	}
	kind := n.Type().Kind()
	return kind != reflect.Map && kind != reflect.Slice && kind != reflect.Interface
}

// caseOf are the kinds of fields whose codes are of one case.
var caseOf = map[string]struct {
	fold            func(string) string
	inCase, several string
}{
	"currency": {strings.ToUpper, "upper", "currencies"},
	"country":  {strings.ToUpper, "upper", "countries"},
	"method":   {strings.ToLower, "lower", "payment methods"},
}

func (c *Checker) lintWords(operator string, value, other ast.Node) []Fault {
	value, fold := folded(value)
	f, of, ok := fieldOf(value)
	if !ok {
		return nil
	}
	name := strings.Join(logic.PathOf(value), ".")
	if name == "" || strings.HasPrefix(name, "#") {
		name = schema.FieldName(f)
	}
	return c.lintWordsOf(operator, field{f, of, name, fold}, other)
}

// lintEach is lintWords for the elements of a list of codes, as in
// any(session.payment_method_types, # == "Card").
func (c *Checker) lintEach(n *ast.BuiltinNode) (faults []Fault) {
	if len(n.Arguments) == 0 {
		return nil
	}
	list := n.Arguments[0]
	f, of, ok := fieldOf(list)
	asked, also := n.Arguments[len(n.Arguments)-1].(*ast.PredicateNode)
	if !ok || !also || caseOf[f.Tag.Get("kind")].fold == nil {
		return nil
	}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryNode); ok && slices.Contains(comparing, b.Operator) {
			for _, side := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
				value, fold := folded(side[0])
				if element, ok := value.(*ast.PointerNode); ok && element.Name == "" {
					faults = append(faults, c.lintWordsOf(b.Operator, field{f, of, cmp.Or(logic.Spell(list), schema.FieldName(f)), fold}, side[1])...)
				}
			}
		}
		for _, child := range logic.Children(n) {
			if _, other := (*child).(*ast.PredicateNode); !other { // which has elements of its own
				walk(*child)
			}
		}
	}
	walk(asked.Node)
	return faults
}

// field is what is compared with words.
type field struct {
	reflect.StructField
	of   reflect.Type
	name string
	fold func(string) string // lower or upper around it, or nil
}

func (c *Checker) lintWordsOf(operator string, f field, other ast.Node) (faults []Fault) {
	kind, of, name, fold := f.Tag.Get("kind"), f.of, f.name, f.fold
	never := name + " is never"
	if f.Type.Kind() == reflect.Slice {
		never = name + " never has"
	}
	for _, word := range textsOf(other) {
		found := Fault{At: word.Location().From, Code: CodeNeverMatches}
		letters, code := utf8.RuneCountInString(word.Value), caseOf[kind]
		whole := letters > 0 && slices.Contains([]string{"==", "!=", "in"}, operator)
		switch {
		case whole && kind == "currency" && letters != 3:
			found.Message = fmt.Sprintf("%s %q: currencies are codes of three letters, such as USD", never, word.Value)
		case whole && kind == "country" && letters != 2:
			found.Message = fmt.Sprintf("%s %q: countries are codes of two letters, such as DE", never, word.Value)
		case fold != nil && fold(word.Value) != word.Value:
			continue // lintCase has told
		case whole && noCode(&found, kind, never, word.Value, fold):
		case fold == nil && code.fold != nil && code.fold(word.Value) != word.Value:
			found.Message = fmt.Sprintf("%s %q: %s are in %s case", never, word.Value, code.several, code.inCase)
			found.Suggestion = code.fold(word.Value)
		case whole && of != schema.EventType && len(c.documented(of, f.StructField)) == 0 && slices.Contains(noValue, word.Value):
			found.Message = fmt.Sprintf(`%s is never %q: what is missing is ""`, name, word.Value)
		case whole && strings.HasSuffix(schema.FieldName(f.StructField), "email") && !isAddress(word.Value):
			found.Message = fmt.Sprintf("%s is never %q: an address is compared whole; a part of it is asked for by endsWith or contains", name, word.Value)
		case !whole || !c.lintWord(&found, f, word.Value):
			continue
		}
		faults = append(faults, found)
	}
	return faults
}

// noCode says whether a text is no code of a currency or a country although it looks
// like one, and why.
func noCode(found *Fault, kind, never, word string, fold func(string) string) bool {
	switch upper := strings.ToUpper(word); {
	case kind == "currency" && strings.ContainsAny(word, "0123456789"):
		found.Message = fmt.Sprintf("%s %q: currencies are codes of three letters, such as USD", never, word)
	case kind == "country" && upper == "UK":
		found.Message, found.Suggestion = fmt.Sprintf("%s %q: the code of the United Kingdom is GB", never, word), "GB"
	case kind == "currency" && upper == "RMB":
		found.Message, found.Suggestion = fmt.Sprintf("%s %q: the code of the renminbi is CNY", never, word), "CNY"
	case kind == "country" && upper == "EU":
		found.Message = fmt.Sprintf(`%s %q: the European Union is no country; one of several is asked for as in ["DE", "FR"]`, never, word)
	default:
		return false
	}
	if fold != nil {
		found.Suggestion = fold(found.Suggestion)
	}
	return true
}

// isAddress says whether a text can be an e-mail address, and is no pattern of some.
func isAddress(text string) bool {
	return strings.Index(text, "@") > 0 && !strings.ContainsAny(text, "*%")
}

// textsOf are the texts among what a value is compared with.
func textsOf(other ast.Node) (texts []*ast.StringNode) {
	elements := []ast.Node{other}
	if array, ok := other.(*ast.ArrayNode); ok {
		elements = array.Nodes
	}
	for _, element := range elements {
		if text, ok := element.(*ast.StringNode); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// lintWord says whether a field never is a word, and why.
func (c *Checker) lintWord(found *Fault, f field, word string) bool {
	of, name, fold := f.of, f.name, f.fold
	documented := slices.Clone(c.documented(of, f.StructField))
	for i := range documented {
		if fold != nil {
			documented[i] = fold(documented[i])
		}
	}
	if len(documented) == 0 || word == "" || slices.Contains(documented, word) {
		return false
	}
	found.Message = fmt.Sprintf("%s is never %q; documented: %s", name, word, strings.Join(documented, ", "))
	found.Suggestion = nearest(max(2, mostEdits(len(word))), word, documented) // they are few, so that a far one is meant, too
	whole := event.TypePrefix + word
	if c.system {
		whole = event.SystemPrefix + word
	}
	switch {
	case name == "event.subject":
		found.Message = fmt.Sprintf("event.subject is never %q: no destination, account or rule has that name", word)
	case name == "event.account":
		found.Message = fmt.Sprintf("event.account is never %q: no account has that name", word)
	case name == "event.type" && slices.Contains(documented, whole):
		found.Message, found.Suggestion = fmt.Sprintf("event.type is never %q: it is the whole type", word), whole
	case name == "event.type" && found.Suggestion == "":
		found.Suggestion = c.nearType(word)
	case of == schema.SessionType && found.Suggestion == "":
		found.Message += wordOfAnother(word)
	}
	return true
}

// wordOfAnother says which field of a session can be a word.
func wordOfAnother(word string) string {
	for i := range schema.SessionType.NumField() {
		if f := schema.SessionType.Field(i); slices.Contains(strings.Fields(f.Tag.Get("words")), word) {
			return fmt.Sprintf("; %q is a word of session.%s", word, schema.FieldName(f))
		}
	}
	return ""
}
