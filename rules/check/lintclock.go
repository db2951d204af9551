package check

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/rules/logic"
	"checkout-notifier/spelling"

	"github.com/expr-lang/expr/ast"
)

// clockPart is what can be read of a time: a name, or a number of a range.
type clockPart struct {
	what        string
	names       []string // nil: a number
	least, most int
	note        string // what the numbers mean
	year        bool   // it has four digits, or is 1: that of a missing time
}

var (
	weekdays = namesOf(time.Sunday, time.Saturday)
	months   = namesOf(time.January, time.December)
	// clockNumbers are the methods of a time that return a whole number, int of them
	// for a weekday and a month.
	clockNumbers = map[string]clockPart{
		"Weekday": {what: "a weekday", least: 0, most: 6, note: ": 0 is Sunday, 6 is Saturday"},
		"Month":   {what: "a month", least: 1, most: 12},
		"Day":     {what: "a day of the month", least: 1, most: 31},
		"YearDay": {what: "a day of the year", least: 1, most: 366},
		"Hour":    {what: "an hour", least: 0, most: 23},
		"Minute":  {what: "a minute", least: 0, most: 59},
		"Second":  {what: "a second", least: 0, most: 59},
		"Year":    {what: "a year", least: 1000, most: 9999, year: true},
	}
	// clockNames are the layouts of Format, and the methods with String, that make a name.
	clockNames = map[string]clockPart{
		"Weekday": {what: "a weekday", names: weekdays},
		"Monday":  {what: "a weekday", names: weekdays},
		"Mon":     {what: "a weekday in short", names: shortened(weekdays)},
		"Month":   {what: "a month", names: months},
		"January": {what: "a month", names: months},
		"Jan":     {what: "a month in short", names: shortened(months)},
	}
)

func namesOf[T interface {
	~int
	fmt.Stringer
}](first, last T) (names []string) {
	for v := first; v <= last; v++ {
		names = append(names, v.String())
	}
	return names
}

func shortened(names []string) (short []string) {
	for _, name := range names {
		short = append(short, name[:3])
	}
	return short
}

// clockPartOf says what a checked node reads of a time.
func clockPartOf(n ast.Node) (clockPart, bool) {
	if conversion, ok := n.(*ast.BuiltinNode); ok && len(conversion.Arguments) == 1 {
		method, _, of := methodCall(conversion.Arguments[0])
		switch {
		case of != timeType:
		case conversion.Name == "int":
			part, found := clockNumbers[method]
			return part, found
		case conversion.Name == "string":
			part, found := clockNames[method]
			return part, found
		}
		return clockPart{}, false
	}
	method, call, of := methodCall(n)
	switch {
	case of == timeType && method == "Format" && len(call.Arguments) == 1:
		if layout, ok := call.Arguments[0].(*ast.StringNode); ok && layout.Value != "Weekday" && layout.Value != "Month" {
			part, found := clockNames[layout.Value]
			return part, found
		}
	case method == "String" && (of == reflect.TypeFor[time.Weekday]() || of == reflect.TypeFor[time.Month]()):
		part, found := clockNames[of.Name()]
		return part, found
	case of == timeType:
		part, found := clockNumbers[method]
		return part, found
	}
	return clockPart{}, false
}

// methodCall is the method that a node calls, and the type of whose it is.
func methodCall(n ast.Node) (method string, call *ast.CallNode, of reflect.Type) {
	call, ok := n.(*ast.CallNode)
	if !ok {
		return "", nil, nil
	}
	member, ok := call.Callee.(*ast.MemberNode)
	if !ok || member.Node.Type() == nil {
		return "", nil, nil
	}
	property, ok := member.Property.(*ast.StringNode)
	if !ok {
		return "", nil, nil
	}
	return property.Value, call, member.Node.Type()
}

