package check

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// unexpected is how the parser names what it did not expect.
var unexpected = regexp.MustCompile(`unexpected token (?:EOF|\w+\("(.*)"\))`)

// badNumber is how the parser names what looks like a number and is none.
var badNumber = regexp.MustCompile(`^(?:bad number syntax: |invalid \w+ literal: .* parsing )("[^"]*").*`)

// syntaxFault turns an error of expr's lexer or parser into a fault in the words
// of the reference.
func syntaxFault(err error, text string) Fault {
	f := Fault{Code: CodeExpression, Message: err.Error()}
	var at *file.Error
	if errors.As(err, &at) {
		f.At, f.Message = at.From, at.Message
	}
	ended := strings.Contains(f.Message, "unexpected token EOF") || f.Message == "unexpected end of expression"
	s := placeAt(text, f.At, ended)
	m := unexpected.FindStringSubmatch(f.Message)
	switch {
	case (m != nil || ended) && s.last(2).Is(lexer.Operator, "|") && s.last(1).Is(lexer.Identifier):
		f.At, f.Message, f.Suggestion = s.last(2).From, "unexpected |", "||"
	case ended:
		f.Code, f.Message = CodeUnfinished, "unexpected end of the expression"
		if s.open.Value != "" {
			f.At, f.Message = s.open.From, f.Message+": this "+s.open.Value+" is not closed"
		} else if strings.HasPrefix(strings.TrimSpace(text), "if ") {
			f.Message += "; a condition stands alone, without if"
		}
	case strings.HasPrefix(f.Message, "unrecognized character"):
		for signs, remedy := range otherCharacters {
			if strings.ContainsAny(f.Message, signs) {
				f.Message += remedy
			}
		}
	case strings.Contains(f.Message, "invalid char escape"):
		f.Message += ": write a backslash twice in quotes, or the text in backquotes"
	case badNumber.MatchString(f.Message):
		number := badNumber.FindStringSubmatch(f.Message)[1]
		f.Message = "bad number syntax: " + number + "; a number is made of digits, grouped by _, as in 100_000"
		switch word := strings.Trim(number, `"`); {
		case isDuration(word):
			f.Message = fmt.Sprintf("bad number syntax: %s; a span is written duration(%s)", number, number)
		case word[0] == '.':
			f.Message = "bad number syntax: " + number + "; an element of a list is chosen as in session.line_items.data[0]"
		}
	case f.Message == "literal not terminated":
		f.Code, f.At, f.Message = CodeUnfinished, openQuote(s.text), "this text has no closing quote"
	case f.Message == "unclosed comment":
		f.Code = CodeUnfinished
	case coalesced.MatchString(f.Message):
		f.At, f.Message = s.coalesce(coalesced.FindStringSubmatch(f.Message)[1])
	case strings.HasPrefix(f.Message, "a map key must be") && strings.Contains(text, "{{"):
		f.Message = "an expression stands alone, without {{ }}"
	case f.Message == "expected name":
		f.Message += `; a key with other signs in it is written as in session.metadata["a b"]`
	case m != nil:
		token := m[1]
		if isPersonal(s.here) {
			token = "text"
		}
		f.Message = strings.Replace(f.Message, m[0], "unexpected "+token, 1)
		if s.namesElement() {
			f.Message += "; an element has no name, its fields begin with a dot, as in any(session.line_items.data, .amount_total > 5)"
			break
		}
		hint, suggestion := s.misuse()
		f.Message += hint
		f.Suggestion = cmp.Or(suggestion, otherSigns[s.sign()], otherSigns[m[1]])
	}
	return f
}

// coalesced is how the parser says that ?? stands beside an operator.
var coalesced = regexp.MustCompile(`^Operator \((.*)\) and coalesce expressions`)

// coalesce says how ?? is written beside another operator, and where it stands.
func (s *place) coalesce(operator string) (at int, message string) {
	i := len(s.before) - 1
	for i > 0 && !s.before[i].Is(lexer.Operator, "??") {
		i--
	}
	value, other := cmp.Or(s.value(s.before[:i]), "…"), strings.TrimSpace(string(s.text[s.before[i].To:s.at]))
	number := i+2 == len(s.before) && s.before[i+1].Is(lexer.Number)
	both := "(" + value + " ?? " + other + ")"
	switch {
	case slices.ContainsFunc(s.before[i:], isPersonal):
		both = "(" + value + " ?? …)"
	case number && strings.Contains(value, ".metadata."):
		both = fmt.Sprintf("int(%s ?? %q)", value, other)
	}
	return s.before[i].From, fmt.Sprintf("a value and its default stand in parentheses beside %[1]s, as in %[2]s %[1]s …", operator, both)
}

