package config

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"checkout-notifier/publish"
	"checkout-notifier/secret"
)

// kind is what a value of the configuration is.
type kind int

const (
	kindText kind = iota
	kindInteger
	kindNumber
	kindBoolean
	kindDuration
	kindSection // keys with a meaning each
	kindList
	kindMap // keys of the operator's choice
)

// schema describes one value. It is derived from the Config types, so that what
// can be written and what is read cannot drift apart.
type schema struct {
	kind    kind
	secret  bool
	literal bool    // an expression or a template: nothing in it is expanded
	file    bool    // the name of a file or a directory
	fields  []field // of a section
	element *schema // of a list or a map
}

// field is one key of a section: its name in the file, and its koanf tag.
type field struct {
	name, tag string
	*schema
}

func (s *schema) field(name string) (field, bool) {
	for _, f := range s.fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func (s *schema) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.name
	}
	return names
}

var (
	secretType   = reflect.TypeFor[secret.String]()
	durationType = reflect.TypeFor[time.Duration]()
)

// literals are the keys whose text belongs to another language.
var literals = []string{"when", "template", "subject"}

// fileKeys are the keys whose values name files or directories.
var fileKeys = []string{"path", "dir", "store_dir", "ca", "cert", "key", "creds", "nkey"}

// document is the schema of the main file.
var document = newDocument()

func newDocument() *schema {
	s := schemaOf(reflect.TypeFor[Config]())
	nats, _ := s.field("nats")
	nats.rename("server", "url")
	destinations, _ := s.field("destinations")
	destinations.element.remove("server") // written as `url`, which HTTP destinations have as well
	return s
}

// ruleDocument is the schema of a rule file.
var ruleDocument = &schema{kind: kindSection, fields: []field{mustField(document, "rules")}}

func mustField(s *schema, name string) field {
	f, _ := s.field(name)
	return f
}

func (s *schema) rename(from, to string) {
	for i := range s.fields {
		if s.fields[i].name == from {
			s.fields[i].name = to
		}
	}
}

func (s *schema) remove(name string) {
	s.fields = slices.DeleteFunc(s.fields, func(f field) bool { return f.name == name })
}

func schemaOf(t reflect.Type) *schema {
	switch t {
	case secretType:
		return &schema{kind: kindText, secret: true}
	case durationType:
		return &schema{kind: kindDuration}
	}
	switch t.Kind() {
	case reflect.Struct:
		return &schema{kind: kindSection, fields: fieldsOf(t)}
	case reflect.Slice:
		return &schema{kind: kindList, element: schemaOf(t.Elem())}
	case reflect.Map:
		return &schema{kind: kindMap, element: schemaOf(t.Elem())}
	case reflect.Bool:
		return &schema{kind: kindBoolean}
	case reflect.Int:
		return &schema{kind: kindInteger}
	case reflect.Float64:
		return &schema{kind: kindNumber}
	default:
		return &schema{kind: kindText}
	}
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for f := range structFields(t) {
		tag, squash := parseTag(f)
		switch {
		case squash:
			fields = append(fields, fieldsOf(f.Type)...)
		case tag != "":
			s := schemaOf(f.Type)
			s.literal = slices.Contains(literals, tag)
			s.file = s.kind == kindText && slices.Contains(fileKeys, tag)
			fields = append(fields, field{name: tag, tag: tag, schema: s})
		}
	}
	return fields
}

func structFields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func parseTag(f reflect.StructField) (tag string, squash bool) {
	tag, options, _ := strings.Cut(f.Tag.Get("koanf"), ",")
	return tag, options == "squash"
}

// encode turns a Config type into the maps that koanf lays over one another.
func encode(v reflect.Value) any {
	switch {
	case v.Type() == secretType:
		return v.String()
	case v.Type() == durationType:
		return time.Duration(v.Int())
	}
	switch v.Kind() {
	case reflect.Struct:
		section := make(map[string]any)
		encodeFields(v, section)
		return section
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = encode(v.Index(i))
		}
		return list
	case reflect.Map:
		values := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			values[key.String()] = encode(v.MapIndex(key))
		}
		return values
	default:
		return v.Interface()
	}
}

func encodeFields(v reflect.Value, section map[string]any) {
	for f := range structFields(v.Type()) {
		switch tag, squash := parseTag(f); {
		case squash:
			encodeFields(v.FieldByIndex(f.Index), section)
		case tag != "":
			section[tag] = encode(v.FieldByIndex(f.Index))
		}
	}
}

func encodeSection(v any) map[string]any {
	section, _ := encode(reflect.ValueOf(v)).(map[string]any)
	return section
}

// httpKeys are the keys of a destination that only type http has, by their paths.
var httpKeys = []string{
	"secrets", "headers", "auth", "tls", "proxy", "timeout", "api_version", "routing_key", "allow_networks",
	"retry.final_statuses", "retry.on_gone",
}

// natsKeys are the keys of a destination that only type nats has.
var natsKeys = append([]string{"subject", "jetstream", "stream", "mode"}, connectionKeys()...)

// connectionKeys are the keys of the nats section that a destination may
// override; its `url` is a key of both types.
func connectionKeys() []string {
	var keys []string
	for _, f := range fieldsOf(reflect.TypeFor[publish.NATS]()) {
		if f.name != "server" {
			keys = append(keys, f.name)
		}
	}
	return keys
}
