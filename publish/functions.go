package publish

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"checkout-notifier/checkout"
	"checkout-notifier/event"
	"checkout-notifier/publish/internal/null"
)

// The budget of one execution: steps of loops and calls, and bytes that
// functions make.
const (
	stepLimit  = 10_000
	bytesLimit = 16 << 20
)

// What functions say of a value does not quote it: it may be the buyer's.

// execution is the state of one run of a template. It serves one goroutine.
type execution struct {
	strict bool // a sample: every documented name is there
	data   map[string]any
	free   map[uintptr]string // the objects whose names are not ours; nil: it was not asked for
	steps  int
	bytes  int

	excused []mistake // of a sample: what is not there, at its place in the template
}

// ownFunctions are those that text/template has not; they are meant most often.
var ownFunctions = []string{"json", "money", "time", "default", "truncate", "lower", "upper"}

// functions are what templates may call. Those of text/template that make text
// are replaced by ones that stay within the budget, and all of them by ones for
// which null is empty.
func functions(x *execution) template.FuncMap {
	all := template.FuncMap(null.Functions())
	maps.Copy(all, template.FuncMap{
		"json":     func(v any) (string, error) { return x.made(toJSON(v)) },
		"money":    money,
		"time":     x.formatTime,
		"default":  defaultTo,
		"truncate": truncated,
		"lower":    func(v any) (string, error) { return x.made(strings.ToLower(text(v)), nil) },
		"upper":    func(v any) (string, error) { return x.made(strings.ToUpper(text(v)), nil) },
		"print":    func(v ...any) (string, error) { return x.made(fmt.Sprint(printable(v)...), nil) },
		"println":  func(v ...any) (string, error) { return x.made(fmt.Sprintln(printable(v)...), nil) },
		"printf":   x.printf,
		"html":     func(v ...any) (string, error) { return x.made(template.HTMLEscaper(printable(v)...), nil) },
		"js":       func(v ...any) (string, error) { return x.made(template.JSEscaper(printable(v)...), nil) },
		"urlquery": func(v ...any) (string, error) { return x.made(template.URLQueryEscaper(printable(v)...), nil) },
	})
	return all
}

// internals are called by what rewriter puts into a template.
func internals(x *execution) template.FuncMap {
	return template.FuncMap{
		"_get":   func(at int, base any, path ...string) (any, error) { return x.excuse(at)(x.get(base, path, false)) },
		"_opt":   func(_ int, base any, path ...string) (any, error) { return x.get(base, path, true) },
		"_null":  func(...any) any { return nil },
		"_step":  x.step,
		"_show":  func(v any) (string, error) { return x.made(text(v), nil) },
		"_token": func(v any) string { return token(text(v)) },
	}
}

func (x *execution) step() (string, error) {
	if x.steps++; x.steps > stepLimit {
		return "", ErrTooLong
	}
	return "", nil
}

// excuse notes what a sample does not have and puts null in its place, so that the
// next mistake is found too.
func (x *execution) excuse(at int) func(v any, err error) (any, error) {
	return func(v any, err error) (any, error) {
		if err == nil || !x.strict {
			return v, err
		}
		told := func(m mistake) bool { return m.at == at && m.err.Error() == err.Error() }
		if !slices.ContainsFunc(x.excused, told) {
			x.excused = append(x.excused, mistake{at, err})
		}
		return nil, nil
	}
}

// made charges text that a function made.
func (x *execution) made(s string, err error) (string, error) {
	if x.bytes += len(s); x.bytes > bytesLimit {
		return "", ErrTooLong
	}
	return s, err
}

