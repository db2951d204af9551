package check

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// lintMixed warns of `x == 1 || x == 2 && y`, which is read in two ways. Depths
// are the open brackets at each operator: with parentheses the meaning is clear.
func lintMixed(root ast.Node, depths map[int]int) (faults []Fault) {
	for _, m := range logic.MixedOperators(root) {
		if at := m.And.Location().From; depths[at] == depths[m.Or.Location().From] {
			faults = append(faults, Fault{At: at, Code: CodeMisleading, Warning: true,
				Message: fmt.Sprintf("%s binds closer than %s, so that this belongs to one of the two conditions on %s alone: say by parentheses which is meant", m.And.Operator, m.Or.Operator, m.Of)})
		}
	}
	return faults
}

// lintRange finds ranges that nothing is in.
func lintRange(n *ast.BinaryNode) []Fault {
	least, ok := n.Left.(*ast.IntegerNode)
	most, also := n.Right.(*ast.IntegerNode)
	if n.Operator != ".." || !ok || !also || least.Value <= most.Value {
		return nil
	}
	return []Fault{{At: least.Location().From, Code: CodeNeverMatches,
		Message: fmt.Sprintf("nothing is in the range %d..%d: the smaller number stands first; a time over midnight is asked for by or, as in x >= 22 or x < 6", least.Value, most.Value)}}
}

// lintElements finds what a list has and no value of the type that is looked for is.
func lintElements(n *ast.BinaryNode) (faults []Fault) {
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok || n.Operator != "in" {
		return nil
	}
	if at, message := unlike(n); message != "" {
		faults = append(faults, Fault{At: at, Code: CodeNeverMatches, Message: message})
	}
	for _, element := range list.Nodes {
		b, ok := element.(*ast.BinaryNode)
		if !ok || b.Operator != "-" {
			continue
		}
		least, ok := b.Left.(*ast.IntegerNode)
		most, also := b.Right.(*ast.IntegerNode)
		if ok && also && least.Value < most.Value {
			faults = append(faults, Fault{At: least.Location().From, Code: CodeMisleading, Suggestion: fmt.Sprintf("%d..%d", least.Value, most.Value),
				Message: "this is a difference: a range stands without brackets, as in x in 9..17"})
		}
	}
	return faults
}

// lintPredicate finds a condition on the elements of a list that looks at none.
func lintPredicate(n *ast.BuiltinNode) []Fault {
	if !slices.Contains([]string{"any", "all", "none", "one", "count", "filter", "find"}, n.Name) || len(n.Arguments) < 2 {
		return nil
	}
	asked, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return nil
	}
	if _, constant := logic.Constant(asked.Node); constant || looksAtElement(asked.Node) {
		return nil
	}
	return []Fault{{At: n.Location().From, Code: CodeMisleading,
		Message: "this asks nothing of the elements of the list: their fields begin with a dot, as in any(session.line_items.data, .amount_total > 5)"}}
}

// looksAtElement says whether there is an element in a tree, or may be in the place of
// a mistake.
func looksAtElement(n ast.Node) bool {
	_, found := n.(*ast.PointerNode)
	found = found || isHole(n)
	for _, child := range logic.Children(n) {
		found = found || looksAtElement(*child)
	}
	return found
}

var plainPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

func isNumberOrBool(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return true
	case *ast.UnaryNode:
		return n.Operator == "-" && isNumberOrBool(n.Node)
	case *ast.BinaryNode:
		return n.Operator == ".."
	case *ast.ArrayNode:
		return len(n.Nodes) > 0 && !slices.ContainsFunc(n.Nodes, func(n ast.Node) bool { return !isNumberOrBool(n) })
	}
	return false
}

// isConstant says whether a node is a constant that is not empty.
func isConstant(n ast.Node) bool {
	text, ok := n.(*ast.StringNode)
	return ok && text.Value != "" || isNumberOrBool(n)
}

