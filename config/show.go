package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"checkout-notifier/event"
	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// Setting is one value of the effective configuration. Value is what may be
// shown: secrets are redacted, of URLs that may carry a token scheme and host
// are left. Durations are text, as in the file.
type Setting struct {
	Path   string `json:"path"`
	Value  any    `json:"value"`
	Origin Origin `json:"origin"`

	isDefault bool
}

// Settings lists all values in the order of the documentation.
func (l *Loaded) Settings() []Setting { return slices.Collect(l.settings()) }

func (l *Loaded) settings() iter.Seq[Setting] { return l.loader.settings() }

// own says whether a path is set itself, not inherited.
func (l *loader) own(path string) bool {
	_, ok := l.places[path]
	return ok
}

func (l *loader) settings() iter.Seq[Setting] {
	return func(yield func(Setting) bool) {
		v := visitor{loader: l, yield: yield}
		v.section(document, encodeSection(l.config), encodeSection(Default()), "")
	}
}

// visitor walks the effective configuration along the schema.
type visitor struct {
	*loader
	yield func(Setting) bool
	done  bool
}

func (v *visitor) section(s *schema, values, defaults map[string]any, path string) {
	for _, f := range s.fields {
		value, present := values[f.tag]
		if !present || v.done {
			continue
		}
		v.value(f.schema, value, defaults[f.tag], join(path, f.name))
	}
}

func (v *visitor) value(s *schema, value, standard any, path string) {
	switch s.kind {
	case kindSection:
		section, _ := value.(map[string]any)
		defaults, _ := standard.(map[string]any)
		v.section(s, section, defaults, path)
	case kindList:
		list, _ := value.([]any)
		if s.element.kind != kindSection {
			v.emit(s, value, standard, path)
			return
		}
		if len(list) == 0 {
			v.emit(s, []any{}, standard, path)
		}
		for i, element := range list {
			section, _ := element.(map[string]any)
			v.element(s.element, section, index(path, i))
		}
	default:
		v.emit(s, value, standard, path)
	}
}

// element walks one account, destination, rule or token with the keys and the
// defaults of its kind.
func (v *visitor) element(s *schema, values map[string]any, path string) {
	var defaults map[string]any
	switch {
	case strings.HasPrefix(path, "accounts["):
		defaults = encodeSection(defaultAccount(Default().Poll))
	case strings.HasPrefix(path, "destinations["):
		hidden := natsKeys
		defaults = encodeSection(publish.DefaultHTTP())
		if values["type"] == publish.TypeNATS {
			hidden = httpKeys
			defaults = encodeSection(publish.DefaultNATS())
			values["url"] = values["server"]
			defaults["url"] = defaults["server"]
		}
		values = maps.Clone(values)
		for _, key := range hidden {
			leaveOut(values, key)
		}
	}
	v.section(s, values, defaults, path)
}

// leaveOut takes a key out of values, which are the caller's; sections below stay
// as they are for others.
func leaveOut(values map[string]any, key string) {
	name, rest, nested := strings.Cut(key, ".")
	if !nested {
		delete(values, name)
		return
	}
	if section, ok := values[name].(map[string]any); ok {
		section = maps.Clone(section)
		leaveOut(section, rest)
		values[name] = section
	}
}

func (v *visitor) emit(s *schema, value, standard any, path string) {
	if v.done {
		return
	}
	setting := Setting{Path: path, Value: v.shown(s, value, path), Origin: Origin{Source: SourceDefault}, isDefault: reflect.DeepEqual(value, standard)}
	if p, ok := v.placeOf(path); ok {
		setting.Origin = p.origin
	}
	v.done = !v.yield(setting)
}

// missing stands for a value that AllowMissingSecrets left out.
const missing = "<missing>"

// personal are the keys that hold an e-mail address.
var personal = []string{"customer_email"}

// addresses are the secret keys of which a reader needs the host.
var addresses = []string{"url", "proxy", "external_url", "base_url"}

