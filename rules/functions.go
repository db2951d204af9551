package rules

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/vm/runtime"
)

// call is a function as the virtual machine calls it after an expression was
// rewritten; args are without the state.
type call func(s *state, args []any) (any, error)

// guarded lists the replacements of expr's built-ins that do more than a
// constant amount of work. Types were checked against the originals; what they
// leave open shows as a failed assertion, which the machine turns into an error.
var guarded = map[string]call{
	"len":         charged("len", readAll),
	"get":         charged("get", readAll),
	"int":         toInt,
	"float":       toFloat,
	"string":      toText,
	"trim":        trim,
	"trimPrefix":  charged("trimPrefix", readAll),
	"trimSuffix":  charged("trimSuffix", readAll),
	"upper":       charged("upper", copyText),
	"lower":       charged("lower", copyText),
	"split":       charged("split", splitCost),
	"splitAfter":  charged("splitAfter", splitCost),
	"replace":     replace,
	"repeat":      repeat,
	"join":        join,
	"indexOf":     charged("indexOf", readAll),
	"lastIndexOf": charged("lastIndexOf", readAll),
	"hasPrefix":   charged("hasPrefix", readAll),
	"hasSuffix":   charged("hasSuffix", readAll),
	"max":         charged("max", walkAll),
	"min":         charged("min", walkAll),
	"mean":        charged("mean", walkAll),
	"median":      charged("median", sortCost),
	"toJSON":      toJSON,
	"fromJSON":    fromJSON,
	"toBase64":    charged("toBase64", copyText),
	"fromBase64":  fromBase64,
	"date":        date,
	"keys":        charged("keys", copyElements),
	"values":      charged("values", copyElements),
	"toPairs":     charged("toPairs", copyElements),
	"fromPairs":   charged("fromPairs", mapCost),
	"reverse":     charged("reverse", copyElements),
	"uniq":        charged("uniq", uniqCost),
	"concat":      charged("concat", copyElements),
	"flatten":     charged("flatten", flattenCost),
	"sort":        charged("sort", sortCost),
}

// charged is expr's built-in after its cost was paid.
func charged(name string, cost func(*state, []any) error) call {
	f := builtin.Builtins[builtin.Index[name]]
	return func(s *state, args []any) (any, error) {
		if err := cost(s, args); err != nil {
			return nil, err
		}
		switch {
		case f.Fast != nil:
			return f.Fast(args[0]), nil
		case f.Safe != nil:
			result, _, err := f.Safe(args...)
			return result, err
		}
		return f.Func(args...)
	}
}

func readAll(s *state, args []any) error {
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			if err := s.read(text); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyText allows for texts that grow in another case or in base64.
func copyText(s *state, args []any) error {
	if err := s.allocateN(len(args[0].(string)), 2); err != nil {
		return err
	}
	return readAll(s, args)
}

func walkAll(s *state, args []any) error {
	for _, arg := range args {
		if _, err := s.walk(arg); err != nil {
			return err
		}
	}
	return nil
}

func copyElements(s *state, args []any) error {
	for _, arg := range args {
		n := length(arg)
		if err := s.step(n); err != nil {
			return err
		}
		if err := s.allocateN(n, 2*elementBytes); err != nil {
			return err
		}
	}
	return nil
}

func mapCost(s *state, args []any) error {
	if err := s.allocateN(length(args[0]), 8*elementBytes); err != nil {
		return err
	}
	return walkAll(s, args)
}

// flattenCost counts that every level of nesting copies what is below it.
func flattenCost(s *state, args []any) error {
	e, err := s.walk(args[0])
	if err != nil {
		return err
	}
	if err := s.step(e.values * e.depth / nodesPerStep); err != nil {
		return err
	}
	return s.allocateN(e.values, elementBytes*(1+e.depth))
}

func sortCost(s *state, args []any) error {
	for _, arg := range args {
		e, err := s.walk(arg)
		if err != nil {
			return err
		}
		n := e.values
		if err := s.step(n * bits.Len(uint(n)) / nodesPerStep); err != nil {
			return err
		}
		if err := s.allocateN(n, 2*elementBytes); err != nil {
			return err
		}
	}
	return nil
}

func uniqCost(s *state, args []any) error {
	e, err := s.walk(args[0])
	if err != nil {
		return err
	}
	if err := s.allocateN(e.values, 3*elementBytes); err != nil {
		return err
	}
	return s.step(e.values * e.values / nodesPerStep)
}

func splitCost(s *state, args []any) error {
	text, separator := args[0].(string), args[1].(string)
	if err := readAll(s, args); err != nil {
		return err
	}
	parts := strings.Count(text, separator) + 1
	if err := s.step(parts / nodesPerStep); err != nil {
		return err
	}
	return s.allocateN(parts, elementBytes)
}

// missingText is the error of reading a number where there is no text; name is
// how the rule calls the value, "" for what has no name.
func missingText(function string, name any) error {
	if name == "" {
		return evalError(function + " of an empty text")
	}
	return evalError(fmt.Sprintf("%s of %s, which is missing or empty", function, name))
}

func toInt(s *state, args []any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		return builtin.Int(args[0]), nil
	}
	if err := s.read(text); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, missingText("int", args[1])
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, evalError("int of a text that is no integer")
	}
	return n, nil
}