// lintClock finds names and numbers that no part of a time is.
func lintClock(operator string, value, other ast.Node) (faults []Fault) {
	part, ok := clockPartOf(value)
	if !ok {
		return nil
	}
	elements := []ast.Node{other}
	if array, ok := other.(*ast.ArrayNode); ok {
		elements = array.Nodes
	} else if bounds, ok := other.(*ast.BinaryNode); ok && bounds.Operator == ".." {
		elements = []ast.Node{bounds.Left, bounds.Right}
	}
	for _, element := range elements {
		found := Fault{At: element.Location().From, Code: CodeNeverMatches}
		switch element := element.(type) {
		case *ast.StringNode:
			if part.names == nil || operator != "==" && operator != "!=" && operator != "in" || slices.Contains(part.names, element.Value) {
				continue
			}
			found.Message = fmt.Sprintf("%s is never %q: it is one of %s", part.what, element.Value, strings.Join(part.names, ", "))
			found.Suggestion = part.nearest(element.Value)
		case *ast.IntegerNode:
			if part.names != nil || !part.excludes(operator, element.Value) {
				continue
			}
			found.Message = fmt.Sprintf("%s is never %s: it is %d to %d%s", part.what, asked(operator, element.Value), part.least, part.most, part.note)
			if part.year {
				found = twoDigits(found, operator, element.Value)
			}
		default:
			continue
		}
		faults = append(faults, found)
	}
	return faults
}

// lintFormatted warns of a time of fewer digits than the one that it is compared with.
func lintFormatted(operator string, value, other ast.Node) (faults []Fault) {
	method, call, of := methodCall(value)
	if of != timeType || method != "Format" || len(call.Arguments) != 1 || operator != "in" && logic.Mirrored(operator) == "" {
		return nil
	}
	layout, ok := call.Arguments[0].(*ast.StringNode)
	for _, text := range textsOf(other) {
		written := ""
		if ok {
			written = logic.AsFormatted(layout.Value, text.Value)
		}
		if written == "" {
			continue
		}
		f := Fault{At: text.Location().From, Code: CodeNeverMatches, Suggestion: written,
			Message: fmt.Sprintf("the layout %q never writes %q: texts are compared by their characters, so it is written with its zeros", layout.Value, text.Value)}
		if strings.ContainsAny(operator, "<>") {
			f.Code = CodeMisleading
		}
		faults = append(faults, f)
	}
	return faults
}

// twoDigits says of a number that it is no year, and which is meant.
func twoDigits(f Fault, operator string, number int) Fault {
	const century, inCentury = 2000, 100
	f.Message = fmt.Sprintf("a year has four digits, and is never %d", number)
	if strings.HasPrefix(operator, ">") {
		f.Code, f.Message = CodeMisleading, fmt.Sprintf("a year has four digits, and is always more than %d", number)
	}
	if number < inCentury {
		f.Suggestion = strconv.Itoa(century + number)
	}
	return f
}

// nearest is the name that a word was probably meant to be, in whatever case and
// however shortened.
func (p clockPart) nearest(word string) string {
	const enough = 3
	if len(word) >= enough {
		for _, name := range p.names {
			if strings.EqualFold(name[:enough], word[:enough]) {
				return name
			}
		}
	}
	return spelling.Closest(word, p.names)
}

// excludes says whether no number of the range compares so.
func (p clockPart) excludes(operator string, number int) bool {
	if p.year {
		return (operator == "in" || logic.Mirrored(operator) != "") && number > 1 && number < p.least
	}
	switch operator {
	case "<":
		return number <= p.least
	case "<=":
		return number < p.least
	case ">":
		return number >= p.most
	case ">=":
		return number > p.most
	case "==", "!=", "in":
		return number < p.least || number > p.most
	}
	return false
}

func asked(operator string, number int) string {
	if strings.ContainsAny(operator, "<>") {
		return fmt.Sprint(operator, " ", number)
	}
	return fmt.Sprint(number)
}
