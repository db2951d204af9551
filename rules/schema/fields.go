// Package schema is what the expression of a rule can name: the fields of an event
// and of a session with their types and documentation, functions and methods, and
// how its constants are read. Expressions are checked against these types, and the
// reference is generated from them.
package schema

import (
	"reflect"
	"slices"
	"time"
)

// The types of what an expression can name.
var (
	EventType     = reflect.TypeFor[Event]()
	SystemType    = reflect.TypeFor[SystemEvent]()
	SessionType   = reflect.TypeFor[Session]()
	ChangeType    = reflect.TypeFor[changeFields]()
	LineItemsType = reflect.TypeFor[lineItems]()
	LineItemType  = reflect.TypeFor[lineItem]()

	timeType = reflect.TypeFor[time.Time]()
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
	fields := structFields("event", EventType, nil)
	fields = structFields("session", SessionType, fields)
	fields = append(fields, Field{"previous", "session", "the session as it was before, with the same fields; empty at first sight"})
	return append(fields, Functions()...)
}

// SystemFields lists the fields that the expression of a rule with on: system can
// name.
func SystemFields() []Field { return structFields("event", SystemType, nil) }

// Functions lists the functions that an expression can call besides expr's own.
func Functions() []Field {
	return []Field{
		{`has("field")`, "bool", "the session's field, or a member such as customer_details.email, has a value: it is present and not null, empty or made of nothing else"},
		{`changed("field")`, "bool", "the field, a member of it, or an undocumented top-level field differs from the look before; at first sight: it has a value"},
		{`raw("path", default)`, "any", "a value of the session that the API does not document, by its dotted path; the default where it is missing or null, nil without a default"},
		{`now()`, "time", "when the event's look was taken, so that a rule means the same whenever it is evaluated"},
		{`duration("7d")`, "duration", "a constant span: Go's units, and d for 24 hours"},
	}
}

// Methods lists what can be called on a value of a type.
func Methods(t reflect.Type) []string { return slices.Clone(methods[t]) }

// methods are what can be called on a value: all are pure, constant in cost and
// independent of the machine's time zone.
var methods = map[reflect.Type][]string{
	timeType: {"Year", "Month", "Day", "Hour", "Minute", "Second", "Weekday", "YearDay", "Unix", "UnixMilli",
		"Before", "After", "Equal", "Compare", "Sub", "Add", "AddDate", "UTC", "In", "Format", "Truncate", "Round", "IsZero"},
	reflect.TypeFor[time.Duration](): {"Hours", "Minutes", "Seconds", "Milliseconds", "Abs", "Round", "Truncate", "String"},
	reflect.TypeFor[time.Month]():    {"String"},
	reflect.TypeFor[time.Weekday]():  {"String"},
}

func structFields(prefix string, t reflect.Type, fields []Field) []Field {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + "." + FieldName(f)
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

// FieldByName is the field of a struct type that has a name in expressions.
func FieldByName(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); FieldName(f) == name && name != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// FieldName is the name of a struct field in the API and in expressions.
func FieldName(f reflect.StructField) string { return f.Tag.Get("expr") }
