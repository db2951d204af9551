package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// file is one YAML file that was read.
type file struct {
	name  string
	dir   string
	lines []string
}

// lineBreak is what ends a line for the YAML parser.
var lineBreak = regexp.MustCompile(`\r\n|[\n\r\x{85}\x{2028}\x{2029}]`)

// syntaxPrefix is how the YAML parser begins its messages.
var syntaxPrefix = regexp.MustCompile(`^yaml: (?:line [0-9]+: )?`)

// remedies are what is said of a line that the YAML parser does not understand.
var remedies = []struct {
	line   *regexp.Regexp
	remedy string
}{
	{regexp.MustCompile(`^ *\t`), "indentation is made of spaces, not tabs"},
	{regexp.MustCompile(`[\[{,]\s*(?:[\w-]+:\s+)?\$\{`), `inside [ ] and { } a variable is quoted: "${NAME}"`},
	{regexp.MustCompile(`[:\[,-]\s*\*\s*(?:[\],]|$)`), "an asterisk is put in quotes: '*'"},
	{regexp.MustCompile(`\{\{`), "a text with {{ }} is put in quotes: '{{ … }}'"},
	{regexp.MustCompile(`\{.*\bwhen:[ \t]+[^|>]`), "inside { } an expression is put in quotes"},
	{regexp.MustCompile(`^[^{]*\bwhen:[ \t]+[^|>]`), "an expression that begins with a quote or a sign, or has `: ` or ` #` in it, is put in quotes or under `when: |`"},
}

// cutByComment finds an expression in lines that ends before a comment for YAML, and the
// line behind it that has no key.
var cutByComment = regexp.MustCompile(`(?:^|\n)[ -]*when:(?:\s+#[^\n]*)*\s+[^|>\s#](?:[^:\n#]|:\S|[ \t]:|\S#|\n)*\s#[^\n]*(?:\n[ \t]*(?:#[^\n]*)?)*\n[ \t]*[^\s#](?:[^:\n]|:\S|[ \t]:)*$`)

// unknownAnchor is the one message of the parser that has no line.
var unknownAnchor = regexp.MustCompile(`^unknown anchor '([^']*)' referenced$`)

// parse splits a file into its one document and returns the root node, or nil
// after reporting why there is none.
func (l *loader) parse(name string, source []byte) (*reader, *yaml.Node) {
	source = bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))
	f := &file{name: name, dir: filepath.Dir(name), lines: lineBreak.Split(string(source), -1)}
	l.order[name] = len(l.order)
	l.main = cmp.Or(l.main, f)
	r := &reader{loader: l, file: f, merged: make(map[*yaml.Node]bool), mistagged: make(map[*yaml.Node]bool)}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(source, []byte(mark)) {
			r.fail(1, 1, codeSyntax, "the file is written in UTF-16: save it as UTF-8")
			return nil, nil
		}
	}
	root := r.document(bytes.NewReader(source))
	if root == nil {
		return nil, nil
	}
	r.checkTags(root, "")
	return r, root
}

// document returns the root of the one document that is not empty: a `---` at
// the beginning or the end of a file makes none. It is nil after reporting why
// there is none.
func (r *reader) document(source io.Reader) *yaml.Node {
	decoder := yaml.NewDecoder(source)
	var root, last *yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if err == nil {
			if last = document.Content[0]; isNull(last) && last.Value == "" {
				continue
			}
			if root == nil {
				root = last
				continue
			}
			r.fail(document.Line, document.Column, codeSyntax, "the file holds more than one document: everything goes before the second `---`")
			return root
		}
		switch {
		case !errors.Is(err, io.EOF):
			r.syntax(err)
		case root == nil && last != nil:
			r.fail(min(last.Line, len(r.file.lines)), last.Column, codeSyntax, "the file is empty")
		case root == nil:
			r.fail(1, 1, codeSyntax, "the file is empty")
		case isNull(root):
			r.fail(root.Line, root.Column, codeSyntax, "the file is empty")
			return nil
		}
		return root
	}
}

// syntax reports an error of the YAML parser. The parser names the line at which
// the broken construct begins, so the place is looked for: the end of the
// shortest part of the file that is broken in the same way.
func (r *reader) syntax(err error) {
	text := syntaxMessage(err)
	line := 1 + sort.Search(len(r.file.lines)-1, func(n int) bool {
		return syntaxMessage(parseAll(strings.Join(r.file.lines[:n+1], "\n"))) == text
	})
	if m := unknownAnchor.FindStringSubmatch(text); m != nil {
		line = 1 + max(0, slices.IndexFunc(r.file.lines, func(l string) bool { return strings.Contains(l, "*"+m[1]) }))
	}
	content := r.file.lines[line-1]
	column := utf8.RuneCountInString(content) - utf8.RuneCountInString(strings.TrimLeft(content, " \t")) + 1
	for _, known := range remedies {
		if known.line.MatchString(content) {
			text += " (" + known.remedy + ")"
		}
	}
	if cutByComment.MatchString(strings.Join(r.file.lines[:line], "\n")) {
		text += " (a comment ends a text in YAML, so that this line is no part of the condition: write it under `when: |`, where // begins a comment)"
	}
	r.fail(line, column, codeSyntax, "not valid YAML: "+text)
}

// parseAll reads all documents of a text and returns the first error.
func parseAll(text string) error {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var node yaml.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// syntaxMessage is the message of a YAML error without its line, "" without one.
func syntaxMessage(err error) string {
	if err == nil {
		return ""
	}
	return syntaxPrefix.ReplaceAllString(err.Error(), "")
}
