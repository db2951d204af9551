// Command generate writes the parts of the documentation that are taken from the
// code: what an expression can name, and the environment variables. Its test fails
// while they differ, so that they cannot drift. Run it by make generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"checkout-notifier/config"
	"checkout-notifier/rules"
	"checkout-notifier/rules/schema"
)

//go:generate go run . ..

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate DIRECTORY")
		os.Exit(2)
	}
	for _, name := range documents {
		if err := write(filepath.Join(os.Args[1], name)); err != nil {
			fmt.Fprintln(os.Stderr, "generate:", err)
			os.Exit(1)
		}
	}
}

// documents are the files with generated parts.
var documents = []string{"rules.md", "environment.md"}

func write(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading a document: %w", err)
	}
	generated, err := fill(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if generated == string(text) {
		return nil
	}
	if err := os.WriteFile(name, []byte(generated), 0o644); err != nil {
		return fmt.Errorf("writing a document: %w", err)
	}
	return nil
}

// part is a generated part with its marks.
var part = regexp.MustCompile(`(?s)(<!-- generated: ([a-z -]+); make generate -->\n).*?(<!-- end -->)`)

// fill replaces what stands between the marks of a document.
func fill(text string) (string, error) {
	var unknown error
	filled := part.ReplaceAllStringFunc(text, func(found string) string {
		m := part.FindStringSubmatch(found)
		content, ok := contents[m[2]]
		if !ok {
			unknown = fmt.Errorf("nothing generates %q", m[2])
			return found
		}
		return m[1] + "\n" + content() + "\n" + m[3]
	})
	if strings.Count(text, "<!-- generated:") != len(part.FindAllString(text, -1)) {
		return "", fmt.Errorf("a generated part has no end")
	}
	return filled, unknown
}

// contents makes the parts by their names.
var contents = map[string]func() string{
	"event":        func() string { return fields("event.") },
	"session":      func() string { return fields("session.") },
	"system event": func() string { return table(schema.SystemFields()) },
	"functions":    func() string { return table(schema.Functions()) },
	"built-ins":    func() string { return words(rules.Builtins()) },
	"methods":      methods,
	"variables":    variables,
}

func fields(prefix string) string {
	var list []schema.Field
	for _, f := range schema.Fields() {
		if strings.HasPrefix(f.Name, prefix) {
			list = append(list, f)
		}
	}
	return table(list)
}

func table(list []schema.Field) string {
	var b strings.Builder
	b.WriteString("| name | type | what it is |\n|---|---|---|\n")
	for _, f := range list {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.Type, strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	return b.String()
}

func words(list []string) string { return "`" + strings.Join(list, "` `") + "`\n" }

func methods() string {
	of := func(t reflect.Type) string { return words(schema.Methods(t)) }
	return "Of a time: " + of(reflect.TypeFor[time.Time]()) + "\nOf a duration: " + of(reflect.TypeFor[time.Duration]())
}

func variables() string {
	var b strings.Builder
	b.WriteString("| variable | key | value | default |\n|---|---|---|---|\n")
	for _, v := range config.Variables() {
		fallback := ""
		if v.Default != "" {
			fallback = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", v.Name, v.Key, v.Type, fallback)
	}
	return b.String()
}
