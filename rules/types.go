package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"checkout-notifier/event"
	"checkout-notifier/spelling"
)

// allTypes are the types of events of a session, and "" for those of a later
// version.
var (
	allTypes   = append(event.Types(), "")
	knownTypes = func() map[string]bool {
		known := map[string]bool{}
		for _, t := range event.Types() {
			known[t] = true
		}
		return known
	}()
)

// vocabulary is the types that one kind of rule can name.
type vocabulary struct {
	prefix string
	types  []string
	short  func(string) string // the name without what goes without saying
	all    []string            // and "" for those of a later version
	remedy string              // for a type of the other kind
}

var (
	sessionTypes = vocabulary{
		prefix: event.TypePrefix, types: event.Types(), short: event.Short, all: allTypes,
		remedy: "is an event of the program itself, which only rules with on: system see",
	}
	systemTypes = vocabulary{
		prefix: event.SystemPrefix, types: event.SystemTypes(), all: append(event.SystemTypes(), ""),
		short:  func(t string) string { return strings.TrimPrefix(t, event.SystemPrefix) },
		remedy: "is an event of a session, which a rule with on: system never sees: leave out `on`, or name the program's own",
	}
)

// other is the vocabulary of the other kind of rule.
func (v *vocabulary) other() *vocabulary {
	if v == &systemTypes {
		return &sessionTypes
	}
	return &systemTypes
}

// match lists the types that a glob names, short or whole.
func (v *vocabulary) match(glob string) []string {
	var found []string
	for _, t := range v.types {
		short, _ := path.Match(glob, v.short(t)) // a glob that is none matches nothing
		whole, _ := path.Match(glob, t)
		if short || whole {
			found = append(found, t)
		}
	}
	return found
}

// qualify returns the whole name of a type that may be given without its prefix.
func (v *vocabulary) qualify(name string) string {
	return v.prefix + strings.TrimPrefix(name, v.prefix)
}

// near is the whole name of the type that a word may be meant for, "" if none is.
func (v *vocabulary) near(word string) string {
	if whole := v.qualify(v.suggest(word)); slices.Contains(v.types, whole) {
		return whole
	}
	return ""
}

// foreign says whether a glob names a type of the other kind of rule.
func (v *vocabulary) foreign(glob string) bool {
	return strings.HasPrefix(glob, v.other().prefix) || len(v.other().match(glob)) > 0
}

// TypesNamed lists the types of events that the globs of a rule name; all that its
// kind of rule can see without any.
func TypesNamed(on string, globs []string) []string {
	v := &sessionTypes
	if on == OnSystem {
		v = &systemTypes
	}
	if len(globs) == 0 {
		return v.types
	}
	chosen := map[string]bool{}
	for _, glob := range globs {
		for _, t := range v.match(glob) {
			chosen[t] = true
		}
	}
	return v.chosen(chosen)
}

func (v *vocabulary) chosen(chosen map[string]bool) []string {
	var types []string
	for _, t := range v.types {
		if chosen[t] {
			types = append(types, t)
		}
	}
	return types
}

// events returns the event types that the globs of a rule match. A rule whose globs
// match every type we know gets what a rule without globs gets, v.all: it matches types
// of later versions too.
func (c *checkers) events(rule Rule, v *vocabulary) []string {
	if len(rule.Events) == 0 {
		return v.all
	}
	chosen := map[string]bool{}
	for i, glob := range rule.Events {
		matched := v.match(glob)
		for _, t := range matched {
			chosen[t] = true
		}
		switch {
		case len(matched) > 0:
		case strings.HasPrefix(glob, "!"):
			c.add(Problem{Key: "events", Index: i, Code: CodeUnknownEvent, Message: fmt.Sprintf("no event type matches %q: a list says what is meant, and excludes nothing", glob)})
		case v.several(glob) != "":
			c.add(Problem{Key: "events", Index: i, Code: CodeUnknownEvent, Message: fmt.Sprintf("no event type matches %q: each stands apart, as in [%s]", glob, v.several(glob))})
		case v.foreign(glob):
			c.add(Problem{Key: "events", Index: i, Code: CodeUnknownEvent, Message: fmt.Sprintf("%q %s", glob, v.remedy)})
		default:
			p := Problem{Key: "events", Index: i, Code: CodeUnknownEvent, Suggestion: v.suggest(glob), Message: fmt.Sprintf("no event type matches %q", glob)}
			switch {
			case p.Suggestion == "":
				p.Message += "; there are " + strings.Join(v.shorts(), ", ")
			case event.Short(p.Suggestion) == event.Short(event.Fulfillable) && slices.ContainsFunc(rule.Events, func(other string) bool { return event.Short(other) == event.Short(event.Completed) }):
				p.Message += ": fulfillable comes once an order, whether it is paid at the checkout or later, and takes the place of completed as well; with both an order is sent twice"
			}
			c.add(p)
		}
	}
	if len(chosen) == len(v.types) {
		return v.all
	}
	return v.chosen(chosen)
}

// several lists the types that stand together in what is one text, "" if it is none of
// that kind.
func (v *vocabulary) several(glob string) string {
	words := strings.FieldsFunc(glob, func(r rune) bool { return r == ' ' || r == ',' || r == '|' })
	if len(words) < 2 || slices.ContainsFunc(words, func(word string) bool { return len(v.match(word)) == 0 }) {
		return ""
	}
	return strings.Join(words, ", ")
}

func (v *vocabulary) shorts() (short []string) {
	for _, t := range v.types {
		short = append(short, v.short(t))
	}
	return short
}

// suggest proposes a type for a misspelt one, in the form in which it was written.
func (v *vocabulary) suggest(glob string) string {
	known := ""
	switch name := strings.TrimPrefix(glob, v.prefix); {
	case name == "all" || name == "any":
		known = "*"
	case v == &sessionTypes:
		known = event.MeantBy(name)
	}
	if known != "" {
		return strings.TrimSuffix(glob, strings.TrimPrefix(glob, v.prefix)) + known
	}
	short := v.shorts()
	if rest, ok := strings.CutPrefix(glob, v.prefix); ok {
		if near := spelling.Closest(rest, short); near != "" {
			return v.prefix + near
		}
		return ""
	}
	if near := spelling.Closest(glob, short); near != "" {
		return near
	}
	var last []string // `dead` for delivery.dead
	for _, name := range short {
		if strings.HasSuffix(name, "."+glob) {
			last = append(last, name)
		}
	}
	switch len(last) {
	case 0:
		return spelling.Closest(glob[strings.LastIndexByte(glob, '.')+1:], short)
	case 1:
		return last[0]
	}
	return "*." + glob
}
