package rules

import (
	"errors"
	"math/bits"
	"reflect"
	"strings"

	"checkout-notifier/rules/schema"
)

// The budget of one evaluation. A step is one iteration of a predicate, one
// element that a function looks at, or one KiB of text that it reads. Memory is
// the sum of all that is allocated on the way, whether it is still in use.
const (
	maxSteps = 10_000
	maxBytes = 16 << 20

	bytesPerStep = 1 << 10
	nodesPerStep = 16  // larger predicate bodies cost more than one step
	maxNesting   = 256 // of lists in lists
	elementBytes = 24  // an interface and what it boxes
)

// evalError is an error whose text is fixed in this package and therefore
// quotes nothing of a session.
type evalError string

func (e evalError) Error() string { return string(e) }

const (
	errSteps   = evalError("exceeded the budget of 10,000 steps")
	errMemory  = evalError("exceeded the budget of 16 MiB")
	errNesting = evalError("lists are nested too deeply")
)

// budget is what an evaluation has used up. The zero value is ready; it belongs
// to one evaluation.
type budget struct{ steps, bytes int }

func (b *budget) step(n int) error {
	if n < 0 || b.steps > maxSteps-n {
		b.steps = maxSteps + 1 // no later operand may be cheap enough to pass
		return errSteps
	}
	b.steps += n
	return nil
}

func (b *budget) allocate(n int) error {
	if n < 0 || b.bytes > maxBytes-n {
		b.bytes = maxBytes + 1
		return errMemory
	}
	b.bytes += n
	return nil
}

// allocateN charges n things of a size, however large the product.
func (b *budget) allocateN(n, size int) error {
	if n < 0 || size < 0 {
		return errMemory
	}
	high, low := bits.Mul64(uint64(n), uint64(size))
	if high != 0 || low > maxBytes {
		return b.allocate(maxBytes + 1)
	}
	return b.allocate(int(low))
}

// read charges the steps of going once through a text.
func (b *budget) read(text string) error { return b.step(len(text) / bytesPerStep) }

// extent is how much there is to a value for a reader, lists in lists included
// as often as they are reached.
type extent struct {
	values int // lists, elements, fields, keys
	depth  int // of the nesting
	text   int // bytes of text and names
}

// walk measures a value and charges the steps of going through it: one for
// every element and object, none for an object's plain fields. It is what makes
// comparing, flattening or writing safe: a list of a list of the same list is
// small in memory and without end to a reader.
func (b *budget) walk(v any) (extent, error) {
	var e extent
	err := b.visit(reflect.ValueOf(v), 0, 1, &e)
	return e, err
}

func (b *budget) visit(v reflect.Value, depth, price int, e *extent) error {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if depth > maxNesting {
		return errNesting
	}
	e.depth = max(e.depth, depth)
	e.values++
	if err := b.step(price); err != nil {
		return err
	}
	switch v.Kind() {
	case reflect.String:
		e.text += v.Len()
		return b.step(v.Len() / bytesPerStep)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := b.visit(v.Index(i), depth+1, 1, e); err != nil {
				return err
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if err := b.visit(entries.Key(), depth+1, 1, e); err != nil {
				return err
			}
			if err := b.visit(entries.Value(), depth+1, 1, e); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return nil
		}
		for i := range v.NumField() {
			e.text += len(schema.FieldName(v.Type().Field(i)))
			if err := b.visit(v.Field(i), depth+1, 0, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// state is what the functions of one evaluation share: its budget and the
// event that is looked at. It belongs to one evaluation at a time.
type state struct {
	budget
	view *view
}

// length is the number of elements of a list or map, 0 of anything else.
func length(v any) int {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return r.Len()
	}
	return 0
}

// knownFailures are the errors that expr raises itself, by how their text
// begins. Only the message is shown: the text may go on with session data.
var knownFailures = []struct{ prefix, message string }{
	{"index out of range", "index out of range"},
	{"reflect: slice index out of range", "nothing found"},
	{"reduce of empty array", "reduce of an empty list without an initial value"},
	{"memory budget exceeded", string(errMemory)},
	{"integer divide by zero", "integer division by zero"},
	{"hash of unhashable type", "a list or map cannot be a key"},
	{"interface conversion", "a value has the wrong type"},
	{"invalid operation: negative shift", "negative shift count"},
	{"invalid operation", "a value has the wrong type"},
	{"invalid argument", "a value has the wrong type"},
	{"reflect", "a value has the wrong type"},
	{"cannot fetch", "a value has no such member"},
	{"cannot get", "a value has no such member"},
}

// failure is the text of an evaluation's error without anything of the session.
func failure(err error) string {
	var known evalError
	if errors.As(err, &known) {
		return string(known)
	}
	text := strings.TrimPrefix(err.Error(), "runtime error: ")
	for _, f := range knownFailures {
		if strings.HasPrefix(text, f.prefix) {
			return f.message
		}
	}
	return "cannot be evaluated"
}
