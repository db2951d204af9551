package check

import (
	"regexp"
	"strings"
	"unicode"
)

// plainWords turn the names of Go in expr's messages into those of the
// reference, one after the other.
var plainWords = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`\*?schema\.(?:Session|Event|SystemEvent)\b`), "$kind"},
	{regexp.MustCompile(`\*?schema\.(\w+)`), "$type"},
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
				if strings.HasSuffix(name, "Session") {
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
