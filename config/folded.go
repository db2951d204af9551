package config

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// checkFolded reports a comment in an expression that takes in what follows it in
// the file: outside `when: |` YAML joins the lines of a text to one, and a
// condition behind the comment would be lost without a word.
func (l *loader) checkFolded(path, when string) {
	p, known := l.places[path]
	if !known || p.node == nil || p.node.Style&yaml.LiteralStyle != 0 {
		return
	}
	for _, span := range lineComments([]rune(when)) {
		line, column, ok := p.inRunes(span.from)
		last, _, ok2 := p.inRunes(span.to - 1)
		if ok && ok2 && last > line {
			l.add(Problem{File: p.origin.File, Line: line, Column: column, Severity: SeverityError, Code: codeFolded,
				Snippet: p.file.snippet(line, column),
				Message: "the comment takes in the rest of the condition, because YAML joins the lines to one: write `when: |`, or /* … */"})
		}
	}
}

// snippet shows a line of a file, and below it a caret under the column.
func (f *file) snippet(line, column int) string {
	text := []rune(f.lines[line-1])
	first := slices.IndexFunc(text, func(r rune) bool { return !unicode.IsSpace(r) })
	if first < 0 || column <= first || column > len(text) {
		return ""
	}
	return scrubSnippet(strings.TrimRight(string(text[first:]), "\r") + "\n" + strings.Repeat(" ", column-1-first) + "^")
}

type span struct{ from, to int }

// lineComments finds the comments of an expression that go on to the end of the
// line, outside its texts.
func lineComments(text []rune) (found []span) {
	for i := 0; i < len(text); i++ {
		rest := string(text[i:min(i+2, len(text))])
		switch {
		case strings.ContainsRune("\"'`", text[i]):
			i = endOfText(text, i)
		case rest == "/*":
			for i += 2; i+1 < len(text) && string(text[i:i+2]) != "*/"; {
				i++
			}
			i++
		case rest == "//":
			from := i
			for i < len(text) && text[i] != '\n' {
				i++
			}
			found = append(found, span{from, len([]rune(strings.TrimRight(string(text[:i]), " \t\r")))})
		}
	}
	return found
}

// endOfText returns the index of the quote that ends the text which begins at i.
func endOfText(text []rune, i int) int {
	quote := text[i]
	for i++; i < len(text) && text[i] != quote; i++ {
		if text[i] == '\\' && quote != '`' {
			i++
		}
	}
	return i
}

// connectives begin what could be the rest of a condition.
var connectives = []string{"&&", "||", "and ", "or ", "not ", "!", "==", "!=", "??", "?"}

// checkHidden warns of a YAML comment behind an expression that reads like the
// rest of it.
func (l *loader) checkHidden(path string) {
	p := l.places[path]
	if p.node == nil || p.node.Style != 0 {
		return
	}
	comment := strings.TrimSpace(strings.TrimLeft(p.node.LineComment, "#"))
	if slices.ContainsFunc(connectives, func(word string) bool { return strings.HasPrefix(comment, word) }) {
		l.warnf(path, codeFolded, "%s: YAML takes what stands behind ` #` for a comment, and it reads like a part of the condition: put the expression in quotes", path)
	}
}

// cutOff says what may have happened to an expression that ends too early: a ` #`
// in a text without quotes begins a comment of YAML's.
func (l *loader) cutOff(path string) string {
	if p := l.places[path]; p.node != nil && p.node.Style == 0 && strings.HasPrefix(p.node.LineComment, "#") {
		return "; YAML takes what stands behind ` #` for a comment: put the expression in quotes"
	}
	return ""
}