// lintCase warns of a text that lower, upper or trim around the other side never makes.
func lintCase(n *ast.BinaryNode) (faults []Fault) {
	sides := [][2]ast.Node{{n.Left, n.Right}}
	switch n.Operator {
	case "==", "!=":
		sides = append(sides, [2]ast.Node{n.Right, n.Left})
	case "in", "contains", "startsWith", "endsWith":
	default:
		return nil
	}
	for _, side := range sides {
		for _, word := range textsOf(side[1]) {
			if f, never := neverMade(n.Operator, side[0], word); never {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// neverMade says whether lower, upper or trim around a value never makes a word.
func neverMade(operator string, value ast.Node, word *ast.StringNode) (Fault, bool) {
	f := Fault{At: word.Location().From, Code: CodeNeverMatches}
	for call, ok := value.(*ast.BuiltinNode); ok && len(call.Arguments) == 1; call, ok = value.(*ast.BuiltinNode) {
		fold := changeCase[call.Name]
		switch {
		case fold != nil && fold(word.Value) != word.Value:
			f.Message = fmt.Sprintf("what %[1]s makes is never %[2]q: write it in %[1]s case", call.Name, word.Value)
			return f, true
		case call.Name == "trim" && trimmed(operator, word.Value) != word.Value:
			f.Message = fmt.Sprintf("what trim makes is never %q: write it without the space around it", word.Value)
			f.Suggestion = trimmed(operator, word.Value)
			return f, true
		case fold == nil && call.Name != "trim":
			return f, false
		}
		value = call.Arguments[0]
	}
	return f, false
}

// trimmed is a text as it can be what trim makes, or the part of it that an operator asks
// for.
func trimmed(operator, text string) string {
	switch operator {
	case "startsWith":
		return strings.TrimLeftFunc(text, unicode.IsSpace)
	case "endsWith":
		return strings.TrimRightFunc(text, unicode.IsSpace)
	case "contains":
		return text
	}
	return strings.TrimSpace(text)
}

// partOf are the operators that ask for a part of a text.
var partOf = map[string]func(text, part string) bool{
	"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
	"matches": func(text, pattern string) bool {
		found, err := regexp.MatchString(pattern, text)
		return found || err != nil
	},
}

// notLetters are the parts of a pattern whose letters stand for something else.
var notLetters = regexp.MustCompile(`\\.|\(\?[^:)]*`)

// lintPart warns of a part that none of the words of a field has, and of a pattern in
// lower case for a code in upper case.
func (c *Checker) lintPart(n *ast.BinaryNode) []Fault {
	f, of, ok := fieldOf(n.Left)
	part, also := n.Right.(*ast.StringNode)
	found := partOf[n.Operator]
	if slashed := slashedPattern(n); slashed != "" {
		return []Fault{{At: n.Right.Location().From, Code: CodeNeverMatches, Suggestion: slashed,
			Message: "the slashes are a part of this pattern, which is written without them; (?i) before it is for any case"}}
	}
	if n.Operator == "matches" && also {
		if f, repeated := repeatedAnchor(part); repeated {
			return []Fault{f}
		}
	}
	if !ok || !also || found == nil {
		return nil
	}
	words, name := c.documented(of, f), cmp.Or(logic.Spell(n.Left), schema.FieldName(f))
	code := caseOf[f.Tag.Get("kind")]
	letters := notLetters.ReplaceAllString(part.Value, "")
	fault := Fault{At: part.Location().From, Code: CodeNeverMatches}
	switch {
	case n.Operator == "matches" && code.fold != nil && !strings.Contains(part.Value, "(?i") && letters != code.fold(letters):
		fault.Message = fmt.Sprintf("%s never matches %q: its codes are in %s case", name, part.Value, code.inCase)
	case len(words) > 0 && !slices.ContainsFunc(append([]string{""}, words...), func(word string) bool { return found(word, part.Value) }):
		fault.Message = fmt.Sprintf("no word of %s %s %q; documented: %s", name, n.Operator, part.Value, strings.Join(words, ", "))
	default:
		return nil
	}
	return []Fault{fault}
}

// repeatedAnchor warns of a pattern such as ^+49, in which + does not stand for itself.
func repeatedAnchor(pattern *ast.StringNode) (f Fault, bad bool) {
	if !logic.RepeatsAnchor(pattern.Value) {
		return f, false
	}
	f = Fault{At: pattern.Location().From, Code: CodeMisleading, Message: `an anchor is not repeated: what stands behind ^ or $ is no sign of the text here; a sign is written with two backslashes before it, as in "^\\+49"`}
	if rest, found := strings.CutPrefix(pattern.Value, "^+"); found {
		f.Suggestion = `^\+` + rest
	}
	return f, true
}

// inSlashes is a pattern as other languages write it, with how it is meant behind it.
var inSlashes = regexp.MustCompile(`^/(.+)/([gimsu]+)$`)

// slashedPattern is a pattern without the slashes around it, "" for one without, and
// where they can be a part of what is looked at.
func slashedPattern(n *ast.BinaryNode) string {
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok || n.Operator != "matches" || strings.HasSuffix(logic.Spell(n.Left), "url") {
		return ""
	}
	parts := inSlashes.FindStringSubmatch(pattern.Value)
	switch {
	case parts == nil:
		return ""
	case strings.Contains(parts[2], "i"):
		return "(?i)" + parts[1]
	}
	return parts[1]
}

// folded is what lower or upper is called with, and that function; else the node itself.
func folded(n ast.Node) (ast.Node, func(string) string) {
	if call, ok := n.(*ast.BuiltinNode); ok && changeCase[call.Name] != nil && len(call.Arguments) == 1 {
		return call.Arguments[0], changeCase[call.Name]
	}
	return n, nil
}

// changeCase are the built-ins that make a text of one case.
var changeCase = map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper}

// lintDigits warns of a text that is ordered as if it were a number.
func lintDigits(root ast.Node) (faults []Fault) {
	for _, d := range logic.OrderedDigits(root) {
		faults = append(faults, Fault{At: d.At, Code: CodeMisleading, Warning: true, Suggestion: fmt.Sprintf(`int(%s ?? "0") %s %s`, d.Value, d.Operator, d.Number),
			Message: `texts are ordered by their characters, so that "10" stands before "9": compare numbers`})
	}
	return faults
}

// notAfter are the times that each time never lies after.
var notAfter = map[string][]string{"session.created": {"now()", "session.expires_at"}, "previous.created": {"now()", "previous.expires_at"}}

// lintSpan warns of a span that is taken from the later time to the earlier one and
// compared with a positive one.
func lintSpan(operator string, value, other ast.Node) []Fault {
	from, to := span(value)
	if from == nil || !positive(other) || !strings.ContainsAny(operator, "<>") {
		return nil
	}
	earlier, later := timeName(from), timeName(to)
	if !slices.Contains(notAfter[earlier], later) {
		return nil
	}
	f := Fault{At: value.Location().From, Code: CodeNeverMatches, Suggestion: later + " - " + earlier,
		Message: fmt.Sprintf("%s is not after %s, so that this span is negative and never as long as that", earlier, later)}
	if operator[0] == '<' {
		f.Code, f.Message = CodeMisleading, fmt.Sprintf("%s is not after %s, so that this span is negative and always shorter than that", earlier, later)
	}
	return []Fault{f}
}

// span is what a node takes a time from, and that time; nil for other nodes.
func span(n ast.Node) (from, to ast.Node) {
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "-" {
		return b.Left, b.Right
	}
	if method, call, of := methodCall(n); of == timeType && method == "Sub" && len(call.Arguments) == 1 {
		return call.Callee.(*ast.MemberNode).Node, call.Arguments[0]
	}
	return nil, nil
}

// timeName is how a time is written that is a field, or now.
func timeName(n ast.Node) string {
	if call, ok := n.(*ast.CallNode); ok && len(call.Arguments) == 0 {
		if callee, ok := call.Callee.(*ast.IdentifierNode); ok {
			return callee.Value + "()"
		}
	}
	return logic.Spell(n)
}

// positive says whether a node is a span above zero.
func positive(n ast.Node) bool {
	call, ok := n.(*ast.CallNode)
	if !ok || call.Type() != durationType || len(call.Arguments) != 1 {
		return false
	}
	text, ok := call.Arguments[0].(*ast.StringNode)
	if !ok {
		return false
	}
	d, err := schema.ParseDuration(text.Value)
	return err == nil && d > 0
}