// shown returns what may be said of a value.
func (v *visitor) shown(s *schema, value any, path string) any {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if v.missing[path] {
		return missing
	}
	switch value := value.(type) {
	case nil:
		return []any{}
	case string:
		switch {
		case value == "":
			return ""
		case slices.Contains(personal, name):
			return secret.Redacted
		case slices.Contains(addresses, name):
			return maskServers(value)
		case s.secret:
			return secret.String(value).String()
		}
		return value
	case time.Duration:
		return FormatDuration(value)
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = v.shown(s.element, element, path)
		}
		return list
	case map[string]any:
		shown := make(map[string]any, len(value))
		for key, element := range value {
			shown[key] = v.shown(s.element, element, join(path, "value"))
		}
		return shown
	default:
		return value
	}
}

// maskServers masks one URL, or several in a row as NATS takes them.
func maskServers(text string) string {
	masked := strings.Split(text, ",")
	for i, server := range masked {
		masked[i] = strings.TrimSpace(server)
		if strings.Contains(server, "://") || strings.Contains(server, "@") {
			masked[i] = secret.String(masked[i]).URL()
		}
	}
	return strings.Join(masked, ",")
}

// The formats of Show.
const (
	ShowYAML  = "yaml"  // as a file, with the origin behind each value
	ShowTable = "table" // path, value and origin
	ShowJSON  = "json"
	ShowLines = "jsonl"
)

// Show writes the effective configuration with the origin of every value and
// without any secret, in one of the formats above.
func (l *Loaded) Show(w io.Writer, format string) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	switch format {
	case ShowYAML:
		return l.showYAML(w)
	case ShowTable:
		return l.showTable(w)
	case ShowJSON:
		encoder.SetIndent("", "  ")
		return encoder.Encode(l.Settings())
	case ShowLines:
		for s := range l.settings() {
			if err := encoder.Encode(s); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("the configuration cannot be shown as %q: use yaml, table, json or jsonl", format)
	}
}

// mostAligned is how wide a value may be for the column of origins to stand behind it: one
// long expression must not push all other origins off the screen.
const mostAligned = 48

// showTable writes a line for each setting, in columns.
func (l *Loaded) showTable(w io.Writer) error {
	lines := [][3]string{{"KEY", "VALUE", "ORIGIN"}}
	var key, value int
	for s := range l.settings() {
		line := [3]string{s.Path, inline(s.Value), fmt.Sprint(s.Origin)}
		lines = append(lines, line)
		key = max(key, utf8.RuneCountInString(line[0]))
		if n := utf8.RuneCountInString(line[1]); n <= mostAligned {
			value = max(value, n)
		}
	}
	b := bufio.NewWriter(w)
	for _, line := range lines {
		fmt.Fprintf(b, "%-*s  %-*s  %s\n", key, line[0], value, line[1], line[2])
	}
	return b.Flush()
}

// inline writes a value on one line, in a form that is JSON and YAML at once
// except for plain words.
func inline(value any) string {
	switch value := value.(type) {
	case string:
		if plainWord(value) {
			return value
		}
		return marshal(value)
	case []any:
		parts := make([]string, len(value))
		for i, element := range value {
			parts[i] = inline(element)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, inline(key)+": "+inline(value[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return marshal(value)
	}
}

func marshal(value any) string {
	text, err := event.Marshal(value)
	if err != nil {
		return strconv.Quote(fmt.Sprint(value))
	}
	return string(text)
}

// plainWord says whether a text means itself in YAML without quotes.
func plainWord(text string) bool {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("_-./", r)
	}) {
		return false
	}
	first := text[0]
	return (first >= 'a' && first <= 'z' || first >= 'A' && first <= 'Z' || first == '/') &&
		!slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(text)) ||
		isDuration(text)
}

func isDuration(text string) bool {
	_, err := ParseDuration(text)
	return err == nil && text != "0"
}

// step is one part of a path: a key, or the index of a list's element.
func steps(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
}
