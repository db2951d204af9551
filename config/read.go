package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds what aliases can make of a small file.
const maxValues = 100_000

// reader walks the nodes of one file along the schema. It reports what does not
// fit, and notes the place of everything that does.
type reader struct {
	*loader
	file   *file
	values int
	merged map[*yaml.Node]bool // mappings whose merge keys are being followed

	mistagged map[*yaml.Node]bool // values whose tags were refused
}

func (r *reader) fail(line, column int, code, message string) {
	r.add(Problem{File: r.file.name, Line: max(1, line), Column: max(1, column), Severity: SeverityError, Message: message, Code: code})
}

func (r *reader) failNode(node *yaml.Node, code, format string, args ...any) {
	r.fail(node.Line, node.Column, code, fmt.Sprintf(format, args...))
}

// refuse reports a value that cannot be read; nothing else is said about it.
func (r *reader) refuse(node *yaml.Node, path, code, format string, args ...any) {
	r.failed[path] = true
	r.failNode(node, code, format, args...)
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// pair is a key with its value.
type pair struct{ key, value *yaml.Node }

// pairs lists the keys of a mapping. What merge keys bring in stands behind the
// mapping's own keys and never replaces them.
func (r *reader) pairs(mapping *yaml.Node) []pair {
	var own, merges []pair
	lines := make(map[string]int)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		p := pair{mapping.Content[i], mapping.Content[i+1]}
		switch {
		case p.key.ShortTag() == "!!merge":
			merges = append(merges, p)
		case p.key.Kind != yaml.ScalarNode:
			r.failNode(p.key, codeUnknownKey, "a key must be a plain word")
		case lines[p.key.Value] > 0:
			r.failNode(p.key, codeDuplicateKey, "key %s is given twice, first on line %d", quote(p.key.Value), lines[p.key.Value])
		default:
			lines[p.key.Value] = p.key.Line
			own = append(own, p)
		}
	}
	if r.merged[mapping] {
		r.failNode(mapping, codeSyntax, "a merge key leads back to its own mapping")
		return own
	}
	r.merged[mapping] = true
	defer delete(r.merged, mapping)
	for _, merge := range merges {
		for _, p := range r.mergedPairs(merge.value) {
			if lines[p.key.Value] == 0 {
				lines[p.key.Value] = p.key.Line
				own = append(own, p)
			}
		}
	}
	return own
}

func (r *reader) mergedPairs(value *yaml.Node) []pair {
	if r.exhausted(value) {
		return nil
	}
	value = resolve(value)
	switch value.Kind {
	case yaml.MappingNode:
		return r.pairs(value)
	case yaml.SequenceNode:
		var all []pair
		for _, element := range value.Content {
			if element = resolve(element); element.Kind != yaml.MappingNode || r.exhausted(element) {
				r.failNode(element, codeType, "a merge key takes mappings")
				continue
			}
			all = append(all, r.pairs(element)...)
		}
		return all
	default:
		r.failNode(value, codeType, "a merge key takes a mapping or a list of mappings")
		return nil
	}
}

// resolve follows an alias to its anchor.
func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}

// exhausted says whether aliases have multiplied the file beyond reason.
func (r *reader) exhausted(node *yaml.Node) bool {
	r.values++
	if r.values == maxValues {
		r.failNode(node, codeSyntax, "the file has more than %d values, counting what its aliases repeat", maxValues)
	}
	return r.values >= maxValues
}

