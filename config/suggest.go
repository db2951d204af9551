package config

import (
	"slices"
	"strings"

	"checkout-notifier/spelling"
)

// otherKeys are what keys are called elsewhere.
var otherKeys = map[string]string{
	"if": "when", "condition": "when", "where": "when", "filter": "when", "expression": "when", "match": "when",
	"destination": "to", "destinations": "to", "target": "to", "targets": "to", "send_to": "to", "notify": "to",
	"type": "events", "types": "events", "trigger": "events", "body": "template", "title": "name",
	"endpoint": "url", "webhook": "url", "webhook_url": "url", "signing_secret": "secrets", "webhook_secret": "secrets",
	"api_key": "secret_key", "key": "secret_key",
}

// suggestKey is spelling.Suggest for a key of a section.
func suggestKey(key string, s *schema) string {
	if other := otherKeys[strings.ToLower(key)]; slices.Contains(s.names(), other) {
		return other
	}
	return spelling.Suggest(key, s.names())
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
