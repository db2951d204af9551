package rules

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"checkout-notifier/rules/logic"
	"checkout-notifier/rules/schema"

	"github.com/expr-lang/expr/ast"
)

// conjunct is a condition that must hold for an expression to be true: the
// value at a path is one of these texts.
type conjunct struct {
	path   string
	values []string
	at     int // in the text, in runes
}

// conjunctsOf splits an expression at its topmost `and` and keeps what has the
// form path == "text", path in ["text", …], or an `or` of these on one path.
func conjunctsOf(n ast.Node) []conjunct {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	if b.Operator == "&&" || b.Operator == "and" {
		return append(conjunctsOf(b.Left), conjunctsOf(b.Right)...)
	}
	if c, ok := equality(b); ok {
		return []conjunct{c}
	}
	return nil
}

func equality(n ast.Node) (conjunct, bool) {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return conjunct{}, false
	}
	switch b.Operator {
	case "==":
		if c, ok := textAt(b.Left, b.Right); ok {
			return c, true
		}
		return textAt(b.Right, b.Left)
	case "in":
		return textsAt(b.Left, b.Right)
	case "||", "or":
		left, ok := equality(b.Left)
		right, also := equality(b.Right)
		if ok && also && left.path == right.path {
			return newConjunct(left.path, append(left.values, right.values...), left.at), true
		}
	}
	return conjunct{}, false
}

func newConjunct(path string, values []string, at int) conjunct {
	slices.Sort(values)
	return conjunct{path, slices.Compact(values), at}
}

func textAt(at, text ast.Node) (conjunct, bool) {
	value, ok := text.(*ast.StringNode)
	path := strings.Join(logic.PathOf(at), separator)
	if !ok || readers.of(path) == nil {
		return conjunct{}, false
	}
	return conjunct{path, []string{value.Value}, value.Location().From}, true
}

func textsAt(at, list ast.Node) (conjunct, bool) {
	array, ok := list.(*ast.ArrayNode)
	path := strings.Join(logic.PathOf(at), separator)
	if !ok || len(array.Nodes) == 0 || readers.of(path) == nil {
		return conjunct{}, false
	}
	var values []string
	for _, element := range array.Nodes {
		text, ok := element.(*ast.StringNode)
		if !ok {
			return conjunct{}, false
		}
		values = append(values, text.Value)
	}
	return newConjunct(path, values, array.Nodes[0].Location().From), true
}

// A path is its names with a separator that no name has: metadata keys may
// have dots. The first level of the index is made of type and account.
const (
	separator     = logic.Separator
	pathType      = "event" + separator + "type"
	pathAccount   = "event" + separator + "account"
	pathChange    = "event" + separator + "change" + separator
	sessionPrefix = "session" + separator
)

// reader reads the text at a path of the env.
type reader func(*env) string

type readerTable map[string]reader

// readers knows the paths that can be indexed: the texts at the top of event
// and session, and the session's metadata.
var readers = newReaders()

func newReaders() readerTable {
	table := readerTable{
		pathChange + "field": func(e *env) string { return e.Event.Change.Field },
		pathChange + "from":  func(e *env) string { return e.Event.Change.From },
		pathChange + "to":    func(e *env) string { return e.Event.Change.To },
	}
	for i := range schema.SessionType.NumField() {
		if f := schema.SessionType.Field(i); f.Type.Kind() == reflect.String {
			table[sessionPrefix+schema.FieldName(f)] = func(e *env) string { return reflect.ValueOf(e.Session).Elem().Field(i).String() }
		}
	}
	for i, t := 0, schema.EventType; i < t.NumField(); i++ {
		if f := t.Field(i); f.Type.Kind() == reflect.String {
			table["event"+separator+schema.FieldName(f)] = func(e *env) string { return reflect.ValueOf(e.Event).Elem().Field(i).String() }
		}
	}
	return table
}

