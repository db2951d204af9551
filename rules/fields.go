package rules

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Field is something that an expression can name.
type Field struct {
	Name string // as it is written: session.customer_details.email, has("field")
	Type string
	Doc  string
}

// Fields lists what an expression can name besides expr's own built-ins, in
// the order of the reference. It is generated from the types that expressions
// are checked against, so that it cannot drift. Safe for concurrent use.
func Fields() []Field {
	fields := structFields("event", reflect.TypeFor[eventFields](), nil)
	fields = structFields("session", sessionType, fields)
	fields = append(fields, Field{"previous", "session", "the session as it was before, with the same fields; empty at first sight"})
	return append(fields, Functions()...)
}

// SystemFields lists the fields that the expression of a rule with on: system can
// name.
func SystemFields() []Field { return structFields("event", systemType, nil) }

// Functions lists the functions that an expression can call besides expr's own.
func Functions() []Field {
	return []Field{
		{`has("field")`, "bool", "the session's field, or a member such as customer_details.email, has a value: it is present and not null, empty or made of nothing else"},
		{`changed("field")`, "bool", "the field, a member of it, or an undocumented top-level field differs from the look before; at first sight: it has a value"},
		{`raw("path", default)`, "any", "a value of the session that the API does not document, by its dotted path; the default where it is missing or null, nil without a default"},
		{`now()`, "time", "the time of the evaluation"},
		{`duration("7d")`, "duration", "a constant span: Go's units, and d for 24 hours"},
	}
}

// Builtins lists the functions of expr that an expression can call, by name.
func Builtins() []string {
	config := newConfig(env{})
	var names []string
	for name := range config.Builtins {
		if !config.Disabled[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Methods lists what can be called on a time and on a duration.
func Methods() (ofTime, ofDuration []string) {
	return slices.Clone(methods[timeType]), slices.Clone(methods[reflect.TypeFor[time.Duration]()])
}

func structFields(prefix string, t reflect.Type, fields []Field) []Field {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + "." + fieldName(f)
		fields = append(fields, Field{name, typeName(f.Type), f.Tag.Get("doc")})
		elem := f.Type
		if elem.Kind() == reflect.Slice {
			elem, name = elem.Elem(), name+"[]"
		}
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct && elem != timeType {
			fields = structFields(name, elem, fields)
		}
	}
	return fields
}

// typeName is a type in the words of the reference and of messages.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "float"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of " + typeName(t.Elem())
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		if t == timeType {
			return "time"
		}
		return "object"
	}
	return t.Kind().String()
}

// documentedPath says whether has and changed can look at a dotted path:
// documented objects may be entered, lists and free-form objects may not,
// metadata excepted.
func documentedPath(path string) bool {
	t := sessionType
	for name := range strings.SplitSeq(path, ".") {
		switch {
		case t.Kind() == reflect.Map && name != "":
			t = t.Elem()
			continue
		case t.Kind() != reflect.Struct || t == timeType:
			return false
		}
		next, ok := fieldByName(t, name)
		if !ok {
			return t == sessionType && path == freeForm
		}
		t = next.Type
	}
	return true
}

// freeForm is the one documented field without a documented shape: has and
// changed know it, and raw enters it.
const freeForm = "payment_method_options"

func fieldByName(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); fieldName(f) == name && name != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
