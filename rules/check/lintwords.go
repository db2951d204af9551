package check

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"checkout-notifier/event"
	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
)

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
	found.Suggestion = spelling.Nearest(max(2, spelling.MostEdits(len(word))), word, documented) // they are few, so that a far one is meant, too
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
