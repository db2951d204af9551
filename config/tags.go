package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// whenKey is the key whose value is an expression.
const whenKey = "when"

// standardTags are the tags of YAML that say no more than the value itself does.
var standardTags = map[yaml.Kind][]string{
	yaml.ScalarNode:   {"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"},
	yaml.MappingNode:  {"!!map"},
	yaml.SequenceNode: {"!!seq"},
}

// checkTags reports every tag in a document that is not a standard one or does
// not fit its value. YAML takes such a word away from the value, so that
// `when: !session.livemode` would be an empty condition. The values that lost a
// part of themselves are noted: they are not used. key is the name under which
// the node stands in a mapping.
func (r *reader) checkTags(node *yaml.Node, key string) {
	if node.Kind != yaml.AliasNode && node.Kind != yaml.DocumentNode {
		if tag, line, column := r.file.tag(node); tag != "" {
			r.checkTag(node, key, tag, line, column)
		}
	}
	for i, child := range node.Content {
		name := ""
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			name = node.Content[i-1].Value
		}
		r.checkTags(child, name)
	}
}

func (r *reader) checkTag(node *yaml.Node, key, written string, line, column int) {
	short := node.ShortTag()
	problem := ""
	switch {
	case node.Style&yaml.TaggedStyle == 0 || !strings.HasPrefix(short, "!!"):
		problem = fmt.Sprintf("%s is read as a YAML tag and not as a part of the value: put the value in quotes", quote(written))
		if key == whenKey {
			problem += ", or write " + positive(node, written)
		}
	case !slices.Contains(standardTags[node.Kind], short):
		problem = fmt.Sprintf("the YAML tag %s is not supported here: write the value without it", short)
	case node.Kind == yaml.ScalarNode && !fits(node, short):
		problem = fmt.Sprintf("the YAML tag %s does not fit its value", short)
	}
	if problem != "" {
		r.fail(line, column, codeTag, problem)
		r.mistagged[node] = true
	}
}

// positive is how a negated expression is written without an exclamation mark.
func positive(node *yaml.Node, written string) string {
	text := strings.TrimSpace("not " + strings.TrimSpace(strings.TrimPrefix(written, "!")+" "+node.Value))
	if quoted := quote(text); node.Kind == yaml.ScalarNode && !strings.ContainsAny(text, "\n`") && strings.Trim(quoted, `"`) == text {
		return "`" + text + "`"
	}
	return "`not` instead of `!`"
}

// fits says whether a scalar's tag is that of its value as it stands.
func fits(node *yaml.Node, tag string) bool {
	plain := (&yaml.Node{Kind: yaml.ScalarNode, Value: node.Value}).ShortTag()
	return tag == "!!str" || tag == plain || tag == "!!float" && plain == "!!int"
}

// tag returns the tag that is written in front of a node's content, and where;
// "" if there is none. The parser keeps no trace of the tag `!` alone.
func (f *file) tag(node *yaml.Node) (tag string, line, column int) {
	tagged := node.Style&yaml.TaggedStyle != 0
	switch {
	case !tagged && node.Kind == yaml.ScalarNode && node.Style == 0 && node.Value == "":
		return "", 0, 0 // nothing is written there
	case !tagged && node.Kind == yaml.MappingNode && len(node.Content) > 0 &&
		node.Content[0].Line == node.Line && node.Content[0].Column == node.Column:
		return "", 0, 0 // what stands there belongs to the first key
	}
	f.content(node, func(word string, l, c int) {
		if strings.HasPrefix(word, "!") {
			tag, line, column = word, l, c
		}
	})
	if tag == "" && tagged {
		return node.ShortTag(), node.Line, node.Column
	}
	return tag, line, column
}

// content returns where the content of a node begins, behind its anchor and its
// tag, which it hands to each.
func (f *file) content(node *yaml.Node, each func(word string, line, column int)) (line, column int) {
	line, column = node.Line, node.Column
	for line >= 1 && line <= len(f.lines) {
		rest := []rune(f.lines[line-1])
		rest = rest[min(column-1, len(rest)):]
		skipped := 0
		for skipped < len(rest) && unicode.IsSpace(rest[skipped]) {
			skipped++
		}
		rest, column = rest[skipped:], column+skipped
		switch {
		case len(rest) == 0 || rest[0] == '#':
			if line, column = line+1, 1; line > len(f.lines) {
				return node.Line, node.Column
			}
			continue
		case rest[0] != '&' && rest[0] != '!':
			return line, column
		}
		end := slices.IndexFunc(rest, unicode.IsSpace)
		if end < 0 {
			end = len(rest)
		}
		each(string(rest[:end]), line, column)
		column += end
	}
	return line, column
}