// value is the constant path with which some tokens end, "" if they end otherwise.
func (s *place) value(tokens []lexer.Token) string {
	if len(tokens) == 0 || !tokens[len(tokens)-1].Is(lexer.Identifier) {
		return ""
	}
	first := len(tokens) - 1
	for first > 1 && tokens[first-1].Is(lexer.Operator, ".", "?.") && tokens[first-2].Is(lexer.Identifier) {
		first -= 2
	}
	return string(s.text[tokens[first].From:tokens[len(tokens)-1].To])
}

// dotted is what stands behind a dot with which a template names a value.
var dotted = regexp.MustCompile(`^(?i:(session|event|previous))\b((?:\.[A-Za-z_]\w*)*)`)

// afterDot says how that is written which begins with a dot, as in a template.
func afterDot(behind string) (hint, suggestion string) {
	if path := dotted.FindStringSubmatch(behind); path != nil {
		suggestion = strings.ToLower(path[1]) + path[2]
	}
	return "; what begins with a dot is a member of an element, inside any(…) and the like", suggestion
}

// otherCharacters are how that is written which is no character of the language.
var otherCharacters = map[string]string{
	"~": "; whether a pattern fits is asked by matches", "“”„‘’«»": "; a text stands in straight quotes",
	"€£¥": "; an amount is a whole number of the smallest unit",
}

// place is what stands around a place at which the parser gave up.
type place struct {
	text   []rune
	at     int           // in runes
	before []lexer.Token // the tokens before it
	here   lexer.Token
	open   lexer.Token // the innermost bracket that is open
}

// placeAt finds what stands around a place, or before the end of a text that ended too
// early.
func placeAt(text string, at int, ended bool) (s place) {
	s.text, s.at = []rune(text), at
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		return s
	}
	var open []lexer.Token
	for i, token := range tokens {
		if !ended && token.From >= at || token.Kind == lexer.EOF {
			s.before, s.here = tokens[:i], token
			break
		}
		switch {
		case token.Is(lexer.Bracket, "(", "[", "{"):
			open = append(open, token)
		case token.Is(lexer.Bracket) && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		s.open = open[len(open)-1]
	}
	return s
}

// last is the nth token before the place.
func (s *place) last(n int) (none lexer.Token) {
	if n > len(s.before) {
		return none
	}
	return s.before[len(s.before)-n]
}

// source is a token as it is written.
func (s *place) source(token lexer.Token) string { return string(s.text[token.From:token.To]) }

// isPersonal says whether a token is a text that may be an address, which is shown to
// nobody: what is said of it is said without it.
func isPersonal(token lexer.Token) bool {
	return token.Kind == lexer.String && strings.ContainsAny(token.Value, "@:")
}

// ends says whether a token can end a value, begins whether one can begin it.
func ends(token lexer.Token) bool {
	return slices.Contains([]lexer.Kind{lexer.Identifier, lexer.Number, lexer.String}, token.Kind) || token.Is(lexer.Bracket, ")", "]", "}")
}

func begins(token lexer.Token) bool {
	return slices.Contains([]lexer.Kind{lexer.Identifier, lexer.Number, lexer.String}, token.Kind) || token.Is(lexer.Operator, "not", "!")
}

const (
	askHas      = `; whether a field has a value is asked as in has("customer")`
	askChanged  = `; whether a field changed is asked as in changed("status")`
	joinByAnd   = "; conditions are joined by and"
	standsAlone = "; a condition stands alone, without such a word"
	groupBy_    = "; the digits of a number are grouped by _, as in 100_000"
)

// otherOrder are words that stand before or behind a value in other languages.
var otherOrder = map[string]string{
	"exists": askHas, "defined": askHas, "empty": askHas, "changed": askChanged,
	"return": standsAlone, "when": standsAlone, "where": standsAlone,
	"unless": "; what must not hold is written not (…)",
}

