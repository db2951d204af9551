package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rulesKey is the only key of a rule file, and ruleFile what messages call one.
const (
	rulesKey = "rules"
	ruleFile = "a rule file"
)

// includeRuleFiles appends the rules of the included files to the layer's own,
// in the order of the patterns and, within one, of the names.
func (l *loader) includeRuleFiles(main *file, layer map[string]any) {
	patterns, _ := layer["rule_files"].([]any)
	seen := map[string]bool{filepath.Clean(main.name): true}
	for i, value := range patterns {
		pattern, _ := value.(string)
		path := "rule_files[" + strconv.Itoa(i) + "]"
		for _, name := range l.matching(main, path, pattern) {
			if !seen[filepath.Clean(name)] {
				seen[filepath.Clean(name)] = true
				l.includeRules(path, name, layer)
			}
		}
	}
}

// matching lists the files of a pattern.
func (l *loader) matching(main *file, path, pattern string) []string {
	if l.untouchable(path) {
		return nil
	}
	if pattern == "" {
		l.errorf(path, codeRuleFiles, "%s is empty", path)
		return nil
	}
	full := pattern
	if !filepath.IsAbs(full) {
		full = filepath.Join(main.dir, full)
	}
	if !strings.ContainsAny(pattern, `*?[`) {
		return []string{full}
	}
	names, err := l.options.Glob(full)
	if err != nil {
		l.errorf(path, codeRuleFiles, "%s is not a pattern of file names: %v", path, err)
		return nil
	}
	if len(names) == 0 {
		l.warnf(path, codeRuleFiles, "no rule file matches %s", quote(pattern))
	}
	slices.Sort(names)
	return names
}

func (l *loader) includeRules(path, name string, layer map[string]any) {
	source, err := l.options.ReadFile(name)
	if err != nil {
		l.errorf(path, codeRuleFiles, "reading the rule file %s: %v", name, withoutPath(err))
		return
	}
	r, root := l.parse(name, source)
	if r == nil {
		return
	}
	own, _ := layer["rules"].([]any)
	list, ok := r.rules(root, len(own))
	if !ok {
		return
	}
	layer["rules"] = append(own, list...)
}

// rules reads a rule file, which is a mapping with the one key `rules`. Its
// rules are numbered from base, so that every rule has a path of its own.
func (r *reader) rules(root *yaml.Node, base int) ([]any, bool) {
	root = resolve(root)
	if root.Kind != yaml.MappingNode {
		r.failNode(root, codeType, "a rule file is a section with the key `rules`, not %s", nodeKind(root))
		return nil, false
	}
	var found []any
	listed := false
	for _, p := range r.pairs(root) {
		if p.key.Value != rulesKey {
			r.unknownKey(p, ruleDocument, ruleFile)
			continue
		}
		value, _ := r.list(resolve(p.value), mustField(document, rulesKey).schema, rulesKey, base)
		found, listed = value.([]any)
	}
	if !listed && !r.failed[rulesKey] {
		r.failNode(root, codeRequired, "a rule file needs a list `rules`")
	}
	return found, listed
}