// section reads a mapping whose keys are known. The result is never nil.
func (r *reader) section(node *yaml.Node, s *schema, path string) map[string]any {
	section := make(map[string]any)
	node = resolve(node)
	if isNull(node) {
		return section // all its keys are commented out
	}
	if node.Kind != yaml.MappingNode {
		r.refuse(node, path, codeType, "%s must be %s, not %s", orFile(path), kindSection, nodeKind(node))
		return section
	}
	for _, p := range r.pairs(node) {
		if r.exhausted(p.key) {
			return section
		}
		f, ok := s.field(p.key.Value)
		if !ok {
			r.unknownKey(p, s, path)
			continue
		}
		at := join(path, f.name)
		r.keys[at] = p.key
		if value, ok := r.value(p.value, f.schema, at); ok {
			section[f.tag] = value
		}
	}
	return section
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// unknownKey reports a key that does not belong here, and where it does.
func (r *reader) unknownKey(found pair, s *schema, path string) {
	key := found.key
	p := Problem{
		File: r.file.name, Line: key.Line, Column: key.Column, Severity: SeverityError, Code: codeUnknownKey,
		Message: "unknown key " + quote(key.Value),
	}
	if path != "" {
		p.Message += " in " + path
	}
	r.failed[join(path, key.Value)] = true
	switch {
	case unsupported(path, key.Value):
		p.Code = codeUnsupported
		p.Message = fmt.Sprintf("key %q is not supported yet by this version", key.Value)
	case isNull(found.value) && found.value.Value == "" && found.value.Line == key.Line && strings.ContainsAny(key.Value, "()[] "):
		p.Message += "; inside { } a comma ends a value: put it in quotes"
	default:
		if p.Suggestion = suggestKey(key.Value, s); p.Suggestion == "" {
			if hint := misplaced(key.Value, path); hint != "" {
				p.Message += "; " + hint
			}
		} else {
			r.failed[join(path, p.Suggestion)] = true // so that it is not missed as well
		}
	}
	r.add(p)
}

// value reads one value of any kind; ok is false when there is none to use.
func (r *reader) value(node *yaml.Node, s *schema, path string) (value any, ok bool) {
	node = resolve(node)
	if r.exhausted(node) {
		return nil, false
	}
	r.places[path] = place{origin: Origin{Source: SourceFile, File: r.file.name, Line: node.Line, Column: node.Column}, file: r.file, node: node}
	switch s.kind {
	case kindSection:
		return r.section(node, s, path), true
	case kindList:
		return r.list(node, s, path, 0)
	case kindMap:
		return r.freeMap(node, s, path)
	default:
		return r.scalar(node, s, path)
	}
}

// list reads a list; base is the index of its first element, for the rules of
// one file stand behind those of another.
func (r *reader) list(node *yaml.Node, s *schema, path string, base int) (any, bool) {
	list := []any{}
	if isNull(node) {
		return list, true
	}
	if node.Kind != yaml.SequenceNode {
		hint := ""
		switch {
		case node.Kind == yaml.ScalarNode:
			hint = ": write it in brackets, [ ]"
		case s.element.kind == kindSection:
			hint = ": each element begins with `- `"
		}
		r.refuse(node, path, codeType, "%s must be a list, not %s%s", path, nodeKind(node), hint)
		return nil, false
	}
	for i, element := range node.Content {
		at := path + "[" + strconv.Itoa(base+i) + "]"
		value, ok := r.value(element, s.element, at)
		if !ok {
			r.failed[at] = true
			if s.element.kind != kindSection {
				r.failed[path] = true
				continue
			}
		}
		list = append(list, value)
	}
	return list, true
}

func (r *reader) freeMap(node *yaml.Node, s *schema, path string) (any, bool) {
	values := make(map[string]any)
	if isNull(node) {
		return values, true
	}
	if node.Kind != yaml.MappingNode {
		r.refuse(node, path, codeType, "%s must be %s, not %s", path, kindMap, nodeKind(node))
		return nil, false
	}
	for _, p := range r.pairs(node) {
		at := join(path, p.key.Value)
		r.keys[at] = p.key
		if value, ok := r.value(p.value, s.element, at); ok {
			values[p.key.Value] = value
		}
	}
	return values, true
}

// nodeKind names what a node is, without its content.
func nodeKind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	default:
		return "text"
	}
}

// scalar reads a text, number, switch or duration.
func (r *reader) scalar(node *yaml.Node, s *schema, path string) (any, bool) {
	if r.mistagged[node] { // which was reported
		r.failed[path] = true
		return nil, false
	}
	if node.Kind != yaml.ScalarNode {
		hint := ""
		switch {
		case strings.HasSuffix(path, "."+whenKey) && node.Kind == yaml.SequenceNode:
			hint = ": put the text in quotes, and join several conditions by and"
		case s.literal || s.kind == kindText && node.Kind == yaml.MappingNode && node.Style&yaml.FlowStyle != 0:
			hint = ": put the text in quotes"
		}
		r.refuse(node, path, codeType, "%s must be %s, not %s%s", path, s.kind, nodeKind(node), hint)
		return nil, false
	}
	if isNull(node) || strings.HasSuffix(path, "."+whenKey) && strings.TrimSpace(node.Value) == "" {
		r.refuse(node, path, codeType, "%s has no value", path)
		return nil, false
	}
	text := node.Value
	if at := environmentVariable.FindStringIndex(text); s.literal && at != nil {
		r.warnLiteral(path, utf8.RuneCountInString(text[:at[0]]))
	}
	if !s.literal && strings.Contains(text, "$") {
		expanded, state := r.expand(node, text, path, s.secret)
		if state == expansionFailed || state == expansionMissing {
			return nil, false
		}
		if state == expansionDone {
			at := r.places[path]
			at.expanded = true
			r.places[path] = at
		}
		text = expanded
	}
	quoted := node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 ||
		node.Style&yaml.TaggedStyle != 0 && node.ShortTag() == "!!str"
	value, err := coerce(s.kind, text)
	if err != nil {
		r.refuse(node, path, codeType, "%s %v%s", path, err, r.not(path, s, text))
		return nil, false
	}
	if quoted && !r.places[path].expanded && slices.Contains([]kind{kindInteger, kindNumber, kindBoolean}, s.kind) {
		r.refuse(node, path, codeType, "%s must be %s: write it without quotes", path, s.kind)
		return nil, false
	}
	if s.file {
		return r.relative(path, text), true
	}
	return value, true
}

// warnLiteral says that a variable in the text of another language, from a rune on,
// stays as it is.
func (r *reader) warnLiteral(path string, at int) {
	p := r.near(path, false)
	if line, column, ok := r.places[path].inRunes(at); ok {
		p.Line, p.Column = line, column
	}
	p.Severity, p.Code = SeverityWarning, codeVariable
	p.Message = path + ": a variable is not expanded here: when, template and subject are used as they are"
	r.add(p)
}

// not ends a message with the text that was found, where that gives nothing away.
func (l *loader) not(path string, s *schema, text string) string {
	if s.secret || text == "" || l.places[path].expanded {
		return ""
	}
	return ", not " + quote(text)
}