// misuse says how what was not expected is written in this language.
func (s *place) misuse() (hint, suggestion string) {
	here, last := s.here, s.last(1)
	digit := func(i int) bool { return i >= 0 && i < len(s.text) && unicode.IsDigit(s.text[i]) }
	called := s.followedBy("(")
	newLine := strings.HasSuffix(strings.TrimRight(string(s.text[:min(s.at, len(s.text))]), " \t"), "\n")
	inList := s.open.Value == "["
	switch token := here.Value; {
	case token == "." && (last.Kind == "" || last.Is(lexer.Operator) || last.Is(lexer.Bracket, "(", "[")):
		return afterDot(string(s.text[here.To:]))
	case slices.Contains([]string{"contains", "startsWith", "endsWith", "matches"}, token):
		return fmt.Sprintf(`; %s stands between two texts, as in session.currency %s "E"`, token, token), ""
	case token == "{" && last.Is(lexer.Identifier, "$"):
		return "; an expression stands alone, without ${ }", ""
	case here.Is(lexer.Bracket, ")", "]", "}") && s.open.Value == "":
		return "; no bracket is open here", ""
	case here.Is(lexer.Bracket, ")", "]", "}") && !strings.Contains("() [] {}", s.open.Value+token):
		return "; a " + s.open.Value + " is open here", ""
	case token == "/" && last.Is(lexer.Operator, "matches"):
		return "; a pattern stands in quotes", ""
	case here.Is(lexer.Operator) && strings.ContainsAny(token, "<>=") && last.Is(lexer.Operator, "and", "or", "&&", "||"):
		return "; each side is a condition of its own, as in x >= 1 and x <= 5", ""
	case token == "is" && s.followedBy("not"):
		return "", "!="
	case token == "is" && s.followedBy("in"):
		return "", "in"
	case strings.EqualFold(token, "like"), strings.EqualFold(token, "ilike"):
		return like(string(s.text[here.To:]))
	case token == "#":
		return "; a comment begins with //", ""
	case strings.EqualFold(token, "between"):
		return "; a range is asked for as in session.amount_total in 1_00..5_00", ""
	case token == "," && digit(s.at-1) && digit(s.at+1), here.Kind == lexer.Number && last.Kind == lexer.Number && strings.HasPrefix(s.source(here), "."):
		return groupBy_, ""
	case last.Kind == lexer.String && here.Kind == lexer.String && last.To == here.From:
		return "; a quote in a text stands behind a backslash", ""
	case inList && ends(last) && begins(here) && (isPersonal(last) || isPersonal(here)):
		return "; the elements of a list are separated by commas: write one before this", ""
	case inList && ends(last) && begins(here):
		return fmt.Sprintf("; the elements of a list are separated by commas: %s, %s", s.source(last), s.source(here)), ""
	case inList && token == ";":
		return "; the elements of a list are separated by commas", ""
	case token == ",":
		return "; a list stands in [ ], and conditions are joined by and", ""
	case token == "!" && s.followedBy("in"):
		return "", "not in"
	case last.Is(lexer.Operator, "not") && ends(s.last(2)) && slices.Contains(beginnings, token):
		return joinByAnd, ""
	case last.Is(lexer.Operator, "not") && ends(s.last(2)) && here.Kind != lexer.Identifier:
		return "", "!="
	case otherOrder[token] != "" && !called:
		return otherOrder[token], ""
	case last.Kind == lexer.Identifier && !s.last(2).Is(lexer.Operator, ".") && otherOrder[last.Value] != "":
		return otherOrder[last.Value], ""
	case newLine, ends(last) && (slices.Contains(beginnings, token) || called && slices.Contains(functionNames, token)):
		return joinByAnd, ""
	case last.Kind == lexer.Number && here.Kind == lexer.Identifier && otherSigns[token] == "":
		return "; an amount is a number alone, in the smallest unit: the currency is session.currency", ""
	}
	return "", ""
}

// beginnings are the words, but functions, that a condition can begin with.
var beginnings = []string{"session", "event", "previous", "true", "false", "not"}

// followedBy says whether what was not expected stands before a word.
func (s *place) followedBy(word string) bool {
	if s.here.To == 0 {
		return false
	}
	return strings.HasPrefix(strings.TrimLeft(string(s.text[s.here.To:]), " "), word)
}

// namesElement says whether the place is at the arrow of `x => …`.
func (s *place) namesElement() bool {
	name := 1
	if s.last(1).Is(lexer.Operator, "-") && s.here.Value == ">" {
		name = 2
	} else if s.sign() != "=>" {
		return false
	}
	return s.last(name).Kind == lexer.Identifier && (s.last(name+1).Is(lexer.Bracket, "(") || s.last(name+1).Is(lexer.Operator, ","))
}

// otherSigns are what is written for these in other languages.
var otherSigns = map[string]string{
	"=": "==", "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=", "&": "&&",
	"AND": "and", "OR": "or", "NOT": "not", "IN": "in", "is": "==",
	"ends": "endsWith", "starts": "startsWith", "endswith": "endsWith", "startswith": "startsWith", "ends_with": "endsWith", "starts_with": "startsWith", "isnt": "!=", "match": "matches", "includes": "contains", "has": "contains",
	"eq": "==", "equals": "==", "ne": "!=", "gt": ">", "lt": "<",
}

// sign is the run of signs around the place.
func (s *place) sign() string {
	isSign := func(i int) bool { return i >= 0 && i < len(s.text) && strings.ContainsRune("=<>!&|", s.text[i]) }
	from, to := s.at, s.at
	for isSign(from - 1) {
		from--
	}
	for isSign(to) {
		to++
	}
	return string(s.text[from:to])
}

// openQuote is where the text begins that is not closed.
func openQuote(text []rune) int {
	for i := 0; i < len(text); i++ {
		if !strings.ContainsRune("\"'`", text[i]) {
			continue
		}
		start := i
		for i++; i < len(text) && text[i] != text[start]; i++ {
			if text[i] == '\\' && text[start] != '`' {
				i++
			}
		}
		if i >= len(text) {
			return start
		}
	}
	return len(text)
}
