package config

import (
	"slices"
	"strings"

	"checkout-notifier/spelling"
)

// Suggest returns the candidate that a name was probably meant to be, or "".
func Suggest(name string, candidates []string) string { return suggest(name, candidates) }

// suggest returns the candidate that a name was probably meant to be, or "".
func suggest(name string, candidates []string) string {
	limit := min(max(1, len(name)/3), 3)
	best, distance := "", limit+1
	for _, candidate := range candidates {
		if plain(candidate) == plain(name) && candidate != name {
			return candidate
		}
		a, b := strings.ToLower(name), strings.ToLower(candidate)
		d := spelling.Distance(a, b, distance+1)
		closer := d < distance || d == distance && strings.HasPrefix(b, a) && !strings.HasPrefix(strings.ToLower(best), a) // what is cut short
		if closer && d < len(candidate) && (d < 2 || sameInitials(a, b)) {
			best, distance = candidate, d
		}
	}
	if best == name {
		return ""
	}
	return best
}

// otherKeys are what keys are called elsewhere.
var otherKeys = map[string]string{
	"if": "when", "condition": "when", "where": "when", "filter": "when", "expression": "when", "match": "when",
	"destination": "to", "destinations": "to", "target": "to", "targets": "to", "send_to": "to", "notify": "to",
	"type": "events", "types": "events", "trigger": "events", "body": "template", "title": "name",
	"endpoint": "url", "webhook": "url", "webhook_url": "url", "signing_secret": "secrets", "webhook_secret": "secrets",
	"api_key": "secret_key", "key": "secret_key",
}

// suggestKey is suggest for a key of a section.
func suggestKey(key string, s *schema) string {
	if other := otherKeys[strings.ToLower(key)]; slices.Contains(s.names(), other) {
		return other
	}
	return suggest(key, s.names())
}

// sameInitials says whether the words of two names begin with the same letters:
// who makes several slips gets these right, and nats_ports is no nats_cert.
func sameInitials(a, b string) bool {
	x, y := strings.FieldsFunc(a, separates), strings.FieldsFunc(b, separates)
	if len(x) != len(y) {
		return true // a separator is what is wrong
	}
	for i := range x {
		if x[i][0] != y[i][0] {
			return false
		}
	}
	return true
}

func separates(r rune) bool { return r == '_' || r == '-' || r == '.' || r == ' ' }

// plain makes rateLimit, rate-limit and RATE_LIMIT the same.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// sections lists where in the main file a key is at home.
func sections(key string) []string {
	var found []string
	var visit func(s *schema, path string)
	visit = func(s *schema, path string) {
		for _, f := range s.fields {
			if f.name == key {
				found = append(found, path)
			}
			at := f.name
			if path != "" {
				at = path + "." + f.name
			}
			inner := f.schema
			for inner.element != nil {
				inner, at = inner.element, at+"[]"
			}
			visit(inner, at)
		}
	}
	visit(document, "")
	return found
}

// misplaced says where a key that is unknown here belongs, when that is clear.
func misplaced(key, path string) string {
	if key == "nats" && strings.HasPrefix(path, "destinations[") {
		return "a NATS destination takes the keys of that section itself, such as url"
	}
	homes := sections(key)
	var said []string
	for _, home := range homes {
		if strings.HasPrefix(home, "accounts[].poll") {
			continue // the poll section says the same
		}
		switch {
		case home == "" && path == ruleFile:
			home = "in the main file"
		case home == "":
			home = "at the top level"
		default:
			home = "in " + strings.ReplaceAll(home, "[]", "")
		}
		said = append(said, home)
	}
	const few = 3
	if len(said) == 0 || len(said) > few {
		return ""
	}
	return "it belongs " + strings.Join(said, " or ")
}
