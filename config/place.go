package config

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// inside finds a line and column of a parsed text in the file, whatever style
// the text is written in. Both are walked along at once: what is not white
// space stands in the same order in both.
func (p place) inside(line, column int) (fileLine, fileColumn int, ok bool) {
	if p.node == nil {
		return 0, 0, false
	}
	return p.inRunes(offset([]rune(p.node.Value), line, column))
}

// inRunes is inside for an index into the text, in runes.
func (p place) inRunes(target int) (fileLine, fileColumn int, ok bool) {
	if p.file == nil || p.node == nil || p.expanded || p.node.Kind != yaml.ScalarNode {
		return 0, 0, false
	}
	text := []rune(p.node.Value)
	for target < len(text) && unicode.IsSpace(text[target]) {
		target++ // a line is meant, or what follows
	}
	source := cursor{lines: p.file.lines}
	source.line, source.column = p.file.content(p.node, func(string, int, int) {})
	switch {
	case p.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		source.line, source.column = source.line+1, 1
	case p.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		source.column++
		source.escapes = p.node.Style&yaml.DoubleQuotedStyle != 0
	}
	for i, r := range text {
		if unicode.IsSpace(r) {
			continue
		}
		if !source.find(r) {
			return 0, 0, false
		}
		if i == target {
			return source.line, source.column, true
		}
		source.column++
	}
	return source.line, source.column, true
}

// offset turns a line and a column, in runes, into an index.
func offset(text []rune, line, column int) int {
	at := 0
	for ; line > 1 && at < len(text); at++ {
		if text[at] == '\n' {
			line--
		}
	}
	return min(at+max(column, 1)-1, len(text))
}

// cursor is a place in a file.
type cursor struct {
	lines        []string
	line, column int
	escapes      bool
}

// find goes forward to the next rune of the given kind.
func (c *cursor) find(want rune) bool {
	for ; c.line <= len(c.lines); c.line, c.column = c.line+1, 1 {
		runes := []rune(c.lines[c.line-1])
		for c.column <= len(runes) {
			r := runes[c.column-1]
			if c.escapes && r == '\\' && c.column < len(runes) {
				next := runes[c.column]
				if next == want && (next == '"' || next == '\\' || next == '/') {
					return true
				}
				c.column += 2
				continue
			}
			if r == want {
				return true
			}
			c.column++
		}
	}
	return false
}

// sensitive are the texts that no message may repeat: keys, web addresses, which may hold a
// token, and the addresses of people. What is only a part of one, such as "%@shop.example" in
// a condition, is nobody's.
var sensitive = regexp.MustCompile(`\b(?:sk|pk|rk|whsec)_[A-Za-z0-9+/=_-]+|[A-Za-z][A-Za-z0-9+.-]*://[^\s"]+|[^\s"'@]*[\pL\pN][^\s"'@]*@[^\s"'@]+\.[^\s"'@]+`)

// scrub takes sensitive texts out of a message that others wrote.
func scrub(message string) string { return sensitive.ReplaceAllString(message, "<redacted>") }

// scrubSnippet does so without moving the caret below.
func scrubSnippet(snippet string) string {
	return sensitive.ReplaceAllStringFunc(snippet, func(found string) string {
		return strings.Repeat("*", utf8.RuneCountInString(found))
	})
}