// get follows a path of names. Below null everything is null, and so is a documented
// member that the API left out. A key of a session's metadata that nobody set is missing,
// whether or not others are set.
func (x *execution) get(base any, path []string, optional bool) (any, error) {
	v := base
	for i, name := range path {
		if v == nil {
			if !optional && i == 2 && path[0] == "Session" && path[1] == "metadata" {
				return nil, &noName{path: path[:i+1], owner: ownerSession}
			}
			return nil, nil
		}
		members, ok := v.(map[string]any)
		if !ok {
			if optional {
				return nil, nil
			}
			return nil, fmt.Errorf("%s has no members, so no %s", cmp.Or(strings.Join(path[:i], "."), "this value"), name)
		}
		next, ok := members[name]
		if !ok && !optional && !x.leftOut(name, members) {
			return nil, x.missing(path[:i+1], members)
		}
		v = next
	}
	return v, nil
}

func toJSON(v any) (string, error) {
	b, err := event.Marshal(v)
	return string(b), err
}

// text is how a value stands in text: null as nothing, objects as JSON.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		s, _ := toJSON(v) // "" for what has no JSON
		return s
	}
	return fmt.Sprint(v)
}

func defaultTo(alternative any, value ...any) any {
	if len(value) == 0 || value[0] == nil || value[0] == "" {
		return alternative
	}
	return value[0]
}

// truncated is truncate for what templates hold.
func truncated(n, v any) (string, error) {
	if n == nil {
		return "", nil
	}
	limit, ok := null.Integer(n)
	if !ok {
		return "", errors.New("truncate: the length is not an integer")
	}
	return truncate(int(min(limit, BodyLimit)), text(v)), nil
}

// truncate shortens to at most n characters, the last an ellipsis.
func truncate(n int, s string) string {
	if n < 1 {
		return ""
	}
	if runes := []rune(s); len(runes) > n {
		s = string(runes[:n-1]) + "…"
	}
	return s
}

// Money writes an amount in minor units as templates do: 1234 and "usd" are
// "12.34 USD", 1234 and "jpy" are "1234 JPY".
func Money(amount int64, currency string) string {
	written, _ := money(strconv.FormatInt(amount, 10), currency) // a number is always an amount
	return written
}

// money is Money for what templates hold. No amount is no text.
func money(amount, currency any) (string, error) {
	digits := text(amount)
	if digits == "" {
		return "", nil
	}
	if _, err := strconv.ParseInt(digits, 10, 64); err != nil {
		return "", errors.New("money: not an amount in minor units")
	}
	code := strings.ToUpper(text(currency))
	places := checkout.Decimals(code)
	sign := ""
	if digits[0] == '-' || digits[0] == '+' {
		sign = strings.TrimPrefix(digits[:1], "+")
		digits = digits[1:]
	}
	if places > 0 {
		digits = strings.Repeat("0", max(0, places+1-len(digits))) + digits
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	return strings.TrimSpace(sign + digits + " " + code), nil
}

// formatTime writes a time (seconds, RFC 3339 or time.Time): alone in RFC 3339,
// after a layout of package time in that, after a layout and a zone in both.
func (x *execution) formatTime(args ...any) (string, error) {
	if len(args) < 1 || len(args) > 3 {
		return "", errors.New("time: takes a time, or a layout and a time, or a layout, a zone and a time")
	}
	value := args[len(args)-1]
	if value == nil || value == "" {
		return "", nil
	}
	at, err := readTime(value)
	if err != nil {
		return "", err
	}
	layout, zone := time.RFC3339, time.UTC
	if len(args) > 1 {
		layout = text(args[0])
	}
	if len(args) > 2 {
		if zone, err = time.LoadLocation(text(args[1])); err != nil {
			if x.strict { // a sample holds nothing of a buyer
				return "", fmt.Errorf("time: unknown zone %q: zones have names such as Europe/Berlin", text(args[1]))
			}
			return "", errors.New("time: unknown zone")
		}
	}
	return at.In(zone).Format(layout), nil
}

func readTime(v any) (time.Time, error) {
	if at, ok := v.(time.Time); ok {
		return at, nil
	}
	s := text(v)
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New("time: neither seconds nor RFC 3339; the time comes last, after a layout and a zone")
	}
	return at, nil
}
