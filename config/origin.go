package config

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"checkout-notifier/spelling"
)

// Source says which layer a value comes from.
type Source string

// The layers, each over the one before it.
const (
	SourceDefault     Source = "default"
	SourceFile        Source = "file"
	SourceEnvironment Source = "environment"
	SourceFlag        Source = "flag"
)

// Origin is where a value of the effective configuration comes from. Line and
// Column are set for a file; Name is the environment variable or the flag's key.
type Origin struct {
	Source Source `json:"source"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Name   string `json:"name,omitempty"`
}

// String returns "default", "file:line", the variable's name, or "flag key".
func (o Origin) String() string {
	switch o.Source {
	case SourceFile:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	case SourceEnvironment:
		return o.Name
	case SourceFlag:
		return "flag " + o.Name
	default:
		return string(SourceDefault)
	}
}

// place is the origin of a value with what is needed to point into it.
type place struct {
	origin   Origin
	file     *file
	node     *yaml.Node
	expanded bool // its text came from a variable or a file of its own
}

// inherited matches the keys that an element of a list takes from a section.
var inherited = regexp.MustCompile(`^(accounts\[[0-9]+\]\.poll|destinations\[[0-9]+\])\.(.+)$`)

// section of which a path is an override, or "".
func overridden(path string) string {
	m := inherited.FindStringSubmatch(path)
	switch {
	case m == nil:
		return ""
	case strings.HasPrefix(path, "accounts"):
		return "poll." + m[2]
	}
	if _, ok := mustField(document, "nats").field(m[2]); ok {
		return "nats." + m[2]
	}
	return ""
}

// placeOf finds the place of a path itself or of what it is inherited from.
func (l *loader) placeOf(path string) (place, bool) {
	if p, ok := l.places[path]; ok {
		return p, true
	}
	if section := overridden(path); section != "" && !l.detached[path] {
		p, ok := l.places[section]
		return p, ok
	}
	return place{}, false
}

// near finds the place of a path, or of the closest thing around it that was
// written down; key prefers the key's position over the value's.
func (l *loader) near(path string, key bool) Problem {
	for at := path; at != ""; at = parent(at) {
		if node, ok := l.keys[at]; ok && key {
			if p, ok := l.places[at]; ok && p.file != nil {
				return Problem{File: p.file.name, Line: node.Line, Column: node.Column}
			}
		}
		p, ok := l.placeOf(at)
		if !ok {
			continue
		}
		if p.origin.Source == SourceFile {
			return Problem{File: p.origin.File, Line: p.origin.Line, Column: p.origin.Column}
		}
		return Problem{File: p.origin.String()}
	}
	if l.main == nil {
		return Problem{File: "configuration"}
	}
	return Problem{File: l.main.name, Line: 1, Column: 1}
}

// parent cuts the last step off a path.
func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
}

// untouchable says whether a value was refused already or is allowed to be
// missing, so that nothing more can be said about it.
func (l *loader) untouchable(path string) bool {
	for at := path; at != ""; at = parent(at) {
		if l.failed[at] || l.missing[at] {
			return true
		}
	}
	section := overridden(path)
	if _, own := l.places[path]; own || section == "" {
		return false
	}
	return l.failed[section] || l.missing[section]
}

// errorf reports a value that makes the configuration unusable.
func (l *loader) errorf(path, code, format string, args ...any) {
	l.report(path, Problem{Severity: SeverityError, Code: code, Message: fmt.Sprintf(format, args...)})
}

// warnf reports what a strict check refuses.
func (l *loader) warnf(path, code, format string, args ...any) {
	l.report(path, Problem{Severity: SeverityWarning, Code: code, Message: fmt.Sprintf(format, args...)})
}

// unknownName reports a name that should be one of several.
func (l *loader) unknownName(path, code, message, name string, known []string) {
	l.report(path, Problem{Severity: SeverityError, Code: code, Message: message, Suggestion: spelling.Suggest(name, known)})
}

func (l *loader) report(path string, p Problem) {
	if l.untouchable(path) {
		return
	}
	at := l.near(path, false)
	p.File, p.Line, p.Column = at.File, at.Line, at.Column
	l.add(p)
}
