package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity of a Problem.
type Severity string

// The severities: an error makes the configuration unusable, a warning makes
// only a strict check fail, a note neither.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityNote    Severity = "note"
)

// Problem is one mistake in the configuration and where it stands. Line and
// Column count from 1 and are 0 for what is in no file: File then names the
// environment variable or the flag.
type Problem struct {
	File       string   `json:"file"`
	Line       int      `json:"line,omitempty"`
	Column     int      `json:"column,omitempty"`
	Severity   Severity `json:"severity"`
	Message    string   `json:"message"`
	Suggestion string   `json:"suggestion,omitempty"` // what was probably meant
	Snippet    string   `json:"snippet,omitempty"`    // of a rule expression, with a caret
	Code       string   `json:"code"`
}

// Error implements error with `file:line:col: message`.
func (p Problem) Error() string { return p.String() }

// String returns `file:line:col: message`, with what was probably meant.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		quoted := strconv.Quote(p.Suggestion)
		if strings.Contains(p.Suggestion, `"`) {
			quoted = "`" + p.Suggestion + "`" // an expression
		}
		fmt.Fprintf(&b, ", did you mean %s?", quoted)
	}
	return b.String()
}

// Problems is the error that Load returns: everything that is wrong, sorted by
// position. Warnings that were found on the way are in Warnings.
type Problems struct {
	Errors   []Problem
	Warnings []Problem

	cause error
}

// Error lists all errors, one a line.
func (p *Problems) Error() string {
	lines := make([]string, len(p.Errors))
	for i, problem := range p.Errors {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error of reading the file, if that was the problem.
func (p *Problems) Unwrap() error { return p.cause }

// Codes of problems: stable names for tools and documentation.
const (
	codeSyntax       = "config/syntax"
	codeTag          = "config/tag"
	codeFolded       = "config/folded-comment"
	codeUnknownKey   = "config/unknown-key"
	codeDuplicateKey = "config/duplicate-key"
	codeType         = "config/type"
	codeRequired     = "config/required"
	codeValue        = "config/value"
	codeConflict     = "config/conflict"
	codeName         = "config/name"
	codeDuplicate    = "config/duplicate-name"
	codeReference    = "config/unknown-name"
	codeVariable     = "config/variable"
	codeEnvironment  = "config/environment"
	codeFlag         = "config/flag"
	codeFile         = "config/file"
	codeTemplate     = "config/template"
	codeSecret       = "config/secret"
	codeUnsupported  = "config/unsupported"
	codePending      = "config/no-effect-yet"
	codeMixedModes   = "config/mixed-modes"
	codeSameKey      = "config/same-key"
	codeUnused       = "config/unused-destination"
	codeStripeType   = "config/stripe-type"
	codeStripeTwice  = "config/stripe-twice"
	codeStripeUnpaid = "config/stripe-unpaid"
	codeAPIVersion   = "config/api-version"
	codeGivesUp      = "config/gives-up"
	codeFutureStart  = "config/future-start"
	codeSelfReport   = "config/self-report"
	codeStrays       = "config/stray-subjects"
	codeUnclosed     = "config/unclosed-incidents"
	codePlainHTTP    = "config/plain-http"
	codeUnsigned     = "config/unsigned"
	codePrivate      = "config/refuse-private"
	codeSamePort     = "config/same-port"
	codeRuleFiles    = "config/rule-files"
)

// collector gathers problems and sorts them by file and position.
type collector struct {
	order    map[string]int // of the files, as they were read
	problems []Problem
}

func (c *collector) add(p Problem) {
	if !slices.Contains(c.problems, p) {
		c.problems = append(c.problems, p)
	}
}

// of returns the problems of one severity in the order of the files and, after
// them, what is in no file.
func (c *collector) of(severity Severity) []Problem {
	var found []Problem
	for _, p := range c.problems {
		if p.Severity == severity {
			found = append(found, p)
		}
	}
	rank := func(p Problem) int {
		if n, ok := c.order[p.File]; ok {
			return n
		}
		return len(c.order)
	}
	slices.SortStableFunc(found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
	return found
}
