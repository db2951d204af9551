package publish

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Null is empty for every function of a template: the functions of text/template
// that would print <nil> or <no value> are replaced here, and those that would fail
// on null in package null. Their other results and errors are those of text/template.

// printable gives the functions that print null as "" and objects and lists as
// JSON, as an insertion does.
func printable(values []any) []any {
	shown := make([]any, len(values))
	for i, v := range values {
		switch v.(type) {
		case nil, map[string]any, []any:
			shown[i] = text(v)
		default:
			shown[i] = v
		}
	}
	return shown
}

// blank is null for printf: nothing under every verb, as wide as asked.
type blank struct{}

// Format implements fmt.Formatter.
func (blank) Format(f fmt.State, _ rune) {
	if width, ok := f.Width(); ok {
		_, _ = io.WriteString(f, strings.Repeat(" ", width))
	}
}

// printf is fmt.Sprintf. With a sample (strict) it refuses a format that does
// not fit its values, since fmt would write the mistake into the body.
func (x *execution) printf(format any, values ...any) (string, error) {
	if format == nil {
		return "", nil
	}
	shown := printable(values)
	for i, v := range values {
		if v == nil {
			shown[i] = blank{}
		}
	}
	pattern := text(format)
	s := fmt.Sprintf(pattern, shown...)
	if x.strict && strings.Contains(s, "%!") && !strings.Contains(pattern, "%%!") {
		unfit := "printf: the format does not fit the values"
		if strings.Contains(s, "%!f(int") || strings.Contains(s, "%!f(json.Number") {
			unfit += ": a whole number is written by %d, an amount as in " + writtenAmount
		}
		return "", errors.New(unfit)
	}
	return x.made(s, nil)
}
