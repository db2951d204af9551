package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variableName is a name between `${` and `}`.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environmentVariable finds what is meant to be expanded, by the names that
// variables of the environment usually have.
var environmentVariable = regexp.MustCompile(`\$\{(?:[A-Z_][A-Z0-9_]*(?::-[^}]*)?|file:[^}]*)\}`)

// expansion says what became of the variables in a text.
type expansion int

const (
	expansionNone    expansion = iota // there were none
	expansionDone                     // all have their values
	expansionMissing                  // some are not set, which is allowed
	expansionFailed                   // some cannot be had, which was reported
)

// filePrefix begins the name of a file instead of a variable.
const filePrefix = "file:"

// expand replaces ${VAR}, ${VAR:-default} and ${file:/path} in a parsed scalar,
// once: what a variable holds is not looked at again. $${ stands for ${.
// A variable of a secret is never empty, unless ${VAR:-} says that it may be.
func (r *reader) expand(node *yaml.Node, text, path string, secret bool) (string, expansion) {
	var b strings.Builder
	state := expansionNone
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), state
		}
		if strings.HasSuffix(before, "$") {
			b.WriteString("{") // the first $ of $${ is already written
			text = after
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			r.refuse(node, path, codeVariable, "%s: `${` without `}`; write `$${` for the characters themselves", path)
			return "", expansionFailed
		}
		if strings.Contains(name, "${") {
			r.refuse(node, path, codeVariable, "%s: variables do not stand inside variables", path)
			return "", expansionFailed
		}
		value, err := r.variable(name, secret)
		switch {
		case err == nil:
			b.WriteString(value)
			state = max(state, expansionDone)
		case (errors.Is(err, errUnset) || errors.Is(err, errNoFile) || errors.Is(err, errEmpty)) && r.options.AllowMissingSecrets:
			r.missing[path] = true
			state = max(state, expansionMissing)
		default:
			r.refuse(node, path, codeVariable, "%s: %v", path, err)
			state = expansionFailed
		}
		text = rest
	}
}

// Values that another machine may well have.
var (
	errUnset  = errors.New("is not set")
	errEmpty  = errors.New("is empty")
	errNoFile = errors.New("reading the secret file")
)

// variable returns the value of what stands between the braces.
func (r *reader) variable(expression string, secret bool) (string, error) {
	if name, ok := strings.CutPrefix(expression, filePrefix); ok {
		return r.secretFile(name)
	}
	name, fallback, hasFallback := strings.Cut(expression, ":-")
	if !variableName.MatchString(name) {
		return "", fmt.Errorf("`${%s}` is not a variable; use ${NAME}, ${NAME:-default} or ${file:/path}, and `$${` for the characters themselves",
			printable(expression))
	}
	r.used[name] = true
	value, set := r.env[name]
	switch {
	case set && value == "" && secret && !hasFallback:
		return "", fmt.Errorf("the environment variable %s %w: set it, or write ${%s:-} if no value is meant", name, errEmpty, name)
	case set && (value != "" || !hasFallback):
		return value, nil
	case hasFallback:
		return fallback, nil
	default:
		return "", fmt.Errorf("the environment variable %s %w", name, errUnset)
	}
}

func printable(expression string) string {
	quoted := quote(expression)
	return strings.Trim(quoted, `"`)
}

// secretFile returns a file's content without the line end that editors add.
func (r *reader) secretFile(name string) (string, error) {
	if name == "" {
		return "", errors.New("`${file:}` names no file")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.file.dir, name)
	}
	content, err := r.options.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("%w %s: %w", errNoFile, name, withoutPath(err))
	}
	if problem := unreadable(content); problem != "" {
		return "", fmt.Errorf("the secret file %s %s", name, problem)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// unreadable says why a file with a secret in it cannot be what was meant, ""
// if it can. A mark that editors put in front of a text would be sent along.
func unreadable(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		return "begins with a byte order mark (BOM): save it without one"
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return "is written in UTF-16: save it as UTF-8"
	case len(bytes.TrimSpace(content)) == 0:
		return "is empty"
	}
	return ""
}

// withoutPath is the cause of a file error; the message names the file already.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