func (t readerTable) of(path string) reader {
	if key, ok := strings.CutPrefix(path, sessionPrefix+"metadata"+separator); ok && !strings.Contains(key, separator) {
		return func(e *env) string { return e.Session.Metadata[key] }
	}
	return t[path]
}

// index selects the rules that can match an event: first by type and account,
// then by one necessary condition of each rule. It only ever leaves out rules
// whose condition is false; what it selects is still evaluated whole.
type index struct{ buckets map[bucketKey]*bucket }

// bucketKey has the account "" for rules of all accounts, and the type "" for
// events of a type that this version does not know.
type bucketKey struct{ eventType, account string }

type bucket struct {
	all          []int32 // every rule, for events that cannot be read
	always       []int32 // rules without an access condition
	paths        []postings
	needsSession bool
}

type postings struct {
	path    string
	read    reader
	byValue map[string][]int32
}

func newIndex(rules []*compiled) *index {
	x := &index{buckets: map[bucketKey]*bucket{}}
	frequency := map[condition]int{}
	for _, r := range rules {
		for _, c := range r.conditions() {
			for _, value := range c.values {
				frequency[condition{c.path, value}]++
			}
		}
	}
	for i, r := range rules {
		access := r.access(frequency)
		for _, eventType := range r.types {
			for _, account := range r.accounts {
				key := bucketKey{eventType, account}
				if x.buckets[key] == nil {
					x.buckets[key] = &bucket{}
				}
				x.buckets[key].add(int32(i), access)
			}
		}
	}
	return x
}

// condition is a condition on a single value.
type condition struct{ path, value string }

// conditions are the conjuncts that the second level can use.
func (r *compiled) conditions() []conjunct {
	if r.expression == nil {
		return nil
	}
	var list []conjunct
	for _, c := range r.expression.conjuncts {
		if c.path != pathType && c.path != pathAccount {
			list = append(list, c)
		}
	}
	return list
}

// access picks the condition that the fewest rules share.
func (r *compiled) access(frequency map[condition]int) *conjunct {
	list := r.conditions()
	if len(list) == 0 {
		return nil
	}
	cost := func(c conjunct) (sum int) {
		for _, value := range c.values {
			sum += frequency[condition{c.path, value}]
		}
		return sum
	}
	best := slices.MinFunc(list, func(a, b conjunct) int {
		return cmp.Or(cmp.Compare(cost(a), cost(b)), cmp.Compare(len(a.values), len(b.values)), cmp.Compare(a.path, b.path))
	})
	return &best
}

func (b *bucket) add(rule int32, access *conjunct) {
	b.all = append(b.all, rule)
	if access == nil {
		b.always = append(b.always, rule)
		return
	}
	i := slices.IndexFunc(b.paths, func(p postings) bool { return p.path == access.path })
	if i < 0 {
		i = len(b.paths)
		b.paths = append(b.paths, postings{access.path, readers.of(access.path), map[string][]int32{}})
		b.needsSession = b.needsSession || strings.HasPrefix(access.path, sessionPrefix)
	}
	for _, value := range access.values {
		b.paths[i].byValue[value] = append(b.paths[i].byValue[value], rule)
	}
}

// candidates lists, in file order, the rules that can match.
func (x *index) candidates(v *view) []int32 {
	eventType := v.event.Type
	if !knownTypes[eventType] {
		eventType = ""
	}
	var list []int32
	accounts := []string{"", v.event.Account}
	if v.event.Account == "" {
		accounts = accounts[:1]
	}
	for _, account := range accounts {
		b := x.buckets[bucketKey{eventType, account}]
		if b == nil {
			continue
		}
		if b.needsSession && (v.decodeSession() != nil || v.unreadable != 0) {
			list = append(list, b.all...)
			continue
		}
		list = append(list, b.always...)
		for _, p := range b.paths {
			list = append(list, p.byValue[p.read(&v.env)]...)
		}
	}
	slices.Sort(list)
	return list
}