func toFloat(s *state, args []any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		return builtin.Float(args[0]), nil
	}
	if err := s.read(text); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, missingText("float", args[1])
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, evalError("float of a text that is no number")
	}
	return f, nil
}

// toText prints objects as JSON: their Go form would show addresses.
func toText(s *state, args []any) (any, error) {
	switch v := args[0].(type) {
	case string:
		return v, nil
	case nil, bool, int, int64, float64, time.Time, time.Duration:
		return fmt.Sprint(v), s.allocate(64)
	}
	text, err := encodeJSON(s, args[0], "")
	if err != nil {
		return nil, err
	}
	return text, nil
}

func trim(s *state, args []any) (any, error) {
	text := args[0].(string)
	if len(args) == 1 {
		return strings.TrimSpace(text), s.read(text)
	}
	cutset := args[1].(string)
	if err := s.step(len(text) / bytesPerStep * (1 + len(cutset))); err != nil {
		return nil, err
	}
	return strings.Trim(text, cutset), s.read(cutset)
}

func replace(s *state, args []any) (any, error) {
	text, old, with := args[0].(string), args[1].(string), args[2].(string)
	if err := readAll(s, args); err != nil {
		return nil, err
	}
	n := strings.Count(text, old)
	if len(args) == 4 {
		if limit := runtime.ToInt(args[3]); limit >= 0 {
			n = min(n, limit)
		}
	}
	if err := s.allocateN(n, len(with)); err != nil {
		return nil, err
	}
	if err := s.allocate(len(text)); err != nil {
		return nil, err
	}
	if err := s.step(n / nodesPerStep); err != nil {
		return nil, err
	}
	return strings.Replace(text, old, with, n), nil
}

func repeat(s *state, args []any) (any, error) {
	text, n := args[0].(string), runtime.ToInt(args[1])
	if n < 0 {
		return nil, evalError("repeat with a negative count")
	}
	if err := s.allocateN(n, len(text)); err != nil {
		return nil, err
	}
	return strings.Repeat(text, n), nil
}

func join(s *state, args []any) (any, error) {
	glue := ""
	if len(args) == 2 {
		glue = args[1].(string)
	}
	var parts []string
	switch list := args[0].(type) {
	case []string:
		parts = list
	case []any:
		if err := s.allocateN(len(list), elementBytes); err != nil {
			return nil, err
		}
		parts = make([]string, len(list))
		for i, part := range list {
			parts[i] = part.(string)
		}
	default:
		return nil, evalError("join of what is no list")
	}
	if err := s.step(len(parts)); err != nil {
		return nil, err
	}
	if err := s.allocateN(len(parts), len(glue)); err != nil {
		return nil, err
	}
	for _, part := range parts {
		if err := s.allocate(len(part)); err != nil {
			return nil, err
		}
	}
	return strings.Join(parts, glue), nil
}

func toJSON(s *state, args []any) (any, error) { return encodeJSON(s, args[0], "  ") }

// encodeJSON writes JSON in a budget that is checked first: escapes make six
// bytes of one, and the indent of every line grows with the depth.
func encodeJSON(s *state, v any, indent string) (any, error) {
	e, err := s.walk(v)
	if err != nil {
		return nil, err
	}
	if err := s.allocateN(e.values, 32+len(indent)*e.depth); err != nil {
		return nil, err
	}
	if err := s.allocateN(e.text, 6); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(v, "", indent)
	if indent == "" {
		text, err = json.Marshal(v)
	}
	if err != nil {
		return nil, evalError("a value has no JSON form")
	}
	return string(text), nil
}

// fromJSON pays for the shapes that are largest in memory: many empty objects.
func fromJSON(s *state, args []any) (any, error) {
	text := args[0].(string)
	if err := s.allocateN(len(text), 32); err != nil {
		return nil, err
	}
	if err := s.step(len(text) / 64); err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, evalError("fromJSON of a text that is no JSON")
	}
	return v, nil
}

func fromBase64(s *state, args []any) (any, error) {
	if err := copyText(s, args); err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(args[0].(string))
	if err != nil {
		return nil, evalError("fromBase64 of a text that is no base64")
	}
	return string(text), nil
}

// date differs from expr's in that a time without an offset is in UTC, wherever
// the program runs: date(text), date(text, layout), either with a time zone first.
func date(s *state, args []any) (any, error) {
	zone := time.UTC
	if z, ok := args[0].(*time.Location); ok {
		zone, args = z, args[1:]
	}
	if len(args) == 0 {
		return nil, evalError("date without a text")
	}
	text, layouts := args[0].(string), schema.DateLayouts
	if len(args) > 1 {
		layouts = []string{args[1].(string)}
	}
	for _, layout := range layouts {
		if err := s.step((len(text) + len(layout)) / 64); err != nil {
			return nil, err
		}
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return nil, evalError("date of a text that is no date")
}
