package rules

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// identity hashes the meaning of rules, in their order.
type identity struct{ h hash.Hash }

func newIdentity() identity { return identity{sha256.New()} }

// add writes every key with the lengths of its values, so that no two lists of
// rules have the same text. Types count as the globs resolve to.
func (id identity) add(r *compiled) {
	id.write("rule", r.rule.Name, fmt.Sprint(r.rule.Enabled))
	if r.rule.On == OnSystem {
		id.write("on", r.rule.On)
	}
	id.write("accounts", r.accounts...)
	id.write("events", r.types...)
	if r.expression != nil {
		id.write("when", r.expression.canonical)
	}
	id.write("to", r.to...)
	for _, name := range slices.Sorted(maps.Keys(r.rule.Labels)) {
		id.write("label", name, r.rule.Labels[name])
	}
	id.write("rendering", r.rule.Format, r.rule.Template, r.rule.ContentType, r.rule.Subject)
}

func (id identity) write(key string, values ...string) {
	fmt.Fprintf(id.h, "%s %d\n", key, len(values))
	for _, value := range values {
		fmt.Fprintf(id.h, "%d:%s\n", len(value), value)
	}
}

func (id identity) sum() string {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(id.h.Sum(nil))
	return "rs_" + strings.ToLower(text[:26])
}
